import { invalidArgument, RenvoxError } from '../errors.js';
import { differentiable } from '../gradient.js';
import type { Tensor } from '../tensor.js';
import { checkChannels, checkImage, checkNumber, checkTensor, text } from './check.js';
import type { NormOptions } from './instanceNorm.js';

/** Settings of {@link batchNorm}. */
export interface BatchNormOptions extends NormOptions {
  /** Whether to use the statistics of this batch and to update the running ones; false by default. */
  training?: boolean;
  /** Share of the new statistics in the running ones; 0.1 by default. */
  momentum?: number;
}

/**
 * Batch norm with affine parameters, then a leaky activation; statistics over samples and space for each channel (Ioffe and Szegedy
 * 2015, arXiv 1502.03167). In training the running statistics are changed in place, with the unbiased variance, as PyTorch does.
 * @param x - f32, [N, ..., C]; in training at least two values a channel
 * @param gamma - f32, [C]
 * @param beta - f32, [C]
 * @param runningMean - f32, [C]
 * @param runningVar - f32, [C]
 * @throws RenvoxError ShapeMismatch, DtypeMismatch, InvalidArgument
 */
export function batchNorm(
  x: Tensor,
  gamma: Tensor,
  beta: Tensor,
  runningMean: Tensor,
  runningVar: Tensor,
  options: BatchNormOptions = {},
): Tensor {
  const { training = false, momentum = 0.1, eps = 1e-5, slope = 1 } = options;
  const channels = checkImage('batchNorm', x);
  const vectors = { gamma, beta, runningMean, runningVar };
  for (const [name, vector] of Object.entries(vectors))
    checkChannels('batchNorm', name, vector, channels);
  checkNumber('batchNorm', 'eps', eps, 0);
  checkNumber('batchNorm', 'slope', slope);
  checkNumber('batchNorm', 'momentum', momentum, 0, 1);
  if (training && x.size === channels)
    throw new RenvoxError(
      'ShapeMismatch',
      `Expected at least two values a channel for parameter x of batchNorm in training but received shape ${text(x.shape)}`,
      { operation: 'batchNorm', parameter: 'x', shape: x.shape },
    );
  const fields = { x, ...vectors, training, momentum, eps, slope };
  const [y, statistics] = x.device.run('batchNorm', fields) as [Tensor, Tensor];
  differentiable(
    'batchNorm',
    [x, gamma, beta],
    [y],
    ([dy]) =>
      dy
        ? (x.device.run('batchNormGrad', {
            x,
            dy,
            gamma,
            beta,
            statistics,
            training,
            slope,
          }) as Tensor[])
        : [],
    [statistics],
  );
  return y;
}

/** A batch norm with fixed statistics: f32, [C] each. */
export interface FixedBatchNorm {
  gamma: Tensor;
  beta: Tensor;
  runningMean: Tensor;
  runningVar: Tensor;
}

/**
 * A batch norm in eval mode as what the next operation applies while loading: `scale` = gamma / sqrt(runningVar + eps) and `shift` = beta -
 * runningMean * scale. For inference: it has no gradient.
 * @param samples - N of the tensor that will be loaded
 * @returns scale and shift, f32, [N, C]
 * @throws RenvoxError ShapeMismatch, DtypeMismatch, InvalidArgument
 */
export function batchNormCoefficients(
  norm: FixedBatchNorm,
  samples: number,
  options: { eps?: number } = {},
): [scale: Tensor, shift: Tensor] {
  const { eps = 1e-5 } = options;
  const { gamma, beta, runningMean, runningVar } = norm;
  checkTensor('batchNormCoefficients', 'gamma', gamma, { rank: 1, dtype: 'f32' });
  for (const [name, vector] of Object.entries({ beta, runningMean, runningVar }))
    checkChannels('batchNormCoefficients', name, vector, gamma.shape[0] as number);
  checkNumber('batchNormCoefficients', 'eps', eps, 0);
  if (!Number.isInteger(samples) || samples < 1)
    throw invalidArgument('samples of batchNormCoefficients', 'an integer of at least 1', samples);
  const fields = { gamma, beta, runningMean, runningVar, samples, eps };
  return gamma.device.run('batchNormCoefficients', fields) as [Tensor, Tensor];
}

/** What {@link foldBatchNorm} takes: a convolution, and the norm after it. */
export interface FoldedLayer extends FixedBatchNorm {
  /** The convolution's weight, f32, [Cout, ...]. */
  weight: Tensor;
  /** Its bias, f32, [Cout]; none is zeros. */
  bias?: Tensor | undefined;
}

/**
 * The convolution that equals a convolution followed by a batch norm in eval mode: with a = gamma / sqrt(runningVar + eps) for each
 * output channel, the weight a * weight and the bias a * (bias - runningMean) + beta. For inference: it has no gradient. Networks here apply their
 * norms on load instead ({@link batchNormCoefficients}); this is for those who keep or export the folded weights.
 * @returns new tensors, in the shapes of weight and gamma
 * @throws RenvoxError ShapeMismatch, DtypeMismatch, InvalidArgument
 */
export function foldBatchNorm(
  layer: FoldedLayer,
  options: { eps?: number } = {},
): [weight: Tensor, bias: Tensor] {
  const { eps = 1e-5 } = options;
  const { weight, bias, gamma, beta, runningMean, runningVar } = layer;
  checkTensor('foldBatchNorm', 'weight', weight, { dtype: 'f32' });
  const filters = weight.shape[0] ?? 0;
  const vectors = { gamma, beta, runningMean, runningVar };
  for (const [name, vector] of Object.entries(vectors))
    checkChannels('foldBatchNorm', name, vector, filters);
  if (bias) checkChannels('foldBatchNorm', 'bias', bias, filters);
  checkNumber('foldBatchNorm', 'eps', eps, 0);
  return weight.device.run('foldBatchNorm', { weight, bias, ...vectors, eps }) as [Tensor, Tensor];
}
