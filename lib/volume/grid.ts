/**
 * Grids in the patient, and the affine maps between their voxel indices that resampling needs.
 *
 * Voxel-centre convention: the index (d, h, w) is the centre of that voxel, so a voxel reaches from -0.5 to +0.5 around
 * it. World coordinates here are LPS mm: x to the patient's left, y to the back, z to the head.
 */
import { invalidArgument, RenvoxError } from '../errors.js';
import { type Affine, apply, compose, invert, type Triple } from './affine.js';
import { Volume, type VoxelArray } from './volume.js';

/** Where the voxels of an array lie. */
export interface Grid {
  /** Voxels along [d, h, w]. */
  readonly shape: Triple;
  /** Index (d, h, w) to LPS mm (x, y, z): 3x4 row-major, columns d, h, w, offset. */
  readonly affine: Affine;
}

/**
 * A grid whose axes run straight along the patient's: d to the head, h to the back, w to the left.
 * @param options.shape voxels along [d, h, w]
 * @param options.spacing mm along [d, h, w]
 * @param options.centre LPS mm (x, y, z) of the grid's middle
 * @throws InvalidArgument
 */
export function fixedGrid(options: { shape: Triple; spacing: Triple; centre: Triple }): Grid {
  const { shape, spacing, centre } = options;
  if (!shape.every((n) => Number.isSafeInteger(n) && n > 0)) {
    throw invalidArgument('shape', 'three positive integers [d, h, w]', shape);
  }
  if (!spacing.every((mm) => Number.isFinite(mm) && mm > 0)) {
    throw invalidArgument('spacing', 'three positive numbers of mm [d, h, w]', spacing);
  }
  if (!centre.every(Number.isFinite)) {
    throw invalidArgument('centre', 'three finite numbers of mm [x, y, z]', centre);
  }
  const start = (axis: 0 | 1 | 2): number =>
    (centre[2 - axis] as number) - ((shape[axis] - 1) / 2) * spacing[axis];
  const affine = [
    ...[0, 0, spacing[2], start(2)],
    ...[0, spacing[1], 0, start(1)],
    ...[spacing[0], 0, 0, start(0)],
  ];
  return { shape: [...shape], affine };
}

/** The grid of a volume: its affine with columns in the order d, h, w, in LPS. */
export function gridOf(volume: Volume): Grid {
  const at = (row: number, column: number): number => volume.affine[4 * row + column] as number;
  // x and y change sign from RAS to LPS; 0 - v keeps zeros positive.
  const affine = [0, 1, 2].flatMap((row) =>
    [2, 1, 0, 3].map((column) => (row === 2 ? at(row, column) : 0 - at(row, column))),
  );
  return { shape: volume.shape, affine };
}

/** A part of a grid: `shape` voxels from voxel `start` [d, h, w] on, which may lie outside (negative, say). */
export function cropGrid(grid: Grid, start: Triple, shape: Triple): Grid {
  const [x, y, z] = apply(grid.affine, start);
  const affine = [...grid.affine];
  [affine[3], affine[7], affine[11]] = [x, y, z];
  return { shape: [...shape], affine };
}

/** LPS mm (x, y, z) of a voxel index (d, h, w), which need not be whole. */
export function toWorld(grid: Grid, index: Triple): [number, number, number] {
  return apply(grid.affine, index);
}

/** Voxel index (d, h, w), not rounded, of a point in LPS mm (x, y, z). */
export function toIndex(grid: Grid, lps: Triple): [number, number, number] {
  return apply(invert(grid.affine), lps);
}

/** LPS mm (x, y, z) of the middle of a grid. */
export function gridCentre({ shape, affine }: Grid): [number, number, number] {
  return apply(affine, [(shape[0] - 1) / 2, (shape[1] - 1) / 2, (shape[2] - 1) / 2]);
}

/**
 * The map that resampling from `input` onto `output` takes: voxel index (d, h, w) of the output to voxel index
 * (d, h, w) of the input, 12 numbers, 3x4 row-major.
 */
export function indexMap(output: Grid, input: Grid): number[] {
  return compose(invert(input.affine), output.affine);
}

/** {@link indexMap} for resampling a volume onto a grid. */
export function gridToVolume(grid: Grid, volume: Volume): number[] {
  return indexMap(grid, gridOf(volume));
}

/** {@link indexMap} for resampling what lies on a grid back onto a volume's voxels; inverse of {@link gridToVolume}. */
export function volumeToGrid(volume: Volume, grid: Grid): number[] {
  return indexMap(gridOf(volume), grid);
}

/**
 * Voxels on a grid as a {@link Volume}.
 * @throws ShapeMismatch, InvalidArgument
 */
export function volumeOnGrid(data: VoxelArray, { shape, affine }: Grid): Volume {
  if (affine.length !== 12) {
    throw new RenvoxError(
      'ShapeMismatch',
      `Expected 12 numbers in grid.affine, got ${affine.length}`,
    );
  }
  const ras = [0, 1, 2].flatMap((row) =>
    [2, 1, 0, 3].map((column) => {
      const value = affine[4 * row + column] as number;
      return row === 2 ? value : 0 - value;
    }),
  );
  return new Volume({ data, shape, affine: ras });
}
