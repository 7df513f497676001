import { invalidArgument } from '../errors.js';
import { differentiable } from '../gradient.js';
import type { Tensor } from '../tensor.js';
import { checkNumber, checkShape, checkTensor } from './check.js';

/**
 * factors[0] * tensors[0] + factors[1] * tensors[1] + …, in this order; for losses and for tensors alike.
 * @param tensors - f32, at least one, all of one shape
 * @param factors - one number each; 1 each by default
 * @throws RenvoxError ShapeMismatch, DtypeMismatch, InvalidArgument, DeviceMismatch
 */
export function weightedSum(
  tensors: readonly Tensor[],
  factors: readonly number[] = tensors.map(() => 1),
): Tensor {
  const [first] = tensors;
  if (!first) throw invalidArgument('tensors of weightedSum', 'at least one tensor', tensors);
  if (factors.length !== tensors.length)
    throw invalidArgument('factors of weightedSum', `${tensors.length} numbers`, factors);
  for (const [i, tensor] of tensors.entries()) {
    checkTensor('weightedSum', `tensors[${i}]`, tensor, { dtype: 'f32' });
    checkShape('weightedSum', `tensors[${i}]`, tensor, first.shape);
    checkNumber('weightedSum', `factors[${i}]`, factors[i]);
  }
  const [y] = first.device.run('weightedSum', { inputs: tensors, factors }) as [Tensor];
  differentiable('weightedSum', tensors, [y], ([dy], wants) =>
    dy ? factors.map((factor, i) => (wants[i] ? scaled(dy, factor) : undefined)) : [],
  );
  return y;
}

/**
 * factor * x.
 * @param x - f32, any shape
 * @throws RenvoxError DtypeMismatch, InvalidArgument
 */
export function scaleBy(x: Tensor, factor: number): Tensor {
  checkTensor('scaleBy', 'x', x, { dtype: 'f32' });
  checkNumber('scaleBy', 'factor', factor);
  const y = scaled(x, factor);
  differentiable('scaleBy', [x], [y], ([dy]) => [dy && scaled(dy, factor)]);
  return y;
}

function scaled(x: Tensor, factor: number): Tensor {
  return x.device.run('weightedSum', { inputs: [x], factors: [factor] })[0] as Tensor;
}
