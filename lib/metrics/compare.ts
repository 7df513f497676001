import type { Device } from '../device.js';
import { invalidArgument } from '../errors.js';
import {
  overlapCounts,
  type SurfaceFigures,
  surfaceDistances,
  surfaceFigures,
} from '../ops/index.js';
import { scope } from '../scope.js';
import { download } from '../tensor.js';
import type { Triple } from '../volume/index.js';
import {
  type Agreement,
  type AgreementJson,
  agreementJson,
  diceOf,
  iouOf,
  maskState,
} from './agreement.js';
import { commonGeometry, deviceFor, type LabelSource, labelTensor } from './label-source.js';
import { notLabels } from './not-labels.js';
import { LABELS, OverlapTable } from './overlap-table.js';

export interface CompareOptions {
  /** Voxels along [d, h, w]; needed where both maps are plain arrays. */
  shape?: Triple;
  /** mm along [d, h, w]; needed where neither map is a volume. */
  spacing?: Triple;
  /** The labels to compare, 1..255. Default: all that occur in either map. */
  labels?: readonly number[];
  /** Default: that of a tensor among the maps, else {@link defaultDevice}. */
  device?: Device;
  /** Stops between operations. */
  signal?: AbortSignal;
}

/** The figures of all compared labels taken together as one region (of the one label, where there is one), and of each. */
export interface Comparison extends Agreement {
  /** By label, written as a decimal number. */
  readonly labels: Readonly<Record<string, Agreement>>;
}

/** What `renvox compare --json` prints. */
export interface ComparisonJson {
  readonly labels: Readonly<Record<string, AgreementJson>>;
}

/**
 * Measures how a predicted label map agrees with the true one: Dice, IoU, and distances between surfaces in mm, exact.
 *
 * Surface voxels are foreground voxels with a face neighbour in the background or outside the volume; distances go between voxel
 * centres. Empty masks: see {@link Agreement}. Two {@link Volume}s must lie on one grid, to 0.01 mm.
 * @throws RenvoxError ShapeMismatch where shapes, spacings or affines differ; InvalidArgument for labels outside 0..255 or not integer;
 * DtypeMismatch, DeviceMismatch, AbortError, OutOfMemory
 */
export async function compare(
  truth: LabelSource,
  prediction: LabelSource,
  options: CompareOptions = {},
): Promise<Comparison> {
  const { shape, spacing } = commonGeometry(truth, prediction, options);
  const wanted = options.labels === undefined ? undefined : checkedLabels(options.labels);
  const device = deviceFor(options.device, truth, prediction);
  const { signal } = options;
  return scope(async () => {
    const a = labelTensor('truth', truth, shape, device);
    const b = labelTensor('prediction', prediction, shape, device);
    const counted = device.under({ signal }, () => overlapCounts(a, b, { labels: LABELS }));
    const [counts, outside] = await download([counted.counts, counted.outside]);
    if (outside[0] !== 0) throw await notLabels({ truth, prediction }, shape);
    const overlap = new OverlapTable(counts);
    const labels = wanted ?? overlap.present();
    const regions = labels.map((label) => [label]);
    if (labels.length !== 1) regions.push([...labels]);
    // Figures of distance exist only where both masks have voxels; the others follow from the counts.
    const measured = device.under({ signal }, () =>
      regions.map((region) => {
        const normal = overlap.truth(region) > 0 && overlap.prediction(region) > 0;
        return normal ? surfaceDistances(a, b, { spacing, labels: region }).summary : undefined;
      }),
    );
    const summaries = await download(measured.filter((tensor) => tensor !== undefined));
    let next = 0;
    const agreements = regions.map((region, i) => {
      const figures = measured[i] && surfaceFigures(summaries[next++] as Float64Array);
      return agreementOf(overlap, region, figures);
    });
    return {
      ...(agreements[agreements.length - 1] as Agreement),
      labels: Object.fromEntries(labels.map((label, i) => [label, agreements[i] as Agreement])),
    };
  });
}

/** The form in which the command line prints a comparison: labels alone, null for what is infinite or undefined. */
export function comparisonJson(comparison: Comparison): ComparisonJson {
  const entries = Object.entries(comparison.labels);
  return {
    labels: Object.fromEntries(
      entries.map(([label, agreement]) => [label, agreementJson(agreement)]),
    ),
  };
}

function agreementOf(
  overlap: OverlapTable,
  region: readonly number[],
  surfaces: SurfaceFigures | undefined,
): Agreement {
  const voxelsTruth = overlap.truth(region);
  const voxelsPrediction = overlap.prediction(region);
  const both = overlap.both(region);
  const state = maskState(voxelsTruth, voxelsPrediction);
  const undefinedDistance = state === 'both_empty' ? Number.NaN : Number.POSITIVE_INFINITY;
  const distance = (of: (s: SurfaceFigures) => number) =>
    surfaces ? of(surfaces) : undefinedDistance;
  return {
    dice: diceOf(both, voxelsTruth, voxelsPrediction),
    iou: iouOf(both, voxelsTruth, voxelsPrediction),
    hausdorff: distance(({ ab, ba }) => Math.max(ab.maximum, ba.maximum)),
    hd95: distance(({ ab, ba }) =>
      Math.max(ab.percentiles[0] as number, ba.percentiles[0] as number),
    ),
    assd: distance(({ ab, ba }) => (ab.sum + ba.sum) / (ab.count + ba.count)),
    voxelsTruth,
    voxelsPrediction,
    state,
  };
}

function checkedLabels(labels: readonly number[]): number[] {
  const good = (n: number) => Number.isInteger(n) && n >= 1 && n < LABELS;
  if (!Array.isArray(labels) || labels.length === 0 || !labels.every(good))
    throw invalidArgument('labels', `integers from 1 to ${LABELS - 1}, at least one`, labels);
  return [...new Set(labels)];
}
