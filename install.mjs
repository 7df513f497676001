// Gets the native addon: `npm ci` and `npm install` run this, and so does `npm run build:native` (with --build).
//
// In an installed package: a prebuild or an addon built before, if it loads; else a build from source.
// In a git checkout: always the sources; nothing is done where the addon is newer than they are and loads.
// A build tries cmake-js (with CUDA where nvcc is found), then node-gyp (CPU only).
// RENVOX_BUILD=cmake or RENVOX_BUILD=gyp allows only that one and always builds.
// RENVOX_CUDA_ARCH=90 builds for that chip alone, as CMAKE_CUDA_ARCHITECTURES; all: for every chip that is shipped.
// RENVOX_PTXAS=1 prints registers and spills of each kernel, for scripts/ptxas.mjs --log.
// Nothing is done where RENVOX_PREBUILD names an addon to use instead, unless a build is asked for.
// --tests also builds the tests' addon, build/sim/build/Release/renvox.node, whose device cuda-sim runs the CUDA kernels on the CPU.

import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const require = createRequire(import.meta.url);
const root = dirname(fileURLToPath(import.meta.url));
const addon = join(root, 'build', 'Release', 'renvox.node');
const testsAddon = join(root, 'build', 'sim', 'build', 'Release', 'renvox.node');
const forTests = process.argv.includes('--tests');
const only = process.env.RENVOX_BUILD ?? '';

/** Why the addon does not load, or undefined where it does. In a child, since a bad binary may end its process. */
function loadError() {
  const code =
    'try { require("node-gyp-build")(process.argv[1]) } catch (e) { console.error(e.message); process.exit(1) }';
  const child = spawnSync(process.execPath, ['-e', code, root], { cwd: root, encoding: 'utf8' });
  if (child.status === 0) return undefined;
  return child.signal ? `loading it ended the process by ${child.signal}` : child.stderr.trim();
}

function newestSource(folder) {
  let newest = 0;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    // A folder's own time changes when a file in it is removed.
    newest = Math.max(newest, statSync(path).mtimeMs, entry.isDirectory() ? newestSource(path) : 0);
  }
  return newest;
}

function upToDate(file) {
  if (!existsSync(file)) return false;
  const built = statSync(file).mtimeMs;
  const others = ['CMakeLists.txt', 'binding.gyp'].map((file) => join(root, file));
  return (
    others.every((file) => statSync(file).mtimeMs <= built) &&
    newestSource(join(root, 'native')) <= built
  );
}

function onPath(program) {
  const names = process.platform === 'win32' ? [`${program}.exe`, `${program}.cmd`] : [program];
  const folders = (process.env.PATH ?? '').split(delimiter).filter(Boolean);
  return folders.some((folder) => names.some((name) => existsSync(join(folder, name))));
}

function resolve(module) {
  try {
    return require.resolve(module);
  } catch {
    return undefined;
  }
}

function run(program, args) {
  const jobs = String(availableParallelism());
  // The build's chatter goes to stderr, so that a caller's stdout stays its own.
  const child = spawnSync(program, args, {
    cwd: root,
    stdio: ['ignore', 2, 2],
    env: { CMAKE_BUILD_PARALLEL_LEVEL: jobs, JOBS: jobs, ...process.env },
  });
  return child.status === 0;
}

function buildWithCmake() {
  const cmakeJs = resolve('cmake-js/bin/cmake-js');
  if (!onPath('cmake')) return 'CMake is not on PATH';
  if (!cmakeJs) return 'the package cmake-js is not installed';
  // Configured anew each time: `compile` alone would first build with the options of the time before.
  const options = forTests ? ['--CDRVX_SIM=ON'] : [];
  const chips = process.env.RENVOX_CUDA_ARCH;
  if (chips) options.push(`--CDRVX_CUDA_ARCH=${chips}`);
  if (process.env.RENVOX_PTXAS) options.push('--CDRVX_PTXAS=ON');
  const command = existsSync(join(root, 'build', 'CMakeCache.txt')) ? 'build' : 'compile';
  if (command === 'build' && !run(process.execPath, [cmakeJs, 'configure', ...options]))
    return 'cmake-js failed (its messages are above)';
  return run(process.execPath, [cmakeJs, command, ...options])
    ? undefined
    : 'cmake-js failed (its messages are above)';
}

function buildWithGyp() {
  const nodeGyp = process.env.npm_config_node_gyp ?? resolve('node-gyp/bin/node-gyp.js');
  if (!nodeGyp) return 'node-gyp was not found (run this through npm)';
  const home = dirname(dirname(process.execPath));
  // With Node's own headers beside it nothing is downloaded.
  const headers = existsSync(join(home, 'include', 'node', 'node.h')) ? [`--nodedir=${home}`] : [];
  // With the tests' addon a build goes on where the one before ended.
  const configured =
    !forTests || run(process.execPath, [nodeGyp, 'configure', ...headers, '--', '-Drvx_sim=1']);
  return configured && run(process.execPath, [nodeGyp, forTests ? 'build' : 'rebuild', ...headers])
    ? undefined
    : 'node-gyp failed (its messages are above)';
}

/** Builds and checks that the result loads; returns the reasons of failure, empty on success. */
function build() {
  const hadBuild = existsSync(join(root, 'build'));
  // A developer's mistake in a tree that CMake has built before is no reason to throw that build away.
  const incremental = existsSync(join(root, 'build', 'CMakeCache.txt'));
  const reasons = [];
  for (const [name, how] of [
    ['cmake', buildWithCmake],
    ['gyp', buildWithGyp],
  ]) {
    if (only && only !== name) continue;
    if (name === 'gyp' && incremental && reasons.length > 0) continue;
    const reason = how() ?? loadError();
    if (reason === undefined) return [];
    reasons.push(`${name === 'gyp' ? 'node-gyp' : 'cmake-js'}: ${reason}`);
  }
  // An addon of older sources, or half of a new one, would only mislead.
  rmSync(hadBuild ? addon : join(root, 'build'), { recursive: true, force: true });
  return reasons;
}

function main() {
  if (only && only !== 'cmake' && only !== 'gyp') {
    console.error(`renvox: expected cmake or gyp for RENVOX_BUILD but received ${only}`);
    return 2;
  }
  const wanted = only !== '' || process.argv.includes('--build');
  const checkout = existsSync(join(root, '.git'));
  if (!wanted && !forTests && process.env.RENVOX_PREBUILD) return 0;
  const files = forTests ? [addon, testsAddon] : [addon];
  if (!wanted && (checkout ? files.every(upToDate) : true) && loadError() === undefined) return 0;
  const started = Date.now();
  const reasons = build();
  if (reasons.length === 0) {
    console.error(`renvox: native addon built in ${((Date.now() - started) / 1000).toFixed(1)} s`);
    return 0;
  }
  console.error(`
renvox: the native addon could not be built, and no prebuilt one for ${process.platform}-${process.arch} loads.
${reasons.map((reason) => `  - ${reason}`).join('\n')}
Likely mends:
  - a C++17 compiler and make: "build-essential" on Debian and Ubuntu, the Xcode command line tools on macOS
  - CMake 3.20 or newer for a build with CUDA (and nvcc on PATH or in CUDACXX); without CMake node-gyp needs Python 3
  - a CUDA toolkit that your compiler does not suit: RENVOX_BUILD=gyp builds for the CPU alone
Then run it again: npm rebuild renvox (in a checkout: npm run build:native)`);
  return 1;
}

process.exitCode = main();
