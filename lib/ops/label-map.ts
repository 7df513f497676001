/** What the operations on label maps check: a grid of one sample with integer values. */
import { invalidArgument, RenvoxError } from '../errors.js';
import type { DType, Tensor } from '../tensor.js';
import { checkTensor, text } from './check.js';

/** Spatial size [D, H, W]. */
export type GridSize = readonly [number, number, number];

/**
 * Checks a tensor of one value a voxel: [D, H, W], [1, D, H, W] or [1, D, H, W, 1], fewer than 2^31 voxels.
 * @throws RenvoxError InvalidArgument, DtypeMismatch, ShapeMismatch
 */
export function checkGrid(
  operation: string,
  parameter: string,
  value: Tensor,
  dtype: readonly DType[] = ['u8', 'i16', 'i32'],
): GridSize {
  checkTensor(operation, parameter, value, { dtype });
  const { shape } = value;
  const single =
    shape.length === 3 ||
    (shape.length === 4 && shape[0] === 1) ||
    (shape.length === 5 && shape[0] === 1 && shape[4] === 1);
  if (!single || value.size >= 2 ** 31)
    throw new RenvoxError(
      'ShapeMismatch',
      `Expected [D, H, W], [1, D, H, W] or [1, D, H, W, 1] of fewer than 2^31 voxels for parameter ${parameter} of ${operation} but received ${text(shape)}`,
      { operation, parameter, shape },
    );
  return (shape.length === 3 ? [...shape] : shape.slice(1, 4)) as unknown as GridSize;
}

/**
 * Checks that a grid's cells of 2x2x2 voxels, those that reach outside among them, are fewer than 2^31: one more than voxels along each axis.
 * @throws RenvoxError ShapeMismatch
 */
export function checkCells(operation: string, parameter: string, grid: GridSize): void {
  const cells = grid.reduce((product, n) => product * (n + 1), 1);
  if (!grid.includes(0) && cells >= 2 ** 31)
    throw new RenvoxError(
      'ShapeMismatch',
      `Expected fewer than 2^31 cells of 2x2x2 voxels for parameter ${parameter} of ${operation} but received ${text(grid)} with ${cells}`,
      { operation, parameter, shape: grid, cells },
    );
}

/**
 * Checks that two tensors have the same spatial size.
 * @throws RenvoxError ShapeMismatch
 */
export function checkSameGrid(
  operation: string,
  parameter: string,
  grid: GridSize,
  wanted: GridSize,
): void {
  if (grid.some((n, axis) => n !== wanted[axis]))
    throw new RenvoxError(
      'ShapeMismatch',
      `Expected spatial size ${text(wanted)} for parameter ${parameter} of ${operation} but received ${text(grid)}`,
      { operation, parameter, expected: wanted, shape: grid },
    );
}

/**
 * Checks a spacing [d, h, w] in mm.
 * @throws RenvoxError InvalidArgument
 */
export function checkSpacing(
  operation: string,
  spacing: unknown,
): asserts spacing is readonly [number, number, number] {
  const good = (n: unknown) => typeof n === 'number' && n > 0 && Number.isFinite(n);
  if (!Array.isArray(spacing) || spacing.length !== 3 || !spacing.every(good))
    throw invalidArgument(
      `spacing of ${operation}`,
      'three positive numbers (mm along d, h, w)',
      spacing,
    );
}
