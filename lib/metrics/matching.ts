/** Instances: which predicted component is which true one, and what follows from it. */
import { invalidArgument } from '../errors.js';

/** Voxels that true instance `truth` and predicted instance `prediction` share; both 0-based, both at least one voxel. */
export interface InstanceOverlap {
  readonly truth: number;
  readonly prediction: number;
  readonly voxels: number;
}

export interface MatchingOptions {
  /**
   * `maximum`: as many pairs as possible, and among those with the greatest sum of IoU (assignment); `greedy`: pairs by falling IoU, as
   * they come. Default maximum.
   */
  method?: 'maximum' | 'greedy';
  /** Pairs count from this IoU on. Default 0: any voxel shared. */
  iou?: number;
}

export interface Pair {
  readonly truth: number;
  readonly prediction: number;
  readonly iou: number;
  readonly dice: number;
}

export interface Matching {
  /** By falling IoU. */
  readonly pairs: readonly Pair[];
  /** True instances without a partner. */
  readonly missed: readonly number[];
  /** Predicted instances without a partner. */
  readonly spurious: readonly number[];
  readonly truePositives: number;
  readonly falsePositives: number;
  readonly falseNegatives: number;
  /** TP / (TP + FP); NaN where nothing was predicted. */
  readonly precision: number;
  /** TP / (TP + FN); NaN where there is nothing to find. */
  readonly recall: number;
  /** 2 TP / (2 TP + FP + FN); NaN where there is neither. */
  readonly f1: number;
  /** Mean IoU of the pairs: segmentation quality; NaN of none. */
  readonly segmentationQuality: number;
  /** TP / (TP + FP / 2 + FN / 2): recognition quality, which is {@link f1}. */
  readonly recognitionQuality: number;
  /**
   * Sum of the pairs' IoU / (TP + FP / 2 + FN / 2): panoptic quality (Kirillov et al. 2019, arXiv 1801.00868), which is segmentation
   * quality times recognition quality; NaN where there is neither.
   */
  readonly panopticQuality: number;
}

/**
 * One-to-one matching of true and predicted instances.
 * @param truth - voxels of each true instance
 * @param prediction - voxels of each predicted instance
 * @param overlaps - the pairs that share voxels, each once
 * @throws RenvoxError InvalidArgument
 */
export function matchInstances(
  truth: ArrayLike<number>,
  prediction: ArrayLike<number>,
  overlaps: readonly InstanceOverlap[],
  { method = 'maximum', iou: least = 0 }: MatchingOptions = {},
): Matching {
  if (method !== 'maximum' && method !== 'greedy')
    throw invalidArgument('method', 'maximum or greedy', method);
  if (!(least >= 0 && least <= 1)) throw invalidArgument('iou', 'a number from 0 to 1', least);
  const candidates = overlaps
    .map(({ truth: i, prediction: j, voxels }) => {
      const a = truth[i];
      const b = prediction[j];
      if (!(a !== undefined && b !== undefined && voxels >= 1 && voxels <= Math.min(a, b)))
        throw invalidArgument(
          'overlaps',
          'pairs of instances that share at most the voxels they have',
          JSON.stringify({ truth: i, prediction: j, voxels }),
        );
      return {
        ...{ truth: i, prediction: j },
        iou: voxels / (a + b - voxels),
        dice: (2 * voxels) / (a + b),
      };
    })
    .filter((pair) => pair.iou >= least)
    .sort((p, q) => q.iou - p.iou || p.truth - q.truth || p.prediction - q.prediction);
  const pairs = method === 'greedy' ? greedy(candidates) : maximum(candidates);
  const seenTruth = new Set(pairs.map((p) => p.truth));
  const seenPrediction = new Set(pairs.map((p) => p.prediction));
  const missed = Array.from(truth, (_, i) => i).filter((i) => !seenTruth.has(i));
  const spurious = Array.from(prediction, (_, j) => j).filter((j) => !seenPrediction.has(j));
  const tp = pairs.length;
  const fp = spurious.length;
  const fn = missed.length;
  const sum = pairs.reduce((s, p) => s + p.iou, 0);
  return {
    ...{ pairs, missed, spurious },
    ...{ truePositives: tp, falsePositives: fp, falseNegatives: fn },
    precision: tp / (tp + fp),
    recall: tp / (tp + fn),
    f1: (2 * tp) / (2 * tp + fp + fn),
    segmentationQuality: sum / tp,
    recognitionQuality: tp / (tp + fp / 2 + fn / 2),
    panopticQuality: sum / (tp + fp / 2 + fn / 2),
  };
}

function greedy(candidates: readonly Pair[]): Pair[] {
  const truths = new Set<number>();
  const predictions = new Set<number>();
  return candidates.filter(({ truth, prediction }) => {
    if (truths.has(truth) || predictions.has(prediction)) return false;
    truths.add(truth);
    predictions.add(prediction);
    return true;
  });
}

/**
 * A matching of greatest size and, among those, of greatest sum of IoU: augmenting paths of least cost, one pair more each time (successive
 * shortest paths by Bellman-Ford, since costs -IoU and their reversals have both signs; instances are few).
 */
