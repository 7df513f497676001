/**
 * The gradients of convolutions, for the operations and for layers that load raw tensors (lib/nn/raw.ts). Not exported from the package: with a
 * load they are the gradients of what is loaded, which no public operation promises.
 */
import type { OperationFields } from '../device.js';
import type { Tensor } from '../tensor.js';
import type { Triple } from './check.js';
import type { Conv3dOptions } from './conv3d.js';
import type { ConvTranspose3dOptions } from './convTranspose3d.js';

/** A convolution as its gradient sees it. */
export interface Conv3dLayer {
  x: Tensor;
  weight: Tensor;
  bias?: Tensor | undefined;
  second?: Tensor | undefined;
  /** Norms and activation on load, as conv3d's: the gradients of x and second are then those of what is loaded. */
  load?: Pick<Conv3dOptions, 'scale' | 'shift' | 'secondScale' | 'secondShift' | 'slope'>;
  geometry: { stride: Triple; padding: Triple; dilation: Triple };
  precision: 'fp32' | 'bf16' | 'fp16';
  algorithm: 'direct' | 'winograd' | 'auto';
}

/** What a convolution is differentiable with respect to, in the order of {@link conv3dGradients}. */
export function conv3dInputs({ x, weight, bias, second }: Conv3dLayer): Tensor[] {
  return [x, weight, ...(bias ? [bias] : []), ...(second ? [second] : [])];
}

/** A norm with its activation of a raw output, as the gradient needs it. */
export interface NormBelow {
  gamma: Tensor;
  beta: Tensor;
  /** As instanceNormGrad takes them. */
  statistics: Tensor;
  slope: number;
  /** Sums that the norm's gradient needs, and the gradient that they are of: made with it by the convolution that alone reads the output. */
  made?: { of: Tensor; sums: Tensor } | undefined;
}

/** What the gradients of a convolution between two norms do for these (ops/convolution.h, docs/kernels.md). */
export interface BetweenNorms {
  /** dy is that of the activation: what forms that of the raw output where it is loaded. */
  formed?: { raw: Tensor; coefficients: Tensor; slope: number } | undefined;
  /** The norm of x, if this convolution alone reads it: its sums are made with dx. */
  below?: NormBelow | undefined;
}

/** The gradients of a convolution from that of its result. */
export function conv3dGradients(
  { x, weight, bias, second, load, geometry, precision, algorithm }: Conv3dLayer,
  dy: Tensor,
  wants: readonly boolean[],
  { formed, below }: BetweenNorms = {},
): (Tensor | undefined)[] {
  const { device } = x;
  const forming = formed && {
    ...{ dyRaw: formed.raw, dyCoefficients: formed.coefficients, dySlope: formed.slope },
  };
  const gradient = { dy, ...forming };
  // Gradients of images are of the images' type.
  const type = { precision, out: x.dtype, algorithm };
  const size = x.shape.slice(1, 4);
  const gradInput = (first: number, channels: number, norm?: NormBelow) => {
    if (channels === 0) return device.full([...x.shape.slice(0, 4), 0], 0, x.dtype);
    const fields = { ...gradient, weight, size, first, channels, ...geometry, ...type };
    if (!norm) return device.run('conv3dGradInput', fields)[0] as Tensor;
    const { gamma: belowGamma, beta: belowBeta, statistics: belowStatistics } = norm;
    const [of, sums] = device.run('conv3dGradInput', {
      ...{ ...fields, below: x, belowGamma, belowBeta, belowStatistics, belowSlope: norm.slope },
    }) as [Tensor, Tensor];
    norm.made = { of, sums };
    return of;
  };
  const own = x.shape[4] as number;
  const dx = wants[0] ? gradInput(0, own, below) : undefined;
  const wantsSecond = second && wants[bias ? 3 : 2];
  const dsecond = wantsSecond ? gradInput(own, second.shape[4] as number) : undefined;
  let dw: Tensor | undefined;
  let db: Tensor | undefined;
  if (wants[1] || (bias && wants[2])) {
    const kernel = weight.shape.slice(2);
    const fields = { x, ...gradient, second, kernel, ...load, ...geometry, ...type };
    const made = device.run('conv3dGradWeight', fields) as [Tensor, Tensor | null];
    dw = made[0];
    // Under a norm a bias has no gradient.
    db = made[1] ?? (bias ? device.full(bias.shape) : undefined);
  }
  if (db && !bias) db.dispose();
  return [dx, dw, ...(bias ? [db] : []), ...(second ? [dsecond] : [])];
}

/** A transposed convolution as its gradient sees it. */
export interface ConvTranspose3dLayer {
  x: Tensor;
  weight: Tensor;
  bias?: Tensor | undefined;
  /** Norm and activation on load: the gradient of x is then that of what is loaded. */
  load?: Pick<ConvTranspose3dOptions, 'scale' | 'shift' | 'slope'>;
  precision: 'fp32' | 'bf16' | 'fp16';
}

/** What it is differentiable with respect to, in the order of {@link convTranspose3dGradients}. */
export function convTranspose3dInputs({ x, weight, bias }: ConvTranspose3dLayer): Tensor[] {
  return [x, weight, ...(bias ? [bias] : [])];
}

/** The gradients of a transposed convolution from that of its result. */
export function convTranspose3dGradients(
  { x, weight, bias, load, precision }: ConvTranspose3dLayer,
  dy: Tensor,
  wants: readonly boolean[],
): (Tensor | undefined)[] {
  // Gradients of images are of the images' type.
  const type = { precision, out: x.dtype };
  const run = (name: string, fields: OperationFields) =>
    x.device.run(name, { ...fields, ...type }) as [Tensor, Tensor];
  const dx = wants[0] ? run('convTranspose3dGradInput', { dy, weight })[0] : undefined;
  let dw: Tensor | undefined;
  let db: Tensor | undefined;
  if (wants[1] || (bias && wants[2]))
    [dw, db] = run('convTranspose3dGradWeight', { x, dy, ...load });
  if (db && !bias) db.dispose();
  return [dx, dw, ...(bias ? [db] : [])];
}
