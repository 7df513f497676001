/** Intervals by resampling whole patients, for images of one patient are not independent. */
import { invalidArgument } from '../../errors.js';
import { normalQuantile } from './distributions.js';

/** A figure with its interval. */
export interface Estimate {
  readonly value: number;
  /** Bounds of the interval; NaN where no replicate gives a figure, and of one cluster, which says nothing of how others differ. */
  readonly low: number;
  readonly high: number;
  /** What the figure rests on: clusters that take part, unless the maker says otherwise. */
  readonly n: number;
}

export interface BootstrapOptions {
  /** Default 2000. */
  replicates?: number;
  /** Default 1. The same seed gives the same interval. */
  seed?: number;
  /** Share of the replicates between the bounds. Default 0.95. */
  level?: number;
}

/** sfc32 (Doty-Humphrey, PractRand): period about 2^128, seeded. */
function generator(seed: number): () => number {
  let a = 0x9e3779b9;
  let b = 0x243f6a88;
  let c = seed >>> 0;
  let d = 1;
  const next = () => {
    const t = (a + b + d) | 0;
    d = (d + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + t;
    c |= 0;
    return (t >>> 0) / 4294967296;
  };
  for (let i = 0; i < 15; i++) next();
  return next;
}

/**
 * Percentile bootstrap of `figure` over clusters (patients), each with what it holds (its lesions, its cases). A replicate draws as many
 * clusters as there are, with replacement. Replicates whose figure is NaN are left out of the percentiles.
 * Efron & Tibshirani 1993, chapter 13; Field & Welsh 2007 for clusters.
 * @throws RenvoxError InvalidArgument
 */
export function bootstrap<T>(
  clusters: readonly (readonly T[])[],
  figure: (sample: readonly T[]) => number,
  options: BootstrapOptions = {},
): Estimate {
  return bootstrapAll(clusters, [figure], options)[0] as Estimate;
}

/** {@link bootstrap} of many figures on the same replicates, which are drawn once. */
export function bootstrapAll<T>(
  clusters: readonly (readonly T[])[],
  figures: readonly ((sample: readonly T[]) => number)[],
  options: BootstrapOptions = {},
): Estimate[] {
  const { replicates = 2000, seed = 1, level = 0.95 } = options;
  if (!Number.isInteger(replicates) || replicates < 1)
    throw invalidArgument('replicates', 'an integer of at least 1', replicates);
  checkLevel(level);
  const list = Array.isArray(clusters);
  const wrong = list ? clusters.findIndex((own) => !Array.isArray(own)) : -1;
  if (!list || wrong >= 0)
    throw invalidArgument(
      list ? `clusters[${wrong}]` : 'clusters',
      list ? 'an array of what belongs to one patient' : 'an array of arrays',
      list ? clusters[wrong] : clusters,
    );
  const n = clusters.length;
  const random = generator(seed);
  const found = figures.map(() => [] as number[]);
  for (let r = 0; r < replicates && n > 1; r++) {
    const sample: T[] = [];
    for (let i = 0; i < n; i++)
      for (const item of clusters[Math.floor(random() * n)] as readonly T[]) sample.push(item);
    figures.forEach((figure, k) => {
      const f = figure(sample);
      if (!Number.isNaN(f)) found[k]?.push(f);
    });
  }
  const all = clusters.flat();
  return figures.map((figure, k) => {
    const sorted = Float64Array.from(found[k] ?? []).sort();
    return {
      value: figure(all),
      low: n < 2 ? Number.NaN : quantile(sorted, (1 - level) / 2),
      high: n < 2 ? Number.NaN : quantile(sorted, (1 + level) / 2),
      n,
    };
  });
}

function checkLevel(level: number): void {
  if (!(level > 0 && level < 1)) throw invalidArgument('level', 'a number between 0 and 1', level);
}

/** Linear interpolation between order statistics (Hyndman & Fan 1996, type 7) of values in ascending order; NaN of none. */
export function quantile(sorted: ArrayLike<number>, q: number): number {
  if (sorted.length === 0) return Number.NaN;
  const at = q * (sorted.length - 1);
  const below = Math.floor(at);
  const a = sorted[below] as number;
  const b = sorted[Math.min(below + 1, sorted.length - 1)] as number;
  // Infinite figures have quantiles too: 0 times infinity is none.
  return a === b || at === below ? a : a + (at - below) * (b - a);
}

/** The middle value, or the mean of the two; NaN of none. */
export function median(values: ArrayLike<number>): number {
  return quantile(Float64Array.from(values).sort(), 0.5);
}

/**
 * Wilson's score interval of a proportion (Wilson 1927, doi 10.1080/01621459.1927.10502953), for independent trials; NaN of none.
 * @throws RenvoxError InvalidArgument
 */
export function wilson(successes: number, trials: number, level = 0.95): Estimate {
  if (!(Number.isInteger(trials) && trials >= 0))
    throw invalidArgument('trials', 'an integer of at least 0', trials);
  if (!(Number.isInteger(successes) && successes >= 0 && successes <= trials))
    throw invalidArgument('successes', `an integer from 0 to ${trials}`, successes);
  checkLevel(level);
  const z = normalQuantile(0.5 + level / 2);
  const value = successes / trials;
  const centre = (value + z ** 2 / (2 * trials)) / (1 + z ** 2 / trials);
  const half =
    (z / (1 + z ** 2 / trials)) *
    Math.sqrt((value * (1 - value)) / trials + z ** 2 / (4 * trials ** 2));
  return { value, low: Math.max(0, centre - half), high: Math.min(1, centre + half), n: trials };
}
