/**
 * Distances between surfaces made of elements: the marching-cubes surface of each mask, every element weighted by its area. The definition of
 * google-deepmind/surface-distance, which KiTS' official evaluation uses.
 */
import { type Device, defaultDevice } from '../device.js';
import { invalidArgument } from '../errors.js';
import { distanceTransform } from '../ops/index.js';
import { scope } from '../scope.js';
import { download, Tensor } from '../tensor.js';
import type { Triple } from '../volume/index.js';
import { type MaskState, maskState } from './agreement.js';
import { commonGeometry, hostLabels, type LabelSource } from './label-source.js';
import { NORMALS_TIMES_8 } from './surface-normals.js';

export interface SurfaceElementOptions {
  /** Voxels along [d, h, w]; needed where both maps are plain arrays. */
  shape?: Triple;
  /** mm along [d, h, w]; needed where neither map is a volume. */
  spacing?: Triple;
  /** Values that count as foreground in both maps. Default: all but 0. */
  labels?: readonly number[];
  /** mm; of the normalised surface Dice. Default [1]. */
  tolerances?: readonly number[];
  /** 0..100; of the robust Hausdorff distance. Default [95]. */
  percentiles?: readonly number[];
  /** Default: that of a tensor among the maps, else {@link defaultDevice}. */
  device?: Device;
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
 * @throws RenvoxError ShapeMismatch where shapes or spacings differ; InvalidArgument, DtypeMismatch, OutOfMemory
 */
export async function surfaceElements(
  truth: LabelSource,
  prediction: LabelSource,
  options: SurfaceElementOptions = {},
): Promise<SurfaceElementFigures> {
  const { shape, spacing } = commonGeometry(truth, prediction, options);
  const { tolerances = [1], percentiles = [95] } = options;
  for (const t of tolerances)
    if (!(t >= 0)) throw invalidArgument('tolerances', 'numbers of at least 0 mm', tolerances);
  for (const p of percentiles)
    if (!(p >= 0 && p <= 100))
      throw invalidArgument('percentiles', 'numbers from 0 to 100', percentiles);
  const device = options.device ?? deviceOf(truth) ?? deviceOf(prediction) ?? defaultDevice();
  const a = await hostLabels('truth', truth, shape);
  const b = await hostLabels('prediction', prediction, shape);
  const member = membership(options.labels);
  const cells = new Cells(a, b, shape, member);
  const state = maskState(cells.voxelsA, cells.voxelsB);
  const area = areas(spacing);
  const [ab, ba] =
    state === 'normal'
      ? [
          await directed(cells.codesA, cells.codesB, cells.shape, spacing, area, device),
          await directed(cells.codesB, cells.codesA, cells.shape, spacing, area, device),
        ]
      : [unreached(cells.codesA, area), unreached(cells.codesB, area)];
  const nothing = state === 'both_empty' ? Number.NaN : Number.POSITIVE_INFINITY;
  const distance = (of: (side: Directed) => number) =>
    state === 'normal' ? Math.max(of(ab), of(ba)) : nothing;
  return {
    state,
    areaTruth: ab.area,
    areaPrediction: ba.area,
    hausdorff: distance((side) => side.distances.at(-1) as number),
    percentiles: percentiles.map((p) => distance((side) => side.percentile(p))),
    meanTruthToPrediction: state === 'normal' ? ab.mean : nothing,
    meanPredictionToTruth: state === 'normal' ? ba.mean : nothing,
    surfaceDice: tolerances.map((t) => (ab.within(t) + ba.within(t)) / (ab.area + ba.area)),
    overlapTruth: tolerances.map((t) => ab.within(t) / ab.area),
    overlapPrediction: tolerances.map((t) => ba.within(t) / ba.area),
  };
}

function deviceOf(source: LabelSource): Device | undefined {
  return source instanceof Tensor ? source.device : undefined;
}

function membership(labels: readonly number[] | undefined): (value: number) => boolean {
  if (labels === undefined) return (value) => value !== 0;
  const good = labels.length > 0 && labels.every((v) => Number.isInteger(v) && v > 0);
  if (!good) throw invalidArgument('labels', 'positive integers, at least one', labels);
  const set = new Set(labels);
  return (value) => set.has(value);
}

/**
 * Occupancy codes of both masks on the corner grid of their joint box: corner (d, h, w) is that of the voxels (d-1..d, h-1..h, w-1..w), what
 * lies outside being empty. Bit 128 >> (4 w + 2 h + d) is that of the voxel on the low or high side along each axis: the reference tool counts
 * the file's axes, w first.
 */
class Cells {
  readonly shape: Triple;
  readonly codesA: Uint8Array;
  readonly codesB: Uint8Array;
  voxelsA = 0;
  voxelsB = 0;

