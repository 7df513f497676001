import { differentiable } from '../gradient.js';
import type { Tensor } from '../tensor.js';
import { checkNumber, checkTensor } from './check.js';

/**
 * x where x > 0, `slope` * x elsewhere.
 * @param x - f32, any shape
 * @param slope - 0 is ReLU; nnU-Net uses 0.01
 * @throws RenvoxError DtypeMismatch, InvalidArgument
 */
export function leakyRelu(x: Tensor, slope = 0.01): Tensor {
  checkTensor('leakyRelu', 'x', x, { dtype: 'f32' });
  checkNumber('leakyRelu', 'slope', slope);
  const [y] = x.device.run('leakyRelu', { x, slope }) as [Tensor];
  differentiable('leakyRelu', [x], [y], ([dy]) =>
    dy ? (x.device.run('leakyReluGrad', { x, dy, slope }) as [Tensor]) : [dy],
  );
  return y;
}

/** max(x, 0). */
export function relu(x: Tensor): Tensor {
  return leakyRelu(x, 0);
}
