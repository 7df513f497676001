import { differentiable } from '../gradient.js';
import type { Tensor } from '../tensor.js';
import { checkShape, checkTensor } from './check.js';

/**
 * a * b, element by element.
 * @param a - f32, any shape
 * @param b - f32, the same shape
 * @throws RenvoxError ShapeMismatch, DtypeMismatch, DeviceMismatch
 */
export function multiply(a: Tensor, b: Tensor): Tensor {
  checkTensor('multiply', 'a', a, { dtype: 'f32' });
  checkTensor('multiply', 'b', b, { dtype: 'f32' });
  checkShape('multiply', 'b', b, a.shape);
  const product = (x: Tensor, y: Tensor) => a.device.run('multiply', { a: x, b: y })[0] as Tensor;
  const y = product(a, b);
  differentiable('multiply', [a, b], [y], ([dy], wants) =>
    dy ? [wants[0] ? product(dy, b) : undefined, wants[1] ? product(dy, a) : undefined] : [],
  );
  return y;
}
