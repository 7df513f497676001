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
  /** Of a {@link ratio}: what a lesion adds above and below. */
  readonly terms?: (lesion: Lesion) => readonly [number, number] | undefined;
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

/**
 * A figure that is a sum over lesions divided by another: all sums of a patient are then known before any replicate is drawn.
 * @param terms - what a lesion adds to both sums; undefined where nothing
 * @param counted - whether a lesion is one that the figure rests on
 */
export function ratio(
  path: string,
  terms: (lesion: Lesion) => readonly [number, number] | undefined,
  counted: Predicate,
): Figure {
  return {
    ...{ path, terms },
    of: (sample) => {
      let above = 0;
      let below = 0;
      for (const lesion of sample) {
        const own = terms(lesion);
        if (own === undefined) continue;
        above += own[0];
        below += own[1];
      }
      return above / below;
    },
    count: (sample) => count(sample, counted),
  };
}

/** Share of the lesions of `among` that are of `of`. */
export function share(path: string, of: Predicate, among: Predicate): Figure {
  return ratio(path, (l) => (among(l) ? [of(l) ? 1 : 0, 1] : undefined), among);
}

/** 2 TP / (2 TP + FP + FN); a lesion may be a FP and a FN at once where it was called another class. */
export function f1(path: string, tp: Predicate, fp: Predicate, fn: Predicate): Figure {
  return ratio(
    path,
    (l) => (tp(l) ? [2, 2] : [0, (fp(l) ? 1 : 0) + (fn(l) ? 1 : 0)]),
    (l) => tp(l) || fp(l) || fn(l),
  );
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
