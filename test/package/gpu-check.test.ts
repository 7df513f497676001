// The GPU check's folder for machines without Node: packed, small enough, and run from there without node on PATH. The device is the CPU;
// what a GPU adds is the parts' own business (docs/gpu-check.md).

import { spawn, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { type Device, type DeviceKind, device, scope, Tensor } from 'renvox';
import { ResNet3D } from 'renvox/nn';
import t from 'tap';
import { addonFile, native } from '#lib/native.js';

interface Results {
  chip: string;
  commit: string;
  parts: {
    part: string;
    status: string;
    rows: { name: string; ok: boolean | null; note?: string }[];
  }[];
}

const root = process.cwd();
const work = join(tmpdir(), `renvox-gpu-check-${process.pid}`);
const folder = join(work, 'packed');
const bin = join(work, 'bin');
mkdirSync(bin, { recursive: true });
t.teardown(() => rmSync(work, { recursive: true, force: true }));

function onPath(program: string): string | undefined {
  const folders = (process.env.PATH ?? '').split(delimiter);
  return folders.map((f) => join(f, program)).find((file) => existsSync(file));
}

/** With nothing of this process's environment but PATH. */
function run(cwd: string, path: string, ...command: string[]) {
  const plain = ['-i', `PATH=${path}`, `HOME=${work}`, ...command];
  const child = spawnSync('/usr/bin/env', plain, { cwd, encoding: 'utf8', timeout: 120_000 });
  return { status: child.status, output: `${child.stdout}${child.stderr}` };
}

function packed(...options: string[]) {
  const sh = onPath('sh') as string;
  return run(work, bin, sh, join(folder, 'run.sh'), '--device', 'cpu', ...options);
}

function results(out: string): Results {
  const [file] = readdirSync(out).filter((name) => name.endsWith('.json'));
  return JSON.parse(readFileSync(join(out, file as string), 'utf8')) as Results;
}

/** The grandchild of a process: the check's part starts one that does its cases. -1 where none is yet. */
function workerOf(pid: number): number {
  const parentOf = (name: string): number => {
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
      return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
    } catch {
      return -1;
    }
  };
  const all = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return Number(all.find((name) => parentOf(String(parentOf(name))) === pid) ?? -1);
}

