/**
 * Distances between surfaces made of elements: the marching-cubes surface of each mask, every element weighted by its area. The definition of
 * google-deepmind/surface-distance, which KiTS' official evaluation uses.
 */
import type { Device } from '../device.js';
import { invalidArgument } from '../errors.js';
import { surfaceDistances, surfaceFigures } from '../ops/index.js';
import { scope } from '../scope.js';
import { download, type Tensor } from '../tensor.js';
import type { Triple } from '../volume/index.js';
import { type MaskState, maskState } from './agreement.js';
import { commonGeometry, deviceFor, type LabelSource, labelTensor } from './label-source.js';

export interface SurfaceElementOptions {
  /** Voxels along [d, h, w]; needed where both maps are plain arrays. */
  shape?: Triple;
  /** mm along [d, h, w]; needed where neither map is a volume. */
  spacing?: Triple;
  /** Values (1..255) that count as foreground in both maps. Default: all but 0. */
  labels?: readonly number[];
  /** mm; of the normalised surface Dice. Default [1]. */
  tolerances?: readonly number[];
  /** 0..100; of the robust Hausdorff distance. Default [95]. */
  percentiles?: readonly number[];
  /** Default: that of a tensor among the maps, else {@link defaultDevice}. */
  device?: Device;
  /** Stops between operations. */
  signal?: AbortSignal;
}

/** Figures in mm and mm^2. One mask empty: distances are infinite; both: NaN. */
export interface SurfaceElementFigures {
  readonly state: MaskState;
  readonly areaTruth: number;
  readonly areaPrediction: number;
  /** Larger of the two directed greatest distances. */
  readonly hausdorff: number;
  /** Larger of the two directed percentiles, each the first distance at which the share of the area reaches it; in the order asked for. */
  readonly percentiles: readonly number[];
  /** Mean over the truth's surface of the distance to the prediction's, by area. */
  readonly meanTruthToPrediction: number;
  readonly meanPredictionToTruth: number;
  /** Area of both surfaces within each tolerance of the other, over the area of both: 0 where one mask is empty, NaN where both are. */
  readonly surfaceDice: readonly number[];
  /** Share of the truth's surface within each tolerance of the prediction's; NaN where it has none. */
  readonly overlapTruth: readonly number[];
  readonly overlapPrediction: readonly number[];
}

/**
 * @throws RenvoxError ShapeMismatch where shapes or spacings differ; InvalidArgument, DtypeMismatch, DeviceMismatch, AbortError,
 * OutOfMemory
 */
export async function surfaceElements(
  truth: LabelSource,
  prediction: LabelSource,
  options: SurfaceElementOptions = {},
): Promise<SurfaceElementFigures> {
  const { shape, spacing } = commonGeometry(truth, prediction, options);
  const { labels, tolerances = [1], percentiles = [95] } = options;
  if (labels?.length === 0) throw invalidArgument('labels', 'at least one', labels);
  const device = deviceFor(options.device, truth, prediction);
  return scope(() =>
    elementFigures(
      labelTensor('truth', truth, shape, device),
      labelTensor('prediction', prediction, shape, device),
      { spacing, percentiles, tolerances, signal: options.signal, ...(labels && { labels }) },
    ),
  );
}

/** The same of tensors on one grid and device; nothing but the figures comes back from it. In a {@link scope}. */
export async function elementFigures(
  truth: Tensor,
  prediction: Tensor,
  options: {
    readonly spacing: Triple;
    readonly labels?: readonly number[];
    readonly percentiles: readonly number[];
    readonly tolerances: readonly number[];
    readonly signal?: AbortSignal | undefined;
  },
): Promise<SurfaceElementFigures> {
  const { signal, ...measured } = options;
  const { summary } = truth.device.under({ signal }, () =>
    surfaceDistances(truth, prediction, { ...measured, surface: 'elements' }),
  );
  const [values] = await download([summary]);
  const figures = surfaceFigures(values as Float64Array, options.percentiles.length);
  const { voxelsA, voxelsB, ab, ba } = figures;
  const both = ab.area + ba.area;
  return {
    state: maskState(voxelsA, voxelsB),
    areaTruth: ab.area,
    areaPrediction: ba.area,
    hausdorff: Math.max(ab.maximum, ba.maximum),
    percentiles: ab.percentiles.map((p, i) => Math.max(p, ba.percentiles[i] as number)),
    meanTruthToPrediction: ab.mean,
    meanPredictionToTruth: ba.mean,
    surfaceDice: ab.within.map((area, i) => (area + (ba.within[i] as number)) / both),
    overlapTruth: ab.within.map((area) => area / ab.area),
    overlapPrediction: ba.within.map((area) => area / ba.area),
  };
}
