/** Benches one after the other. One that fails becomes a row, and the next one begins: what was measured is kept. */
import { type Bench, type BenchOptions, failedRow, type Row } from './row.js';

/** What a file `bench/<name>.bench.ts` exports. */
export interface BenchFile {
  readonly bench: Bench;
  /** Where another addon is needed: runs the whole command in a process that has it and tells how that ended. */
  readonly needsAddon?: () => { code: number } | undefined;
}

/** How the benches run. */
export interface Run {
  load(name: string): Promise<BenchFile>;
  /** Between rows. */
  pause(): Promise<void>;
  report(row: Row): void;
}

/**
 * Runs them all.
 * @returns the exit code, 1 where any of them failed, or, `elsewhere`, that of another process that ran and printed them
 */
export async function runBenches(
  names: readonly string[],
  options: BenchOptions,
  { load, pause, report }: Run,
): Promise<{ code: number; elsewhere: boolean }> {
  let code = 0;
  for (const name of names)
    try {
      const { bench, needsAddon } = await load(name);
      const elsewhere = needsAddon?.();
      if (elsewhere) return { code: elsewhere.code, elsewhere: true };
      await pause();
      for await (const row of bench(options)) {
        report(row);
        await pause();
      }
    } catch (error) {
      code = 1;
      report(failedRow(name, error));
      console.error(error);
    }
  return { code, elsewhere: false };
}

/** Writes rows as one JSON array, each as it comes, so that those before a kill can be read all the same. */
export class JsonRows {
  #begun = false;

  constructor(readonly write: (text: string) => void) {}

  add(row: Row): void {
    this.write(`${this.#begun ? ',' : '['}\n${JSON.stringify(row, null, 2)}`);
    this.#begun = true;
  }

  end(): void {
    this.write(this.#begun ? '\n]\n' : '[]\n');
  }
}