if (!onPath('xz')) {
  t.pass('NOT TESTED: xz is not installed, and the packed folder needs it');
  t.comment('NOT TESTED: xz is not installed');
} else {
  t.test('pack', async (t) => {
    const path = process.env.PATH ?? '';
    // dist and dist-test are there and being read by other tests: only the benches are compiled.
    const tsc = join(root, 'node_modules', '.bin', 'tsc');
    const compiled = run(root, path, tsc, '-p', 'tsconfig.bench.json');
    t.equal(compiled.status, 0, compiled.output);
    const script = join(root, 'scripts', 'gpu-check.mjs');
    const { status, output } = run(
      ...([root, path, process.execPath, script, 'pack', folder] as const),
      ...['--fast', '--compiled', '--addon', addonFile()],
    );
    t.equal(status, 0, output);
    const size = readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .reduce((sum, e) => sum + readFileSync(join(e.parentPath, e.name)).length, 0);
    t.ok(size > 20 * 2 ** 20 && size <= 36 * 2 ** 20, `${(size / 2 ** 20).toFixed(1)} MiB`);
    // The CT of the data folder is packed where there is one.
    const names = readdirSync(folder).filter((name) => name !== 'data');
    t.same(names.sort(), ['addon', 'files.br', 'node.xz', 'packed.json', 'run.sh', 'unpack.mjs']);
    for (const program of ['xz', 'dirname', 'chmod', 'mv'])
      symlinkSync(onPath(program) as string, join(bin, program));
    // The first start takes all out of the archive.
    const { status: started, output: told } = packed('--help');
    t.equal(started, 0, told);
    const [from, to] = [root, folder].map((home) => readFileSync(join(home, 'dist/index.js')));
    t.ok(from?.equals(to as Buffer), 'byte for byte');
    const left = readdirSync(folder, { recursive: true }).map(String);
    t.same(
      left.filter((name) => name.endsWith('.part')),
      [],
    );
  });

  t.test("a ResNet's floors and counts are of what infer runs", async (t) => {
    const module = pathToFileURL(join(root, 'dist-bench', 'kernel-layers.js')).href;
    const { resnetLayers } = (await import(module)) as {
      resnetLayers(edge: number): { prepare(d: Device): { run(): Tensor[] } }[];
    };
    // Operations with what they read and write; not what is small: coefficients, the linear layers at the end.
    const small = /^(fill|batchNormCoefficients|weightedSum|scaleBy|linear|leakyRelu .*\[1,128\])/;
    const seen: string[] = [];
    const dev = device('cpu');
    const run = dev.run.bind(dev);
    dev.run = (name, fields) => {
      const made = run(name, fields);
      const of = (x: unknown) =>
        x instanceof Tensor ? `${x.dtype} ${JSON.stringify(x.shape)}` : 'nothing';
      seen.push(`${name} ${of(fields.x ?? fields.a)} to ${of(made[0])}`);
      return made;
    };
    const big = () => seen.splice(0).filter((text) => !small.test(text));
    await scope(async () => {
      const options = { classes: 3, widths: [64, 128, 256, 512] };
      const net = new ResNet3D(options, { device: dev, seed: 1 });
      const x = dev.tensor(new Float32Array(32 ** 3), { shape: [1, 32, 32, 32, 1] });
      seen.length = 0;
      net.infer(x, { precision: 'bf16' });
      const ran = big();
      const layers = resnetLayers(32).map((layer) => layer.prepare(dev));
      seen.length = 0;
      for (const layer of layers) layer.run();
      t.same(big().sort(), ran.sort());
      await dev.drain();
    });
    dev.dispose();
  });

  // What sanitizer, repeat and leak do not run on a GPU runs nowhere under them.
  t.test('training steps in 16 bits run the gradients between norms', async (t) => {
    const { simulator } = native();
    if (!simulator) {
      t.pass('no simulated GPU in this build: on the CPU no case forms dy');
      return;
    }
    const module = pathToFileURL(join(root, 'dist-bench', 'gpu', 'cases.js')).href;
    const { cases } = (await import(module)) as {
      cases(d: Device, size: readonly number[]): { name: string; prepare(): () => Tensor[] }[];
    };
    for (const precision of ['bf16', 'fp16']) {
      using dev = device('cuda-sim' as DeviceKind);
      const seen = new Set<string>();
      const run = dev.run.bind(dev);
      dev.run = (name, fields) => {
        for (const option of ['dyRaw', 'below', 'onLoad'])
          if ((fields as Record<string, unknown>)[option]) seen.add(`${name} ${option}`);
        return run(name, fields);
      };
      // compute-sanitizer's size.
      const step = cases(dev, [5, 9, 37]).find(
        (c) => c.name === `UNet3D training step ${precision}`,
      );
      simulator.count(1);
      await scope(async () => {
        step?.prepare()();
        await dev.drain();
      });
      const launches = simulator.counted().map(({ name }) => name);
      simulator.count(0);
      t.same(
        [...seen].sort(),
        [
          'conv3dGradInput below',
          'conv3dGradInput dyRaw',
          'conv3dGradWeight dyRaw',
          'instanceNormGrad onLoad',
        ],
        precision,
      );
      const count = (name: string) => launches.filter((launched) => launched === name).length;
      t.equal(count('conv3dGradInput/norms'), 4, `${precision}: sums made on store`);
      t.notOk(
        launches.some((name) => name.endsWith('/form')),
        `${precision}: no dy is made by a pass`,
      );
    }
  });

  const testFiles = readdirSync(join(folder, 'dist-test'), { recursive: true })
    .map((name) => join(folder, 'dist-test', String(name)))
    .filter((file) => file.endsWith('.test.js'));

  t.test('every import of a packed test is in the folder', async (t) => {
    const module = pathToFileURL(join(root, 'dist-bench', 'gpu', 'imports.js')).href;
    const { missingImports } = (await import(module)) as {
      missingImports(folder: string, modules: readonly string[]): string[];
    };
    t.ok(testFiles.length > 50, `${testFiles.length} test files`);
    t.same(missingImports(folder, testFiles), []);
    const preset = join(folder, 'dist', 'train', 'preset.js');
    renameSync(preset, `${preset}.away`);
    const told = missingImports(folder, testFiles);
    t.ok(told.includes('dist/train/index.js imports ./preset.js'), told.join('\n'));
    renameSync(`${preset}.away`, preset);
  });

  t.test('runs where no node is on PATH', async (t) => {
    t.notOk(existsSync(join(bin, 'node')));
    const out = join(work, 'good');
    const { status, output } = packed(
      ...[
        '--part',
        'ops,repeat',
        '--filter',
        '^ops/leakyRelu|^(leakyRelu|sum|conv3d 16->16 fp32)$',
      ],
      ...['--repeats', '3', '--out', out],
    );
    t.equal(status, 0, output);
    const { chip, commit, parts } = results(out);
    t.equal(chip, 'CPU');
    t.match(commit, /^[0-9a-f]{40}/);
    t.same(
      parts.map((p) => [p.part, p.status]),
      [
        ['build', 'passed'],
        ['ops', 'passed'],
        ['repeat', 'passed'],
      ],
    );
    t.same(
      parts[1]?.rows.map((r) => r.name),
      ['ops/leakyRelu'],
    );
    t.same(
      parts[2]?.rows.map((r) => r.name),
      ['leakyRelu', 'sum', 'conv3d 16->16 fp32'],
    );
    const table = readdirSync(out).find((name) => name.endsWith('.md')) as string;
    t.match(readFileSync(join(out, table), 'utf8'), /\| ops \| passed \|/);
    // The largest error of each operation.
    const file = join(out, table.replace(/md$/, 'json'));
    const errors = run(
      ...([work, bin, join(folder, 'node'), join(folder, 'scripts', 'gpu-check.mjs')] as const),
      ...['errors', file, file],
    );
    t.equal(errors.status, 0, errors.output);
    t.match(errors.output, /^\| operation \| cpu \|\n/);
    const figures = /\| leakyRelu \| (\d\.\de-\d+) \|/.exec(errors.output);
    t.ok(Number(figures?.[1]) > 0 && Number(figures?.[1]) < 1e-6, errors.output);
  });

  t.test('what packed tests do besides running on devices works there', async (t) => {
    // Of this file nothing is left without a device but its minutes on the CPU.
    const queue = testFiles.filter((file) => !file.endsWith('analyze-gpu.test.js'));
    const env = {
      PATH: bin,
      HOME: work,
      // The kind of no device: a test that is on every one has none to run on.
      RENVOX_TEST_DEVICE: 'none',
      RENVOX_PREBUILD: dirname(dirname(dirname(addonFile()))),
    };
    const next = async () => {
      for (let file = queue.pop(); file !== undefined; file = queue.pop()) {
        const child = spawn(join(folder, 'node'), ['--expose-gc', file], { cwd: folder, env });
        const bad: string[] = [];
        for await (const line of createInterface({ input: child.stdout }))
          if (/^ *not ok/.test(line)) bad.push(line.trim());
        t.same(bad, [], file.slice(folder.length + 1));
      }
    };
    await Promise.all([next(), next()]);
  });

  t.test('a failure is told by the exit code, the table and the JSON', async (t) => {
    const out = join(work, 'bad');
    const { status, output } = packed('--part', 'ops', '--filter', 'no such test', '--out', out);
    t.equal(status, 1, output);
    t.match(output, /\| ops \| failed \|/);
    t.match(output, /no test file matches no such test/);
    t.equal(results(out).parts.find((p) => p.part === 'ops')?.status, 'failed');
  });

  t.test('a file whose data are not here is skipped, and the table says why', async (t) => {
    const out = join(work, 'skipped');
    const filter = '^metrics/surface-elements';
    const { status, output } = packed('--part', 'ops', '--filter', filter, '--out', out);
    t.equal(status, 0, output);
    const { status: verdict, rows } = results(out).parts.find((p) => p.part === 'ops') ?? {};
    t.equal(verdict, 'skipped');
    t.match(rows, [{ name: 'metrics/surface-elements', ok: null, note: /^skipped: .*: no / }]);
    t.match(output, /-- metrics\/surface-elements .*surface_elements\.json/);
  });

  t.test('time counts from the start of the process, not of the parts', async (t) => {
    const out = join(work, 'late');
    // As long as compiling the TypeScript may take.
    const slow = 'data:text/javascript,await new Promise((done) => setTimeout(done, 3000))';
    const command = [join(folder, 'node'), '--import', slow, join(folder, 'scripts/gpu-check.mjs')];
    const options = ['--device', 'cpu', '--part', 'repeat', '--seconds', '10', '--out', out];
    const { status, output } = run(work, bin, ...command, ...options);
    t.equal(status, 1, output);
    t.same(
      results(out).parts.map((p) => p.status),
      ['not reached', 'not reached'],
    );
  });

  t.test('ended from outside, it leaves what it found and no process', async (t) => {
    const out = join(work, 'ended');
    const check = join(folder, 'scripts', 'gpu-check.mjs');
    const child = spawn(
      join(folder, 'node'),
      [
        ...[check, '--device', 'cpu', '--part', 'repeat', '--filter', '^(leakyRelu|sum)$'],
        ...['--repeats', '1000000000', '--out', out],
      ],
      { cwd: folder, env: { PATH: bin }, stdio: ['ignore', 'pipe', 'inherit'] },
    );
    const ended = new Promise<number | null>((done) => child.on('exit', done));
    let worker = -1;
    for await (const line of createInterface({ input: child.stdout }))
      if (/^repeat /.test(line)) {
        for (let k = 0; k < 500 && worker < 0; k++) {
          await wait(20);
          worker = workerOf(child.pid as number);
        }
        child.kill('SIGTERM');
      }
    t.equal(await ended, 1);
    t.ok(worker > 0, 'a worker was at work');
    t.same(
      results(out).parts.map((p) => [p.part, p.status]),
      [
        ['build', 'passed'],
        ['repeat', 'stopped'],
      ],
    );
    for (let k = 0; k < 100 && existsSync(`/proc/${worker}`); k++) await wait(20);
    t.notOk(existsSync(`/proc/${worker}`), 'and is gone');
  });

  t.test('arguments', async (t) => {
    const { status, output } = packed('--part', 'opps');
    t.equal(status, 2);
    t.match(output, /Expected some of build, ops, .* for --part but received opps/);
  });
}
