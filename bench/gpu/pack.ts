/** `gpu-check pack FOLDER`: one folder of at most 36 MiB that the check runs from on a machine without Node and without a network. */
import { spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  createReadStream,
  createWriteStream,
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
import { dirname, join, relative } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { brotliCompressSync, constants } from 'node:zlib';
import { PACKED_ADDON } from './build.js';
import { missingImports } from './imports.js';
import { ctFile } from './pipeline.js';
import { hasSource, operationTests, pipelineTestFile } from './tests.js';

const require = createRequire(import.meta.url);
export const LIMIT = 36 * 2 ** 20;

export interface PackOptions {
  /** An addon that is built already and tried first. */
  addon: string | undefined;
  /** Compresses node in half a minute instead of minutes, to a few MB more. */
  fast: boolean;
}

function sizeOf(path: string): number {
  const stat = statSync(path);
  if (!stat.isDirectory()) return stat.size;
  return readdirSync(path).reduce((sum, name) => sum + sizeOf(join(path, name)), 0);
}

/** The running node, stripped of symbols and compressed; kept in build/gpu-check for the next time. */
async function compressedNode(root: string, fast: boolean): Promise<string> {
  const cache = join(root, 'build', 'gpu-check');
  const kind = fast ? 'fast' : 'small';
  const file = join(cache, `node-${process.version}-${process.arch}-${kind}.xz`);
  if (existsSync(file)) return file;
  mkdirSync(cache, { recursive: true });
  const plain = join(cache, `node-${process.pid}`);
  copyFileSync(process.execPath, plain);
  chmodSync(plain, 0o755);
  if (statSync(plain).size < 30e6)
    throw new Error(
      'this node keeps its engine in libraries of the system; run pack by an official build',
    );
  const stripped = spawnSync('strip', [plain]);
  if (stripped.status !== 0 || spawnSync(plain, ['-e', '0']).status !== 0)
    copyFileSync(process.execPath, plain);
  console.log(`compressing node ${process.version}${fast ? '' : ' (a minute or two)'}`);
  const options = fast ? ['-4', '-T0'] : ['-9e', '-T1'];
  const child = spawn('xz', [...options, '-c'], { stdio: ['pipe', 'pipe', 'inherit'] });
  const failed = new Promise<never>((_, reject) => {
    child.on('error', (error) => reject(new Error(`xz is needed to pack node: ${error.message}`)));
  });
  const ended = new Promise<number>((done) => child.on('close', (code) => done(code ?? 1)));
  await Promise.race([
    failed,
    Promise.all([
      pipeline(createReadStream(plain), child.stdin),
      pipeline(child.stdout, createWriteStream(`${plain}.xz`)),
    ]),
  ]);
  if ((await ended) !== 0) throw new Error('xz failed');
  rmSync(plain);
  renameSync(`${plain}.xz`, file);
  return file;
}

/** The folder of an installed package, whatever its exports are. */
function packageFolder(name: string): string {
  return dirname(require.resolve(`${name}/package.json`));
}

function copy(from: string, to: string, wanted: (path: string) => boolean = () => true): void {
  mkdirSync(dirname(to), { recursive: true });
  cpSync(from, to, {
    recursive: true,
    dereference: true,
    filter: (path) => statSync(path).isDirectory() || wanted(path),
  });
}

function packAddon(file: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true });
  const plain = `${to}.plain`;
  copyFileSync(file, plain);
  spawnSync('strip', ['--strip-unneeded', plain]);
  // Quality 9 takes a second where the highest takes a minute for a large addon, and some percent more.
  const params = { [constants.BROTLI_PARAM_QUALITY]: 9 };
  writeFileSync(to, brotliCompressSync(readFileSync(plain), { params }));
  rmSync(plain);
}

/** Where all files are before they are packed, and again on the machine that runs them. */
const ARCHIVE = 'files.br';
/** What run.sh looks for: the last file of the archive. */
const LAST = join('scripts', 'gpu-check.mjs');

/** Makes the files under `folder` one archive, which unpack.mjs takes apart: most are text, of which a fifth is left. */
function archive(folder: string): void {
  const names = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .filter((name) => name !== LAST)
    .sort()
    .concat(LAST);
  const files = names.map((name) => readFileSync(join(folder, name)));
  const head = JSON.stringify(names.map((name, i) => [name, files[i]?.length]));
  const whole = Buffer.concat([Buffer.from(`${head}\n`), ...files]);
  const params = {
    [constants.BROTLI_PARAM_QUALITY]: 9,
    [constants.BROTLI_PARAM_LGWIN]: constants.BROTLI_MAX_WINDOW_BITS,
    [constants.BROTLI_PARAM_SIZE_HINT]: whole.length,
  };
  for (const name of readdirSync(folder)) rmSync(join(folder, name), { recursive: true });
  writeFileSync(join(folder, ARCHIVE), brotliCompressSync(whole, { params }));
}

