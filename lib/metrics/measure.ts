/** Many figures of many labels from one call. */
import type { Device } from '../device.js';
import { invalidArgument } from '../errors.js';
import {
  overlapCounts,
  type SurfaceFigures,
  surfaceDistances,
  surfaceFigures,
} from '../ops/index.js';
import { scope } from '../scope.js';
import { download, type Tensor } from '../tensor.js';
import type { Triple } from '../volume/index.js';
import { diceOf, iouOf, type MaskState, maskState } from './agreement.js';
import type { Axis } from './component-shapes.js';
import { axialAxisOf } from './components.js';
import {
  type Convention,
  type ConventionName,
  conventionOf,
  type EmptyValue,
} from './conventions.js';
import { hostBox } from './device-box.js';
import { commonGeometry, deviceFor, type LabelSource, labelTensor } from './label-source.js';
import { notLabels } from './not-labels.js';
import { LABELS, OverlapTable } from './overlap-table.js';
import { type RegionSize, regionSize } from './region-sizes.js';
import { quantile } from './statistics/bootstrap.js';
import { elementFigures, type SurfaceElementFigures } from './surface-elements.js';

export interface MeasureOptions {
  /** Voxels along [d, h, w]; needed where both maps are plain arrays. */
  shape?: Triple;
  /** mm along [d, h, w]; needed where neither map is a volume. */
  spacing?: Triple;
  /** Regions by name: the values (1..255) that form each. Default: each label that occurs, by its number. */
  regions?: Readonly<Record<string, readonly number[]>>;
  /** What is said of empty masks, and which surface. Default renvox. */
  conventions?: ConventionName;
  /** 0..100. Default [95]. */
  percentiles?: readonly number[];
  /** mm. Default none. */
  tolerances?: readonly number[];
  /** Whether figures of distance are wanted. Default true. */
  distances?: boolean;
  /** Whether volumes' diameters are wanted: {@link RegionMeasures.sizeTruth}. Default false. */
  sizes?: boolean;
  /** For `sizes`: the axis along which axial slices follow each other. Default: by the affine of a volume among the maps, else 0. */
  axialAxis?: Axis;
  /** Default: that of a tensor among the maps, else {@link defaultDevice}. */
  device?: Device;
  /** Stops between operations. */
  signal?: AbortSignal;
}

/** Of one region. A quotient of nothing by nothing is NaN. */
export interface RegionMeasures {
  readonly state: MaskState;
  readonly voxelsTruth: number;
  readonly voxelsPrediction: number;
  readonly voxelsBoth: number;
  readonly dice: number;
  readonly iou: number;
  /** both / prediction. */
  readonly precision: number;
  /** both / truth. */
  readonly recall: number;
  /** Share of what is not truth that is not predicted. */
  readonly specificity: number;
  readonly volumeTruthMm3: number;
  readonly volumePredictionMm3: number;
  /** Prediction minus truth, mm^3. */
  readonly volumeDifferenceMm3: number;
  /** 1 - |difference| / (truth + prediction). */
  readonly volumeSimilarity: number;
  /** mm; NaN where `distances` is false. */
  readonly hausdorff: number;
  /** mm, in the order asked for. */
  readonly percentiles: readonly number[];
  /** Mean over both surfaces, each place counting once (each area, for elements), or as the convention has it ({@link Convention.assd}), mm. */
  readonly assd: number;
  /** Mean distance of the truth's surface to the prediction's, mm. */
  readonly meanTruthToPrediction: number;
  readonly meanPredictionToTruth: number;
  /** Normalised surface Dice at each tolerance. */
  readonly surfaceDice: readonly number[];
  /** With `sizes`: diameters of the region, all its parts together; null where it is empty. */
  readonly sizeTruth?: RegionSize;
  readonly sizePrediction?: RegionSize;
}

export interface Measures {
  readonly regions: Readonly<Record<string, RegionMeasures>>;
  readonly conventions: ConventionName;
  /** counts[i][j]: voxels of truth i and prediction j, for the labels of `labels` (0 first). */
  readonly confusion: {
    readonly labels: readonly number[];
    readonly counts: readonly (readonly number[])[];
  };
}

/**
 * Overlap and distance of every region, under one tool's conventions.
 * @throws RenvoxError ShapeMismatch, DtypeMismatch, DeviceMismatch; InvalidArgument for labels outside 0..255 and where a convention raises;
 * AbortError, OutOfMemory
 */
