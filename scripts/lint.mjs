// `npm run lint`: Biome (format and rules), dependency-cruiser (rooms), clang-format (C++), the lock file's hosts.
// `npm run format` is the same with --write: what a formatter can mend is mended first.

import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const bin = (name) => join(root, 'node_modules', '.bin', name);
const write = process.argv.includes('--write');
const failures = [];

function check(name, program, args) {
  const child = spawnSync(program, args, { cwd: root, stdio: 'inherit' });
  if (child.error?.code === 'ENOENT') return false;
  if (child.status !== 0) failures.push(name);
  return true;
}

function nativeSources() {
  // What bench/node_modules holds is not ours.
  const folders = ['native', 'bench/kernels'].map((folder) => join(root, folder));
  const entries = folders.flatMap((folder) =>
    readdirSync(folder, { recursive: true, withFileTypes: true }),
  );
  return entries
    .filter((entry) => entry.isFile() && /\.(cpp|h|cu|cuh)$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .concat(join(root, 'bench', 'bandwidth.cpp'))
    .sort();
}

check('biome', bin('biome'), ['check', ...(write ? ['--write'] : []), '.']);
check('rooms', bin('depcruise'), ['lib']);
const clangMode = write ? ['-i'] : ['--dry-run', '-Werror'];
if (!check('clang-format', 'clang-format', [...clangMode, ...nativeSources()])) {
  console.log('clang-format is not installed: the format of the C++ sources was not checked');
}
for (const lock of ['package-lock.json', 'bench/package-lock.json'])
  if (readFileSync(join(root, lock), 'utf8').includes('"resolved"')) {
    console.log(`${lock} names a registry host: run node scripts/complete-lock.mjs`);
    failures.push('lock file');
  }

console.log(failures.length > 0 ? `lint: ${failures.join(', ')} failed` : 'lint: nothing found');
process.exitCode = failures.length > 0 ? 1 : 0;
