/** What a figure of lesions is, and the shares and F1 that most are. */
import type { Lesion } from './lesions.js';

/** Sizes by average diameter. The study parts them at 5 mm; a lesion of unknown size is in `overall` alone. */
export const SIZES = ['overall', 'lt5mm', 'ge5mm'] as const;
export type Size = (typeof SIZES)[number];

export const SMALL_MM = 5;

/** A figure before it has an interval: where it stands, what it is of a sample, and how many lesions it rests on. */
export interface Figure {
  readonly path: string;
  of(sample: readonly Lesion[]): number;
  /** The denominator: what the figure is a share or a mean of. */
  count(sample: readonly Lesion[]): number;
}

export function ofSize(lesion: Lesion, size: Size): boolean {
  if (size === 'overall') return true;
  if (lesion.averageDiameterMm === null) return false;
  return lesion.averageDiameterMm < SMALL_MM === (size === 'lt5mm');
}

export type Predicate = (lesion: Lesion) => boolean;

export function count(sample: readonly Lesion[], predicate: Predicate): number {
  let n = 0;
  for (const lesion of sample) if (predicate(lesion)) n++;
  return n;
}

export const always: Predicate = () => true;

export function share(path: string, of: Predicate, among: Predicate): Figure {
  return {
    path,
    of: (sample) => {
      let n = 0;
      let all = 0;
      for (const lesion of sample) {
        if (!among(lesion)) continue;
        all++;
        if (of(lesion)) n++;
      }
      return n / all;
    },
    count: (sample) => count(sample, among),
  };
}

/** 2 TP / (2 TP + FP + FN); a lesion may be a FP and a FN at once where it was called another class. */
export function f1(path: string, tp: Predicate, fp: Predicate, fn: Predicate): Figure {
  return {
    path,
    of: (sample) => {
      let twice = 0;
      let wrong = 0;
      for (const lesion of sample) {
        if (tp(lesion)) twice += 2;
        else wrong += (fp(lesion) ? 1 : 0) + (fn(lesion) ? 1 : 0);
      }
      return twice / (twice + wrong);
    },
    count: (sample) => count(sample, (l) => tp(l) || fp(l) || fn(l)),
  };
}

/** Keeps the last result, for several figures are asked of one sample in turn. */
export function once<S extends object, T>(of: (sample: S) => T): (sample: S) => T {
  let last: S | undefined;
  let result: T;
  return (sample) => {
    if (sample !== last) {
      result = of(sample);
      last = sample;
    }
    return result;
  };
}
