/**
 * The addon by nvcc and g++ alone, for the chip that is there: no CMake, no node-gyp, no network. The sources, flags and order of linking
 * are CMakeLists.txt's. Objects are named by what they are made of, so that a second build compiles only what has changed.
 */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { basename, dirname, join, relative } from 'node:path';
import { brotliDecompressSync } from 'node:zlib';
import { type Kind, left, report, type Task } from './settings.js';

const require = createRequire(import.meta.url);

/** The addon's place in a folder, where node-gyp-build looks (RENVOX_PREBUILD names the folder). */
export const addonIn = (folder: string): string => join(folder, 'build', 'Release', 'renvox.node');

/** Where a packed folder has an addon that was built before, by Brotli. */
export const PACKED_ADDON = join('addon', 'renvox.node.br');

/** Where the check builds for a kind of device. */
export function buildFolder(root: string, kind: Kind, chip: string): string {
  return join(root, 'build', 'gpu-check', kind === 'cuda' ? `cuda-${chip}` : kind);
}

export interface Compilation {
  source: string;
  /** Without `-o` and the object. */
  command: readonly string[];
  object: string;
}

const FLAGS = ['-O3', '-ffp-contract=off', '-fno-math-errno', '-Wall', '-Wextra'];
const DEFINES = [
  '-DNAPI_VERSION=8',
  '-DNODE_ADDON_API_CPP_EXCEPTIONS_ALL',
  '-DNODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS',
  '-DNDEBUG',
];
const ISA: readonly (readonly [string, number, readonly string[]])[] = [
  ['baseline', 4, []],
  ['avx2', 8, ['-mavx2', '-mfma', '-mf16c']],
  [
    'avx512',
    16,
    [
      ...['-mavx512f', '-mavx512bw', '-mavx512dq', '-mavx512vl', '-mfma', '-mf16c'],
      '-mprefer-vector-width=512',
    ],
  ],
];

/** A program of the CUDA toolkit, on PATH or where the toolkit is: CUDA_HOME, or where it is installed by default. */
export function cudaProgram(name: string): string | undefined {
  const home = process.env.CUDA_HOME ?? '/usr/local/cuda';
  return [name, join(home, 'bin', name)].find(
    (program) => spawnSync(program, ['--version']).status === 0,
  );
}

export const findNvcc = (): string | undefined => cudaProgram('nvcc');

function filesOf(folder: string, ...endings: string[]): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => endings.some((ending) => name.endsWith(ending)))
    .sort()
    .map((name) => join(folder, name));
}

function headersHash(native: string): string {
  const hash = createHash('sha256');
  for (const name of readdirSync(native, { recursive: true }).map(String).sort())
    if (name.endsWith('.h')) hash.update(name).update(readFileSync(join(native, name)));
  return hash.digest('hex');
}

