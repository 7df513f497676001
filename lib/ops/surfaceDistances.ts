import { invalidArgument } from '../errors.js';
import type { Tensor } from '../tensor.js';
import { checkInteger } from './check.js';
import { checkCells, checkGrid, checkSameGrid, checkSpacing } from './label-map.js';

export interface SurfaceOptions {
  /** mm along [d, h, w]. */
  spacing: readonly [number, number, number];
  /** The values (1..255) that count as foreground in both maps. Default: all but 0. */
  labels?: readonly number[];
  /** Percentiles of the directed distances, 0..100, interpolated linearly between order statistics. Default [95]. */
  percentiles?: readonly number[];
  /** In mm: how many distances are at most this. Default none. */
  tolerances?: readonly number[];
  /** Room for the distances themselves. Default 0: they are not kept. */
  capacity?: number;
  /** What the surfaces are made of, see {@link surfaceDistances}. Default voxels. */
  surface?: 'voxels' | 'elements';
}

/** Figures of the distances from one surface to another, in mm. */
export interface DirectedFigures {
  /** Surface voxels, or elements, that distances were taken from. */
  readonly count: number;
  /** Of the elements, mm^2; NaN for surface voxels. */
  readonly area: number;
  /** Of the distances; for elements of distance times area, mm^3. */
  readonly sum: number;
  /** By area for elements. */
  readonly mean: number;
  readonly maximum: number;
  /** In the order asked for. */
  readonly percentiles: readonly number[];
  /** Distances within each tolerance, in the order asked for; for elements the area, mm^2, of those. */
  readonly within: readonly number[];
}

/** {@link SurfaceDistances.summary}, read. */
export interface SurfaceFigures {
  readonly voxelsA: number;
  readonly voxelsB: number;
  readonly voxelsBoth: number;
  readonly ab: DirectedFigures;
  readonly ba: DirectedFigures;
}

export interface SurfaceDistances {
  /** f64: the figures, for {@link surfaceFigures}. */
  readonly summary: Tensor;
  /** f64 [capacity]: distances in raster order of the surface voxels (elements) of `a`, NaN behind the last; null for capacity 0. */
  readonly distancesAB: Tensor | null;
  /** The same from `b` to `a`. */
  readonly distancesBA: Tensor | null;
}

/**
 * Distances in mm between the surfaces of two masks, exact, in double: from the centre of each surface voxel to that of the nearest one of
 * the other mask. A surface voxel is a foreground voxel with one of its six neighbours in the background or outside the volume.
 *
 * With `surface: 'elements'` (google-deepmind/surface-distance, the definition of KiTS' official evaluation) places are the centres of the
 * cells of 2x2x2 voxels that the marching-cubes surface passes, outside the volume being background, and each weighs as much as the area of
 * its surface: sums and means are by area, a tolerance gives an area, a percentile is the first distance at which the share of the area
 * reaches it.
 *
 * If one mask is empty, sums, maxima and percentiles are infinite; if both are, all figures of distance are NaN.
 * @param a - u8, i16 or i32; [D, H, W], [1, D, H, W] or [1, D, H, W, 1]
 * @param b - the same grid; the type may differ
 * @throws RenvoxError DtypeMismatch, ShapeMismatch, InvalidArgument
 */
export function surfaceDistances(a: Tensor, b: Tensor, options: SurfaceOptions): SurfaceDistances {
  const grid = checkGrid('surfaceDistances', 'a', a);
  checkSameGrid('surfaceDistances', 'b', checkGrid('surfaceDistances', 'b', b), grid);
  const { spacing, labels = [], percentiles = [95], tolerances = [], capacity = 0 } = options;
  const { surface = 'voxels' } = options;
  if (surface !== 'voxels' && surface !== 'elements')
    throw invalidArgument('surface of surfaceDistances', 'voxels or elements', surface);
  if (surface === 'elements') checkCells('surfaceDistances', 'a', grid);
  checkSpacing('surfaceDistances', spacing);
  const list = (
    name: string,
    values: readonly number[],
    rule: (n: number) => boolean,
    is: string,
  ) => {
    if (!Array.isArray(values) || !values.every(rule))
      throw invalidArgument(`${name} of surfaceDistances`, is, values);
  };
  const isLabel = (n: number) => Number.isInteger(n) && n >= 1 && n <= 255;
  list('labels', labels, isLabel, 'integers from 1 to 255');
  list('percentiles', percentiles, (p) => p >= 0 && p <= 100, 'numbers from 0 to 100');
  list('tolerances', tolerances, (mm) => mm >= 0, 'numbers of at least 0');
  checkInteger('surfaceDistances', 'capacity', capacity, 0, 2 ** 31 - 1);
  const [summary, distancesAB, distancesBA] = a.device.run('surfaceDistances', {
    a,
    b,
    spacing,
    labels,
    percentiles,
    tolerances,
    capacity,
    surface,
  }) as [Tensor, Tensor | null, Tensor | null];
  return { summary, distancesAB, distancesBA };
}

/** Figures in front of the percentiles: native/ops/labels.h, SurfaceFigure. */
const head = 11;

/** Reads a summary of {@link surfaceDistances}; `percentiles` is how many of them were asked for. */
export function surfaceFigures(values: ArrayLike<number>, percentiles = 1): SurfaceFigures {
  const at = (i: number) => values[i] as number;
  const directed = (side: 0 | 1): DirectedFigures => {
    const list: number[] = [];
    for (let i = head + side; i < values.length; i += 2) list.push(at(i));
    const [count, area, sum] = [at(3 + side), at(5 + side), at(7 + side)];
    return {
      ...{ count, area, sum },
      mean: Number.isFinite(sum) ? sum / (Number.isNaN(area) ? count : area) : sum,
      maximum: at(9 + side),
      percentiles: list.slice(0, percentiles),
      within: list.slice(percentiles),
    };
  };
  return {
    voxelsA: at(0),
    voxelsB: at(1),
    voxelsBoth: at(2),
    ab: directed(0),
    ba: directed(1),
  };
}
