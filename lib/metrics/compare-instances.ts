/** Two label maps as sets of instances: which were found, how well each, and which were missed. */
import type { Device } from '../device.js';
import { invalidArgument } from '../errors.js';
import { type Connectivity, surfaceDistances, surfaceFigures } from '../ops/index.js';
import { scope } from '../scope.js';
import { download } from '../tensor.js';
import { type Triple, Volume } from '../volume/index.js';
import type { Axis } from './component-shapes.js';
import { axialAxisOf, type Component, componentList, componentsOf } from './components.js';
import { hostBox } from './device-box.js';
import { commonGeometry, deviceFor, type LabelSource } from './label-source.js';
import {
  type InstanceOverlap,
  type Matching,
  type MatchingOptions,
  matchInstances,
  type Pair,
} from './matching.js';
import { median } from './statistics/bootstrap.js';

export interface CompareInstancesOptions extends MatchingOptions {
  /** Voxels along [d, h, w]; needed where both maps are plain arrays. */
  shape?: Triple;
  /** mm along [d, h, w]; needed where neither map is a volume. */
  spacing?: Triple;
  /** The labels (1..255) that instances are made of. Default: all but 0. */
  labels?: readonly number[];
  /**
   * `components`: each connected component is an instance. `values`: the maps number their instances themselves, one value each (up to 255),
   * whose voxels need not touch. Default components.
   */
  instances?: 'components' | 'values';
  /**
   * Of components: whether neighbouring voxels of different labels are apart, and instances are matched within their label alone. Default
   * false: what is found counts as found whatever it is called.
   */
  perLabel?: boolean;
  /** Neighbours of a voxel. Default 26. */
  connectivity?: Connectivity;
  /** Whether the pairs' distances are wanted. Default true. */
  distances?: boolean;
  /** The axis along which axial slices follow each other. Default: by the affine of a volume among the maps, else 0. */
  axialAxis?: Axis;
  /** Default: that of a tensor among the maps, else {@link defaultDevice}. */
  device?: Device;
  /** Stops between operations. */
  signal?: AbortSignal;
}

/** A true instance and what was predicted of it; distances between surfaces as in {@link compare}, mm, NaN where not wanted. */
export interface InstancePair extends Pair {
  readonly hausdorff: number;
  readonly hd95: number;
  readonly assd: number;
}

export interface InstanceComparison extends Matching {
  readonly pairs: readonly InstancePair[];
  /** The instances that `truth` in a pair and `missed` number. */
  readonly truth: readonly Component[];
  readonly prediction: readonly Component[];
  /** All pairs that share voxels: with {@link matchInstances} the figures at other thresholds follow without another look at the maps. */
  readonly overlaps: readonly InstanceOverlap[];
  /** Mean Dice over true instances, 0 for each missed one; NaN where there are none. */
  readonly meanDice: number;
  /** Mean Dice over all instances, 0 for each missed and each spurious one, as BraTS 2023 takes it "lesion-wise". */
  readonly lesionwiseDice: number;
  /** Median HD95 over true instances, mm, infinite for each missed one: misses make it rise, never fall. */
  readonly medianHd95: number;
  /** With `perLabel`, the matching of each label's instances alone; they are numbered as in the whole. */
  readonly byLabel: Readonly<Record<string, Matching>>;
}

/**
 * Compares two maps instance by instance: one-to-one matching, detection figures, panoptic quality, and Dice and distances of each pair.
 *
 * Missed instances are counted, never dropped: they are in `missed`, in every mean as 0 and in the median as infinity.
 * @throws RenvoxError ShapeMismatch, DtypeMismatch; InvalidArgument for labels outside 0..255 and bad options; AbortError, OutOfMemory
 */
export async function compareInstances(
  truth: LabelSource,
  prediction: LabelSource,
  options: CompareInstancesOptions = {},
): Promise<InstanceComparison> {
  const { instances = 'components', perLabel = false, distances = true } = options;
  if (instances !== 'components' && instances !== 'values')
    throw invalidArgument('instances', 'components or values', instances);
  if (instances === 'values' && perLabel)
    throw invalidArgument('perLabel', 'false where values are instances', perLabel);
  const { shape, spacing } = commonGeometry(truth, prediction, options);
  const maps = [truth, prediction];
  const axialAxis = axialAxisOf(options.axialAxis, ...maps);
  const device = deviceFor(options.device, ...maps);
  const box = await hostBox({ truth, prediction }, shape, options.labels, options.signal);
  const find = async (labels: Uint8Array) => {
    const volume = maps.find((map) => map instanceof Volume);
    const common = { spacing, axialAxis, offset: box.offset, volume };
    const { signal, connectivity = 26 } = options;
    if (instances === 'components')
      return componentsOf(labels, box.shape, { ...common, device, signal, perLabel, connectivity });
    const map = numbered(labels);
    return { map, list: componentList(map, labels, box.shape, common) };
  };
  const [a, b] = [await find(box.maps[0] as Uint8Array), await find(box.maps[1] as Uint8Array)];
  const overlaps = instanceOverlaps(a.map, b.map, b.list.length).filter(
    (o) => !perLabel || a.list[o.truth]?.label === b.list[o.prediction]?.label,
  );
  const sizes = (list: readonly Component[]) => list.map((c) => c.voxels);
  const matching = matchInstances(sizes(a.list), sizes(b.list), overlaps, options);
  const pairs: InstancePair[] = [];
  for (const pair of matching.pairs) {
    const found = distances
      ? await pairDistances(pair, a, b, box, spacing, device, options.signal)
      : { hausdorff: Number.NaN, hd95: Number.NaN, assd: Number.NaN };
    pairs.push({ ...pair, ...found });
  }
  const dice = pairs.reduce((sum, pair) => sum + pair.dice, 0);
  const hd95 = [...pairs.map((p) => p.hd95), ...matching.missed.map(() => Infinity)];
  return {
    ...matching,
    ...{ pairs, overlaps, truth: a.list, prediction: b.list },
    meanDice: dice / a.list.length,
    lesionwiseDice: dice / (pairs.length + matching.missed.length + matching.spurious.length),
    medianHd95: distances ? median(hd95) : Number.NaN,
    byLabel: perLabel ? matchingByLabel(a.list, b.list, overlaps, options) : {},
  };
}