function maximum(candidates: readonly Pair[]): Pair[] {
  const partner = new Map<number, Pair>(); // of a prediction
  const matched = new Set<number>(); // truths
  const truths = [...new Set(candidates.map((c) => c.truth))];
  for (;;) {
    // Cheapest alternating path from any free truth to each truth and prediction.
    const toTruth = new Map<number, number>(
      truths.filter((i) => !matched.has(i)).map((i) => [i, 0]),
    );
    const toPrediction = new Map<number, { cost: number; by: Pair }>();
    for (let changed = true; changed; ) {
      changed = false;
      for (const pair of candidates) {
        const from = toTruth.get(pair.truth);
        if (from === undefined || partner.get(pair.prediction) === pair) continue;
        const cost = from - pair.iou;
        const known = toPrediction.get(pair.prediction);
        // Rounding must not keep a cycle of equal cost turning.
        if (known && cost >= known.cost - 1e-12) continue;
        toPrediction.set(pair.prediction, { cost, by: pair });
        const own = partner.get(pair.prediction);
        if (own) toTruth.set(own.truth, cost + own.iou);
        changed = true;
      }
    }
    let end: { cost: number; by: Pair } | undefined;
    for (const [prediction, reached] of toPrediction)
      if (!partner.has(prediction) && (!end || reached.cost < end.cost)) end = reached;
    if (!end) break;
    for (let step: Pair | undefined = end.by; step; ) {
      const truth: number = step.truth;
      const before: Pair | undefined = [...partner.values()].find((p) => p.truth === truth);
      partner.set(step.prediction, step);
      if (!before) matched.add(truth);
      else partner.delete(before.prediction);
      step = before && toPrediction.get(before.prediction)?.by;
    }
  }
  return [...partner.values()].sort((p, q) => q.iou - p.iou || p.truth - q.truth);
}

/** A predicted instance with its score: whether it was matched to a true one, and the case it is of. */
export interface ScoredDetection {
  readonly score: number;
  readonly hit: boolean;
}

export interface FrocPoint {
  readonly threshold: number;
  readonly sensitivity: number;
  readonly falsePositivesPerCase: number;
}

/**
 * Free-response ROC: sensitivity against false positives per case as the threshold falls through the scores.
 * @param detections - those without a score may have -Infinity: they come last
 * @param lesions - true instances in all cases; of none the sensitivity is NaN
 * @param cases - number of cases, with and without lesions
 * @throws RenvoxError InvalidArgument for a score that is NaN, more hits than lesions, no case
 */
export function froc(
  detections: readonly ScoredDetection[],
  lesions: number,
  cases: number,
): FrocPoint[] {
  checkDetections(detections, lesions);
  if (!(Number.isInteger(cases) && cases >= 1))
    throw invalidArgument('cases', 'an integer of at least 1', cases);
  const points: FrocPoint[] = [];
  walk(detections, (threshold, hits, misses) => {
    points.push({
      threshold,
      sensitivity: lesions === 0 ? Number.NaN : hits / lesions,
      falsePositivesPerCase: misses / cases,
    });
  });
  return points;
}

/**
 * Average precision: area under the interpolated precision-recall curve, all points (Everingham et al. 2010, doi 10.1007/s11263-009-0275-4,
 * as of VOC 2010). NaN where there is nothing to find.
 * @throws RenvoxError InvalidArgument for a score that is NaN, more hits than lesions
 */
export function averagePrecision(detections: readonly ScoredDetection[], lesions: number): number {
  checkDetections(detections, lesions);
  if (lesions === 0) return Number.NaN;
  const points: [number, number][] = [];
  walk(detections, (_, hits, misses) => {
    points.push([hits / lesions, hits / (hits + misses)]);
  });
  let area = 0;
  let best = 0;
  for (let i = points.length - 1; i >= 0; i--) {
    const [recall, precision] = points[i] as [number, number];
    best = Math.max(best, precision);
    area += best * (recall - (points[i - 1]?.[0] ?? 0));
  }
  return area;
}

function checkDetections(detections: readonly ScoredDetection[], lesions: number): void {
  if (!Array.isArray(detections))
    throw invalidArgument('detections', 'an array of {score, hit}', detections);
  if (!(Number.isInteger(lesions) && lesions >= 0))
    throw invalidArgument('lesions', 'an integer of at least 0', lesions);
  let hits = 0;
  for (const [i, { score, hit }] of detections.entries()) {
    if (typeof score !== 'number' || Number.isNaN(score))
      throw invalidArgument(`detections[${i}].score`, 'a number', score);
    if (hit) hits++;
  }
  // Each hit is a lesion of its own: matching is one-to-one.
  if (lesions > 0 && hits > lesions)
    throw invalidArgument('detections', `at most ${lesions} hits, one a lesion`, hits);
}

/** Visits the detections by falling score, those of one score together: a threshold cannot part them. */
function walk(
  detections: readonly ScoredDetection[],
  visit: (threshold: number, hits: number, misses: number) => void,
): void {
  const sorted = [...detections].sort((a, b) => b.score - a.score);
  let hits = 0;
  sorted.forEach(({ score, hit }, i) => {
    if (hit) hits++;
    if (sorted[i + 1]?.score !== score) visit(score, hits, i + 1 - hits);
  });
}
