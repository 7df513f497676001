import { RenvoxError } from '../errors.js';
import { differentiable, recording } from '../gradient.js';
import type { Tensor } from '../tensor.js';
import {
  checkChoice,
  checkNumber,
  checkShape,
  checkTensor,
  type Triple,
  text,
  triple,
} from './check.js';
import { conv3dGradients, conv3dInputs } from './convolution-gradients.js';

export interface Conv3dOptions {
  /** f32 [Cout] */
  bias?: Tensor | undefined;
  /** Along D, H, W; at least 1. Default 1. */
  stride?: Triple | undefined;
  /** Zeros on both sides, along D, H, W. Default 0. */
  padding?: Triple | undefined;
  /** Along D, H, W; at least 1. Default 1. */
  dilation?: Triple | undefined;
  /** A second source, of x's type, [N, D, H, W, C2]: the result is that of x and this one concatenated along the channels, which is never stored. */
  second?: Tensor | undefined;
  /** With `shift`: x * scale + shift is convolved instead of x, then what is negative times `slope`. f32 [N, Cin of x]. Padding stays zero. */
  scale?: Tensor | undefined;
  shift?: Tensor | undefined;
  /** The same for `second`, f32 [N, C2]. */
  secondScale?: Tensor | undefined;
  secondShift?: Tensor | undefined;
  /** Slope for negative values of a source with a scale. Default 1: none. */
  slope?: number | undefined;
  /**
   * f32 [C, Cup, 2, 2, 2]: the first source is not x but its transposed convolution with kernel and stride 2 ({@link convTranspose3d}), of Cup
   * channels and twice x's size, rounded to the precision; `scale`, `shift` and `slope` apply to x. `second` has the size [N, 2D, 2H, 2W] too.
   * The result has the bits of the two operations; on a GPU's tensor cores that source is not stored where that pays. x is f32 or of the type
   * of the precision.
   */
  upWeight?: Tensor | undefined;
  /** With `upWeight`, f32 [Cup]: outside of the volume the source is 0 all the same. */
  upBias?: Tensor | undefined;
  /** Also returns mean and sum of squared deviations of every channel of the result. */
  statistics?: boolean | undefined;
  /**
   * The type of the products: x (after scale and slope) and weight are rounded to it, products are added in f32. `bf16` and `fp16` run
   * on a GPU's tensor cores. Default `fp32`: nothing is rounded.
   */
  precision?: 'fp32' | 'bf16' | 'fp16' | undefined;
  /** The type of the result. Default that of the precision: f32, bf16 or f16. */
  out?: 'f32' | 'bf16' | 'f16' | undefined;
  /**
   * How products of fp32 are formed on the CPU, here and in the gradients with respect to x and the weight. `direct`: one by one. `winograd`
   * (3x3x3 weights, stride 1): with a sixth of the multiplications; relative RMS error up to 2.5e-6 at 64 input channels and
   * 4e-6 at 256, where direct has 1e-6 and 2e-6; of the weight's gradient up to 2e-6 by either. Default `auto`: the faster one for the shape,
   * for up to four input channels a third form with strides or not (relative RMS error up to 4e-6); direct on a GPU.
   */
  algorithm?: 'direct' | 'winograd' | 'auto' | undefined;
}

/** Options of a {@link conv3d} that pools its result too. */
export interface Conv3dPoolOptions extends Conv3dOptions {
  /**
   * f32 [Cout]. Also returns, of each window of 2x2x2 voxels of the result, its largest value, or its smallest in channels whose sign is
   * negative. Given the gamma of the norm that follows, this is what {@link maxPool3d} leaves of the norm and activation of the result, before
   * they are applied: the norm's scale has gamma's sign, and LeakyReLU's slope is at least 0. Loaded with that scale, shift and slope it
   * is that pool, without reading the result again. For inference: with it there is no gradient.
   */
  poolSign: Tensor;
}

/** The result of {@link conv3d} with `statistics`. */
export interface Conv3dWithStatistics {
  y: Tensor;
  /** f32 [N, Cout, 2]: mean and sum of squared deviations over space, before the result is rounded. A constant to the tape. */
  sums: Tensor;
}

/** The result of {@link conv3d} with `poolSign`. */
export interface Conv3dWithPool {
  y: Tensor;
  /** [N, floor(D'/2), floor(H'/2), floor(W'/2), Cout], y's type: extremes of its values as stored. A NaN is one; +0 is above -0. */
  pooled: Tensor;
}

