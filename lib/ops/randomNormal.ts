import type { Device } from '../device.js';
import { invalidArgument } from '../errors.js';
import type { Tensor } from '../tensor.js';
import { checkNumber } from './check.js';

export interface RandomOptions {
  shape: readonly number[];
  /** An integer from 0 to 2^53 - 1. */
  seed: number;
  /** Separates the users of one seed: an integer from 0 to 2^53 - 1, by default 0. */
  stream?: number;
}

/**
 * Normal deviates, f32. Value i depends on (seed, stream, i) and on nothing else, on any device: Philox4x32-10 (Salmon et al., SC'11)
 * and Box-Muller. No deviate is further than 6.66 deviations from the mean.
 * @throws RenvoxError InvalidArgument
 */
export function randomNormal(
  device: Device,
  options: RandomOptions & { mean?: number; deviation?: number },
): Tensor {
  const { mean = 0, deviation = 1 } = options;
  checkNumber('randomNormal', 'mean', mean);
  checkNumber('randomNormal', 'deviation', deviation, 0);
  return draw('randomNormal', device, options, { mean, deviation });
}

/**
 * Uniform numbers in [low, high), f32 (rounding to float may reach `high` where it is not 1). Value i depends on (seed, stream, i) and
 * on nothing else, on any device: Philox4x32-10, 24 bits.
 * @throws RenvoxError InvalidArgument
 */
export function randomUniform(
  device: Device,
  options: RandomOptions & { low?: number; high?: number },
): Tensor {
  const { low = 0, high = 1 } = options;
  checkNumber('randomUniform', 'low', low);
  checkNumber('randomUniform', 'high', high, low);
  return draw('randomUniform', device, options, { low, high });
}

function draw(
  operation: string,
  device: Device,
  { shape, seed, stream = 0 }: RandomOptions,
  parameters: Record<string, number>,
): Tensor {
  if (
    !Array.isArray(shape) ||
    shape.length > 6 ||
    !shape.every((n) => Number.isSafeInteger(n) && n >= 0)
  )
    throw invalidArgument(`shape of ${operation}`, 'up to six non-negative integers', shape);
  for (const [parameter, value] of Object.entries({ seed, stream }))
    if (!Number.isSafeInteger(value) || value < 0)
      throw invalidArgument(`${parameter} of ${operation}`, 'an integer from 0 to 2^53 - 1', value);
  return device.run(operation, { shape, seed, stream, ...parameters })[0] as Tensor;
}
