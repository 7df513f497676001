import { differentiable } from '../gradient.js';
import type { Tensor } from '../tensor.js';
import { checkImage } from './check.js';

/**
 * Mean over space for each sample and channel.
 * @param x - f32, [N, ..., C]
 * @returns [N, C]
 * @throws RenvoxError ShapeMismatch, DtypeMismatch
 */
export function globalAveragePool(x: Tensor): Tensor {
  checkImage('globalAveragePool', x);
  const [y] = x.device.run('globalAveragePool', { x }) as [Tensor];
  differentiable('globalAveragePool', [x], [y], ([dy]) =>
    dy ? (x.device.run('globalAveragePoolGrad', { dy, shape: x.shape }) as [Tensor]) : [],
  );
  return y;
}
