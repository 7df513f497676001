// The tarball as a user gets it: packed with the prebuilt addon, checked by publint and arethetypeswrong, installed
// without scripts into an empty project and used there from JavaScript, TypeScript and the command line.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import t from 'tap';

const root = process.cwd();
const work = join(tmpdir(), `renvox-pack-${process.pid}`);
const project = join(work, 'project');
mkdirSync(project, { recursive: true });
t.teardown(() => rmSync(work, { recursive: true, force: true }));

// What a user's shell does not have: npm's and tap's settings of this run, another build of the addon, preloads.
const foreign = /^(npm_|_?TAP|NODE_V8|RENVOX_|LD_PRELOAD$|INIT_CWD$)/i;
const environment = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !foreign.test(name)),
);

function run(cwd: string, program: string, ...args: string[]) {
  // tap gives every child its loaders by NODE_OPTIONS, whatever the environment says; `env` takes them away again.
  const plain = ['-u', 'NODE_OPTIONS', program, ...args];
  const child = spawnSync('env', plain, { cwd, env: environment, encoding: 'utf8' });
  return { status: child.status, stdout: child.stdout, output: `${child.stdout}${child.stderr}` };
}

const bin = (name: string) => join(root, 'node_modules', '.bin', name);
const { exports: entries, version } = JSON.parse(readFileSync('package.json', 'utf8')) as {
  exports: Record<string, unknown>;
  version: string;
};
const modules = Object.keys(entries)
  .filter((path) => path !== './package.json')
  .map((path) => path.replace('.', 'renvox'));
const tarball = join(work, `renvox-${version}.tgz`);

t.test('npm pack after npm run prebuild', async (t) => {
  // The addon that the test command built will do: one for every chip that is shipped takes half an hour.
  const chips = `RENVOX_CUDA_ARCH=${process.env.RENVOX_CUDA_ARCH ?? '90-real'}`;
  const prebuild = run(root, 'env', chips, process.execPath, 'scripts/prebuild.mjs');
  t.equal(prebuild.status, 0, prebuild.output);
  // Without scripts: the test command has built dist/ a moment ago and other tests are reading it.
  const pack = run(root, 'npm', 'pack', '--ignore-scripts', '--json', '--pack-destination', work);
  t.equal(pack.status, 0, pack.output);
  const listed = JSON.parse(pack.stdout) as { files: { path: string; size: number }[] }[];
  const files = (listed[0]?.files ?? []).map((file) => file.path);
  const wanted = [
    'LICENSE',
    'README.md',
    'CHANGELOG.md',
    'CMakeLists.txt',
    'binding.gyp',
    'install.mjs',
    'native/sources.cjs',
    'native/addon/addon.cpp',
    'dist/index.js',
    'dist/index.d.ts',
    'dist/cli/main.js',
  ];
  for (const file of wanted) t.ok(files.includes(file), file);
  const prebuilt = `prebuilds/${process.platform}-${process.arch}/`;
  t.ok(
    files.some((file) => file.startsWith(prebuilt) && file.endsWith('.node')),
    prebuilt,
  );
  const weights = readdirSync('weights').map((file) => `weights/${file}`);
  t.same(
    weights.filter((file) => !files.includes(file)),
    [],
    'every file of weights/',
  );
  t.same(
    files.filter((file) => /^(test|lib|bench|build|scripts|node_modules)\//.test(file)),
    [],
  );
});

t.test('publint and arethetypeswrong find nothing', async (t) => {
  const publint = run(root, bin('publint'), 'run', tarball, '--strict');
  t.equal(publint.status, 0, publint.output);
  const types = run(root, bin('attw'), tarball, '--profile', 'esm-only');
  t.equal(types.status, 0, types.output);
});

t.test('an empty project installs and uses it', async (t) => {
  writeFileSync(join(project, 'package.json'), '{ "private": true, "type": "module" }\n');
  const quiet = ['--no-audit', '--no-fund', '--prefer-offline'];
  const flags = ['--ignore-scripts', '--omit=dev', ...quiet];
  const install = run(project, 'npm', 'install', ...flags, tarball);
  if (install.status !== 0) {
    const network = /ENOTFOUND|ECONNREFUSED|ETIMEDOUT|EAI_AGAIN|ENOTCACHED|E40[134]\b/;
    if (network.test(install.output) && process.env.CI === undefined) {
      t.comment(`NOT TRIED: npm could not fetch the dependencies:\n${install.output}`);
      return;
    }
  }
  t.equal(install.status, 0, install.output);
  t.notOk(existsSync(join(project, 'node_modules', 'renvox', 'build')), 'nothing was compiled');

  const useJs = `${modules.map((name, i) => `import * as m${i} from '${name}';`).join('\n')}
const counts = [${modules.map((_, i) => `Object.keys(m${i}).length`).join(', ')}];
if (counts.some((count) => count === 0)) throw new Error(String(counts));
console.log('entries', counts.length);
`;
  writeFileSync(join(project, 'use.js'), useJs);
  const js = run(project, process.execPath, 'use.js');
  t.equal(js.output, `entries ${modules.length}\n`);

  const useTs = `import { isRenvoxError, RenvoxError, type RenvoxErrorCode } from 'renvox';
${modules.map((name, i) => `import * as m${i} from '${name}';`).join('\n')}
export const used: readonly object[] = [${modules.map((_, i) => `m${i}`).join(', ')}];
const code: RenvoxErrorCode = 'ShapeMismatch';
export const known: boolean = isRenvoxError(new RenvoxError(code, 'shapes differ'), 'ShapeMismatch');
// @ts-expect-error: no such code, so the declarations were really read
isRenvoxError(undefined, 'NoSuchCode');
`;
  writeFileSync(join(project, 'use.ts'), useTs);
  const options = {
    module: 'NodeNext',
    target: 'ES2022',
    lib: ['ES2023', 'ESNext.Disposable'],
    strict: true,
    exactOptionalPropertyTypes: true,
    skipLibCheck: false,
    noEmit: true,
    types: ['node'],
    typeRoots: [resolve(root, 'node_modules', '@types')],
  };
  writeFileSync(
    join(project, 'tsconfig.json'),
    JSON.stringify({ compilerOptions: options, files: ['use.ts'] }),
  );
  const types = run(project, bin('tsc'), '-p', '.');
  t.equal(types.status, 0, types.output);

  const info = run(project, join(project, 'node_modules', '.bin', 'renvox'), 'info', '--json');
  t.equal(info.status, 0, info.output);
  t.match(info.stdout, /prebuilds/, 'the prebuilt addon was loaded');
  t.equal((JSON.parse(info.stdout) as { version: string }).version, version);
});
