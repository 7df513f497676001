// `npm run gpu-check [-- OPTIONS | pack FOLDER | table FILE ... | errors FILE ...]`: builds the addon for the GPU that is here, proves it
// (operations, pipeline, compute-sanitizer, repeats, leaks) and times it, within nine minutes. The work is in bench/gpu/; docs/gpu-check.md
// tells how to use it.
//
// In a checkout the TypeScript is compiled first, unless --compiled says that it is; in a folder that `pack` made all is compiled, and
// sh run.sh starts this file.

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

function compiled() {
  const tsc = join(root, 'node_modules', '.bin', 'tsc');
  const step = (program, ...args) =>
    spawnSync(program, args, { cwd: root, stdio: 'inherit' }).status === 0;
  return (
    step(tsc, '-p', 'tsconfig.json') &&
    step(process.execPath, join(root, 'scripts', 'commit.mjs')) &&
    step(tsc, '-p', 'tsconfig.test.json') &&
    step(tsc, '-p', 'tsconfig.bench.json')
  );
}

const argv = process.argv.slice(2).filter((arg) => arg !== '--compiled');
const ready = existsSync(join(root, 'packed.json')) || process.argv.includes('--compiled');
if (!ready && !compiled()) process.exitCode = 1;
else {
  const { main } = await import(join(root, 'dist-bench', 'gpu', 'main.js'));
  process.exitCode = await main(argv);
}