/** All that must be compiled, in the order in which it is linked. */
function compilations(root: string, kind: Kind, chip: string, nvcc: string) {
  const native = join(root, 'native');
  const headers = headersHash(native);
  const includes = [
    `-I${native}`,
    '-isystem',
    join(dirname(require.resolve('node-api-headers/package.json')), 'include'),
    '-isystem',
    dirname(require.resolve('node-addon-api/package.json')),
  ];
  const gcc = ['g++', '-std=c++17', '-fPIC', '-fvisibility=hidden', '-fvisibility-inlines-hidden'];
  const host = [...gcc, ...FLAGS, ...DEFINES, ...includes];
  const device = [
    ...[nvcc, '-std=c++17', '-O3', '--threads=2', '--fmad=false', '--expt-relaxed-constexpr'],
    ...['-lineinfo', `-gencode=arch=compute_${chip},code=sm_${chip}`],
    ...[
      '-Xcompiler=-Wall,-Wextra,-ffp-contract=off,-fPIC,-fvisibility=hidden',
      '-DNDEBUG',
      `-I${native}`,
    ],
  ];
  const list: Compilation[] = [];
  const add = (source: string, command: readonly string[], tag = '') => {
    const key = createHash('sha256')
      .update(headers)
      .update(readFileSync(source))
      .update(command.map((part) => part.replaceAll(root, '.')).join(' '))
      .digest('hex')
      .slice(0, 16);
    const object = join(
      root,
      'build',
      'gpu-check',
      'objects',
      `${basename(source)}${tag}.${key}.o`,
    );
    list.push({ source, command: [...command, '-c', source], object });
  };
  for (const room of ['core', 'ops', 'cpu', 'math', 'addon'])
    for (const file of filesOf(join(native, room), '.cpp')) add(file, host);
  const cuda = join(native, 'cuda');
  if (kind === 'cpu') for (const file of filesOf(join(cuda, 'absent'), '.cpp')) add(file, host);
  if (kind === 'cuda') {
    for (const file of filesOf(cuda, '.cpp')) add(file, host);
    for (const file of [...filesOf(join(cuda, 'runtime'), '.cu'), ...filesOf(cuda, '.cu')])
      add(file, device);
  }
  if (kind === 'cuda-sim') {
    const simulated = [...host, '-DRVX_SIM=1', '-Wno-unknown-pragmas', '-Wno-unused-function'];
    for (const room of [cuda, join(cuda, 'sim')])
      for (const file of filesOf(room, '.cpp', '.cu'))
        add(file, file.endsWith('.cu') ? [...simulated, '-xc++'] : simulated);
  }
  // The least demanding variant first: of two equal inline functions the linker keeps the first.
  const variants = process.arch === 'x64' ? ISA : ISA.slice(0, 1);
  for (const [name, lanes, flags] of variants)
    for (const file of filesOf(join(native, 'cpu', 'isa'), '.cpp'))
      add(file, [...host, `-DRVX_ISA=${name}`, `-DRVX_ISA_LANES=${lanes}`, ...flags], `.${name}`);
  return list;
}

function execute(command: readonly string[]): Promise<{ code: number; text: string }> {
  return new Promise((resolve) => {
    const [program, ...args] = command as [string, ...string[]];
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let text = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (data) => {
        text += data;
      });
    child.on('error', (error) => resolve({ code: 1, text: error.message }));
    child.on('close', (code) => resolve({ code: code ?? 1, text }));
  });
}

/** Makes a file under another name first: a program killed at work must not leave half of one that later builds would take as whole. */
async function makeFile(
  file: string,
  make: (part: string) => Promise<{ code: number; text: string }>,
) {
  const part = `${file}.${process.pid}.part`;
  const made = await make(part);
  if (made.code === 0) renameSync(part, file);
  else rmSync(part, { force: true });
  return made;
}

/** Compiles the objects that are not there yet. */
export async function compileAll(list: readonly Compilation[]): Promise<string[]> {
  // What takes longest first: kernels, and of them the largest files.
  const weight = ({ source }: Compilation) =>
    statSync(source).size * (source.endsWith('.cu') ? 20 : 1);
  const queue = list
    .filter(({ object }) => !existsSync(object))
    .sort((a, b) => weight(b) - weight(a));
  const errors: string[] = [];
  const total = queue.length;
  const next = async () => {
    for (let task = queue.shift(); task; task = queue.shift()) {
      const begun = performance.now();
      const { command, object } = task;
      const { code, text } = await makeFile(object, (part) => execute([...command, '-o', part]));
      const seconds = (performance.now() - begun) / 1000;
      const name = basename(object).split('.').slice(0, -2).join('.');
      if (code !== 0) {
        errors.push(`${name}: ${text.trim()}`);
        console.log(`${name} does not compile:\n${text}`);
      } else if (seconds > 20) console.log(`  ${name}: ${seconds.toFixed(0)} s`);
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, next));
  console.log(`${total} of ${list.length} objects compiled`);
  return errors;
}

