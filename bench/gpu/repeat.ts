/** Runs cases in processes of their own (work.ts): the determinism check, and what compute-sanitizer watches. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Device } from 'renvox';
import { cases, type Size } from './cases.js';
import { endTree } from './processes.js';
import { left, type Row, report, rowIn, type Task } from './settings.js';
import { BEGINS, LOST } from './work.js';

const worker = fileURLToPath(new URL('work.js', import.meta.url));

/** Odd in each axis, wider than a warp, and past one tile of every kernel where the device is not simulated. */
const sizes: Record<Task['kind'], Size> = {
  cuda: [21, 35, 67],
  cpu: [9, 11, 35],
  'cuda-sim': [5, 6, 19],
};
/** For compute-sanitizer, which slows kernels a hundred times. */
export const smallSize: Size = [5, 9, 37];

export interface Outcome {
  rows: Row[];
  /** Lines that are neither rows nor the worker's own. */
  lines: string[];
  /** How the last process ended. */
  end: string;
  run: Set<string>;
  there: Set<string>;
}

export interface Work {
  mode: 'once' | 'repeat';
  count: number;
  size: Size;
  /** What node is started by. */
  prefix?: readonly string[];
  /** Milliseconds. */
  limit: number;
  onRow?: (row: Row) => void;
}

/** Whether names match the check's filter. It filters test files too: of cases it then may match none. */
export function caseNames(filter: string): string[] {
  const wanted = new RegExp(filter);
  // Nothing touches the device before a case is prepared.
  return cases({} as Device, smallSize)
    .map((c) => c.name)
    .filter((name) => wanted.test(name));
}

/** Does all the cases, starting again after one that took the device or the process with it. */
export async function doCases(task: Task, names: readonly string[], work: Work): Promise<Outcome> {
  const outcome: Outcome = { rows: [], lines: [], end: '0', run: new Set(), there: new Set() };
  const until = Date.now() + work.limit;
  let rest = [...names];
  while (rest.length > 0 && Date.now() < until) {
    const args = [...(work.prefix ?? []), process.execPath, '--expose-gc', worker];
    args.push(task.kind, work.mode, String(work.count), ...work.size.map(String), ...rest);
    const [program, ...others] = args as [string, ...string[]];
    const child = spawn(program, others, {
      cwd: task.root,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    // The tool and the node under it.
    const timer = setTimeout(() => endTree(child.pid), Math.max(1, until - Date.now()));
    const closed = new Promise<string>((done) => {
      child.on('error', (error) => done(error.message));
      child.on('close', (code, signal) => done(signal ?? String(code ?? 1)));
    });
    let errors = '';
    child.stderr.on('data', (data) => {
      errors = `${errors}${data}`.slice(-100_000);
    });
    let current: string | undefined;
    const done = (row: Row) => {
      outcome.rows.push(row);
      rest = rest.filter((name) => name !== row.name);
      current = undefined;
      work.onRow?.(row);
    };
    for await (const line of createInterface({ input: child.stdout })) {
      const row = rowIn(line);
      const operations = /^operations (run|there): (.*)$/.exec(line);
      if (row) done(row);
      else if (line.startsWith(BEGINS)) current = line.slice(BEGINS.length);
      else if (operations)
        for (const name of (operations[2] as string).split(' '))
          outcome[operations[1] as 'run' | 'there'].add(name);
      else outcome.lines.push(line);
    }
    outcome.end = await closed;
    clearTimeout(timer);
    // compute-sanitizer may write to either stream.
    if (work.prefix) outcome.lines.push(...errors.split('\n'));
    if (outcome.end === String(LOST)) continue;
    if (outcome.end !== '0' && current !== undefined && Date.now() < until) {
      done({
        name: current,
        ok: false,
        note: `its process ended by ${outcome.end}: ${tail(errors)}`,
      });
      continue;
    }
    if (outcome.end !== '0' && !work.prefix) outcome.lines.push(...errors.split('\n'));
    break;
  }
  return outcome;
}

function tail(text: string): string {
  return text.trim().split('\n').slice(-3).join(' | ').slice(0, 500);
}

/** The same bits, however often: no atomic adds of floats, no order that depends on which block comes first. */
export async function repeat(task: Task): Promise<void> {
  const names = caseNames(task.filter);
  if (names.length === 0)
    return report({ name: 'cases', ok: null, note: 'none matches the filter' });
  const size = sizes[task.kind];
  const { rows, run, there, end, lines } = await doCases(task, names, {
    ...{ mode: 'repeat', count: task.repeats, size, limit: left(task), onRow: report },
  });
  const missed = names.length - rows.length;
  if (missed > 0) {
    // Killed for want of time, or ended by itself before its time.
    const late = left(task) === 0;
    const name = `${missed} cases not reached`;
    if (late) report({ name, ok: null, reached: false });
    else
      report({ name, ok: false, note: `the process ended by ${end}: ${tail(lines.join('\n'))}` });
  }
  const uncovered = [...there].filter((name) => !run.has(name));
  if (task.filter === '' && missed === 0 && there.size > 0)
    report({
      ...{ name: 'every operation has a case', ok: uncovered.length === 0 },
      ...(uncovered.length > 0 ? { note: `without one: ${uncovered.join(', ')}` } : {}),
    });
}
