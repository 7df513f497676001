import { invalidArgument } from '../errors.js';
import type { Tensor } from '../tensor.js';
import { checkNumber, checkTensor } from './check.js';

/**
 * Euclidean norm of all values of all tensors together.
 * @param gradients - f32, at least one
 * @returns f32, [1]
 * @throws RenvoxError DtypeMismatch, InvalidArgument
 */
export function gradientNorm(gradients: readonly Tensor[]): Tensor {
  const first = checkAll('gradientNorm', gradients);
  return first.device.run('gradientNorm', { gradients })[0] as Tensor;
}

/**
 * Scales all gradients in place by min(1, maxNorm / (norm + 1e-6)), norm being that of {@link gradientNorm}, as PyTorch's
 * clip_grad_norm_; nothing is read back. Gradients whose norm is NaN stay as they are: guard the step by {@link allFinite}.
 * @param gradients - f32, at least one
 * @returns the norm before clipping, f32, [1]
 * @throws RenvoxError DtypeMismatch, InvalidArgument
 */
export function clipGradients(gradients: readonly Tensor[], maxNorm: number): Tensor {
  const first = checkAll('clipGradients', gradients);
  checkNumber('clipGradients', 'maxNorm', maxNorm, 0);
  return first.device.run('clipGradients', { gradients, maxNorm })[0] as Tensor;
}

/**
 * Whether all values are finite: 1, or 0 if one is infinite or NaN. `device.under({ when: { counts, index: 0 } }, …)` takes it as a guard, so that
 * a step is skipped without a word to JS.
 * @param tensors - f32, at least one
 * @returns i32, [1]
 * @throws RenvoxError DtypeMismatch, InvalidArgument
 */
export function allFinite(tensors: readonly Tensor[]): Tensor {
  const first = checkAll('allFinite', tensors);
  return first.device.run('allFinite', { tensors })[0] as Tensor;
}

function checkAll(operation: string, tensors: readonly Tensor[]): Tensor {
  const [first] = tensors;
  if (!first) throw invalidArgument(`tensors of ${operation}`, 'at least one tensor', tensors);
  for (const [i, tensor] of tensors.entries())
    checkTensor(operation, `tensors[${i}]`, tensor, { dtype: 'f32' });
  return first;
}
