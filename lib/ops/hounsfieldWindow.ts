import { invalidArgument } from '../errors.js';
import type { Tensor } from '../tensor.js';
import { checkNumber, checkTensor } from './check.js';

/** Which HU a window shows, and what its ends become. */
export interface HounsfieldWindow {
  /** Middle of the window, HU. */
  level: number;
  /** Width of the window, HU; greater than 0. */
  width: number;
  /** What level - width / 2 and everything below becomes, by default 0. */
  low?: number;
  /** What level + width / 2 and everything above becomes, by default 1. */
  high?: number;
}

/** How stored values become HU: value * slope + intercept. */
export interface StoredScale {
  /** HU per stored unit, not 0, by default 1. */
  slope?: number;
  /** HU of the stored value 0, by default 0. */
  intercept?: number;
}

/** @internal Checks a window and fills in its defaults. */
export function checkWindow(
  operation: string,
  window: HounsfieldWindow,
): Required<HounsfieldWindow> {
  if (typeof window !== 'object' || window === null)
    throw invalidArgument(`window of ${operation}`, '{ level, width } in HU', window);
  const { level, width, low = 0, high = 1 } = window;
  checkNumber(operation, 'level', level);
  checkNumber(operation, 'width', width);
  checkNumber(operation, 'low', low);
  checkNumber(operation, 'high', high);
  if (!(width > 0))
    throw invalidArgument(`width of ${operation}`, 'a number of HU greater than 0', width);
  if (!(high > low))
    throw invalidArgument(`high of ${operation}`, `a number above low = ${low}`, high);
  return { level, width, low, high };
}

/** @internal Checks a stored scale and fills in its defaults. */
export function checkScale(operation: string, scale: StoredScale): Required<StoredScale> {
  const { slope = 1, intercept = 0 } = scale;
  checkNumber(operation, 'slope', slope);
  checkNumber(operation, 'intercept', intercept);
  if (slope === 0) throw invalidArgument(`slope of ${operation}`, 'a number other than 0', slope);
  return { slope, intercept };
}

/**
 * Clips HU to a window and scales it: HU = x * slope + intercept, clipped to level -+ width / 2, scaled to low..high. NaN stays NaN.
 * `resample` can do the same while it reads. It has no gradient.
 * @param x - f32, i16, i32 or u8, any shape; stored values
 * @returns f32
 * @throws RenvoxError DtypeMismatch, InvalidArgument
 */
export function hounsfieldWindow(x: Tensor, window: HounsfieldWindow & StoredScale): Tensor {
  checkTensor('hounsfieldWindow', 'x', x, { dtype: ['f32', 'i16', 'i32', 'u8'] });
  const fields = {
    ...checkWindow('hounsfieldWindow', window),
    ...checkScale('hounsfieldWindow', window),
  };
  return x.device.run('hounsfieldWindow', { x, ...fields })[0] as Tensor;
}
