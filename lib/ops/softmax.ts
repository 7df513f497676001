import { differentiable } from '../gradient.js';
import type { Tensor } from '../tensor.js';
import { checkImage } from './check.js';

/**
 * exp(x_c) / sum over k of exp(x_k), over the channels (last axis).
 * @param x - f32, [..., C]
 * @throws RenvoxError ShapeMismatch, DtypeMismatch
 */
export function softmax(x: Tensor): Tensor {
  checkImage('softmax', x, 1);
  const [y] = x.device.run('softmax', { x }) as [Tensor];
  differentiable('softmax', [x], [y], ([dy]) =>
    dy ? (x.device.run('softmaxGrad', { y, dy }) as [Tensor]) : [],
  );
  return y;
}
