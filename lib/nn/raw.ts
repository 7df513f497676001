/**
 * Layers that pass raw convolution outputs on: the norm and activation of a convolution's output are applied when the next layer loads it, so
 * neither inference nor training stores an activation. Training keeps the raw outputs alone and rebuilds activations on load. Raw outputs and
 * their gradients are stored in the type of the products, f32, bf16 or f16; statistics and the gradients of weights are f32.
 *
 * On the tape a {@link Raw}'s tensor stands for the activation that it is loaded as: layers hand the gradient of the activation to it, and the
 * convolution that made it turns that into the gradient of its raw output, once for all who loaded it. So raw tensors of a normed layer must
 * not reach operations outside this file. On a GPU in 16 bits that gradient is formed where it is loaded, where that pays (gradient-plan.ts), and a
 * convolution that alone loads an output makes the sums that the output's norm needs beside its gradient.
 */
import { differentiable, recording } from '../gradient.js';
import { batchNormCoefficients, type FixedBatchNorm } from '../ops/batchNorm.js';
import { type Conv3dOptions, conv3d } from '../ops/conv3d.js';
import {
  type Conv3dLayer,
  type ConvTranspose3dLayer,
  conv3dGradients,
  conv3dInputs,
  convTranspose3dGradients,
  convTranspose3dInputs,
  type NormBelow,
} from '../ops/convolution-gradients.js';
import { scaleBy, weightedSum } from '../ops/weightedSum.js';
import type { Tensor } from '../tensor.js';
import { formsOnLoad } from './gradient-plan.js';
import type { Products } from './network.js';
import { storageOf } from './precision.js';

/** A tensor, and what turns it into an activation when it is loaded: leaky(x * scale + shift), f32 [N, C] each. */
export interface Raw {
  tensor: Tensor;
  scale?: Tensor;
  shift?: Tensor;
  /** Of an output on the tape: its norm, and how many layers load it. */
  norm?: NormBelow & { readers: number };
}

/** A layer's output, and its maximum over 2x2x2 where that was asked for: made from raw values, it is loaded as the output is. */
export type RawAndPooled = Raw & { scale: Tensor; shift: Tensor; pooled?: Tensor | undefined };

/**
 * A convolution, and the batch norm with fixed statistics after it as what the next load applies. In 16 bits the output is stored less the running
 * mean, which would otherwise take the place of the digits of what varies: of a mean of 300 SDs bf16 leaves nothing. The weight stays as it is,
 * so that its packed forms live from call to call; not differentiable. With `pool` the output is pooled too.
 */
export function convolutionBeforeNorm(
  x: Tensor,
  weight: Tensor,
  options: Omit<Conv3dOptions, 'statistics'> & { pool?: boolean },
  norm: FixedBatchNorm & { eps: number },
): RawAndPooled {
  const { bias: own, out, precision = 'fp32', pool } = options;
  const { eps, gamma, beta, runningMean: mean, runningVar } = norm;
  const convolved = (all: typeof options): { y: Tensor; pooled?: Tensor } =>
    pool ? conv3d(x, weight, { ...all, poolSign: gamma }) : { y: conv3d(x, weight, all) };
  const samples = x.shape[0] as number;
  if ((out ?? storageOf(precision)) === 'f32') {
    const [scale, shift] = batchNormCoefficients(norm, samples, { eps });
    const { y: tensor, pooled } = convolved(options);
    return { tensor, scale, shift, pooled };
  }
  const bias = own ? weightedSum([own, mean], [1, -1]) : scaleBy(mean, -1);
  const { y: tensor, pooled } = convolved({ ...options, bias });
  const runningMean = mean.device.full(mean.shape, 0);
  const centred = { gamma, beta, runningMean, runningVar };
  const [scale, shift] = batchNormCoefficients(centred, samples, { eps });
  bias.dispose();
  runningMean.dispose();
  return { tensor, scale, shift, pooled };
}

