// `npm run bench:compare BASE HEAD [-- NAME ... --rounds N --samples N --processor]`: builds two commits (for the CPU) in a temporary folder, runs benches on
// both in alternation and prints how much time HEAD takes of BASE's. Above 1.1 a row is named slower; above 1.25, where HEAD lacks a row that BASE has, or
// where a bench fails in HEAD, the exit code is 1.
//
// The benches are those of this checkout, so that both are measured the same way; what BASE cannot run is left out, and said. Installed
// packages are this checkout's as well. --processor compares processor time instead of what passed, where other programs disturb. Default:
// 3 rounds of 3 samples, no peers, without the longest cases, of all benches that time the library: not `ladder` (its steps are this checkout's on both
// sides) and `event-loop` (what it counts is waiting), nor `kernels` and `kernels-step`, which count and do not time.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { compareRows, comparisonText } from './compare-rows.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const USUAL = [
  ...['conv3d', 'unet', 'resnet', 'train-step', 'network'],
  ...['resample', 'components', 'edt', 'labels', 'metrics'],
  ...['read', 'analyze', 'startup'],
];

function asked() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      rounds: { type: 'string', default: '3' },
      samples: { type: 'string', default: '3' },
      processor: { type: 'boolean', default: false },
    },
  });
  const [base, head, ...names] = positionals;
  const [rounds, samples] = [Number(values.rounds), Number(values.samples)];
  const whole = (n) => Number.isInteger(n) && n >= 1;
  if (!base || !head || !whole(rounds) || !whole(samples)) {
    console.error(
      'Expected two commits: npm run bench:compare BASE HEAD [-- NAME ... --rounds N --samples N --processor]',
    );
    process.exit(2);
  }
  const benches = names.length > 0 ? names : USUAL;
  return { base, head, benches, rounds, samples, key: values.processor ? 'cpu_s' : 'median_s' };
}

function run(cwd, program, args, env = {}, stderr = 'inherit') {
  return spawnSync(program, args, {
    cwd,
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
    stdio: ['ignore', 'pipe', stderr],
    env: { ...process.env, ...env },
  });
}

function must(what, child) {
  if (child.status === 0) return child.stdout;
  throw new Error(
    `${what} ended with ${child.status ?? child.error}\n${child.stdout ?? ''}${child.stderr ?? ''}`,
  );
}

/** A commit in a folder of its own, built, with this checkout's benches. */
function built(commit, folder) {
  console.error(`building ${commit}`);
  must(
    'git worktree',
    run(root, 'git', ['worktree', 'add', '--detach', '--quiet', folder, commit]),
  );
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  // node-gyp builds for the CPU alone, which is what is measured.
  const env = { RENVOX_BUILD: 'gyp', RENVOX_PREBUILD: '', JOBS: 'max' };
  const native = ['run', '--silent', 'build:native'];
  must(`the build of ${commit}`, run(folder, 'npm', native, env, 'pipe'));
  const tsc = join(root, 'node_modules', '.bin', 'tsc');
  must(`the TypeScript of ${commit}`, run(folder, tsc, ['-p', 'tsconfig.json']));
  rmSync(join(folder, 'bench'), { recursive: true, force: true });
  const own = (path) => !path.includes('node_modules');
  cpSync(join(root, 'bench'), join(folder, 'bench'), { recursive: true, filter: own });
  cpSync(join(root, 'tsconfig.bench.json'), join(folder, 'tsconfig.bench.json'));
  const typed = run(folder, tsc, ['-p', 'tsconfig.bench.json']);
  if (typed.status !== 0)
    console.error(`${commit} lacks what some benches use; they may not run:\n${typed.stdout}`);
  return folder;
}

/** Rows of one bench there; one that failed has a row that says so. */
function measured(folder, name, samples) {
  const options = ['--json', '--brief', '--peer', 'none', '--samples', String(samples)];
  const main = join('dist-bench', 'main.js');
  const env = {
    RENVOX_PREBUILD: '',
    RENVOX_DATA: process.env.RENVOX_DATA ?? join(root, '..', 'shared', 'data'),
  };
  const args = ['--expose-gc', main, name, ...options];
  const child = run(folder, process.execPath, args, env, 'pipe');
  const rows = rowsOf(name, child);
  const failed = rows.some((row) => row.failure);
  console.error(failed ? child.stderr : `  ${name}: ${rows.length} rows in ${folder}`);
  return rows;
}

function rowsOf(name, { stdout, status, signal, error }) {
  try {
    return JSON.parse(stdout);
  } catch {
    const failure = `ended with ${status ?? signal ?? error} and no whole list of rows`;
    return [{ name: `${name}/failed`, failure }];
  }
}

const { base, head, benches, rounds, samples, key } = asked();
const folder = mkdtempSync(join(tmpdir(), 'renvox-compare-'));
const folders = { base: join(folder, 'base'), head: join(folder, 'head') };
try {
  built(base, folders.base);
  built(head, folders.head);
  const all = [];
  for (let round = 0; round < rounds; round++) {
    console.error(`round ${round + 1} of ${rounds}, load ${loadavg()[0]?.toFixed(1)}`);
    const order = round % 2 === 0 ? ['base', 'head'] : ['head', 'base'];
    const rows = {};
    // Bench by bench, so that what is compared was measured within a minute.
    for (const name of benches)
      for (const side of order)
        rows[side] = [...(rows[side] ?? []), ...measured(folders[side], name, samples)];
    all.push(rows);
  }
  const comparison = compareRows(all, key);
  console.log(comparisonText(comparison).join('\n'));
  if (comparison.rows.length === 0) throw new Error('No row was measured on both sides');
  process.exitCode = comparison.failed ? 1 : 0;
} finally {
  for (const side of Object.values(folders))
    if (existsSync(side)) run(root, 'git', ['worktree', 'remove', '--force', side]);
  rmSync(folder, { recursive: true, force: true });
}
