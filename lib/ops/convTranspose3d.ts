import { RenvoxError } from '../errors.js';
import { differentiable, recording } from '../gradient.js';
import type { Tensor } from '../tensor.js';
import { checkNumber, checkShape, checkTensor } from './check.js';

export interface ConvTranspose3dOptions {
  /** f32 [Cout] */
  bias?: Tensor | undefined;
  /** With `shift`: x * scale + shift is used instead of x, then what is negative times `slope`. f32 [N, Cin]. */
  scale?: Tensor | undefined;
  shift?: Tensor | undefined;
  /** Slope for negative values where there is a scale. Default 1: none. */
  slope?: number | undefined;
}

/**
 * Transposed 3D convolution with kernel 2 and stride 2, the learned doubling of a U-Net: y[n, 2i+k, co] = bias[co] + the sum over ci of
 * weight[ci,co,k] * x[n,i,ci], k in {0,1}^3.
 *
 * Differentiable with respect to x, weight and bias; not together with a scale.
 *
 * @param x - f32 [N, D, H, W, Cin]
 * @param weight - f32 [Cin, Cout, 2, 2, 2]
 * @returns f32 [N, 2D, 2H, 2W, Cout]
 * @throws RenvoxError ShapeMismatch, DtypeMismatch, DeviceMismatch, InvalidArgument
 */
export function convTranspose3d(
  x: Tensor,
  weight: Tensor,
  options: ConvTranspose3dOptions = {},
): Tensor {
  const { bias, scale, shift, slope } = options;
  const name = 'convTranspose3d';
  checkTensor(name, 'x', x, { rank: 5, dtype: 'f32' });
  checkTensor(name, 'weight', weight, { rank: 5, dtype: 'f32' });
  const cin = x.shape[4] as number;
  const cout = weight.shape[1] as number;
  checkShape(name, 'weight', weight, [cin, cout, 2, 2, 2]);
  if (bias) {
    checkTensor(name, 'bias', bias, { rank: 1, dtype: 'f32' });
    checkShape(name, 'bias', bias, [cout]);
  }
  if (scale || shift) {
    checkTensor(name, 'scale', scale, { rank: 2, dtype: 'f32' });
    checkTensor(name, 'shift', shift, { rank: 2, dtype: 'f32' });
    checkShape(name, 'scale', scale, [x.shape[0] as number, cin]);
    checkShape(name, 'shift', shift, [x.shape[0] as number, cin]);
  }
  if (slope !== undefined) checkNumber(name, 'slope', slope);
  const device = x.device;
  const [y] = device.run(name, { x, weight, bias, scale, shift, slope: slope ?? 1 }) as [Tensor];
  if (recording()) {
    if (scale)
      throw new RenvoxError(
        'InvalidArgument',
        'convTranspose3d has no gradient together with a scale; apply the normalization as an operation of its own',
      );
    differentiable(name, [x, weight, ...(bias ? [bias] : [])], [y], ([dy], wants) => {
      if (!dy) return [];
      const dx = wants[0]
        ? (device.run('convTranspose3dGradInput', { dy, weight })[0] as Tensor)
        : undefined;
      let dw: Tensor | undefined;
      let db: Tensor | undefined;
      if (wants[1] || (bias && wants[2]))
        [dw, db] = device.run('convTranspose3dGradWeight', { x, dy }) as [Tensor, Tensor];
      if (db && !bias) db.dispose();
      return [dx, dw, ...(bias ? [db] : [])];
    });
  }
  return y;
}