export interface RawLayer {
  weight: Tensor;
  bias?: Tensor | undefined;
  /** LeakyReLU's, of what is loaded. */
  slope: number;
  products: Products;
}

/** A transposed convolution with kernel and stride 2 before a convolution, as one operation with it. */
export interface RawUp {
  weight: Tensor;
  bias?: Tensor | undefined;
}

export const upOptions = (up: RawUp | undefined) => ({ upWeight: up?.weight, upBias: up?.bias });

export interface RawNorm {
  gamma: Tensor;
  beta: Tensor;
  eps: number;
}

const ONE = [1, 1, 1] as [number, number, number];
const NONE = [0, 0, 0] as [number, number, number];

/**
 * 3x3x3 convolution of what `from`, followed by `second` along the channels, is loaded as; its instance norm becomes coefficients for the
 * next load. With `pool` the output is pooled too; training pools by {@link rawPool}, whose indices its gradient needs. With `up` it is of what
 * {@link rawUp} makes of `from`; not while a tape records.
 */
export function rawConvolution(
  from: Raw,
  layer: RawLayer & {
    second?: Raw | undefined;
    up?: RawUp | undefined;
    norm: RawNorm;
    pool?: boolean;
  },
): RawAndPooled {
  const { gamma, beta, eps } = layer.norm;
  const conv = layerOf(from, layer, ONE, layer.second);
  const poolSign = layer.pool ? gamma : undefined;
  const result = { statistics: true, out: '', poolSign, ...upOptions(layer.up) } as const;
  const [tensor, sums, pooled] = convolve(conv, result) as [Tensor, Tensor, Tensor | null];
  const { device } = tensor;
  const [, d, h, w] = tensor.shape as [number, number, number, number];
  const fields = { sums, gamma, beta, count: d * h * w, eps, wantStatistics: recording() };
  const [scale, shift, statistics] = device.run('normCoefficients', fields) as [
    Tensor,
    Tensor,
    Tensor | null,
  ];
  sums.dispose();
  if (!statistics) return { tensor, scale, shift, pooled: pooled ?? undefined };
  read(from);
  if (layer.second) read(layer.second);
  const norm = { gamma, beta, statistics, slope: layer.slope, readers: 0 };
  differentiable(
    'rawConvolution',
    [...conv3dInputs(conv), gamma, beta],
    [tensor],
    ([dz], wants) => (dz ? normedGradients(conv, { from, tensor, norm, dz }, wants) : []),
    [scale, shift, statistics],
  );
  return { tensor, scale, shift, norm };
}

/** The gradients of a convolution and of the norm behind it, from that of the activation. */
function normedGradients(
  conv: Conv3dLayer,
  made: { from: Raw; tensor: Tensor; norm: NormBelow; dz: Tensor },
  wants: readonly boolean[],
): (Tensor | undefined)[] {
  const { from, tensor, norm, dz } = made;
  const { gamma, beta, statistics, slope } = norm;
  // Of another gradient where others have loaded the output as well.
  const sums = norm.made?.of === dz ? norm.made.sums : undefined;
  const onLoad = onTensorCores(conv) && formsOnLoad(planned(conv, tensor, wants));
  const fields = { x: tensor, dy: dz, gamma, beta, statistics, slope, sums, onLoad };
  const [dy, dgamma, dbeta, coefficients] = tensor.device.run('instanceNormGrad', fields) as [
    Tensor | null,
    Tensor,
    Tensor,
    Tensor | null,
  ];
  norm.made?.sums.dispose();
  norm.made = undefined;
  const formed = coefficients ? { raw: tensor, coefficients, slope } : undefined;
  const gradients = conv3dGradients(conv, dy ?? dz, wants, { formed, below: alone(from, conv) });
  dy?.dispose();
  coefficients?.dispose();
  return [...gradients, dgamma, dbeta];
}

