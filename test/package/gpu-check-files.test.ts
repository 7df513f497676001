// What the GPU check leaves behind when it is ended from outside: results and objects that are whole, no process at work.
import { spawn } from 'node:child_process';
import { chmodSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import t from 'tap';

interface Part {
  part: string;
  status: string;
  seconds: number;
  rows: { name: string; ok: boolean }[];
}
interface Results {
  schema: string;
  chip: string;
  device: string;
  arch: string;
  driver: string;
  nvcc: string;
  node: string;
  commit: string;
  date: string;
  seconds: number;
  parts: Part[];
}
const of = (file: string) => new URL(`../../bench/gpu/${file}`, import.meta.url).href;
const { earlierResults, markdown, mergeFiles, SCHEMA, write } = (await import(
  of('results.ts')
)) as {
  earlierResults(folder: string, results: Results): Results | undefined;
  markdown(r: Results): string;
  mergeFiles(files: readonly string[], folder: string): { files: string[]; text: string };
  SCHEMA: string;
  write(
    folder: string,
    results: Results,
    earlier: Results | undefined,
  ): { files: string[]; text: string };
};
const { endTree } = (await import(of('processes.ts'))) as {
  endTree(pid: number | undefined): void;
};

const { compileAll, cudaProgram } = (await import(of('build.ts'))) as {
  cudaProgram(name: string): string | undefined;
  compileAll(
    list: readonly { source: string; command: readonly string[]; object: string }[],
  ): Promise<string[]>;
};

function made(parts: Part[], seconds = 1): Results {
  return {
    ...{
      schema: SCHEMA,
      chip: 'NVIDIA H100',
      device: 'cuda',
      arch: '90a',
      driver: '1',
      nvcc: '13',
    },
    ...{ node: 'v20', commit: '0123456789abcdef', date: '2026-11-30T00:00:00Z', seconds, parts },
  };
}
const passed = (part: string, name = 'x'): Part => ({
  ...{ part, status: 'passed', seconds: 1, rows: [{ name, ok: true }] },
});
const read = (file: string) => JSON.parse(readFileSync(file, 'utf8')) as Results;

t.test('parts of runs fill up one file', async (t) => {
  const folder = t.testdir();
  const first = made([passed('ops')]);
  const [json] = write(folder, first, earlierResults(folder, first)).files as [string];
  const second = made([
    passed('leak'),
    // Stopped before it found anything: what was known of it stays.
    { part: 'ops', status: 'stopped', seconds: 1, rows: [] },
  ]);
  const earlier = earlierResults(folder, second);
  for (let k = 0; k < 3; k++) write(folder, second, earlier);
  t.equal(read(json).seconds, 2, 'however often it is written');
  t.same(
    read(json).parts.map((p) => [p.part, p.status]),
    [
      ['ops', 'passed'],
      ['leak', 'passed'],
    ],
  );
  t.same(readdirSync(folder).sort(), [
    'h100-2026-11-30-0123456.json',
    'h100-2026-11-30-0123456.md',
  ]);
  mergeFiles([json], folder);
  t.equal(read(json).seconds, 2, 'a file put together with itself');
});

t.test('a damaged file is put aside', async (t) => {
  const folder = t.testdir();
  const results = made([passed('ops')]);
  const json = join(folder, 'h100-2026-11-30-0123456.json');
  writeFileSync(json, JSON.stringify(results).slice(0, 100));
  t.throws(() => mergeFiles([json], folder), /0123456\.json cannot be read/);
  const earlier = earlierResults(folder, results);
  t.equal(earlier, undefined);
  write(folder, results, earlier);
  t.same(read(json).parts, results.parts);
  t.ok(existsSync(`${json}.damaged`));
});

/** Whether a process is there and no zombie. */
function alive(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return !/^[ZX]/.test(stat.slice(stat.lastIndexOf(')') + 2));
  } catch {
    return false;
  }
}

t.test('a process ends with what it has started', async (t) => {
  if (!existsSync('/proc/self/stat')) return t.comment('NOT TESTED: there is no /proc');
  const sleep = `spawn(process.execPath, ['-e', 'setTimeout(() => {}, 1e6)'], { detached })`;
  const code = `
    const { spawn } = require('node:child_process');
    console.log([true, false].map((detached) => ${sleep}.pid).join(' '));
    setTimeout(() => {}, 1e6);`;
  const child = spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'pipe', 'inherit'] });
  const closed = new Promise((done) => child.on('exit', done));
  const [line] = (await child.stdout.take(1).toArray()) as [Buffer];
  const pids = [child.pid as number, ...String(line).trim().split(' ').map(Number)];
  t.equal(pids.filter(alive).length, 3);
  endTree(child.pid);
  await closed;
  for (let k = 0; k < 100 && pids.some(alive); k++) await wait(20);
  t.same(pids.filter(alive), [], 'in groups of their own too');
  t.doesNotThrow(() => endTree(child.pid), 'what is gone');
});

t.test('a compiler that is killed leaves no object behind', async (t) => {
  const folder = t.testdir({ 'a.cpp': 'int a;' });
  const [source, object] = [join(folder, 'a.cpp'), join(folder, 'a.cpp.0123.o')];
  const compiler = (end: string) => ['sh', '-c', `printf object >"$2"; ${end}`, 'sh'];
  const compile = (end: string) => compileAll([{ source, command: compiler(end), object }]);
  t.match(await compile('kill -9 $$'), [/^a\.cpp: /]);
  t.same(readdirSync(folder), ['a.cpp']);
  t.same(await compile('exit 0'), []);
  t.equal(readFileSync(object, 'utf8'), 'object');
  t.same(await compile('exit 1'), [], 'what is there is not compiled again');
});

t.test('compute-sanitizer is looked for where nvcc is', (t) => {
  const folder = t.testdir({ bin: { 'compute-sanitizer-of-nobody': '#!/bin/sh\nexit 0\n' } });
  const program = join(folder, 'bin', 'compute-sanitizer-of-nobody');
  chmodSync(program, 0o755);
  const before = process.env.CUDA_HOME;
  t.teardown(() => {
    if (before === undefined) delete process.env.CUDA_HOME;
    else process.env.CUDA_HOME = before;
  });
  process.env.CUDA_HOME = folder;
  t.equal(cudaProgram('compute-sanitizer-of-nobody'), program);
  t.equal(cudaProgram('compute-sanitizer-of-others'), undefined);
  t.end();
});

t.test('what only another library can do has a row of its own', (t) => {
  const name = 'unet forward 128^3 batch 1';
  const time = (precision: string, library: string, median_ms: number) => ({
    ...{ name: `${name} ${precision}`, ok: true, library, variant: 'eager', median_ms, spread: 0 },
  });
  const rows = [time('fp32', 'renvox', 4), time('fp32', 'PyTorch', 6), time('tf32', 'PyTorch', 2)];
  const text = markdown(made([{ ...passed('bench'), rows }]));
  const found = text.split('\n').filter((line) => line.includes(name));
  t.same(found, [
    `| ${name} fp32 | 4 | 0 % |  |  | 6 (PyTorch eager) | 1.5 |`,
    `| ${name} tf32 |  |  |  |  | 2 (PyTorch eager) |  |`,
  ]);
  t.end();
});
