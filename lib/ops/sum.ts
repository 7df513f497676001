import { differentiable } from '../gradient.js';
import type { Tensor } from '../tensor.js';
import { checkTensor } from './check.js';

/**
 * Sum of all values, taken in double in a fixed order.
 * @param x - f32, any shape
 * @returns f32, [1]
 * @throws RenvoxError DtypeMismatch
 */
export function sum(x: Tensor): Tensor {
  checkTensor('sum', 'x', x, { dtype: 'f32' });
  const [y] = x.device.run('sum', { x }) as [Tensor];
  differentiable('sum', [x], [y], ([dy]) =>
    dy ? (x.device.run('sumGrad', { dy, shape: x.shape }) as [Tensor]) : [],
  );
  return y;
}
