import { invalidArgument } from '../errors.js';
import { differentiable } from '../gradient.js';
import type { DType, Tensor } from '../tensor.js';
import { checkTensor } from './check.js';

const types: readonly DType[] = ['f32', 'bf16', 'f16', 'u8', 'i16', 'i32', 'f64'];
const floats: readonly DType[] = ['f32', 'bf16', 'f16', 'f64'];

/**
 * The same values as another type: rounded to nearest, ties to even; integers saturate; NaN becomes integer 0, too large floats become
 * infinite. Between floats the gradient passes, as another cast.
 * @param x - any type and shape
 * @throws RenvoxError InvalidArgument, DtypeMismatch
 */
export function cast(x: Tensor, dtype: DType): Tensor {
  checkTensor('cast', 'x', x);
  if (!types.includes(dtype))
    throw invalidArgument('dtype of cast', `one of ${types.join(', ')}`, dtype);
  const [y] = x.device.run('cast', { x, dtype }) as [Tensor];
  if (floats.includes(x.dtype) && floats.includes(dtype))
    differentiable('cast', [x], [y], ([dy]) =>
      dy ? (x.device.run('cast', { x: dy, dtype: x.dtype }) as [Tensor]) : [],
    );
  return y;
}
