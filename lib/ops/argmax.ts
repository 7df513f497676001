import type { Tensor } from '../tensor.js';
import { checkImage, checkNumber } from './check.js';

/**
 * The channel of the largest value; of equal ones the lowest. It has no gradient.
 * @param x - f32, [..., C], C at most 255
 * @returns u8, the shape of x without its last axis
 * @throws RenvoxError ShapeMismatch, DtypeMismatch, InvalidArgument
 */
export function argmax(x: Tensor): Tensor {
  checkNumber('argmax', 'channels of x', checkImage('argmax', x, 1), 1, 255);
  return x.device.run('argmax', { x })[0] as Tensor;
}
