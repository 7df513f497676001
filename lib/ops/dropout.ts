import { invalidArgument } from '../errors.js';
import { differentiable } from '../gradient.js';
import type { Tensor } from '../tensor.js';
import { checkNumber, checkTensor } from './check.js';
import { reshape } from './reshape.js';

/** Settings of {@link dropout}. */
export interface DropoutOptions {
  /** An integer from 0 to 2^53 - 1. */
  seed: number;
  /** Tells the uses of one seed apart, such as the number of the step: an integer from 0 to 2^53 - 1; 0 by default. */
  offset?: number;
}

/**
 * Sets each value to zero with probability p and divides the others by 1 - p (Srivastava et al. 2014). Whether value i stays depends on
 * (seed, offset, i) and on nothing else, on any device: Philox4x32-10, 24 bits. With p = 0 it is a view of x.
 * @param x - f32, any shape
 * @param p - from 0 to below 1
 * @throws RenvoxError DtypeMismatch, InvalidArgument
 */
export function dropout(x: Tensor, p: number, options: DropoutOptions): Tensor {
  checkTensor('dropout', 'x', x, { dtype: 'f32' });
  checkNumber('dropout', 'p', p, 0, 1 - 2 ** -24);
  const { seed, offset = 0 } = options;
  for (const [name, value] of Object.entries({ seed, offset }))
    if (!Number.isSafeInteger(value) || value < 0)
      throw invalidArgument(`${name} of dropout`, 'an integer from 0 to 2^53 - 1', value);
  if (p === 0) return reshape(x, x.shape);
  const masked = (values: Tensor) =>
    x.device.run('dropout', { x: values, p, seed, offset })[0] as Tensor;
  const y = masked(x);
  differentiable('dropout', [x], [y], ([dy]) => [dy && masked(dy)]);
  return y;
}