export async function measure(
  truth: LabelSource,
  prediction: LabelSource,
  options: MeasureOptions = {},
): Promise<Measures> {
  const { conventions = 'renvox', percentiles = [95], tolerances = [], distances = true } = options;
  const convention: Convention = conventionOf(conventions);
  const { shape, spacing } = commonGeometry(truth, prediction, options);
  const device = deviceFor(options.device, truth, prediction);
  const { signal } = options;
  const axialAxis = axialAxisOf(options.axialAxis, truth, prediction);
  const box = options.sizes
    ? await hostBox({ truth, prediction }, shape, undefined, signal)
    : undefined;
  return scope(async () => {
    const a = labelTensor('truth', truth, shape, device);
    const b = labelTensor('prediction', prediction, shape, device);
    const counted = device.under({ signal }, () => overlapCounts(a, b, { labels: LABELS }));
    const [sums, outside] = await download([counted.counts, counted.outside]);
    if (outside[0] !== 0) throw await notLabels({ truth, prediction }, shape);
    const table = new OverlapTable(sums);
    const labels = [0, ...table.present()];
    const regions = options.regions ?? Object.fromEntries(labels.slice(1).map((v) => [v, [v]]));
    const measured: Record<string, RegionMeasures> = {};
    for (const [name, given] of Object.entries(regions)) {
      const values = checkedValues(name, given);
      const counts = countsOf(table, values);
      const state = maskState(counts.truth, counts.prediction);
      const wanted = { labels: values, spacing, percentiles, tolerances, signal };
      const surfaces = !distances
        ? nothing(percentiles, tolerances)
        : state !== 'normal'
          ? ofEmpty(state, convention, percentiles, tolerances)
          : convention.surface === 'elements'
            ? fromElements(await elementFigures(a, b, wanted), convention)
            : await fromVoxels(a, b, wanted, convention);
      const sizes = box?.maps.map((map) => regionSize(map, box.shape, spacing, axialAxis, values));
      measured[name] = {
        ...overlapOf(counts, state, convention, spacing),
        ...surfaces,
        ...(sizes && { sizeTruth: sizes[0] as RegionSize, sizePrediction: sizes[1] as RegionSize }),
      };
    }
    const counts = labels.map((i) => labels.map((j) => table.at(i, j)));
    return { regions: measured, conventions, confusion: { labels, counts } };
  });
}

/** Each value once: one that is named twice is no more voxels. */
function checkedValues(name: string, values: readonly number[]): number[] {
  const good = (v: number) => Number.isInteger(v) && v >= 1 && v < LABELS;
  if (!Array.isArray(values) || values.length === 0 || !values.every(good))
    throw invalidArgument(`regions.${name}`, 'labels from 1 to 255, at least one', values);
  return [...new Set(values)];
}

interface Counts {
  readonly truth: number;
  readonly prediction: number;
  readonly both: number;
  readonly all: number;
}

function countsOf(table: OverlapTable, values: readonly number[]): Counts {
  return {
    truth: table.truth(values),
    prediction: table.prediction(values),
    both: table.both(values),
    all: table.voxels(),
  };
}

function given(value: EmptyValue, what: string): number {
  if (value === 'raises')
    throw invalidArgument(what, 'masks with voxels (this convention raises)', 'an empty one');
  return value;
}

function overlapOf(
  { truth, prediction, both, all }: Counts,
  state: MaskState,
  { overlap }: Convention,
  spacing: Triple,
) {
  const empty =
    state === 'both_empty'
      ? overlap.bothEmpty
      : state === 'empty_truth'
        ? overlap.emptyTruth
        : overlap.emptyPrediction;
  const voxel = spacing[0] * spacing[1] * spacing[2];
  const [v, w] = [truth * voxel, prediction * voxel];
  return {
    state,
    ...{ voxelsTruth: truth, voxelsPrediction: prediction, voxelsBoth: both },
    dice: state === 'normal' ? diceOf(both, truth, prediction) : given(empty, 'dice'),
    iou: state === 'normal' ? iouOf(both, truth, prediction) : given(empty, 'iou'),
    precision: both / prediction,
    recall: both / truth,
    specificity: (all - truth - prediction + both) / (all - truth),
    ...{ volumeTruthMm3: v, volumePredictionMm3: w, volumeDifferenceMm3: w - v },
    volumeSimilarity: 1 - Math.abs(w - v) / (v + w),
  };
}