/**
 * 3D convolution (cross-correlation, as in every deep learning library): y[n,o,co] = bias[co] + the sum over taps k and channels ci of
 * weight[co,ci,k] * x[n, o*stride - padding + k*dilation, ci], with x = 0 outside.
 *
 * Differentiable with respect to x, second, weight and bias, with products of the same precision and f32 gradients; not together with
 * a scale, a poolSign or `upWeight`, nor where x is stored in 16 bits.
 *
 * @param x - f32, bf16 or f16 [N, D, H, W, C]
 * @param weight - f32 [Cout, Cin, kD, kH, kW]; Cin counts the channels of `second` too, and those of `upWeight` instead of x's
 * @returns [N, D', H', W', Cout] with D' = floor((D + 2*padding - dilation*(kD - 1) - 1) / stride) + 1
 * @throws RenvoxError ShapeMismatch (of a pool too, whose window does not fit into a result that is one voxel wide), DtypeMismatch,
 * DeviceMismatch, InvalidArgument
 */
export function conv3d(
  x: Tensor,
  weight: Tensor,
  options: Conv3dPoolOptions & { statistics: true },
): Conv3dWithStatistics & Conv3dWithPool;
export function conv3d(x: Tensor, weight: Tensor, options: Conv3dPoolOptions): Conv3dWithPool;
export function conv3d(
  x: Tensor,
  weight: Tensor,
  options: Conv3dOptions & { statistics: true },
): Conv3dWithStatistics;
export function conv3d(
  x: Tensor,
  weight: Tensor,
  options?: Conv3dOptions & { statistics?: false | undefined },
): Tensor;
export function conv3d(
  x: Tensor,
  weight: Tensor,
  options: Partial<Conv3dPoolOptions> = {},
): Tensor | { y: Tensor; sums?: Tensor; pooled?: Tensor } {
  const geometry = check(x, weight, options);
  const { bias, second, scale, shift, secondScale, secondShift, slope, statistics } = options;
  const { upWeight, upBias, precision = 'fp32', out, algorithm = 'auto', poolSign } = options;
  const { stride, padding, dilation } = geometry;
  // One plain literal: to build it of spreads would take longer than the call.
  // biome-ignore format: as many names as a page has lines
  const fields = {
    x, weight, bias, second, scale, shift, secondScale, secondShift, upWeight, upBias, poolSign,
    stride, padding, dilation, slope: slope ?? 1, statistics: statistics ?? false,
    precision, out: out ?? '', algorithm,
  };
  const [y, sums, pooled] = x.device.run('conv3d', fields) as [
    Tensor,
    Tensor | null,
    Tensor | null,
  ];
  if (recording()) {
    if (scale || secondScale)
      throw new RenvoxError(
        'InvalidArgument',
        'conv3d has no gradient together with a scale; apply the normalization as an operation of its own',
      );
    if (poolSign)
      throw new RenvoxError(
        'InvalidArgument',
        'conv3d has no gradient together with a poolSign; pool by maxPool3d',
      );
    if (upWeight)
      throw new RenvoxError(
        'InvalidArgument',
        'conv3d has no gradient together with upWeight; apply convTranspose3d as an operation of its own',
      );
    if (x.dtype !== 'f32')
      throw new RenvoxError(
        'InvalidArgument',
        `conv3d has no gradient for an x of type ${x.dtype}; cast it to f32 and let precision round it`,
      );
    const layer = { x, weight, bias, second, geometry, precision, algorithm };
    differentiable('conv3d', conv3dInputs(layer), [y], ([dy], wants) =>
      dy ? conv3dGradients(layer, dy, wants) : [],
    );
  }
  if (!sums && !pooled) return y;
  return { y, ...(sums && { sums }), ...(pooled && { pooled }) };
}

type Three = [number, number, number];

