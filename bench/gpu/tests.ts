/** The compiled test files of dist-test, each in a process of its own on one device, their TAP read. */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { createInterface } from 'node:readline';
import { errorsIn, told } from './errors.js';
import { endTree } from './processes.js';
import { left, type Row, report, type Task } from './settings.js';

/** A compiled test may be left of a source that is gone. In a packed folder no sources are. */
export function hasSource(root: string, name: string): boolean {
  const sources = join(root, 'test');
  const source = join(sources, name.replace(/\.js$/, '.ts'));
  return !existsSync(join(sources, 'ops')) || existsSync(source);
}

/** Test files that run on every device, which name the device in their subtests. */
export function operationTests(root: string): string[] {
  const folder = join(root, 'dist-test');
  return readdirSync(folder, { recursive: true })
    .map(String)
    .filter((name) => hasSource(root, name))
    .map((name) => join(folder, name))
    .filter(
      (file) => file.endsWith('.test.js') && readFileSync(file, 'utf8').includes('onEveryDevice('),
    )
    .sort();
}

interface Tap {
  passed: number;
  failed: number;
  /** What was not done for want of something, with the reason. */
  skipped: string[];
  /** Subtests on the device that was asked for. */
  onDevice: number;
  failures: string[];
}

/** Reads TAP: counts assertions, not the subtests that hold them, and keeps what failed with its first lines of detail. */
class Reader implements Tap {
  passed = 0;
  failed = 0;
  skipped: string[] = [];
  onDevice = 0;
  failures: string[] = [];
  readonly comments: string[] = [];
  #path: string[] = [];
  #detail = 0;

  constructor(readonly kind: string) {}

  line(text: string): void {
    const body = text.trimStart();
    const depth = (text.length - body.length) >> 2;
    const subtest = /^# Subtest: (.*)$/.exec(body);
    if (subtest) {
      this.#path = [...this.#path.slice(0, depth), subtest[1] as string];
      if ((subtest[1] as string).endsWith(` on ${this.kind}`)) this.onDevice++;
      return;
    }
    const comment = /^# (?!time=|\{|No coverage)(.*)$/.exec(body);
    if (comment && !/^simulated kernels/.test(comment[1] as string))
      this.comments.push(comment[1] as string);
    const result = /^(not )?ok \d+(?: - )?(.*)$/.exec(body);
    if (result) {
      this.#detail = 0;
      const [, not, name = ''] = result;
      const skip = /^(.*?) # SKIP\b ?(.*?)(?: # time=.*)?$/i.exec(name);
      if (skip) {
        this.skipped.push(`${skip[1]}: ${skip[2] || 'skipped'}`);
        return;
      }
      if (/ # time=[\d.]+ms/.test(name)) return;
      if (not === undefined) this.passed++;
      else {
        this.failed++;
        this.failures.push([...this.#path.slice(0, depth), name].join(' > '));
        this.#detail = 6;
      }
      return;
    }
    // Of the details that follow a failure, what was found and wanted.
    if (this.#detail > 0 && this.failures.length > 0 && /^(found|wanted|error|diff):/.test(body)) {
      this.#detail--;
      const last = this.failures.length - 1;
      this.failures[last] = `${this.failures[last]}; ${body.slice(0, 200)}`;
    }
  }
}

/** The most that one file may take. */
const LONGEST = 180;

export async function runFile(task: Task, file: string): Promise<Row> {
  const { root, kind } = task;
  const name = relative(join(root, 'dist-test'), file).replace(/\.test\.js$/, '');
  const seconds = Math.min(LONGEST, left(task) / 1000);
  if (seconds < 1) return { name, ok: null, reached: false, note: 'not reached' };
  const begun = performance.now();
  const folder = mkdtempSync(join(tmpdir(), 'renvox-gpu-check-'));
  const RENVOX_ERRORS = join(folder, 'errors.jsonl');
  const child = spawn(process.execPath, ['--expose-gc', file], {
    cwd: root,
    env: { ...process.env, RENVOX_TEST_DEVICE: kind, RENVOX_ERRORS },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const tap = new Reader(kind);
  let errors = '';
  child.stderr.on('data', (data) => {
    errors = `${errors}${data}`.slice(-2000);
  });
  let late = false;
  const timer = setTimeout(
    () => {
      late = true;
      endTree(child.pid);
    },
    Math.max(1, seconds * 1000),
  );
  const closed = new Promise<string>((done) => {
    child.on('close', (code, signal) => done(signal ?? String(code ?? 1)));
  });
  for await (const line of createInterface({ input: child.stdout })) tap.line(line);
  const end = await closed;
  clearTimeout(timer);
  // Of networks' tests an error is not that of an operation.
  const largest = name.startsWith('ops/') ? told(errorsIn(RENVOX_ERRORS, kind)) : [];
  rmSync(folder, { recursive: true, force: true });
  const failures = [...tap.failures];
  // Whether it would have passed is not known, unless it had all the time that a file may have.
  const cutOff = late && failures.length === 0 && seconds < LONGEST;
  if (cutOff)
    return { name, ok: null, reached: false, passed: tap.passed, note: 'stopped at the deadline' };
  if (late) failures.push(`did not end within ${seconds.toFixed(0)} s`);
  else if (end !== '0' && tap.failed === 0)
    failures.push(`ended with ${end}: ${errors.trim().split('\n').at(-1) ?? ''}`);
  return {
    name,
    ok: failures.length === 0,
    passed: tap.passed,
    failed: failures.length,
    subtests: tap.onDevice,
    ...(tap.skipped.length > 0 ? { skipped: tap.skipped.slice(0, 20) } : {}),
    seconds: (performance.now() - begun) / 1000,
    ...(largest.length > 0 ? { errors: largest } : {}),
    ...(failures.length > 0 ? { failures: failures.slice(0, 20) } : {}),
    ...(tap.comments.length > 0 ? { comments: tap.comments.slice(0, 20) } : {}),
  };
}

/** The suite of operations: a file passes where its assertions do and it ran on the device at all, or says why it could not. */
export async function operations(task: Task): Promise<void> {
  const wanted = new RegExp(task.filter);
  const files = operationTests(task.root).filter((file) =>
    wanted.test(relative(join(task.root, 'dist-test'), file)),
  );
  if (files.length === 0) throw new Error(`no test file matches ${task.filter}`);
  const jobs = Math.max(1, Math.min(4, availableParallelism() >> 1));
  const next = async () => {
    for (let file = files.shift(); file; file = files.shift()) {
      const row = await runFile(task, file);
      const skipped = row.skipped as readonly string[] | undefined;
      // What needs data that are not here is no failure, and no proof.
      if (row.ok && row.subtests === 0)
        Object.assign(
          row,
          skipped
            ? { ok: null, note: `skipped: ${skipped.join('; ')}` }
            : { ok: false, failures: [`nothing in it ran on ${task.kind}`] },
        );
      report(row);
    }
  };
  await Promise.all(Array.from({ length: jobs }, next));
}

export const pipelineTestFile = (root: string): string =>
  join(root, 'dist-test', 'pipeline', 'analyze-gpu.test.js');

/** The test of analyze() on a phantom; a CT follows in pipeline.ts. */
export async function pipelineTest(task: Task): Promise<void> {
  const file = pipelineTestFile(task.root);
  if (!existsSync(file)) throw new Error(`${file} is missing`);
  report(await runFile(task, file));
}