/** Of the distances from one surface: their weighted sum, and the sum of the weights. */
type Directed = readonly [sum: number, weight: number];

function meanOfBoth(rule: Convention['assd'], [s, v]: Directed, [t, w]: Directed): number {
  return rule === 'directed' ? (s / v + t / w) / 2 : (s + t) / (v + w);
}

type Surfaces = Pick<
  RegionMeasures,
  | 'hausdorff'
  | 'percentiles'
  | 'assd'
  | 'meanTruthToPrediction'
  | 'meanPredictionToTruth'
  | 'surfaceDice'
>;

function nothing(percentiles: readonly number[], tolerances: readonly number[]): Surfaces {
  const none = Number.NaN;
  return {
    ...{ hausdorff: none, assd: none, meanTruthToPrediction: none, meanPredictionToTruth: none },
    percentiles: percentiles.map(() => none),
    surfaceDice: tolerances.map(() => none),
  };
}

function ofEmpty(
  state: MaskState,
  { distance, surfaceDice }: Convention,
  percentiles: readonly number[],
  tolerances: readonly number[],
): Surfaces {
  const both = state === 'both_empty';
  const d = given(both ? distance.bothEmpty : distance.oneEmpty, 'distances');
  const p = both ? distance.bothEmpty : distance.percentileOneEmpty;
  const s = both ? surfaceDice.bothEmpty : surfaceDice.oneEmpty;
  return {
    ...{ hausdorff: d, assd: d, meanTruthToPrediction: d, meanPredictionToTruth: d },
    percentiles: percentiles.map(() => given(p, 'percentiles')),
    surfaceDice: tolerances.map(() => given(s, 'surfaceDice')),
  };
}

function fromElements(f: SurfaceElementFigures, { assd }: Convention): Surfaces {
  const [m, n] = [f.meanTruthToPrediction, f.meanPredictionToTruth];
  return {
    hausdorff: f.hausdorff,
    percentiles: f.percentiles,
    assd: meanOfBoth(
      assd,
      [m * f.areaTruth, f.areaTruth],
      [n * f.areaPrediction, f.areaPrediction],
    ),
    ...{ meanTruthToPrediction: m, meanPredictionToTruth: n },
    surfaceDice: f.surfaceDice,
  };
}

async function fromVoxels(
  a: Tensor,
  b: Tensor,
  wanted: {
    labels: readonly number[];
    spacing: Triple;
    percentiles: readonly number[];
    tolerances: readonly number[];
    signal: AbortSignal | undefined;
  },
  { percentile, assd }: Convention,
): Promise<Surfaces> {
  const { signal, ...options } = wanted;
  const { percentiles } = options;
  const { device } = a;
  const first = device.under({ signal }, () => surfaceDistances(a, b, options));
  const [summary] = await download([first.summary]);
  const figures: SurfaceFigures = surfaceFigures(summary as Float64Array, percentiles.length);
  const { ab, ba } = figures;
  const places = ab.count + ba.count;
  let found = ab.percentiles.map((p, i) => Math.max(p, ba.percentiles[i] as number));
  if (percentile === 'pooled' && percentiles.length > 0) {
    const capacity = Math.max(ab.count, ba.count);
    const full = device.under({ signal }, () => surfaceDistances(a, b, { ...options, capacity }));
    const lists = await download([full.distancesAB as Tensor, full.distancesBA as Tensor]);
    const pooled = new Float64Array(places);
    pooled.set((lists[0] as Float64Array).subarray(0, ab.count));
    pooled.set((lists[1] as Float64Array).subarray(0, ba.count), ab.count);
    pooled.sort();
    found = percentiles.map((p) => quantile(pooled, p / 100));
  }
  return {
    hausdorff: Math.max(ab.maximum, ba.maximum),
    percentiles: found,
    assd: meanOfBoth(assd, [ab.sum, ab.count], [ba.sum, ba.count]),
    ...{ meanTruthToPrediction: ab.mean, meanPredictionToTruth: ba.mean },
    surfaceDice: ab.within.map((n, i) => (n + (ba.within[i] as number)) / places),
  };
}
