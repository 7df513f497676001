import type { Tensor } from '../tensor.js';
import { checkList, checkNumber } from './check.js';

/**
 * Running average of parameters, in place: averages = decay * averages + (1 - decay) * parameters.
 * @param averages - f32, changed in place
 * @param parameters - f32, in the same shapes
 * @throws RenvoxError ShapeMismatch, DtypeMismatch, InvalidArgument
 */
export function average(
  averages: readonly Tensor[],
  parameters: readonly Tensor[],
  decay: number,
): void {
  checkList('average', 'parameters', averages, parameters);
  checkNumber('average', 'decay', decay, 0, 1);
  averages[0]?.device.run('average', { averages, parameters, decay });
}