/**
 * Voxels that each pair of instances shares, by rising truth and prediction.
 * @param a - per voxel the true instance, 1.., 0 none
 * @param b - the predicted ones of the same voxels, 1..predictions
 */
export function instanceOverlaps(
  a: Int32Array,
  b: Int32Array,
  predictions: number,
): InstanceOverlap[] {
  const width = predictions + 1;
  const counts = new Map<number, number>();
  for (let at = 0; at < a.length; at++) {
    const [i, j] = [a[at] as number, b[at] as number];
    if (i === 0 || j === 0) continue;
    counts.set(i * width + j, (counts.get(i * width + j) ?? 0) + 1);
  }
  return [...counts]
    .sort(([p], [q]) => p - q)
    .map(([key, voxels]) => ({
      truth: Math.floor(key / width) - 1,
      prediction: (key % width) - 1,
      voxels,
    }));
}

/** Values as numbers from 1 on, in raster order of their first voxels, as components are numbered. */
function numbered(labels: Uint8Array): Int32Array {
  const numbers = new Int32Array(256);
  let next = 1;
  const map = new Int32Array(labels.length);
  for (let at = 0; at < map.length; at++) {
    const value = labels[at] as number;
    if (value === 0) continue;
    if (numbers[value] === 0) numbers[value] = next++;
    map[at] = numbers[value] as number;
  }
  return map;
}

/** Distances between the surfaces of one pair, in the joint box of the two: an instance is whole in it. */
async function pairDistances(
  { truth, prediction }: Pair,
  a: { map: Int32Array; list: readonly Component[] },
  b: { map: Int32Array; list: readonly Component[] },
  box: { shape: Triple; offset: Triple },
  spacing: Triple,
  device: Device,
  signal: AbortSignal | undefined,
): Promise<Pick<InstancePair, 'hausdorff' | 'hd95' | 'assd'>> {
  const both = [a.list[truth] as Component, b.list[prediction] as Component];
  const edge = (axis: Axis) => {
    const low = Math.min(...both.map((c) => c.low[axis])) - box.offset[axis];
    const high = Math.max(...both.map((c) => c.high[axis])) - box.offset[axis];
    return [low, high - low + 1] as const;
  };
  const [d, h, w] = [edge(0), edge(1), edge(2)];
  const shape: Triple = [d[1], h[1], w[1]];
  const mask = (map: Int32Array, id: number) => {
    const result = new Uint8Array(shape[0] * shape[1] * shape[2]);
    for (let z = 0, to = 0; z < shape[0]; z++)
      for (let y = 0; y < shape[1]; y++) {
        const from = ((z + d[0]) * box.shape[1] + y + h[0]) * box.shape[2] + w[0];
        for (let x = 0; x < shape[2]; x++, to++) if (map[from + x] === id) result[to] = 1;
      }
    return result;
  };
  const summary = await scope(async () => {
    const on = (voxels: Uint8Array) => device.tensor(voxels, { shape: [...shape], borrow: true });
    const [x, y] = [on(mask(a.map, truth + 1)), on(mask(b.map, prediction + 1))];
    const found = device.under({ signal }, () => surfaceDistances(x, y, { spacing }));
    return (await download([found.summary]))[0] as Float64Array;
  });
  const { ab, ba } = surfaceFigures(summary);
  return {
    hausdorff: Math.max(ab.maximum, ba.maximum),
    hd95: Math.max(ab.percentiles[0] as number, ba.percentiles[0] as number),
    assd: (ab.sum + ba.sum) / (ab.count + ba.count),
  };
}

function matchingByLabel(
  truth: readonly Component[],
  prediction: readonly Component[],
  overlaps: readonly InstanceOverlap[],
  options: MatchingOptions,
): Record<string, Matching> {
  const labels = [...new Set([...truth, ...prediction].map((c) => c.label))].sort((a, b) => a - b);
  const of = (list: readonly Component[], label: number) =>
    list.flatMap((c, i) => (c.label === label ? [i] : []));
  const entries = labels.map((label) => {
    const [own, others] = [of(truth, label), of(prediction, label)];
    const sizes = (list: readonly Component[], places: number[]) =>
      places.map((i) => (list[i] as Component).voxels);
    const local = overlaps
      .filter((o) => truth[o.truth]?.label === label)
      .map((o) => ({
        truth: own.indexOf(o.truth),
        prediction: others.indexOf(o.prediction),
        voxels: o.voxels,
      }));
    const found = matchInstances(sizes(truth, own), sizes(prediction, others), local, options);
    const global: Matching = {
      ...found,
      pairs: found.pairs.map((p) => ({
        ...p,
        truth: own[p.truth] as number,
        prediction: others[p.prediction] as number,
      })),
      missed: found.missed.map((i) => own[i] as number),
      spurious: found.spurious.map((j) => others[j] as number),
    };
    return [label, global] as const;
  });
  return Object.fromEntries(entries);
}
