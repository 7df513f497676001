import { RenvoxError } from '../errors.js';
import { differentiable } from '../gradient.js';
import type { Tensor } from '../tensor.js';
import { checkImage, checkTensor, text } from './check.js';

/** Channels of masks that one call takes. */
const MOST = 8;

/**
 * Means over what masks mark, for each sample, mask and channel: sum of m x / sum of m, m of the mask; 0 where a mask is empty. Where m is 0, x does not
 * count, NaN or not.
 * @param x - f32, [N, ..., C]
 * @param masks - f32, [N, ..., K], weights of at least 0, K from 1 to 8; constants, through which no gradient flows
 * @returns [N, K, C]
 * @throws RenvoxError ShapeMismatch, DtypeMismatch, DeviceMismatch, InvalidArgument
 */
export function maskedAveragePool(x: Tensor, masks: Tensor): Tensor {
  checkImage('maskedAveragePool', x);
  checkTensor('maskedAveragePool', 'masks', masks, { dtype: 'f32' });
  const space = x.shape.slice(0, -1);
  const count = masks.shape[space.length] ?? 0;
  const fits = masks.shape.length === x.shape.length && count >= 1 && count <= MOST;
  if (!fits || space.some((n, axis) => n !== masks.shape[axis]))
    throw new RenvoxError(
      'ShapeMismatch',
      `Expected shape ${text([...space])} and 1 to ${MOST} channels for parameter masks of maskedAveragePool but received ${text(masks.shape)}`,
      { operation: 'maskedAveragePool', parameter: 'masks', shape: masks.shape },
    );
  const [y] = x.device.run('maskedAveragePool', { x, masks }) as [Tensor];
  differentiable('maskedAveragePool', [x], [y], ([dy]) =>
    dy ? (x.device.run('maskedAveragePoolGrad', { dy, masks }) as [Tensor]) : [],
  );
  return y;
}
