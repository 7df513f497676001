/** Each operation's largest error on each device, as the tests of operations write them down (test/ops/errors.ts). */
import { existsSync, readFileSync } from 'node:fs';

/** null: nothing was compared with a tolerance. */
export type Errors = Map<string, number | null>;

export function worse(errors: Errors, name: string, error: number | null): void {
  const before = errors.get(name) ?? null;
  errors.set(name, error === null ? before : Math.max(before ?? 0, error));
}

/** What the subtests of a file wrote on one device. */
export function errorsIn(file: string, device: string): Errors {
  const errors: Errors = new Map();
  if (!existsSync(file)) return errors;
  for (const text of readFileSync(file, 'utf8').split('\n').filter(Boolean)) {
    const line = JSON.parse(text) as { device: string; errors: Record<string, number | null> };
    if (line.device === device)
      for (const [name, error] of Object.entries(line.errors)) worse(errors, name, error);
  }
  return errors;
}

/** As a row of results holds them: `conv3d bf16: 1.7e-3`, `crop: equal`. */
export function told(errors: Errors): string[] {
  return [...errors].map(([name, e]) => `${name}: ${e === null ? 'equal' : e.toExponential(1)}`);
}

export function untold(list: readonly string[]): Errors {
  const errors: Errors = new Map();
  for (const text of list) {
    const [, name, error] = /^(.*): (\S+)$/.exec(text) as unknown as [string, string, string];
    worse(errors, name, error === 'equal' ? null : Number(error));
  }
  return errors;
}

/** The cell of an operation: its error, `equal`, or nothing where it did not run. */
export function cellOf(errors: Errors | undefined, name: string): string {
  const error = errors?.get(name);
  return error === undefined ? '' : error === null ? 'equal' : error.toExponential(1);
}
