import { invalidArgument } from '../errors.js';
import type { Tensor } from '../tensor.js';
import { checkGrid, checkSpacing } from './label-map.js';

export interface DistanceOptions {
  /** mm along [d, h, w]. */
  spacing: readonly [number, number, number];
  /**
   * `background` (default): from each nonzero voxel to the nearest zero one, 0 at zero voxels. `foreground`: from each zero voxel to the
   * nearest nonzero one, 0 at nonzero voxels.
   */
  to?: 'background' | 'foreground';
  /** Squared distances in mm^2. Default false. */
  squared?: boolean;
  /** Default f32; the squared distances are formed in double either way. */
  dtype?: 'f32' | 'f64';
}

/**
 * Exact Euclidean distances in mm between voxel centres (Maurer, Qi, Raghavan 2003), the shape of the mask. Infinite where there is
 * nothing to reach; what lies outside the volume is not background.
 * @param mask - u8, i16 or i32, 0 is background; [D, H, W], [1, D, H, W] or [1, D, H, W, 1]
 * @throws RenvoxError DtypeMismatch, ShapeMismatch, InvalidArgument
 */
export function distanceTransform(mask: Tensor, options: DistanceOptions): Tensor {
  checkGrid('distanceTransform', 'mask', mask);
  const { spacing, to = 'background', squared = false, dtype = 'f32' } = options;
  checkSpacing('distanceTransform', spacing);
  if (to !== 'background' && to !== 'foreground')
    throw invalidArgument('to of distanceTransform', 'background or foreground', to);
  if (dtype !== 'f32' && dtype !== 'f64')
    throw invalidArgument('dtype of distanceTransform', 'f32 or f64', dtype);
  const toForeground = to === 'foreground';
  return (
    mask.device.run('distanceTransform', { mask, spacing, toForeground, squared, dtype }) as [
      Tensor,
    ]
  )[0];
}