function check(x: Tensor, weight: Tensor, options: Partial<Conv3dPoolOptions>) {
  const { bias, second, scale, shift, secondScale, secondShift, slope, poolSign } = options;
  checkTensor('conv3d', 'x', x, { rank: 5, dtype: ['f32', 'bf16', 'f16'] });
  checkTensor('conv3d', 'weight', weight, { rank: 5, dtype: 'f32' });
  checkLoad('scale', scale, 'shift', shift, [x.shape[0] as number, x.shape[4] as number]);
  const [n, d, h, w, c] = sourceShape(x, options);
  let channels = c;
  if (second) {
    checkTensor('conv3d', 'second', second, { rank: 5, dtype: x.dtype });
    const c2 = second.shape[4] as number;
    checkShape('conv3d', 'second', second, [n, d, h, w, c2]);
    channels += c2;
    checkLoad('secondScale', secondScale, 'secondShift', secondShift, [n, c2]);
  } else if (secondScale || secondShift)
    throw new RenvoxError(
      'InvalidArgument',
      'Expected parameter second of conv3d together with secondScale and secondShift',
    );
  if (slope !== undefined) checkNumber('conv3d', 'slope', slope);
  checkChoice('conv3d', 'precision', options.precision, ['fp32', 'bf16', 'fp16']);
  checkChoice('conv3d', 'out', options.out, ['f32', 'bf16', 'f16']);
  const cout = weight.shape[0] as number;
  checkShape('conv3d', 'weight', weight, [cout, channels, ...weight.shape.slice(2)]);
  if (bias) {
    checkTensor('conv3d', 'bias', bias, { rank: 1, dtype: 'f32' });
    checkShape('conv3d', 'bias', bias, [cout]);
  }
  const stride: Three = triple('conv3d', 'stride', options.stride ?? 1, 1);
  const padding: Three = triple('conv3d', 'padding', options.padding ?? 0, 0);
  const dilation: Three = triple('conv3d', 'dilation', options.dilation ?? 1, 1);
  if (poolSign) {
    checkTensor('conv3d', 'poolSign', poolSign, { rank: 1, dtype: 'f32' });
    checkShape('conv3d', 'poolSign', poolSign, [cout]);
  }
  for (const [i, s] of [d, h, w].entries()) {
    const reach = (dilation[i] as number) * ((weight.shape[i + 2] as number) - 1) + 1;
    if (!(reach >= 1 && s + 2 * (padding[i] as number) >= reach))
      throw new RenvoxError(
        'ShapeMismatch',
        `Expected a kernel that fits into x of conv3d but received weight ${text(weight.shape)} with dilation ${text(dilation)} and padding ${text(padding)} for x ${text([n, d, h, w, c])}`,
        { shape: [n, d, h, w, c], weight: weight.shape, padding, dilation },
      );
    if (poolSign && s + 2 * (padding[i] as number) < reach + (stride[i] as number))
      throw new RenvoxError(
        'ShapeMismatch',
        `Expected a result of two voxels or more along each axis for parameter poolSign of conv3d but received x ${text(x.shape)} with weight ${text(weight.shape)}, stride ${text(stride)} and padding ${text(padding)}`,
        { shape: x.shape, weight: weight.shape, stride, padding, dilation },
      );
  }
  const { algorithm } = options;
  checkChoice('conv3d', 'algorithm', algorithm, ['direct', 'winograd', 'auto']);
  const fits = weight.shape.slice(2).every((k) => k === 3) && stride.every((n) => n === 1);
  const fp32 = (options.precision ?? 'fp32') === 'fp32';
  if (algorithm === 'winograd' && !(fits && fp32 && x.device.kind === 'cpu'))
    throw new RenvoxError(
      'InvalidArgument',
      `Expected 3x3x3 weights, stride 1 and precision fp32 on the CPU for algorithm winograd of conv3d but received weight ${text(weight.shape)}, stride ${text(stride)} and precision ${options.precision ?? 'fp32'} on ${x.device.kind}`,
      { weight: weight.shape, stride, precision: options.precision },
    );
  return { stride, padding, dilation };
}

/** Of the first source: x, or what `upWeight` makes of it. */
function sourceShape(x: Tensor, { upWeight, upBias, precision = 'fp32' }: Conv3dOptions) {
  const [n, d, h, w, c] = x.shape as [number, number, number, number, number];
  if (!upWeight) {
    if (upBias)
      throw new RenvoxError(
        'InvalidArgument',
        'Expected parameter upWeight of conv3d together with upBias',
      );
    return [n, d, h, w, c] as const;
  }
  checkTensor('conv3d', 'upWeight', upWeight, { rank: 5, dtype: 'f32' });
  const cup = upWeight.shape[1] as number;
  checkShape('conv3d', 'upWeight', upWeight, [c, cup, 2, 2, 2]);
  if (upBias) {
    checkTensor('conv3d', 'upBias', upBias, { rank: 1, dtype: 'f32' });
    checkShape('conv3d', 'upBias', upBias, [cup]);
  }
  const products = ({ fp32: 'f32', bf16: 'bf16', fp16: 'f16' } as const)[precision];
  checkTensor('conv3d', 'x', x, { dtype: ['f32', ...(products === 'f32' ? [] : [products])] });
  return [n, 2 * d, 2 * h, 2 * w, cup] as const;
}

function checkLoad(
  scaleName: string,
  scale: Tensor | undefined,
  shiftName: string,
  shift: Tensor | undefined,
  shape: readonly number[],
): void {
  if (!scale && !shift) return;
  checkTensor('conv3d', scaleName, scale, { rank: 2, dtype: 'f32' });
  checkTensor('conv3d', shiftName, shift, { rank: 2, dtype: 'f32' });
  checkShape('conv3d', scaleName, scale, shape);
  checkShape('conv3d', shiftName, shift, shape);
}
