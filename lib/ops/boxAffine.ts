import type { Tensor } from '../tensor.js';
import { checkNumber, checkTensor, type Triple, triple } from './check.js';

/**
 * Where to crop round one component, decided on the device: the affine [12] (f64) that leads from the crop's voxel index (d, h, w) to the
 * source's. Voxels of the crop are cubes of `step` mm, or larger where the box with its margin would not fit.
 * @param table - i32 [n, 8] of componentTable or kidneySides
 * @param options.row - which component
 * @param options.size - voxels of the crop
 * @param options.spacing - mm along D, H, W of the grid that the table's boxes count in
 * @param options.step - mm of the crop's voxels
 * @param options.margin - mm kept free on each side of the box. Default 0
 * @param options.mirror - whether the crop's w axis runs the other way. Default false
 * @param options.base - 12 numbers from the table's grid to the source. Default: the table's grid itself
 * @param options.through - the same as a tensor f64 [12]
 * @throws RenvoxError InvalidArgument, ShapeMismatch, DtypeMismatch
 */
export function boxAffine(
  table: Tensor,
  options: {
    row: number;
    size: Triple;
    spacing: readonly [number, number, number];
    step: number;
    margin?: number;
    mirror?: boolean;
    base?: readonly number[];
    through?: Tensor;
  },
): Tensor {
  checkTensor('boxAffine', 'table', table, { rank: 2, dtype: 'i32' });
  checkNumber('boxAffine', 'step', options.step, Number.MIN_VALUE);
  const [affine] = table.device.run('boxAffine', {
    table,
    through: options.through,
    row: options.row,
    size: triple('boxAffine', 'size', options.size, 1),
    spacing: options.spacing,
    step: options.step,
    margin: options.margin ?? 0,
    mirror: options.mirror ?? false,
    base: options.base,
  }) as [Tensor];
  return affine;
}
