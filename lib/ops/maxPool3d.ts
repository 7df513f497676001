import { invalidArgument, RenvoxError } from '../errors.js';
import { differentiable, recording } from '../gradient.js';
import type { Tensor } from '../tensor.js';
import { checkNumber, checkShape, checkTensor, text } from './check.js';

/** Settings of {@link maxPool3d}. */
export interface MaxPoolOptions {
  /** Edge of the window, 1 to 6; 2 by default. */
  kernel?: number;
  /** Distance between windows; the kernel by default. */
  stride?: number;
  /** Voxels beyond each face, never chosen; at most half the kernel; 0 by default. */
  padding?: number;
  /**
   * A norm and activation applied while loading: leaky(x * scale + shift), each f32 [N, C] (see {@link normCoefficients}). For inference: with
   * it there is no gradient.
   */
  load?: { scale: Tensor; shift: Tensor; slope?: number } | undefined;
}

/**
 * Maximum over windows of kernel^3 voxels. Among equal values the first in D, H, W order receives the gradient; a NaN is a maximum.
 * @param x - f32, bf16 or f16, [N, D, H, W, C]; gradients need f32
 * @returns [N, D', H', W', C] of the type of x, with D' = floor((D + 2 padding - kernel) / stride) + 1
 * @throws RenvoxError ShapeMismatch if the window does not fit; DtypeMismatch, InvalidArgument
 */
export function maxPool3d(x: Tensor, options: MaxPoolOptions = {}): Tensor {
  const { kernel = 2, stride = kernel, padding = 0, load } = options;
  checkTensor('maxPool3d', 'x', x, { rank: 5, dtype: ['f32', 'bf16', 'f16'] });
  if (recording() && x.dtype !== 'f32')
    throw new RenvoxError(
      'InvalidArgument',
      `maxPool3d has no gradient for an x of type ${x.dtype}; cast it to f32`,
    );
  for (const [name, value, least, most] of [
    ['kernel', kernel, 1, 6],
    ['stride', stride, 1, 64],
    ['padding', padding, 0, kernel / 2],
  ] as const) {
    checkNumber('maxPool3d', name, value, least, most);
    if (!Number.isInteger(value))
      throw invalidArgument(`${name} of maxPool3d`, 'an integer', value);
  }
  const size = x.shape.slice(1, 4);
  if (size.some((n) => n + 2 * padding < kernel))
    throw new RenvoxError(
      'ShapeMismatch',
      `A window of ${kernel} voxels with padding ${padding} does not fit into x of maxPool3d of shape ${text(x.shape)}`,
      { operation: 'maxPool3d', shape: x.shape, kernel, padding },
    );
  if (load) {
    const coefficients = [x.shape[0] as number, x.shape[4] as number];
    for (const [name, tensor] of [
      ['load.scale', load.scale],
      ['load.shift', load.shift],
    ] as const) {
      checkTensor('maxPool3d', name, tensor, { dtype: 'f32' });
      checkShape('maxPool3d', name, tensor, coefficients);
    }
    const fields = { x, kernel, stride, padding, ...load };
    return x.device.run('maxPool3d', fields)[0] as Tensor;
  }
  const fields = { x, kernel, stride, padding, wantIndices: recording() };
  const [y, indices] = x.device.run('maxPool3d', fields) as [Tensor, Tensor | null];
  if (indices)
    differentiable(
      'maxPool3d',
      [x],
      [y],
      ([dy]) =>
        dy
          ? (x.device.run('maxPool3dGrad', { dy, indices, size, kernel, stride, padding }) as [
              Tensor,
            ])
          : [],
      [indices],
    );
  return y;
}
