import { invalidArgument, RenvoxError } from '../errors.js';
import { differentiable } from '../gradient.js';
import type { Tensor } from '../tensor.js';
import { checkNumber, checkTensor, text } from './check.js';
import { volumeAxes } from './volume-axes.js';

/**
 * Everything outside of a mask removed: x where the mask is not 0, `value` elsewhere.
 * @param x - f32 [N, D, H, W, C] or [N, D, H, W]
 * @param mask - u8 [N, D, H, W] or [N, D, H, W, 1]
 * @param value - by default 0
 * @throws RenvoxError ShapeMismatch, DtypeMismatch, InvalidArgument
 */
export function maskOutside(x: Tensor, mask: Tensor, value = 0): Tensor {
  const wanted = volumeAxes('maskOutside', 'x', x, 'f32').slice(0, 4);
  const [n, d, h, w, c] = volumeAxes('maskOutside', 'mask', mask, 'u8');
  if (c !== 1 || [n, d, h, w].some((extent, i) => extent !== wanted[i]))
    throw new RenvoxError(
      'ShapeMismatch',
      `Expected shape ${text(wanted)} for parameter mask of maskOutside but received ${text(mask.shape)}`,
      { operation: 'maskOutside', parameter: 'mask', expected: wanted, shape: mask.shape },
    );
  checkNumber('maskOutside', 'value', value);
  const [y] = x.device.run('maskOutside', { x, mask, value }) as [Tensor];
  differentiable('maskOutside', [x], [y], ([dy]) => [dy && maskOutside(dy, mask)]);
  return y;
}

/**
 * The mask of some labels: 1 where the label is `values` or one of them, else 0.
 * @param labels - u8, i16 or i32, any shape
 * @returns u8, the same shape
 * @throws RenvoxError DtypeMismatch, InvalidArgument
 */
export function maskEquals(labels: Tensor, values: number | readonly number[]): Tensor {
  checkTensor('maskEquals', 'labels', labels, { dtype: ['u8', 'i16', 'i32'] });
  const list = typeof values === 'number' ? [values] : values;
  if (!Array.isArray(list) || !list.every((v) => Number.isInteger(v)))
    throw invalidArgument('values of maskEquals', 'an integer or a list of them', values);
  return labels.device.run('maskEquals', { labels, values: list })[0] as Tensor;
}
