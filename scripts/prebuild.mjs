// `npm run prebuild`: builds the addon where its sources are newer and lays a stripped copy into
// prebuilds/<platform>-<arch>/, where node-gyp-build finds it in the published package. On Linux the file's name tells
// the C library, so that a glibc build is not tried on musl. The copy is loaded before it is kept.
// CUDA kernels are built for every chip that is shipped, unless RENVOX_CUDA_ARCH names others.

import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const built = join(root, 'build', 'Release', 'renvox.node');

function fail(message) {
  console.error(`renvox: ${message}`);
  process.exit(1);
}

function libcTag() {
  if (process.platform !== 'linux') return '';
  return process.report.getReport().header.glibcVersionRuntime ? '.glibc' : '.musl';
}

// Whether an addon that is there was built for these chips only CMake knows: it is asked where no chips are named.
const chips = process.env.RENVOX_CUDA_ARCH;
const install = spawnSync(process.execPath, ['install.mjs', ...(chips ? [] : ['--build'])], {
  cwd: root,
  stdio: 'inherit',
  env: { ...process.env, RENVOX_CUDA_ARCH: chips || 'all' },
});
if (install.status !== 0) fail('no addon to copy');

const folder = join(root, 'prebuilds', `${process.platform}-${process.arch}`);
const target = join(folder, `renvox${libcTag()}.node`);
const fresh = join(folder, `fresh-${process.pid}.node`);
mkdirSync(folder, { recursive: true });
copyFileSync(built, fresh);
const strip = spawnSync('strip', [
  process.platform === 'darwin' ? '-Sx' : '--strip-unneeded',
  fresh,
]);
if (strip.error) console.error('renvox: strip is not installed; the copy keeps its symbols');

const load = spawnSync(process.execPath, ['-e', 'require(process.argv[1])', fresh], {
  encoding: 'utf8',
});
if (load.status !== 0) {
  rmSync(fresh, { force: true });
  fail(`the copy does not load: ${load.stderr}`);
}
renameSync(fresh, target);
console.log(`${relative(root, target)}: ${(statSync(target).size / 1024).toFixed(0)} kB`);
