/** Child of read.bench.ts: a gzipped volume from a file to an array, by the library or by zlib alone, which only inflates it. */
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { readVolume } from 'renvox';
import { serve } from '../serve.js';

const [how, path] = process.argv.slice(2) as ['renvox' | 'zlib', string];

await serve<NodeJS.TypedArray>({
  run: async () =>
    how === 'renvox' ? (await readVolume(path)).data : promisify(gunzip)(await readFile(path)),
  values: (data) => data,
  /** 0 where the inflated file ends in these voxels, else 1. */
  distance: (inflated, voxels) =>
    Buffer.from(inflated.buffer, inflated.byteOffset, inflated.byteLength)
      .subarray(inflated.byteLength - voxels.length)
      .equals(voxels)
      ? 0
      : 1,
  facts: () => ({ version: process.versions.zlib }),
});
