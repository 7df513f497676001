import type { Tensor } from '../tensor.js';
import { checkNumber } from './check.js';
import { type AlongAxes, checkAlongAxes, volumeAxes } from './volume-axes.js';

/**
 * Blurs with a Gaussian, axis by axis; outside the volume the nearest voxel counts (scipy.ndimage.gaussian_filter, mode nearest).
 * It has no gradient.
 * @param x - f32 [N, D, H, W, C] or [N, D, H, W]
 * @param sigma - standard deviation in voxels along D, H, W; 0 leaves an axis alone
 * @param options.truncate - the taps end at this many sigmas, by default 4
 * @throws RenvoxError ShapeMismatch, DtypeMismatch, InvalidArgument
 */
export function gaussianBlur(
  x: Tensor,
  sigma: AlongAxes,
  options: { truncate?: number } = {},
): Tensor {
  const { truncate = 4 } = options;
  volumeAxes('gaussianBlur', 'x', x, 'f32');
  checkAlongAxes('gaussianBlur', 'sigma', sigma, { least: 0 });
  checkNumber('gaussianBlur', 'truncate', truncate, 0, 100);
  for (const s of sigma) checkNumber('gaussianBlur', 'sigma', s, 0, 1000);
  return x.device.run('gaussianBlur', { x, sigma, truncate })[0] as Tensor;
}
