import { invalidArgument, RenvoxError } from '../errors.js';
import { differentiable } from '../gradient.js';
import { call } from '../native.js';
import { Tensor } from '../tensor.js';
import { checkTensor, text } from './check.js';

/**
 * The same values under another shape; shares memory with `x`.
 * @throws RenvoxError InvalidArgument; ShapeMismatch if the number of elements differs
 */
export function reshape(x: Tensor, shape: readonly number[]): Tensor {
  checkTensor('reshape', 'x', x);
  if (!Array.isArray(shape) || !shape.every((n) => Number.isSafeInteger(n) && n >= 0))
    throw invalidArgument('shape of reshape', 'an array of non-negative integers', shape);
  const size = shape.reduce((a, b) => a * b, 1);
  if (size !== x.size)
    throw new RenvoxError(
      'ShapeMismatch',
      `Cannot view ${text(x.shape)} (${x.size} elements) as ${text(shape)} (${size})`,
      {
        from: x.shape,
        to: shape,
      },
    );
  const y = new Tensor(
    x.device,
    call((addon) => addon.reshape(x.handle, shape)),
  );
  differentiable('reshape', [x], [y], ([dy]) => [dy && reshape(dy, x.shape)]);
  return y;
}