export async function pack(root: string, folder: string, options: PackOptions): Promise<number> {
  if (
    existsSync(folder) &&
    readdirSync(folder).length > 0 &&
    !existsSync(join(folder, 'packed.json'))
  )
    throw new Error(`${folder} holds something else`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const whole = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Record<
    string,
    unknown
  >;
  const { name, version, type, exports, imports } = whole;
  writeFileSync(
    join(folder, 'package.json'),
    `${JSON.stringify({ name, version, private: true, type, exports, imports }, null, 2)}\n`,
  );
  const program = (path: string) => /\.(js|json)$/.test(path);
  copy(join(root, 'dist'), join(folder, 'dist'), program);
  // Of the tests those that the check runs, and what they share.
  const tests = join(root, 'dist-test');
  const run = new Set([...operationTests(root), pipelineTestFile(root)]);
  copy(
    tests,
    join(folder, 'dist-test'),
    (path) =>
      run.has(path) || (/(?<!\.test)\.js$/.test(path) && hasSource(root, relative(tests, path))),
  );
  // Of the benches the check's own, and what these import.
  copy(join(root, 'dist-bench', 'gpu'), join(folder, 'dist-bench', 'gpu'), program);
  for (const file of ['kernel-layers.js', 'label-maps.js'])
    copy(join(root, 'dist-bench', file), join(folder, 'dist-bench', file));
  // Not what stands in for a GPU.
  copy(
    join(root, 'native'),
    join(folder, 'native'),
    (path) => !/cuda\/(sim\/|registers\.json$)/.test(path),
  );
  copy(join(root, 'weights'), join(folder, 'weights'));
  // PyTorch's own files hold the same values again; what is of scipy is read by tests that do not run here.
  const tensors = join('test', 'fixtures', 'torch');
  copy(join(root, tensors), join(folder, tensors), (path) => !/\.(pth|py)$/.test(path));
  // The page is read by a test.
  for (const file of [
    ...['scripts/gpu-check.mjs', 'bench/gpu/rivals.py', 'docs/conventions.md', 'LICENSE'],
  ])
    copy(join(root, file), join(folder, file));

  const packages = join(folder, 'node_modules');
  copy(packageFolder('node-gyp-build'), join(packages, 'node-gyp-build'), program);
  copy(packageFolder('node-addon-api'), join(packages, 'node-addon-api'), (p) =>
    /\.(h|js|json)$/.test(p),
  );
  copy(packageFolder('node-api-headers'), join(packages, 'node-api-headers'), (p) =>
    /\.(h|js|json)$/.test(p),
  );
  // In place of tap and its hundreds of packages.
  const tap = join(packages, 'tap');
  mkdirSync(tap, { recursive: true });
  copyFileSync(join(root, 'dist-bench', 'gpu', 'tap.js'), join(tap, 'index.js'));
  writeFileSync(
    join(tap, 'package.json'),
    `${JSON.stringify({ name: 'tap', type: 'module', exports: './index.js' })}\n`,
  );

  const modules = readdirSync(folder, { recursive: true })
    .map(String)
    .filter((file) => /(\.test|^dist-bench\/gpu\/.*)\.js$/.test(file));
  const missing = missingImports(
    folder,
    modules.map((file) => join(folder, file)),
  );
  if (missing.length > 0) throw new Error(`not packed: ${missing.join('; ')}`);

  archive(folder);
  for (const file of ['run.sh', 'unpack.mjs'])
    copyFileSync(join(root, 'bench', 'gpu', file), join(folder, file));
  if (options.addon) packAddon(options.addon, join(folder, PACKED_ADDON));
  copy(await compressedNode(root, options.fast), join(folder, 'node.xz'));
  const ct = ctFile(root);
  if (!ct) console.log('no CT is packed: RENVOX_DATA names no folder with one');
  else if (sizeOf(folder) + statSync(ct).size > LIMIT)
    console.log('no CT is packed: no room is left');
  else copy(ct, join(folder, 'data', 'ct.nii.gz'));
  writeFileSync(
    join(folder, 'packed.json'),
    `${JSON.stringify({ node: process.version, arch: process.arch, date: new Date().toISOString() })}\n`,
  );
  const size = sizeOf(folder);
  console.log(`${folder}: ${(size / 2 ** 20).toFixed(1)} MiB of at most ${LIMIT / 2 ** 20}`);
  if (size > LIMIT) throw new Error(`${folder} is too large by ${size - LIMIT} bytes`);
  return size;
}