/** Why the addon in `folder` cannot open its device; undefined if it can. In a child, since a bad binary may end its process. */
export function whyUnusable(folder: string, kind: Kind): string | undefined {
  const code = `
    const addon = require(process.argv[1]);
    const handle = addon.createDevice(process.argv[2]);
    console.log(JSON.stringify(addon.deviceInfo(handle)));
    addon.closeDevice(handle);`;
  const child = spawnSync(process.execPath, ['-e', code, addonIn(folder), kind], {
    encoding: 'utf8',
    timeout: 60_000,
  });
  if (child.status === 0) return undefined;
  const error = child.stderr.split('\n').find((line) => /Error/.test(line));
  return error?.trim() ?? `it ended by ${child.signal ?? `code ${child.status}`}`;
}

/** A built addon that was brought along, copied to where it is looked for. */
function useGiven(file: string, folder: string): void {
  mkdirSync(dirname(addonIn(folder)), { recursive: true });
  if (file.endsWith('.br'))
    writeFileSync(addonIn(folder), brotliDecompressSync(readFileSync(file)));
  else copyFileSync(file, addonIn(folder));
}

/** Builds, or takes the addon that was brought along if it works; reports one row with the addon's folder. */
export async function build(task: Task): Promise<void> {
  const { root, kind } = task;
  const chip = task.chip ?? '';
  const folder = buildFolder(root, kind, chip);
  const begun = performance.now();
  const row = (name: string, note = '') =>
    report({
      ...{ name, ok: true, note, folder: relative(root, folder) || '.' },
      seconds: (performance.now() - begun) / 1000,
    });
  if (task.addon) {
    const given = `${folder}-given`;
    useGiven(task.addon, given);
    const reason = whyUnusable(given, kind);
    if (reason === undefined)
      return report({
        ...{ name: 'the addon brought along', ok: true, folder: relative(root, given) },
        seconds: (performance.now() - begun) / 1000,
      });
    console.log(`the addon brought along is not used: ${reason}`);
  }
  const nvcc = kind === 'cuda' ? findNvcc() : '';
  if (nvcc === undefined) throw new Error('nvcc was found neither on PATH nor in CUDA_HOME');
  if (kind === 'cuda' && chip === '')
    throw new Error('nvidia-smi finds no GPU; name a chip to build for by --chip, such as 90a');
  mkdirSync(join(root, 'build', 'gpu-check', 'objects'), { recursive: true });
  mkdirSync(dirname(addonIn(folder)), { recursive: true });
  const list = compilations(root, kind, chip, nvcc);
  const errors = await compileAll(list);
  if (errors.length > 0)
    throw new Error(`${errors.length} files do not compile; first ${errors[0]}`);
  const exported = join(root, 'native', 'addon', 'exports.map');
  const objects = list.map(({ object }) => object);
  const linked = await makeFile(addonIn(folder), (part) =>
    execute(
      kind === 'cuda'
        ? [
            ...[nvcc, '-shared', '-cudart=static', `-gencode=arch=compute_${chip},code=sm_${chip}`],
            ...['-Xlinker', `--version-script=${exported}`, '-o', part, ...objects],
            ...['-lpthread', '-ldl', '-lrt'],
          ]
        : [
            'g++',
            '-shared',
            `-Wl,--version-script=${exported}`,
            '-o',
            part,
            ...objects,
            '-pthread',
          ],
    ),
  );
  if (linked.code !== 0) throw new Error(`linking failed: ${linked.text}`);
  spawnSync('strip', ['--strip-unneeded', addonIn(folder)]);
  if (process.platform === 'linux' && left(task) === 0) throw new Error('no time is left');
  const reason = whyUnusable(folder, kind);
  // On a machine without the GPU a build for it can only be carried elsewhere.
  if (reason !== undefined && task.parts.length === 1) return row('built for elsewhere', reason);
  if (reason !== undefined)
    throw new Error(`the addon that was built does not open ${kind}: ${reason}`);
  row(`built for ${chip || kind}`, `${list.length} objects`);
}
