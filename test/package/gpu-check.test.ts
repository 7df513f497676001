// The GPU check's folder for machines without Node: packed, small enough, and run from there without node on PATH. The device is the CPU;
// what a GPU adds is the parts' own business (docs/gpu-check.md).

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import t from 'tap';
import { addonFile } from '#lib/native.js';

interface Results {
  chip: string;
  commit: string;
  parts: { part: string; status: string; rows: { name: string; ok: boolean | null }[] }[];
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
    for (const program of ['xz', 'dirname', 'chmod', 'mv'])
      symlinkSync(onPath(program) as string, join(bin, program));
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
  });

  t.test('a failure is told by the exit code, the table and the JSON', async (t) => {
    const out = join(work, 'bad');
    const { status, output } = packed('--part', 'ops', '--filter', 'no such test', '--out', out);
    t.equal(status, 1, output);
    t.match(output, /\| ops \| failed \|/);
    t.match(output, /no test file matches no such test/);
    t.equal(results(out).parts.find((p) => p.part === 'ops')?.status, 'failed');
  });

  t.test('arguments', async (t) => {
    const { status, output } = packed('--part', 'opps');
    t.equal(status, 2);
    t.match(output, /Expected some of build, ops, .* for --part but received opps/);
  });
}
