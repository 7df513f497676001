/** What the parts of the check are told, what they report, and how both pass between the process that leads and those that work. */
export const parts = ['build', 'ops', 'pipeline', 'sanitizer', 'repeat', 'leak', 'bench'] as const;
export type Part = (typeof parts)[number];
export type Kind = 'cuda' | 'cuda-sim' | 'cpu';

export interface Settings {
  /** The folder of package.json: a checkout, or what `pack` made. */
  root: string;
  kind: Kind;
  parts: readonly Part[];
  /** Of the whole run. */
  seconds: number;
  /** Test files, cases and benches whose names match. */
  filter: string;
  /** Times that each case is repeated. */
  repeats: number;
  /** Compute capability to build for, as nvcc writes it: 90a. By default that of the GPU found. */
  chip: string | undefined;
  /** An addon that is built already, its file. */
  addon: string | undefined;
  /** Where results go. */
  out: string;
  /** Whether PyTorch, CuPy and SciPy are timed too. */
  rivals: boolean;
}

/** What a part's own process knows. */
export interface Task extends Settings {
  part: Part;
  /** Epoch milliseconds by which it should be done; it is killed soon after. */
  deadline: number;
}

/** One finding of a part: a test file, a case, a time. `ok` false is a failure, null is neither (something was not there). */
export interface Row {
  name: string;
  ok: boolean | null;
  note?: string;
  /** False where the time ran out before it was done. */
  reached?: boolean;
  [figure: string]: string | number | boolean | null | undefined | readonly string[];
}

export type Status = 'passed' | 'failed' | 'stopped' | 'skipped' | 'not reached';

export interface PartResult {
  part: Part;
  status: Status;
  seconds: number;
  note?: string;
  rows: Row[];
}

const MARK = 'gpu-check row ';

/** Reports a row from a part's process. */
export function report(row: Row): void {
  process.stdout.write(`${MARK}${JSON.stringify(row)}\n`);
}

/** The row in a line of a part's output, if it holds one. */
export function rowIn(line: string): Row | undefined {
  return line.startsWith(MARK) ? (JSON.parse(line.slice(MARK.length)) as Row) : undefined;
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? (error.message.split('\n')[0] as string) : String(error);
}

/** Milliseconds left, never negative. */
export const left = (task: { deadline: number }): number => Math.max(0, task.deadline - Date.now());
