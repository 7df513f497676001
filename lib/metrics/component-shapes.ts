/**
 * Size, place and diameters of every component of a map in one pass over it. Per component it keeps the hull of the slice that is being read
 * and the corners of the hulls of those before (some dozen a slice), so memory is that of the surface at most.
 */
import type { Triple } from '../volume/index.js';
import { type DiameterName, sphereDiameterMm } from './diameter.js';
import { type Calipers, calipers, greater, PlaneHull } from './plane-hull.js';

export interface ComponentShape {
  readonly voxels: number;
  readonly volumeMm3: number;
  /** Mean voxel index [d, h, w]. */
  readonly centroid: Triple;
  /** Bounding box: first and last voxel along [d, h, w], both inside. */
  readonly low: Triple;
  readonly high: Triple;
  /**
   * Feret diameter: the largest distance between the centres of two voxels, mm, exact. Of centres, as all distances of this package are; so one
   * voxel has 0, and a caliper laid from edge to edge reads up to a voxel's diagonal more.
   */
  readonly feretMm: number;
  /** On the axial slice where it is longest, edge to edge of the voxels, mm. */
  readonly longAxisMm: number;
  /** Extent perpendicular to the long axis on its slice, edge to edge, mm. */
  readonly shortAxisMm: number;
  /** By definition ({@link DiameterName}), mm. */
  readonly averageDiameterMm: Readonly<Record<DiameterName, number>>;
}

/** An axis of [d, h, w]. */
export type Axis = 0 | 1 | 2;

/**
 * Shapes of components 1..count; undefined where one has no voxel.
 * @param map - 0 background, 1..count the components; shape [d, h, w]
 * @param spacing - mm along [d, h, w]
 * @param axialAxis - the axis that axial slices follow each other along
 */
export function componentShapes(
  map: ArrayLike<number>,
  shape: Triple,
  spacing: Triple,
  axialAxis: Axis,
  count: number,
): (ComponentShape | undefined)[] {
  // Slices outermost; of the other two the one that lies closer in memory innermost.
  const order: Order = axialAxis === 0 ? [0, 1, 2] : axialAxis === 1 ? [1, 0, 2] : [2, 0, 1];
  const stride = [shape[1] * shape[2], shape[2], 1] as const;
  const [outer, middle, inner] = order;
  const step = stride[inner];
  const length = shape[inner];
  const growing = new Array<Growing | undefined>(count).fill(undefined);
  for (let i = 0; i < shape[outer]; i++)
    for (let j = 0; j < shape[middle]; j++) {
      const row = i * stride[outer] + j * stride[middle];
      for (let k = 0; k < length; ) {
        const id = map[row + k * step] as number;
        const first = k++;
        if (id === 0) continue;
        while (k < length && map[row + k * step] === id) k++;
        let own = growing[id - 1];
        if (own === undefined) {
          own = new Growing(order, spacing);
          growing[id - 1] = own;
        }
        own.add(i, j, first, k - 1);
      }
    }
  return growing.map((own) => own?.shape());
}

type Order = readonly [Axis, Axis, Axis];

/** Of one component, along the axes in the order of the pass. */
class Growing {
  readonly #order: Order;
  readonly #spacing: Triple;
  readonly #mm: Triple;
  readonly #hull = new PlaneHull();
  /** Slice, row, column of each corner of each slice's hull. */
  readonly #corners: number[] = [];
  #calipers: Calipers = { long: 0, short: 0 };
  #voxels = 0;
  readonly #sums: [number, number, number] = [0, 0, 0];
  readonly #low: [number, number, number] = [Infinity, Infinity, Infinity];
  readonly #high: [number, number, number] = [-1, -1, -1];
  /** The row that is being read, or none yet. */
  #slice = -1;
  #row = -1;
  #first = 0;
  #last = 0;

  constructor(order: Order, spacing: Triple) {
    this.#order = order;
    this.#spacing = spacing;
    this.#mm = [spacing[order[0]], spacing[order[1]], spacing[order[2]]];
  }