  constructor(
    a: ArrayLike<number>,
    b: ArrayLike<number>,
    [depth, height, width]: Triple,
    member: (value: number) => boolean,
  ) {
    const low = [depth, height, width] as [number, number, number];
    const high = [-1, -1, -1] as [number, number, number];
    for (let d = 0, at = 0; d < depth; d++)
      for (let h = 0; h < height; h++)
        for (let w = 0; w < width; w++, at++) {
          const inA = (a[at] as number) !== 0 && member(a[at] as number);
          const inB = (b[at] as number) !== 0 && member(b[at] as number);
          if (!inA && !inB) continue;
          if (inA) this.voxelsA++;
          if (inB) this.voxelsB++;
          if (d < low[0]) low[0] = d;
          if (h < low[1]) low[1] = h;
          if (w < low[2]) low[2] = w;
          if (d > high[0]) high[0] = d;
          if (h > high[1]) high[1] = h;
          if (w > high[2]) high[2] = w;
        }
    const size = high.map((n, i) => Math.max(0, n - (low[i] as number) + 1)) as [
      number,
      number,
      number,
    ];
    this.shape = [size[0] + 1, size[1] + 1, size[2] + 1];
    const [, rows, columns] = this.shape;
    const encode = (x: ArrayLike<number>): Uint8Array => {
      const codes = new Uint8Array(this.shape[0] * rows * columns);
      for (let d = 0; d < size[0]; d++)
        for (let h = 0; h < size[1]; h++) {
          const from = ((d + low[0]) * height + h + low[1]) * width + low[2];
          for (let w = 0; w < size[2]; w++) {
            const value = x[from + w] as number;
            if (value === 0 || !member(value)) continue;
            // The voxel is on the high side of its own corner and on the low side of the next ones.
            for (let k = 0; k < 8; k++) {
              const [kd, kh, kw] = [k & 1, (k >> 1) & 1, k >> 2];
              const corner = ((d + 1 - kd) * rows + h + 1 - kh) * columns + w + 1 - kw;
              codes[corner] = (codes[corner] as number) | (128 >> k);
            }
          }
        }
      return codes;
    };
    this.codesA = encode(a);
    this.codesB = encode(b);
  }
}

const onSurface = (code: number) => code !== 0 && code !== 255;

/** Area in mm^2 of each code's elements. */
function areas([sd, sh, sw]: Triple): Float64Array {
  return Float64Array.from(NORMALS_TIMES_8, (normals) => {
    let area = 0;
    for (let i = 0; i < normals.length; i += 3) {
      const [nw = 0, nh = 0, nd = 0] = [normals[i], normals[i + 1], normals[i + 2]];
      area += Math.hypot((nw / 8) * sh * sd, (nh / 8) * sw * sd, (nd / 8) * sw * sh);
    }
    return area;
  });
}

/** Elements of one surface by rising distance to the other. */
class Directed {
  readonly distances: Float64Array;
  /** Running sums of area, mm^2. */
  readonly cumulative: Float64Array;
  readonly area: number;
  readonly mean: number;

  constructor(distances: Float64Array, elementAreas: Float64Array) {
    const order = Uint32Array.from(distances, (_, i) => i);
    order.sort((i, j) => (distances[i] as number) - (distances[j] as number));
    this.distances = Float64Array.from(order, (i) => distances[i] as number);
    this.cumulative = new Float64Array(order.length);
    let area = 0;
    let weighted = 0;
    order.forEach((i, rank) => {
      area += elementAreas[i] as number;
      weighted += (elementAreas[i] as number) * (distances[i] as number);
      this.cumulative[rank] = area;
    });
    this.area = area;
    this.mean = weighted / area;
  }

  /** The number of elements at the front of which `before` holds. */
  #count(before: (i: number) => boolean): number {
    let low = 0;
    let high = this.distances.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (before(middle)) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  percentile(p: number): number {
    const at = this.#count((i) => (this.cumulative[i] as number) / this.area < p / 100);
    return this.distances[Math.min(at, this.distances.length - 1)] as number;
  }

  /** Area of the elements at most `tolerance` away. */
  within(tolerance: number): number {
    const n = this.#count((i) => (this.distances[i] as number) <= tolerance);
    return n === 0 ? 0 : (this.cumulative[n - 1] as number);
  }
}

async function directed(
  from: Uint8Array,
  to: Uint8Array,
  shape: Triple,
  spacing: Triple,
  area: Float64Array,
  device: Device,
): Promise<Directed> {
  const squared = await scope(async () => {
    const sites = to.map((code) => (onSurface(code) ? 1 : 0));
    const mask = device.tensor(sites, { shape: [...shape] });
    const found = distanceTransform(mask, {
      ...{ spacing: [...spacing], to: 'foreground', squared: true, dtype: 'f64' },
    });
    return (await download([found]))[0] as Float64Array;
  });
  const count = from.reduce((n, code) => n + (onSurface(code) ? 1 : 0), 0);
  const distances = new Float64Array(count);
  const elements = new Float64Array(count);
  let next = 0;
  for (let at = 0; at < from.length; at++) {
    const code = from[at] as number;
    if (!onSurface(code)) continue;
    distances[next] = Math.sqrt(squared[at] as number);
    elements[next++] = area[code] as number;
  }
  return new Directed(distances, elements);
}

/** A surface with nothing to measure to. */
function unreached(codes: Uint8Array, area: Float64Array): Directed {
  const elements = Float64Array.from(codes.filter(onSurface), (code) => area[code] as number);
  return new Directed(new Float64Array(elements.length).fill(Number.POSITIVE_INFINITY), elements);
}