const onTensorCores = (conv: Conv3dLayer) =>
  conv.x.device.kind !== 'cpu' && conv.precision !== 'fp32';

function read(from: Raw): void {
  if (from.norm) from.norm.readers++;
}

/** The norm of what a convolution reads, if it is the only one that does: its gradient is then that of the whole output. */
const alone = (from: Raw, conv: Conv3dLayer): NormBelow | undefined =>
  from.norm?.readers === 1 && onTensorCores(conv) ? from.norm : undefined;

function planned({ x, second, bias }: Conv3dLayer, y: Tensor, wants: readonly boolean[]) {
  const [n, d, h, w, channels] = y.shape as [number, number, number, number, number];
  const [own, other] = [x.shape[4] as number, (second?.shape[4] ?? 0) as number];
  const gradients = [...(wants[0] ? [own] : []), ...(wants[bias ? 3 : 2] && second ? [other] : [])];
  return { voxels: n * d * h * w, channels, gradients, sources: own + other };
}

/** 1x1x1 convolution without a norm: a head. The result is an f32 tensor like any other. */
export function rawHead(from: Raw, layer: RawLayer): Tensor {
  const conv = layerOf(from, layer, NONE);
  const [y] = convolve(conv, { statistics: false, out: 'f32' }) as [Tensor];
  read(from);
  differentiable('rawHead', conv3dInputs(conv), [y], ([dy], wants) =>
    dy ? conv3dGradients(conv, dy, wants, { below: alone(from, conv) }) : [],
  );
  return y;
}

/** Transposed convolution with kernel and stride 2, without a norm. */
export function rawUp(from: Raw, { weight, bias, slope, products }: RawLayer): Tensor {
  const { tensor: x, scale, shift } = from;
  const { precision = 'fp32' } = products;
  const up: ConvTranspose3dLayer = { x, weight, bias, load: { scale, shift, slope }, precision };
  const fields = { x, weight, bias, ...up.load, precision, out: '' };
  const [y] = x.device.run('convTranspose3d', fields) as [Tensor];
  read(from);
  differentiable('rawUp', convTranspose3dInputs(up), [y], ([dy], wants) =>
    dy ? convTranspose3dGradients(up, dy, wants) : [],
  );
  return y;
}

/** Maximum over 2x2x2 of what `from` is loaded as, on the tape. */
export function rawPool(from: Raw, slope: number): Tensor {
  const { tensor: x, scale, shift } = from;
  const window = { kernel: 2, stride: 2, padding: 0 };
  const fields = { x, scale, shift, slope, ...window, wantIndices: true };
  const [y, indices] = x.device.run('maxPool3d', fields) as [Tensor, Tensor];
  read(from);
  const size = x.shape.slice(1, 4);
  const gradient = (dy: Tensor) =>
    x.device.run('maxPool3dGrad', { dy, indices, size, ...window })[0] as Tensor;
  differentiable('rawPool', [x], [y], ([dy]) => (dy ? [gradient(dy)] : []), [indices]);
  return y;
}

function layerOf(
  from: Raw,
  { weight, bias, slope, products }: RawLayer,
  padding: [number, number, number],
  second?: Raw,
): Conv3dLayer {
  const { precision = 'fp32', algorithm = 'auto' } = products;
  return {
    ...{ x: from.tensor, weight, bias, second: second?.tensor },
    load: {
      ...{ scale: from.scale, shift: from.shift, slope },
      ...{ secondScale: second?.scale, secondShift: second?.shift },
    },
    geometry: { stride: ONE, padding, dilation: ONE },
    ...{ precision, algorithm },
  };
}

interface Results extends Partial<ReturnType<typeof upOptions>> {
  statistics: boolean;
  out: 'f32' | '';
  poolSign?: Tensor | undefined;
}

function convolve(conv: Conv3dLayer, result: Results) {
  const { load, geometry, ...rest } = conv;
  return conv.x.device.run('conv3d', { ...rest, ...load, ...geometry, ...result });
}
