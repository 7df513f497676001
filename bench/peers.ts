/** What renvox is measured against, where it is installed; where it is not, the bench says how to get it and goes on without. */
import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { BenchOptions } from './row.js';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
/** Sources of peers that are not compiled: Python. */
export const peerFolder = join(root, 'bench', 'peers');
/** What a child that loads an npm peer resolves it from. */
export const peerPackages = join(root, 'bench', 'package.json');

export const PEERS = ['onnxruntime', 'itk-wasm', 'pytorch', 'scipy'] as const;
export type PeerName = (typeof PEERS)[number];

const run = promisify(execFile);

/** The interpreter that has a module: the one of RENVOX_PYTHON, Debian's, or any; undefined where none has it. */
async function pythonWith(modules: string): Promise<string | undefined> {
  const asked = process.env.RENVOX_PYTHON;
  for (const python of asked ? [asked] : ['/usr/bin/python3', 'python3'])
    try {
      await run(python, ['-c', `import ${modules}`]);
      return python;
    } catch {
      // Not there, or without the module: the next one.
    }
  return undefined;
}

/** A package's version, if `npm run bench:peers` installed it. */
function installed(name: string): string | undefined {
  const manifest = join(root, 'bench', 'node_modules', name, 'package.json');
  if (!existsSync(manifest)) return undefined;
  return (JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }).version;
}

const found: Partial<Record<PeerName, Promise<string | undefined>>> = {};
const look: Record<PeerName, () => Promise<string | undefined>> = {
  onnxruntime: async () => installed('onnxruntime-node'),
  'itk-wasm': async () => installed('@itk-wasm/image-io'),
  pytorch: () => pythonWith('torch'),
  scipy: () => pythonWith('numpy, scipy.ndimage'),
};
const help: Record<PeerName, string> = {
  onnxruntime: 'onnxruntime-node is not installed here (npm run bench:peers installs it)',
  'itk-wasm': '@itk-wasm/image-io is not installed here (npm run bench:peers installs it)',
  pytorch:
    "no Python with torch here (Debian's package is python3-torch; RENVOX_PYTHON names another)",
  scipy:
    "no Python with scipy.ndimage here (Debian's package is python3-scipy; RENVOX_PYTHON names another)",
};
const said = new Set<PeerName>();

/**
 * A peer's version or interpreter, or undefined where it is not wanted or not there; the latter is said once.
 * @throws Error if `--peer` named it and it is not there
 */
export async function findPeer(
  name: PeerName,
  { peer }: Pick<BenchOptions, 'peer'>,
): Promise<string | undefined> {
  if (peer !== undefined && peer !== name) return undefined;
  found[name] ??= look[name]();
  const there = await found[name];
  if (there !== undefined) return there;
  if (peer === name) throw new Error(`--peer ${name}: ${help[name]}`);
  if (!said.has(name)) console.error(`bench: ${help[name]}; rows have no peer and no ratio`);
  said.add(name);
  return undefined;
}
