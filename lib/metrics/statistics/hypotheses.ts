/** Tests of hypotheses, all two-sided. Where a test says nothing (too few values, no spread) its p is NaN, never 0 or 1 by accident. */
import { invalidArgument } from '../../errors.js';
import { chiSquareUpper, normalQuantile, normalUpper, studentTwoSided } from './distributions.js';
import { ranked } from './ranks.js';

export interface TestResult {
  readonly statistic: number;
  readonly p: number;
}
export interface TestWithDegrees extends TestResult {
  readonly degreesOfFreedom: number;
}
export interface RankTest extends TestResult {
  /** `exact`: by counting all orders; `normal`: by the normal approximation with correction for ties. */
  readonly method: 'exact' | 'normal';
}

/** Checks a sample: finite numbers. */
function checked(parameter: string, values: ArrayLike<number>, least = 0): Float64Array {
  const sample = Float64Array.from(values);
  const bad = sample.findIndex((v) => !Number.isFinite(v));
  if (bad >= 0)
    throw invalidArgument(parameter, 'finite numbers', `${sample[bad]} at index ${bad}`);
  if (sample.length < least)
    throw invalidArgument(parameter, `at least ${least} values`, `${sample.length}`);
  return sample;
}

export function mean(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i] as number;
  return sum / values.length;
}

/** Unbiased variance; NaN for fewer than two values. */
export function variance(values: ArrayLike<number>): number {
  const m = mean(values);
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += ((values[i] as number) - m) ** 2;
  return values.length > 1 ? sum / (values.length - 1) : Number.NaN;
}

/**
 * Welch's t test of equal means with unequal variances (Welch 1947, doi 10.2307/2332510).
 * @throws RenvoxError InvalidArgument where a value is not finite
 */
export function welchT(a: ArrayLike<number>, b: ArrayLike<number>): TestWithDegrees {
  const x = checked('a', a);
  const y = checked('b', b);
  const va = variance(x) / x.length;
  const vb = variance(y) / y.length;
  const statistic = (mean(x) - mean(y)) / Math.sqrt(va + vb);
  const degreesOfFreedom = (va + vb) ** 2 / (va ** 2 / (x.length - 1) + vb ** 2 / (y.length - 1));
  return { statistic, degreesOfFreedom, p: studentTwoSided(statistic, degreesOfFreedom) };
}

/**
 * Mann-Whitney U of `a` over `b`: pairs where a's value is greater, ties counting half (Mann & Whitney 1947, doi
 * 10.1214/aoms/1177730491). Exact where nothing is tied and the smaller sample has at most 8 values, else normal with continuity
 * correction.
 * @throws RenvoxError InvalidArgument where a value is not finite
 */
export function mannWhitney(a: ArrayLike<number>, b: ArrayLike<number>): RankTest {
  const x = checked('a', a);
  const y = checked('b', b);
  const n = x.length + y.length;
  const { ranks, ties } = ranked([...x, ...y]);
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += ranks[i] as number;
  const statistic = sum - (x.length * (x.length + 1)) / 2;
  const pairs = x.length * y.length;
  if (pairs === 0) return { statistic: Number.NaN, p: Number.NaN, method: 'normal' };
  const greater = Math.max(statistic, pairs - statistic);
  if (ties === 0 && Math.min(x.length, y.length) <= 8)
    return { statistic, p: exactMannWhitney(x.length, y.length, greater), method: 'exact' };
  const sigma = Math.sqrt((pairs / 12) * (n + 1 - ties / (n * (n - 1))));
  const z = (greater - pairs / 2 - 0.5) / sigma;
  const p = sigma === 0 ? Number.NaN : Math.min(1, 2 * normalUpper(z));
  return { statistic, p, method: 'normal' };
}

/** Twice P(U >= u). The distribution is that of partitions into m parts of at most n: a Gaussian binomial coefficient. */
function exactMannWhitney(m: number, n: number, u: number): number {
  const degree = m * n;
  const counts = new Float64Array(degree + 1);
  counts[0] = 1;
  for (let i = 1; i <= m; i++) {
    for (let k = degree; k >= n + i; k--)
      counts[k] = (counts[k] as number) - (counts[k - n - i] as number);
    for (let k = i; k <= degree; k++) counts[k] = (counts[k] as number) + (counts[k - i] as number);
  }
  let all = 0;
  let tail = 0;
  for (let k = 0; k <= degree; k++) {
    all += counts[k] as number;
    if (k >= u) tail += counts[k] as number;
  }
  return Math.min(1, (2 * tail) / all);
}

