/** Child of read.bench.ts: a gzipped volume from a file to an array, by the library, by zlib alone, which only inflates it, or by ITK in WebAssembly. */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { readVolume } from 'renvox';
import { serve } from '../serve.js';

type Way = 'renvox' | 'zlib' | 'itk-wasm';
const [how, path, packages] = process.argv.slice(2) as [Way, string, string];

/** As much of @itk-wasm/image-io as is used: its own types are there only where it is installed. */
interface ImageIo {
  readImageNode(path: string): Promise<{ data: NodeJS.TypedArray }>;
}

async function reader(): Promise<() => Promise<NodeJS.TypedArray>> {
  if (how === 'renvox') return async () => (await readVolume(path)).data;
  if (how === 'zlib') return async () => promisify(gunzip)(await readFile(path));
  const entry = pathToFileURL(createRequire(packages).resolve('@itk-wasm/image-io'));
  const { readImageNode } = (await import(entry.href)) as ImageIo;
  return async () => (await readImageNode(path)).data;
}

await serve<NodeJS.TypedArray>({
  run: await reader(),
  values: (data) => data,
  /** 0 where the file's bytes or voxels end in these voxels, else 1. */
  distance: (inflated, voxels) =>
    Buffer.from(inflated.buffer, inflated.byteOffset, inflated.byteLength)
      .subarray(inflated.byteLength - voxels.length)
      .equals(voxels)
      ? 0
      : 1,
  facts: () => ({ version: process.versions.zlib }),
});
