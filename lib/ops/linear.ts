import { RenvoxError } from '../errors.js';
import { differentiable } from '../gradient.js';
import type { Tensor } from '../tensor.js';
import { checkChannels, checkTensor, text } from './check.js';

/**
 * x weight^T + bias.
 * @param x - f32, [N, In]
 * @param weight - f32, [Out, In], as in PyTorch
 * @param bias - f32, [Out]; none is zeros
 * @returns [N, Out]
 * @throws RenvoxError ShapeMismatch, DtypeMismatch
 */
export function linear(x: Tensor, weight: Tensor, bias?: Tensor): Tensor {
  checkTensor('linear', 'x', x, { rank: 2, dtype: 'f32' });
  checkTensor('linear', 'weight', weight, { rank: 2, dtype: 'f32' });
  if (weight.shape[1] !== x.shape[1])
    throw new RenvoxError(
      'ShapeMismatch',
      `Expected ${x.shape[1]} inputs for parameter weight of linear but received shape ${text(weight.shape)}`,
      { operation: 'linear', parameter: 'weight', shape: weight.shape },
    );
  if (bias) checkChannels('linear', 'bias', bias, weight.shape[0] as number);
  const [y] = x.device.run('linear', { x, weight, bias }) as [Tensor];
  differentiable('linear', bias ? [x, weight, bias] : [x, weight], [y], ([dy]) => {
    if (!dy) return [];
    const made = x.device.run('linearGrad', { x, weight, dy }) as [Tensor, Tensor, Tensor];
    if (bias) return made;
    made[2].dispose();
    return made.slice(0, 2);
  });
  return y;
}