/**
 * Kruskal-Wallis H of equal distributions of three or more groups (two work too), corrected for ties; p by chi-square (Kruskal & Wallis
 * 1952, doi 10.1080/01621459.1952.10483441). Empty groups are left out.
 * @throws RenvoxError InvalidArgument where a value is not finite
 */
export function kruskalWallis(groups: readonly ArrayLike<number>[]): TestWithDegrees {
  const samples = groups.map((g, i) => checked(`groups[${i}]`, g)).filter((g) => g.length > 0);
  const { ranks, ties } = ranked(samples.flatMap((g) => [...g]));
  const n = ranks.length;
  let from = 0;
  let sum = 0;
  for (const { length } of samples) {
    let own = 0;
    for (let i = from; i < from + length; i++) own += ranks[i] as number;
    sum += own ** 2 / length;
    from += length;
  }
  const h = (12 / (n * (n + 1))) * sum - 3 * (n + 1);
  const statistic = h / (1 - ties / (n ** 3 - n));
  const degreesOfFreedom = samples.length - 1;
  const p = degreesOfFreedom < 1 ? Number.NaN : chiSquareUpper(statistic, degreesOfFreedom);
  return { statistic, degreesOfFreedom, p };
}

export interface ChiSquareOptions {
  /** Yates' continuity correction of a 2x2 table. Default true, as R and scipy. */
  correction?: boolean;
}

/**
 * Pearson's chi-square test of independence of a table of counts, rows by columns. Rows and columns without counts are left out.
 * @throws RenvoxError InvalidArgument where a count is negative or not finite, or rows differ in length
 */
export function chiSquare(
  table: readonly ArrayLike<number>[],
  { correction = true }: ChiSquareOptions = {},
): TestWithDegrees {
  const width = table[0]?.length ?? 0;
  const all = table.map((row, i) => {
    if (row.length !== width) throw invalidArgument(`table[${i}]`, `${width} counts`, row.length);
    const values = checked(`table[${i}]`, row);
    if (values.some((v) => v < 0)) throw invalidArgument(`table[${i}]`, 'counts', [...values]);
    return values;
  });
  const rows = all.filter((row) => row.some((v) => v > 0));
  const columns = Array.from({ length: width }, (_, j) => j).filter((j) =>
    rows.some((row) => (row[j] as number) > 0),
  );
  const rowSums = rows.map((row) => row.reduce((a, b) => a + b, 0));
  const columnSums = columns.map((j) => rows.reduce((a, row) => a + (row[j] as number), 0));
  const total = rowSums.reduce((a, b) => a + b, 0);
  const degreesOfFreedom = Math.max(0, rows.length - 1) * Math.max(0, columns.length - 1);
  let statistic = 0;
  rows.forEach((row, i) => {
    columns.forEach((j, k) => {
      const expected = ((rowSums[i] as number) * (columnSums[k] as number)) / total;
      let off = Math.abs((row[j] as number) - expected);
      if (correction && degreesOfFreedom === 1) off -= Math.min(0.5, off);
      statistic += off ** 2 / expected;
    });
  });
  if (degreesOfFreedom < 1) return { statistic: Number.NaN, degreesOfFreedom, p: Number.NaN };
  return { statistic, degreesOfFreedom, p: chiSquareUpper(statistic, degreesOfFreedom) };
}

export interface Correlation {
  readonly r: number;
  readonly p: number;
  /** Interval of `level` by Fisher's transformation; NaN for fewer than four pairs. */
  readonly low: number;
  readonly high: number;
  readonly n: number;
}

/**
 * Pearson's correlation, p by Student's t. NaN where a side has no spread.
 * @throws RenvoxError InvalidArgument where lengths differ or a value is not finite
 */
