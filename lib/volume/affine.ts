/**
 * Affine maps of three coordinates as 12 numbers: a 3x4 matrix, row-major, the last column the offset.
 * All arithmetic is in double precision.
 */

import { type Affine, affineDeterminant } from '../ops/affine.js';

export {
  type Affine,
  composeAffine as compose,
  invertAffine as invert,
} from '../ops/affine.js';

/** Three numbers, one for each axis. */
export type Triple = readonly [number, number, number];

/** The image of a point. */
export function apply(m: Affine, point: Triple): [number, number, number] {
  const row = (r: number): number =>
    at(m, r, 0) * point[0] + at(m, r, 1) * point[1] + at(m, r, 2) * point[2] + at(m, r, 3);
  return [row(0), row(1), row(2)];
}

/** Lengths of the three columns: the spacing along each index axis, in the map's units. */
export function columnLengths(m: Affine): [number, number, number] {
  const length = (c: number): number => Math.hypot(at(m, 0, c), at(m, 1, c), at(m, 2, c));
  return [length(0), length(1), length(2)];
}

/**
 * What makes an index-to-mm affine useless for geometry, or undefined where nothing does: an element that is not
 * finite, a spacing outside 1e-4..1e4 mm, an offset beyond 1e7 mm, or axes so nearly in one plane that the voxel's
 * volume is below a thousandth of the product of its sides.
 */
export function affineFault(m: Affine): string | undefined {
  const bad = m.slice(0, 12).find((value) => !Number.isFinite(value));
  if (bad !== undefined) return `the affine contains ${bad}`;
  const lengths = columnLengths(m);
  for (const [axis, length] of lengths.entries()) {
    if (length < 1e-4 || length > 1e4) {
      return `the affine gives a spacing of ${length} mm on axis ${axis}, expected 0.0001 to 10000 mm`;
    }
  }
  for (let row = 0; row < 3; row++) {
    if (Math.abs(at(m, row, 3)) > 1e7) return `the affine has an offset of ${at(m, row, 3)} mm`;
  }
  const share = Math.abs(affineDeterminant(m)) / (lengths[0] * lengths[1] * lengths[2]);
  if (share < 1e-3) {
    return `the affine is singular: its voxel has ${share} of the volume that its sides allow`;
  }
  return undefined;
}

function at(m: Affine, row: number, column: number): number {
  return m[4 * row + column] as number;
}
