/** A child process that answers each line on its stdin with one line on its stdout. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';

/** Requests go one at a time; a child that ends early fails the one that waits. */
export class Talker {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #ended: Promise<number | null>;

  constructor(
    readonly name: string,
    program: string,
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ) {
    this.#child = spawn(program, args, {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, ...env },
    });
    // A child that is gone is reported by its exit; writing to it must not end this process.
    this.#child.stdin?.on('error', () => undefined);
    this.#ended = new Promise((resolve) => {
      this.#child.once('error', () => resolve(null));
      this.#child.once('exit', (code) => resolve(code));
    });
    const input = this.#child.stdout as Readable;
    this.#lines = createInterface({ input })[Symbol.asyncIterator]();
  }

  /** The answer to a line. @throws Error where the child ends instead */
  async ask(line: string): Promise<string> {
    this.#child.stdin?.write(`${line}\n`);
    const { value, done } = await this.#lines.next();
    if (done) throw new Error(`${this.name} ended with ${await this.#ended} on "${line}"`);
    return value;
  }

  /** Closes the child's stdin and waits for its end. */
  async close(): Promise<void> {
    this.#child.stdin?.end();
    await this.#ended;
  }
}
