/** Classification: true and predicted classes and probabilities in, figures out. */
import { invalidArgument } from '../errors.js';
import { normalQuantile } from './statistics/distributions.js';
import { ranked } from './statistics/ranks.js';

/** Figures of one class against all others. NaN where the denominator is zero. */
export interface ClassFigures {
  /** Share of those called this class that are: TP / (TP + FP). */
  readonly precision: number;
  /** Share of those of this class that are called so: TP / (TP + FN). */
  readonly recall: number;
  /** TN / (TN + FP). */
  readonly specificity: number;
  /** 2 TP / (2 TP + FP + FN). */
  readonly f1: number;
  /** Cases of this class. */
  readonly support: number;
  readonly truePositives: number;
  readonly falsePositives: number;
  readonly falseNegatives: number;
  readonly trueNegatives: number;
}

export interface ClassificationReport {
  readonly classes: readonly string[];
  /** confusion[i][j]: cases of class i that are called class j; the last column counts those called nothing. */
  readonly confusion: readonly (readonly number[])[];
  readonly perClass: Readonly<Record<string, ClassFigures>>;
  /** Share of all cases that are called right. */
  readonly accuracy: number;
  /** Mean recall of the classes that occur. */
  readonly balancedAccuracy: number;
  /** Mean F1 of the classes that occur or are called. */
  readonly macroF1: number;
  readonly n: number;
}

/** A case: its class, and the class it is called; null where it is called none, which counts as wrong. */
export interface Call {
  readonly truth: string;
  readonly predicted: string | null;
}

/**
 * Confusion matrix and what follows from it.
 * @throws RenvoxError InvalidArgument for a class that is not in `classes`
 */
export function classificationReport(
  calls: readonly Call[],
  classes: readonly string[],
): ClassificationReport {
  const index = new Map(classes.map((name, i) => [name, i]));
  const confusion = classes.map(() => new Array<number>(classes.length + 1).fill(0));
  for (const { truth, predicted } of calls) {
    const i = index.get(truth);
    const j = predicted === null ? classes.length : index.get(predicted);
    if (i === undefined) throw invalidArgument('truth', classes.join(' or '), truth);
    if (j === undefined) throw invalidArgument('predicted', classes.join(' or '), predicted);
    const row = confusion[i] as number[];
    row[j] = (row[j] as number) + 1;
  }
  const at = (i: number, j: number) => confusion[i]?.[j] as number;
  const n = calls.length;
  let right = 0;
  const recalls: number[] = [];
  const perClass: Record<string, ClassFigures> = {};
  classes.forEach((name, c) => {
    const tp = at(c, c);
    const truth = (confusion[c] as number[]).reduce((a, b) => a + b, 0);
    const called = classes.reduce((sum, _, i) => sum + at(i, c), 0);
    const fn = truth - tp;
    const fp = called - tp;
    right += tp;
    if (truth > 0) recalls.push(tp / truth);
    perClass[name] = {
      precision: tp / called,
      recall: tp / truth,
      specificity: (n - truth - fp) / (n - truth),
      f1: (2 * tp) / (2 * tp + fp + fn),
      support: truth,
      truePositives: tp,
      falsePositives: fp,
      falseNegatives: fn,
      trueNegatives: n - truth - fp,
    };
  });
  const f1s = Object.values(perClass).map((c) => c.f1);
  return {
    classes,
    confusion,
    perClass,
    accuracy: right / n,
    balancedAccuracy: mean(recalls),
    macroF1: mean(f1s.filter((f1) => !Number.isNaN(f1))),
    n,
  };
}

/** NaN of none. */
function mean(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}

export interface Auc {
  readonly auc: number;
  /** DeLong's interval on the logit scale, so that it stays in 0..1; the value itself where it is 0 or 1. */
  readonly low: number;
  readonly high: number;
  readonly standardError: number;
  readonly positives: number;
  readonly negatives: number;
}

/**
 * Area under the ROC curve with DeLong's variance (DeLong et al. 1988, doi 10.2307/2531595; by mid-ranks, Sun & Xu 2014, doi
 * 10.1109/LSP.2014.2337313). Ties count half. NaN where one side has no cases.
 * @throws RenvoxError InvalidArgument where lengths differ or a score is not finite
 */
