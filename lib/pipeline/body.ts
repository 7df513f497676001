/** Where the body is in a CT, and which grids the first network looks through. */
import { fixedGrid, type Grid, gridOf, toWorld, type Volume } from '../volume/index.js';

/** HU above which a voxel counts as body. */
const BODY = -300;

type Point = [number, number, number];

/**
 * LPS mm (x, y, z): in x and y the centroid of what is denser than -300 HU, in z the middle of the field of view. Looks at every few
 * voxels of the host's array, before anything is uploaded. The middle of the field of view where there is no body.
 */
export function bodyCentre(ct: Volume): Point {
  const [depth, height, width] = ct.shape;
  const every = (n: number, spacing: number) =>
    Math.max(1, Math.min(Math.floor(6 / spacing), Math.floor(n / 16)));
  const steps = ct.shape.map((n, axis) => every(n, ct.spacing[axis] as number)) as Point;
  const sum: Point = [0, 0, 0];
  let count = 0;
  for (let d = 0; d < depth; d += steps[0])
    for (let h = 0; h < height; h += steps[1])
      for (let w = 0; w < width; w += steps[2]) {
        const hu = (ct.data[(d * height + h) * width + w] as number) * ct.slope + ct.inter;
        if (hu > BODY) {
          sum[0] += d;
          sum[1] += h;
          sum[2] += w;
          count++;
        }
      }
  const grid = gridOf(ct);
  const middle = toWorld(grid, [(depth - 1) / 2, (height - 1) / 2, (width - 1) / 2]);
  if (count === 0) return middle;
  const [x, y] = toWorld(grid, [sum[0] / count, sum[1] / count, sum[2] / count]);
  return [x, y, middle[2]];
}

/** A piece of the abdomen that the network sees at once. */
export interface Tile {
  grid: Grid;
  /** Where the tile's first slice lies in the whole grid. */
  start: number;
  /** The tile's slices that the whole takes from it: from `keepFrom` up to, not including, `keepTo`. */
  keepFrom: number;
  keepTo: number;
}

/**
 * The grid that covers a CT from head to foot, and the overlapping tiles of the network's own size that fill it. A CT that is
 * no longer than one tile has one, padded with air.
 */
export function abdomenTiles(
  ct: Volume,
  shape: readonly [number, number, number],
  spacing: readonly [number, number, number],
): { whole: Grid; tiles: Tile[] } {
  // On a lattice of whole voxels, so that small differences (the file's orientation) do not shift the grid.
  const [x, y, z] = bodyCentre(ct);
  const snapped = (mm: number, step: number) => Math.round(mm / step) * step;
  const centre: Point = [snapped(x, spacing[2]), snapped(y, spacing[1]), z];
  const extent = headToFoot(ct);
  const wanted = Math.ceil(extent / spacing[0]);
  const half = Math.floor(shape[0] / 2);
  // Each further tile advances by half a tile.
  const count = wanted <= shape[0] ? 1 : 1 + Math.ceil((wanted - shape[0]) / half);
  const slices = shape[0] + (count - 1) * half;
  const whole = fixedGrid({ shape: [slices, shape[1], shape[2]], spacing: [...spacing], centre });
  const tiles = Array.from({ length: count }, (_, i): Tile => {
    const start = i * half;
    const middle = centre[2] + (start + shape[0] / 2 - slices / 2) * spacing[0];
    const quarter = Math.floor(half / 2);
    return {
      grid: fixedGrid({
        shape: [...shape],
        spacing: [...spacing],
        centre: [centre[0], centre[1], middle],
      }),
      start,
      keepFrom: i === 0 ? 0 : quarter,
      keepTo: i === count - 1 ? shape[0] : quarter + half,
    };
  });
  return { whole, tiles };
}

/** mm that the CT covers along the patient. */
export function headToFoot(ct: Volume): number {
  const grid = gridOf(ct);
  const [d, h, w] = ct.shape;
  const z = [0, d].flatMap((a) =>
    [0, h].flatMap((b) => [0, w].map((c) => toWorld(grid, [a - 0.5, b - 0.5, c - 0.5])[2])),
  );
  return Math.max(...z) - Math.min(...z);
}