  /** A run of voxels; slices, rows and runs come in rising order. */
  add(slice: number, row: number, first: number, last: number): void {
    const n = last - first + 1;
    this.#voxels += n;
    this.#sums[0] += slice * n;
    this.#sums[1] += row * n;
    this.#sums[2] += ((first + last) / 2) * n;
    const [low, high] = [this.#low, this.#high];
    low[0] = Math.min(low[0], slice);
    low[1] = Math.min(low[1], row);
    low[2] = Math.min(low[2], first);
    high[0] = slice;
    high[1] = Math.max(high[1], row);
    high[2] = Math.max(high[2], last);
    if (slice === this.#slice && row === this.#row) {
      this.#last = last;
      return;
    }
    this.#endRow();
    if (slice !== this.#slice) this.#endSlice();
    this.#slice = slice;
    this.#row = row;
    this.#first = first;
    this.#last = last;
  }

  #endRow(): void {
    if (this.#row >= 0) this.#hull.add(this.#row, this.#first, this.#last);
  }

  #endSlice(): void {
    if (this.#slice < 0) return;
    const corners = this.#hull.corners();
    for (let i = 0; i < corners.length; i += 2)
      this.#corners.push(this.#slice, corners[i] as number, corners[i + 1] as number);
    this.#calipers = greater(this.#calipers, calipers(corners, this.#mm[1], this.#mm[2]));
    this.#hull.clear();
  }

  shape(): ComponentShape {
    this.#endRow();
    this.#endSlice();
    const voxels = this.#voxels;
    const [a, b, c] = this.#spacing;
    const volumeMm3 = voxels * (a * b * c);
    const [low, high] = [this.#inOrder(this.#low), this.#inOrder(this.#high)];
    const extent = (axis: Axis) => (high[axis] - low[axis] + 1) * this.#spacing[axis];
    const { long, short } = this.#calipers;
    return {
      ...{ voxels, volumeMm3, low, high },
      centroid: this.#inOrder([
        this.#sums[0] / voxels,
        this.#sums[1] / voxels,
        this.#sums[2] / voxels,
      ]),
      feretMm: greatestDistance(this.#corners, this.#mm),
      ...{ longAxisMm: long, shortAxisMm: short },
      averageDiameterMm: {
        sphere: sphereDiameterMm(volumeMm3 / 1000),
        axial: (long + short) / 2,
        box: (extent(0) + extent(1) + extent(2)) / 3,
      },
    };
  }

  /** Figures in the order of the pass as [d, h, w]. */
  #inOrder(figures: Triple): Triple {
    const result: [number, number, number] = [0, 0, 0];
    this.#order.forEach((axis, i) => {
      result[axis] = figures[i] as number;
    });
    return result;
  }
}

/**
 * Largest distance between two of the points, mm: pairs from the outside in, by the distance r of each from the centre of them all; no pair with
 * r + r' below the best so far can be better.
 * @param corners - three voxel indices a point
 */
function greatestDistance(corners: readonly number[], mm: Triple): number {
  const n = corners.length / 3;
  const at = (point: number, axis: number) => corners[3 * point + axis] as number;
  const centre = [0, 1, 2].map((axis) => {
    let low = Infinity;
    let high = -Infinity;
    for (let p = 0; p < n; p++) {
      low = Math.min(low, at(p, axis));
      high = Math.max(high, at(p, axis));
    }
    return (low + high) / 2;
  });
  const radius = Float64Array.from({ length: n }, (_, p) =>
    Math.hypot(...mm.map((s, axis) => (at(p, axis) - (centre[axis] as number)) * s)),
  );
  const outward = Uint32Array.from(radius, (_, p) => p);
  outward.sort((p, q) => (radius[q] as number) - (radius[p] as number) || p - q);
  const sorted = [0, 1, 2].map((axis) => Float64Array.from(outward, (p) => at(p, axis)));
  const [xs, ys, zs] = sorted as [Float64Array, Float64Array, Float64Array];
  const rs = Float64Array.from(outward, (p) => radius[p] as number);
  const [sx, sy, sz] = mm;
  let best2 = 0;
  let best = 0;
  for (let p = 0; p < n; p++) {
    // The margin covers the rounding of radii.
    const enough = best * (1 - 1e-12) - (rs[p] as number);
    if ((rs[p] as number) < enough) break;
    const [px, py, pz] = [xs[p] as number, ys[p] as number, zs[p] as number];
    for (let q = p + 1; q < n && (rs[q] as number) >= enough; q++) {
      const x = (px - (xs[q] as number)) * sx;
      const y = (py - (ys[q] as number)) * sy;
      const z = (pz - (zs[q] as number)) * sz;
      const square = x * x + y * y + z * z;
      if (square > best2) best2 = square;
    }
    best = Math.sqrt(best2);
  }
  return best;
}