export function rocAuc(scores: ArrayLike<number>, positive: ArrayLike<boolean>, level = 0.95): Auc {
  if (!(level > 0 && level < 1)) throw invalidArgument('level', 'a number between 0 and 1', level);
  const { positives, negatives } = split(scores, positive);
  const m = positives.length;
  const n = negatives.length;
  if (m === 0 || n === 0) {
    const none = Number.NaN;
    return { auc: none, low: none, high: none, standardError: none, positives: m, negatives: n };
  }
  const all = ranked([...positives, ...negatives]).ranks;
  const own = ranked(positives).ranks;
  const other = ranked(negatives).ranks;
  // Placements: the share of the other side that a case beats.
  const v10 = Float64Array.from(
    { length: m },
    (_, i) => ((all[i] as number) - (own[i] as number)) / n,
  );
  const v01 = Float64Array.from(
    { length: n },
    (_, j) => 1 - ((all[m + j] as number) - (other[j] as number)) / m,
  );
  const auc = v10.reduce((a, b) => a + b, 0) / m;
  const spread = (v: Float64Array) =>
    v.length > 1 ? v.reduce((s, x) => s + (x - auc) ** 2, 0) / (v.length - 1) / v.length : 0;
  const standardError = Math.sqrt(spread(v10) + spread(v01));
  const inside = auc > 0 && auc < 1;
  const half = inside ? (normalQuantile(0.5 + level / 2) * standardError) / (auc * (1 - auc)) : 0;
  const logit = Math.log(auc / (1 - auc));
  const back = (x: number) => 1 / (1 + Math.exp(-x));
  return {
    auc,
    low: inside ? back(logit - half) : auc,
    high: inside ? back(logit + half) : auc,
    standardError,
    positives: m,
    negatives: n,
  };
}

/**
 * {@link rocAuc} of each class against all others.
 * @param probabilities - per case one score a class, in the order of `classes`
 * @throws RenvoxError InvalidArgument
 */
export function oneVsRestAuc(
  probabilities: readonly ArrayLike<number>[],
  truth: readonly string[],
  classes: readonly string[],
  level = 0.95,
): Record<string, Auc> {
  if (probabilities.length !== truth.length)
    throw invalidArgument('truth', `${probabilities.length} classes, one a case`, truth.length);
  const stray = truth.find((name) => !classes.includes(name));
  if (stray !== undefined) throw invalidArgument('truth', classes.join(' or '), stray);
  const short = probabilities.findIndex((p) => p.length !== classes.length);
  if (short >= 0)
    throw invalidArgument(
      `probabilities[${short}]`,
      `${classes.length} numbers, one a class`,
      probabilities[short]?.length,
    );
  const entries = classes.map((name, c) => {
    const scores = probabilities.map((p) => p[c] as number);
    const positive = truth.map((own) => own === name);
    return [name, rocAuc(scores, positive, level)] as const;
  });
  return Object.fromEntries(entries);
}

export interface OperatingPoint {
  /** Called positive: score >= threshold. */
  readonly threshold: number;
  readonly sensitivity: number;
  readonly specificity: number;
  readonly precision: number;
}

/** The ROC curve: a point for each different score from the highest down, after one at infinity where nothing is called positive. */
export function rocCurve(
  scores: ArrayLike<number>,
  positive: ArrayLike<boolean>,
): OperatingPoint[] {
  const { positives, negatives } = split(scores, positive);
  const thresholds = [...new Set([...positives, ...negatives])].sort((a, b) => b - a);
  const up = positives.sort().reverse();
  const down = negatives.sort().reverse();
  let tp = 0;
  let fp = 0;
  return [Number.POSITIVE_INFINITY, ...thresholds].map((threshold) => {
    while (tp < up.length && (up[tp] as number) >= threshold) tp++;
    while (fp < down.length && (down[fp] as number) >= threshold) fp++;
    return {
      threshold,
      sensitivity: tp / up.length,
      specificity: 1 - fp / down.length,
      precision: tp / (tp + fp),
    };
  });
}

