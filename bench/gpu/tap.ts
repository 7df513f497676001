/**
 * The part of tap that the tests of operations use, for machines that tap itself is not carried to: the check's packed folder has this
 * module as the package `tap`. Prints TAP as tap does. A method that is missing here fails its test, loudly.
 */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';

type Body = (t: Test) => unknown;

/** Whether `actual` has what `pattern` asks for: regular expressions match text, objects match by the keys they name. */
function matches(actual: unknown, pattern: unknown): boolean {
  if (pattern instanceof RegExp) return pattern.test(String(actual));
  if (typeof pattern === 'function') {
    if (pattern === String) return typeof actual === 'string';
    if (pattern === Number) return typeof actual === 'number';
    return actual instanceof pattern || actual?.constructor === pattern;
  }
  if (typeof pattern === 'string' && typeof actual === 'string') return actual.includes(pattern);
  if (typeof pattern !== 'object' || pattern === null) return Object.is(actual, pattern);
  if (typeof actual !== 'object' || actual === null) return false;
  return Object.entries(pattern).every(([key, value]) =>
    matches((actual as Record<string, unknown>)[key], value),
  );
}

/** Deep equality that takes 1 and '1', or arrays of different kinds, as the same. */
function loose(a: unknown, b: unknown): boolean {
  // biome-ignore lint/suspicious/noDoubleEquals: that is what `same` means
  if (isDeepStrictEqual(a, b) || a == b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || !a || !b) return false;
  if (a instanceof Map || a instanceof Set) return false;
  const [x, y] = [Object.entries(a), Object.entries(b)];
  const other = b as Record<string, unknown>;
  return (
    x.length === y.length && x.every(([key, value]) => key in other && loose(value, other[key]))
  );
}

/** What a thrown value must be like: a pattern, or an error whose code, name and message it shares. */
function asked(error: unknown, wanted: unknown): boolean {
  if (wanted === undefined || typeof wanted === 'string') return true;
  if (wanted instanceof RegExp)
    return wanted.test(error instanceof Error ? error.message : String(error));
  return matches(error, wanted);
}

export class Test {
  failed = 0;
  #count = 0;
  #teardowns: (() => unknown)[] = [];
  #queue: Promise<void> = Promise.resolve();
  readonly #indent: string;
  readonly #name: string;

  constructor(name = '', indent = '') {
    this.#name = name;
    this.#indent = indent;
  }

  #print(text: string): void {
    console.log(text.replace(/^/gm, this.#indent));
  }

  #result(ok: boolean, name: string, details?: Record<string, unknown>): boolean {
    this.#count++;
    if (!ok) this.failed++;
    this.#print(`${ok ? 'ok' : 'not ok'} ${this.#count} - ${name.replaceAll('#', '\\#')}`);
    if (!ok && details && Object.keys(details).length > 0) {
      const lines = Object.entries(details).map(
        ([key, value]) => `  ${key}: ${JSON.stringify(shown(value))}`,
      );
      this.#print(`  ---\n${lines.join('\n')}\n  ...`);
    }
    return ok;
  }

  ok(value: unknown, name = 'is truthy'): boolean {
    return this.#result(Boolean(value), name, { found: value });
  }
  notOk(value: unknown, name = 'is falsy'): boolean {
    return this.#result(!value, name, { found: value });
  }
  equal(found: unknown, wanted: unknown, name = 'is equal'): boolean {
    return this.#result(Object.is(found, wanted), name, { found, wanted });
  }
  not(found: unknown, unwanted: unknown, name = 'is not equal'): boolean {
    return this.#result(!Object.is(found, unwanted), name, { found, unwanted });
  }
  same(found: unknown, wanted: unknown, name = 'is equivalent'): boolean {
    return this.#result(loose(found, wanted), name, { found, wanted });
  }
  notSame(found: unknown, unwanted: unknown, name = 'is not equivalent'): boolean {
    return this.#result(!loose(found, unwanted), name, { found, unwanted });
  }
  strictSame(found: unknown, wanted: unknown, name = 'is strictly equivalent'): boolean {
    return this.#result(isDeepStrictEqual(found, wanted), name, { found, wanted });
  }
  match(found: unknown, pattern: unknown, name = 'matches'): boolean {
    return this.#result(matches(found, pattern), name, { found, pattern });
  }
  throws(body: () => unknown, wanted?: unknown, name = 'throws'): boolean {
    const title = typeof wanted === 'string' ? wanted : name;
    try {
      body();
    } catch (error) {
      return this.#result(asked(error, wanted), title, { error, wanted });
    }
    return this.#result(false, title, { wanted: 'an error' });
  }
  doesNotThrow(body: () => unknown, name = 'does not throw'): boolean {
    try {
      body();
    } catch (error) {
      return this.#result(false, name, { error });
    }
    return this.#result(true, name);
  }
  async rejects(
    promise: Promise<unknown> | (() => Promise<unknown>),
    wanted?: unknown,
    name = 'rejects',
  ): Promise<boolean> {
    const title = typeof wanted === 'string' ? wanted : name;
    try {
      await (typeof promise === 'function' ? promise() : promise);
    } catch (error) {
      return this.#result(asked(error, wanted), title, { error, wanted });
    }
    return this.#result(false, title, { wanted: 'a rejection' });
  }
  async resolves(promise: Promise<unknown>, name = 'resolves'): Promise<boolean> {
    try {
      await promise;
    } catch (error) {
      return this.#result(false, name, { error });
    }
    return this.#result(true, name);
  }
  pass(name = 'pass'): boolean {
    return this.#result(true, name);
  }
  fail(name = 'fail', details?: Record<string, unknown>): boolean {
    return this.#result(false, name, details ?? {});
  }
  skip(name: string, reason: boolean | string = true): void {
    this.#count++;
    const why = typeof reason === 'string' ? ` ${reason}` : '';
    this.#print(`ok ${this.#count} - ${name.replaceAll('#', '\\#')} # SKIP${why}`);
  }
  comment(text: string): void {
    this.#print(`# ${text}`);
  }
  plan(_: number): void {}
  end(): void {}
  teardown(body: () => unknown): void {
    this.#teardowns.unshift(body);
  }
  before(body: () => unknown): void {
    this.#queue = this.#queue.then(async () => void (await body()));
  }

