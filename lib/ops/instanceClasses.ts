import type { Tensor } from '../tensor.js';
import { checkTensor } from './check.js';

/**
 * Names instances by class: x where x < first, first + classes[x - first] elsewhere, 0 where `classes` ends before.
 * @param x - u8, any shape
 * @param classes - u8, the class of each instance, at most 255 - first: where one is greater, reading y rejects with InvalidArgument
 * @param first - the value of the first instance
 * @throws RenvoxError InvalidArgument, DtypeMismatch
 */
export function instanceClasses(x: Tensor, classes: Tensor, first: number): Tensor {
  checkTensor('instanceClasses', 'x', x, { dtype: 'u8' });
  checkTensor('instanceClasses', 'classes', classes, { dtype: 'u8' });
  const [y] = x.device.run('instanceClasses', { x, classes, first }) as [Tensor];
  return y;
}