/**
 * The operating point of greatest Youden index (sensitivity + specificity - 1), or, with `sensitivity`, that of greatest specificity among
 * those of at least this sensitivity. Undefined where one side has no cases.
 */
export function operatingPoint(
  scores: ArrayLike<number>,
  positive: ArrayLike<boolean>,
  options: { sensitivity?: number } = {},
): OperatingPoint | undefined {
  const { sensitivity } = options;
  let best: OperatingPoint | undefined;
  let most = Number.NEGATIVE_INFINITY;
  for (const point of rocCurve(scores, positive)) {
    if (sensitivity !== undefined && !(point.sensitivity >= sensitivity)) continue;
    const worth =
      sensitivity === undefined ? point.sensitivity + point.specificity : point.specificity;
    if (worth > most) {
      most = worth;
      best = point;
    }
  }
  return best;
}

export interface CalibrationBin {
  /** Mean of the greatest probabilities in the bin; NaN of an empty bin. */
  readonly confidence: number;
  /** Share that is right. */
  readonly accuracy: number;
  readonly n: number;
}

export interface Calibration {
  /** Expected calibration error: sum over bins of n / N * |accuracy - confidence| (Naeini et al. 2015, doi 10.1609/aaai.v29i1.9602). */
  readonly ece: number;
  /** Mean over cases of the sum over classes of (p - [is it])^2 (Brier 1950), 0..2. */
  readonly brier: number;
  readonly bins: readonly CalibrationBin[];
}

/**
 * How well probabilities tell how often they are right.
 * @param probabilities - per case one probability a class, in the order of `classes`
 * @param bins - equal widths over 0..1. Default 10.
 * @throws RenvoxError InvalidArgument
 */
export function calibration(
  probabilities: readonly ArrayLike<number>[],
  truth: readonly string[],
  classes: readonly string[],
  bins = 10,
): Calibration {
  if (probabilities.length !== truth.length)
    throw invalidArgument('truth', `${probabilities.length} classes, one a case`, truth.length);
  if (!Number.isInteger(bins) || bins < 1)
    throw invalidArgument('bins', 'an integer of at least 1', bins);
  const sums = Array.from({ length: bins }, () => ({ confidence: 0, right: 0, n: 0 }));
  let brier = 0;
  probabilities.forEach((p, i) => {
    const own = classes.indexOf(truth[i] as string);
    if (own < 0) throw invalidArgument(`truth[${i}]`, classes.join(' or '), truth[i]);
    const values = Array.from(p);
    if (values.length !== classes.length || !values.every((v) => v >= 0 && v <= 1))
      throw invalidArgument(`probabilities[${i}]`, `${classes.length} numbers from 0 to 1`, values);
    values.forEach((v, c) => {
      brier += (v - (c === own ? 1 : 0)) ** 2;
    });
    const confidence = Math.max(...values);
    const bin = sums[Math.min(bins - 1, Math.floor(confidence * bins))];
    if (!bin) return;
    bin.confidence += confidence;
    bin.right += values.indexOf(confidence) === own ? 1 : 0;
    bin.n++;
  });
  const n = probabilities.length;
  return {
    ece: sums.reduce((e, b) => e + Math.abs(b.right - b.confidence) / n, 0),
    brier: brier / n,
    bins: sums.map((b) => ({ confidence: b.confidence / b.n, accuracy: b.right / b.n, n: b.n })),
  };
}

function split(scores: ArrayLike<number>, positive: ArrayLike<boolean>) {
  if (scores.length !== positive.length)
    throw invalidArgument('positive', `${scores.length} values, as scores`, positive.length);
  const sides: [number[], number[]] = [[], []];
  for (let i = 0; i < scores.length; i++) {
    const score = scores[i] as number;
    if (!Number.isFinite(score)) throw invalidArgument(`scores[${i}]`, 'a finite number', score);
    sides[positive[i] ? 0 : 1].push(score);
  }
  return {
    positives: Float64Array.from(sides[0]),
    negatives: Float64Array.from(sides[1]),
  };
}
