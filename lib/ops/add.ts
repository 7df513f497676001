import { differentiable } from '../gradient.js';
import type { Tensor } from '../tensor.js';
import { checkShape, checkTensor } from './check.js';

/**
 * a + b, element by element.
 * @param a - f32, bf16 or f16, any shape
 * @param b - of the same type and shape
 * @throws RenvoxError ShapeMismatch, DtypeMismatch, DeviceMismatch
 */
export function add(a: Tensor, b: Tensor): Tensor {
  checkTensor('add', 'a', a, { dtype: ['f32', 'bf16', 'f16'] });
  checkTensor('add', 'b', b, { dtype: a.dtype });
  checkShape('add', 'b', b, a.shape);
  const [y] = a.device.run('add', { a, b }) as [Tensor];
  differentiable('add', [a, b], [y], ([dy]) => [dy, dy]);
  return y;
}
