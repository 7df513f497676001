import { differentiable } from '../gradient.js';
import type { Tensor } from '../tensor.js';
import { checkChannels, checkImage, checkNumber, checkTensor } from './check.js';

/** Settings of a norm with its activation. */
export interface NormOptions {
  /** Added to the variance; 1e-5 by default. */
  eps?: number;
  /** The leaky activation after the norm: y where y > 0, slope * y elsewhere. 1, the default, is none; 0 is ReLU. */
  slope?: number;
}

/**
 * Instance norm with affine parameters, then a leaky activation:
 * leaky(gamma (x - mean) / sqrt(variance + eps) + beta), mean and biased variance over space for each sample and channel
 * (Ulyanov et al. 2016, arXiv 1607.08022). Its gradient recomputes the normalised values from x.
 * @param x - f32, [N, ..., C]
 * @param gamma - f32, [C]
 * @param beta - f32, [C]
 * @throws RenvoxError ShapeMismatch, DtypeMismatch, InvalidArgument
 */
export function instanceNorm(
  x: Tensor,
  gamma: Tensor,
  beta: Tensor,
  options: NormOptions = {},
): Tensor {
  const { eps = 1e-5, slope = 1 } = options;
  const channels = checkImage('instanceNorm', x);
  checkChannels('instanceNorm', 'gamma', gamma, channels);
  checkChannels('instanceNorm', 'beta', beta, channels);
  checkNumber('instanceNorm', 'eps', eps, 0);
  checkNumber('instanceNorm', 'slope', slope);
  const [y, statistics] = x.device.run('instanceNorm', { x, gamma, beta, eps, slope }) as [
    Tensor,
    Tensor,
  ];
  differentiable(
    'instanceNorm',
    [x, gamma, beta],
    [y],
    ([dy]) =>
      dy
        ? (x.device.run('instanceNormGrad', { x, dy, gamma, beta, statistics, slope }) as Tensor[])
        : [],
    [statistics],
  );
  return y;
}

/**
 * The instance norm of a convolution's output as what the next convolution applies while loading: from the statistics
 * that conv3d summed while storing, `scale` = gamma / sqrt(M2 / count + eps) and `shift` = beta - mean * scale.
 * For inference: it has no gradient.
 * @param sums - f32, [N, C, 2]: mean and M2 (sum of squared deviations) over space
 * @param count - voxels over which they were summed
 * @returns scale and shift, f32, [N, C]
 * @throws RenvoxError ShapeMismatch, DtypeMismatch, InvalidArgument
 */
export function normCoefficients(
  sums: Tensor,
  count: number,
  gamma: Tensor,
  beta: Tensor,
  options: { eps?: number } = {},
): [scale: Tensor, shift: Tensor] {
  const { eps = 1e-5 } = options;
  checkTensor('normCoefficients', 'sums', sums, { rank: 3, dtype: 'f32' });
  const channels = sums.shape[1] as number;
  checkChannels('normCoefficients', 'gamma', gamma, channels);
  checkChannels('normCoefficients', 'beta', beta, channels);
  checkNumber('normCoefficients', 'count', count, 1);
  checkNumber('normCoefficients', 'eps', eps, 0);
  return sums.device.run('normCoefficients', { sums, gamma, beta, count, eps }) as [Tensor, Tensor];
}