export function pearson(x: ArrayLike<number>, y: ArrayLike<number>, level = 0.95): Correlation {
  const a = checked('x', x);
  const b = checked('y', y);
  if (a.length !== b.length) throw invalidArgument('y', `${a.length} values, as x`, b.length);
  const n = a.length;
  const ma = mean(a);
  const mb = mean(b);
  let saa = 0;
  let sbb = 0;
  let sab = 0;
  for (let i = 0; i < n; i++) {
    const da = (a[i] as number) - ma;
    const db = (b[i] as number) - mb;
    saa += da * da;
    sbb += db * db;
    sab += da * db;
  }
  const r = Math.max(-1, Math.min(1, sab / Math.sqrt(saa * sbb)));
  const t = r * Math.sqrt((n - 2) / (1 - r * r));
  const p = n < 3 ? Number.NaN : studentTwoSided(t, n - 2);
  const half = n > 3 ? normalQuantile(0.5 + level / 2) / Math.sqrt(n - 3) : Number.NaN;
  return { r, p, low: Math.tanh(Math.atanh(r) - half), high: Math.tanh(Math.atanh(r) + half), n };
}

export interface SignedRankTest extends RankTest {
  /** Pairs that differ. */
  readonly n: number;
}

/**
 * Wilcoxon's signed rank test of paired values (Wilcoxon 1945, doi 10.2307/3001968): pairs without difference are dropped, the statistic is
 * the smaller of the two rank sums. Exact for at most 50 pairs without ties or zeros, else normal without continuity correction.
 * @throws RenvoxError InvalidArgument where lengths differ or a value is not finite
 */
export function wilcoxonSignedRank(x: ArrayLike<number>, y: ArrayLike<number>): SignedRankTest {
  const a = checked('x', x);
  const b = checked('y', y);
  if (a.length !== b.length) throw invalidArgument('y', `${a.length} values, as x`, b.length);
  const differences = a.map((v, i) => v - (b[i] as number)).filter((d) => d !== 0);
  const n = differences.length;
  if (n === 0) return { statistic: Number.NaN, p: Number.NaN, method: 'normal', n };
  const { ranks, ties } = ranked(differences.map(Math.abs));
  let positive = 0;
  for (let i = 0; i < n; i++) if ((differences[i] as number) > 0) positive += ranks[i] as number;
  const total = (n * (n + 1)) / 2;
  const statistic = Math.min(positive, total - positive);
  if (n <= 50 && ties === 0 && n === a.length)
    return { statistic, p: exactSignedRank(n, statistic), method: 'exact', n };
  const sigma = Math.sqrt((n * (n + 1) * (2 * n + 1) - ties / 2) / 24);
  const z = (total / 2 - statistic) / sigma;
  return { statistic, p: Math.min(1, 2 * normalUpper(z)), method: 'normal', n };
}

/** Twice P(W <= w): each rank is in the sum or not. */
function exactSignedRank(n: number, w: number): number {
  const total = (n * (n + 1)) / 2;
  const share = new Float64Array(total + 1);
  share[0] = 1;
  for (let rank = 1; rank <= n; rank++)
    for (let k = total; k >= 0; k--)
      share[k] = 0.5 * ((share[k] as number) + (k >= rank ? (share[k - rank] as number) : 0));
  let tail = 0;
  for (let k = 0; k <= w; k++) tail += share[k] as number;
  return Math.min(1, 2 * tail);
}

/**
 * Holm's adjustment of a family of p values (Holm 1979, jstor 4615733), in the order given: the adjusted p is below alpha exactly where
 * the step-down procedure rejects at alpha. NaN stays NaN and does not count.
 * @throws RenvoxError InvalidArgument
 */
export function holm(p: readonly number[]): number[] {
  if (!Array.isArray(p)) throw invalidArgument('p', 'an array of p values', p);
  for (const [i, value] of p.entries())
    if (typeof value !== 'number' || value < 0 || value > 1)
      throw invalidArgument(`p[${i}]`, 'a number from 0 to 1, or NaN', value);
  const order = p.map((_, i) => i).filter((i) => !Number.isNaN(p[i]));
  order.sort((a, b) => (p[a] as number) - (p[b] as number));
  const adjusted = p.map(() => Number.NaN);
  let most = 0;
  order.forEach((i, rank) => {
    most = Math.max(most, Math.min(1, (order.length - rank) * (p[i] as number)));
    adjusted[i] = most;
  });
  return adjusted;
}
