import { RenvoxError } from '../errors.js';
import { differentiable, recording } from '../gradient.js';
import type { Tensor } from '../tensor.js';
import { checkChoice, checkNumber, checkShape, checkTensor } from './check.js';
import { convTranspose3dGradients, convTranspose3dInputs } from './convolution-gradients.js';

export interface ConvTranspose3dOptions {
  /** f32 [Cout] */
  bias?: Tensor | undefined;
  /** With `shift`: x * scale + shift is used instead of x, then what is negative times `slope`. f32 [N, Cin]. */
  scale?: Tensor | undefined;
  shift?: Tensor | undefined;
  /** Slope for negative values where there is a scale. Default 1: none. */
  slope?: number | undefined;
  /** Operands and weights are rounded to this type before they are multiplied; products are added in f32. Default fp32. */
  precision?: 'fp32' | 'bf16' | 'fp16' | undefined;
  /** The type of the result. Default that of the precision: f32, bf16 or f16. */
  out?: 'f32' | 'bf16' | 'f16' | undefined;
}

/**
 * Transposed 3D convolution with kernel 2 and stride 2, the learned doubling of a U-Net: y[n, 2i+k, co] = bias[co] + the sum over ci of
 * weight[ci,co,k] * x[n,i,ci], k in {0,1}^3.
 *
 * Differentiable with respect to x, weight and bias; not together with a scale.
 *
 * @param x - f32, bf16 or f16 [N, D, H, W, Cin]; gradients need f32
 * @param weight - f32 [Cin, Cout, 2, 2, 2]
 * @returns [N, 2D, 2H, 2W, Cout] of type `out`
 * @throws RenvoxError ShapeMismatch, DtypeMismatch, DeviceMismatch, InvalidArgument
 */
export function convTranspose3d(
  x: Tensor,
  weight: Tensor,
  options: ConvTranspose3dOptions = {},
): Tensor {
  const { bias, scale, shift, slope, precision = 'fp32', out } = options;
  const name = 'convTranspose3d';
  checkTensor(name, 'x', x, { rank: 5, dtype: ['f32', 'bf16', 'f16'] });
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
  checkChoice(name, 'precision', precision, ['fp32', 'bf16', 'fp16']);
  checkChoice(name, 'out', out, ['f32', 'bf16', 'f16']);
  const device = x.device;
  const [y] = device.run(name, {
    ...{ x, weight, bias, scale, shift, precision },
    slope: slope ?? 1,
    out: out ?? '',
  }) as [Tensor];
  if (recording()) {
    if (scale)
      throw new RenvoxError(
        'InvalidArgument',
        'convTranspose3d has no gradient together with a scale; apply the normalization as an operation of its own',
      );
    if (x.dtype !== 'f32')
      throw new RenvoxError(
        'InvalidArgument',
        `convTranspose3d has no gradient for an x of type ${x.dtype}; cast it to f32 and let precision round it`,
      );
    const layer = { x, weight, bias, precision };
    differentiable(name, convTranspose3dInputs(layer), [y], ([dy], wants) =>
      dy ? convTranspose3dGradients(layer, dy, wants) : [],
    );
  }
  return y;
}
