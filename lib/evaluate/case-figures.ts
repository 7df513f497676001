/** Figures of cases by path, each with its interval by patient. */
import { type BootstrapOptions, bootstrapAll, type Estimate } from '../metrics/index.js';
import { byPatient } from './by-patient.js';

/** A figure before it has an interval: where it stands, what it is of cases, and how many things it rests on. */
export interface CaseFigure<T> {
  readonly path: string;
  of(sample: readonly T[]): number;
  n(sample: readonly T[]): number;
}

/** By path. All are taken of the same replicates, one after the other. */
export function caseFigures<T extends { readonly patient: string }>(
  cases: readonly T[],
  figures: readonly CaseFigure<T>[],
  options: BootstrapOptions,
): Map<string, Estimate> {
  const estimates = bootstrapAll(
    byPatient(cases, ({ patient }) => patient),
    figures.map(({ of }) => of),
    options,
  );
  return new Map(
    figures.map(({ path, n }, k) => [path, { ...(estimates[k] as Estimate), n: n(cases) }]),
  );
}