  /** A new folder with these files, removed at the end. */
  testdir(files: Record<string, string | Buffer> = {}): string {
    const folder = mkdtempSync(join(tmpdir(), 'renvox-test-'));
    this.teardown(() => rmSync(folder, { recursive: true, force: true }));
    for (const [name, content] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      writeFileSync(join(folder, name), content);
    }
    return folder;
  }

  /** Runs after those before it. */
  test(name: string, options: Body | { skip?: boolean | string }, body?: Body): Promise<void> {
    const run = typeof options === 'function' ? options : (body as Body);
    const skipped = typeof options === 'object' && options.skip;
    this.#queue = this.#queue.then(async () => {
      if (skipped) return this.skip(name, skipped);
      const begun = performance.now();
      this.#print(`# Subtest: ${name}`);
      const sub = new Test(name, `${this.#indent}    `);
      await sub.execute(run);
      const time = ` # time=${(performance.now() - begun).toFixed(1)}ms`;
      this.#count++;
      if (sub.failed > 0) this.failed++;
      this.#print(`${sub.failed > 0 ? 'not ok' : 'ok'} ${this.#count} - ${name}${time}`);
    });
    return this.#queue;
  }

  /** The body, the tests that it has begun, what it asked to be done at the end. */
  async execute(body: Body): Promise<void> {
    try {
      await body(this);
    } catch (error) {
      this.#result(false, error instanceof Error ? error.message : String(error), {
        ...{ test: this.#name, stack: error instanceof Error ? error.stack : undefined },
      });
    }
    await this.finish();
  }

  async finish(): Promise<void> {
    // More may be queued while one waits.
    for (let last: unknown; last !== this.#queue; ) {
      last = this.#queue;
      await this.#queue;
    }
    for (const teardown of this.#teardowns) await teardown();
    if (this.#count === 0) this.#print('1..0');
    else this.#print(`1..${this.#count}`);
  }
}

/** Values that JSON cannot hold, and long ones, made short. */
function shown(value: unknown): unknown {
  if (value instanceof Error) {
    const { code } = value as { code?: unknown };
    return `${value.name}${code ? ` ${code}` : ''}: ${value.message}`;
  }
  if (value instanceof RegExp) return String(value);
  if (ArrayBuffer.isView(value)) {
    const list = Array.from(value as unknown as ArrayLike<number>);
    return `${value.constructor.name}(${list.length}) ${list.slice(0, 8).join(', ')}`;
  }
  if (Array.isArray(value)) return value.length > 8 ? `array of ${value.length}` : value.map(shown);
  return typeof value === 'bigint' || typeof value === 'function' ? String(value) : value;
}

const t = new Test();
let finished = false;
console.log('TAP version 14');
process.once('beforeExit', () => {
  t.finish().then(
    () => {
      finished = true;
      if (t.failed > 0) process.exitCode = 1;
    },
    (error) => {
      console.error(error);
      process.exitCode = 1;
    },
  );
});
process.once('exit', () => {
  if (finished) return;
  t.fail('a test did not end');
  process.exitCode = 1;
});
process.on('uncaughtException', (error) => {
  t.fail(error.message, { stack: error.stack });
  process.exitCode = 1;
});

export default t;
export { t };
