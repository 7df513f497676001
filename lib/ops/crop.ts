import { differentiable } from '../gradient.js';
import type { Tensor } from '../tensor.js';
import { checkValue } from './check.js';
import { type AlongAxes, checkAlongAxes, volumeAxes } from './volume-axes.js';

const types = ['f32', 'i32', 'i16', 'u8'] as const;

/**
 * The box of `size` voxels from voxel `start` on. It may reach outside of the volume, which reads as `fill` there: then it pads.
 * @param x - f32, i32, i16 or u8, [N, D, H, W, C] or [N, D, H, W]
 * @param options.start - first voxel along D, H, W; may be negative
 * @param options.size - voxels along D, H, W
 * @param options.fill - within the range of x's type; by default 0
 * @throws RenvoxError ShapeMismatch, DtypeMismatch, InvalidArgument
 */
export function crop(
  x: Tensor,
  options: { start: AlongAxes; size: AlongAxes; fill?: number },
): Tensor {
  const { start, size, fill = 0 } = options;
  const [, d, h, w] = volumeAxes('crop', 'x', x, types);
  checkAlongAxes('crop', 'start', start, { whole: true });
  checkAlongAxes('crop', 'size', size, { whole: true, least: 1 });
  checkValue('crop', 'fill', fill, x.dtype);
  const [y] = x.device.run('crop', { x, start, size, fill }) as [Tensor];
  differentiable('crop', [x], [y], ([dy]) => [
    dy && crop(dy, { start: [-start[0], -start[1], -start[2]], size: [d, h, w] }),
  ]);
  return y;
}

/**
 * Adds voxels of value `fill` round a volume; negative numbers take voxels away.
 * @param x - f32, i32, i16 or u8, [N, D, H, W, C] or [N, D, H, W]
 * @param options.before - voxels added at the low end along D, H, W
 * @param options.after - voxels added at the high end along D, H, W
 * @param options.fill - within the range of x's type; by default 0
 * @throws RenvoxError ShapeMismatch, DtypeMismatch, InvalidArgument
 */
export function pad(
  x: Tensor,
  options: { before: AlongAxes; after: AlongAxes; fill?: number },
): Tensor {
  const { before, after, fill = 0 } = options;
  const [, d, h, w] = volumeAxes('pad', 'x', x, types);
  checkAlongAxes('pad', 'before', before, { whole: true });
  checkAlongAxes('pad', 'after', after, { whole: true });
  checkValue('pad', 'fill', fill, x.dtype);
  return crop(x, {
    start: [-before[0], -before[1], -before[2]],
    size: [d + before[0] + after[0], h + before[1] + after[1], w + before[2] + after[2]],
    fill,
  });
}
