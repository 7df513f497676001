import { invalidArgument } from '../errors.js';
import { recording } from '../gradient.js';
import { batchNorm, conv3d, convTranspose3d, maxPool3d } from '../ops/index.js';
import { scope } from '../scope.js';
import type { Tensor } from '../tensor.js';
import {
  Blueprint,
  checkImage,
  checkInteger,
  type ForwardOptions,
  type InferOptions,
  Network,
  type NetworkOptions,
  type Products,
} from './network.js';
import {
  convolutionBeforeNorm,
  type Raw,
  type RawAndPooled,
  type RawUp,
  rawConvolution,
  rawHead,
  rawPool,
  rawUp,
  upOptions,
} from './raw.js';

/** What a {@link UNet3D} is made of: plain data. */
export interface UNet3DConfig {
  inputChannels: number;
  /** Channels of the logits, background included. */
  classes: number;
  /** Channels of each level, finest first. The study: 16, 32, 64, 128, 256. */
  channels: readonly number[];
  /** Convolutions a level, on the way down and up. Default 2 and 2. */
  convolutions?: { encoder: number; decoder: number };
  norm?: 'instance' | 'batch';
  /** LeakyReLU's slope. Default 0.01. */
  slope?: number;
  /** Whether convolutions before a norm have a bias; a norm over space undoes it. Default true, as PyTorch's layers. */
  convolutionBias?: boolean;
  /**
   * How many coarser levels of the decoder have a 1x1x1 head of their own, `deep.0` at half the resolution and so on, which only
   * {@link UNet3D.forwardDeep} uses: deep supervision. Default 0; with an instance norm only.
   */
  deepSupervision?: number;
}

type Complete = Required<Omit<UNet3DConfig, 'deepSupervision'>> &
  Pick<UNet3DConfig, 'deepSupervision'>;

const EPSILON = 1e-5;

interface BlockOptions {
  second?: Raw | undefined;
  /** Up-sampling of what it is of, in one operation with it. */
  up?: RawUp | undefined;
  /** Whether the output is pooled too. */
  pool?: boolean;
}

/**
 * 3D U-Net (Çiçek et al. 2016, doi 10.1007/978-3-319-46723-8_49): per level 3x3x3 convolutions, each with norm and LeakyReLU; max pool
 * 2 down; transposed convolution 2 up, concatenated with the skip (up first); 1x1x1 head. D, H and W of the input must be multiples
 * of 2^(levels - 1).
 */
export class UNet3D extends Network<Complete> {
  readonly kind = 'unet3d';

  /** @throws RenvoxError InvalidArgument */
  constructor(config: UNet3DConfig, options: NetworkOptions = {}) {
    const complete = completed(config);
    super(complete, blueprint(complete), options);
  }

  override forward(x: Tensor, options: ForwardOptions = {}): Tensor {
    const { training = false, precision, algorithm } = options;
    const products = { precision, algorithm };
    this.#check(x);
    if (this.config.norm === 'batch') return this.#eager(x, training, products);
    return this.#planned(x, products, 0)[0] as Tensor;
  }

  /**
   * The logits of {@link forward} and, behind them, those of the heads for deep supervision: [N, D/2, H/2, W/2, classes] and so on.
   */
  forwardDeep(x: Tensor, options: ForwardOptions = {}): Tensor[] {
    const { precision, algorithm } = options;
    const heads = this.config.deepSupervision ?? 0;
    if (heads === 0) return [this.forward(x, options)];
    this.#check(x);
    return this.#planned(x, { precision, algorithm }, heads);
  }

  #planned(x: Tensor, products: Products, heads: number): Tensor[] {
    if (recording()) return this.#plan(x, products, false, heads);
    return scope(() => this.#plan(x, products, true, heads));
  }

  /**
   * Norm and activation are applied when the next operation loads a raw convolution output, skips stay raw too and are pooled as they are made,
   * the concatenation is two sources of one convolution (on a GPU in 16 bits with the up-sampling in it), and every tensor is freed after its
   * last use. What is held at most: three tensors of the finest level.
   */
  override infer(x: Tensor, options: InferOptions = {}): Tensor {
    const products = { precision: this.precisionOf(options), algorithm: options.algorithm };
    this.#check(x);
    return scope(() => this.#plan(x, products, true, 0))[0] as Tensor;
  }

  #check(x: Tensor): void {
    checkImage('UNet3D', x, this.config.inputChannels, 2 ** (this.config.channels.length - 1));
  }

  /** By raw tensors (raw.ts). Without `frees` they are left to the tape, whose gradient needs them. */
  #plan(x: Tensor, products: Products, frees: boolean, heads: number): Tensor[] {
    const { channels, convolutions, slope } = this.config;
    const layer = (name: string) => ({
      ...{ weight: this.tensor(`${name}.weight`), bias: this.tensor(`${name}.bias`) },
      ...{ slope, products },
    });
    const skips: Raw[] = [];
    let raw: Raw = { tensor: x };
    const free = ({ tensor }: Raw) => frees && tensor !== x && tensor.dispose();
    const next = (name: string, from: Raw, also: BlockOptions = {}): RawAndPooled => {
      const to = this.#rawBlock(name, from, products, also);
      free(from);
      if (also.second) free(also.second);
      return to;
    };
    for (let level = 0; level < channels.length - 1; level++) {
      const last = convolutions.encoder - 1;
      for (let i = 0; i < last; i++) raw = next(`encoder.${level}.${i}`, raw);
      // A gradient needs indices, which the pool alone makes.
      const { pooled, ...skip } = next(`encoder.${level}.${last}`, raw, { pool: !recording() });
      skips.push(skip);
      raw = pooled ? { ...skip, tensor: pooled } : { tensor: rawPool(skip, slope) };
    }
    for (let i = 0; i < convolutions.encoder; i++)
      raw = next(`encoder.${channels.length - 1}.${i}`, raw);
    const deep: Tensor[] = [];
    // Elsewhere the up-sampled tensor is stored in any case, and as an operation of its own it lets go of what it is made of.
    const tensorCores = x.device.kind !== 'cpu' && (products.precision ?? 'fp32') !== 'fp32';
    for (let k = 0; k < channels.length - 1; k++) {
      const second = skips.pop();
      if (tensorCores && !recording()) {
        raw = next(`decoder.${k}.0`, raw, { second, up: layer(`up.${k}`) });
      } else {
        const up = rawUp(raw, layer(`up.${k}`));
        free(raw);
        raw = next(`decoder.${k}.0`, { tensor: up }, { second });
      }
      for (let i = 1; i < convolutions.decoder; i++) raw = next(`decoder.${k}.${i}`, raw);
      const level = channels.length - 3 - k;
      if (level >= 0 && level < heads) deep.unshift(rawHead(raw, layer(`deep.${level}`)));
    }
    return [rawHead(raw, layer('head')), ...deep];
  }

  /** The eager form, for what trains by the statistics of its batch. */
  #eager(x: Tensor, training: boolean, products: Products): Tensor {
    const { channels, convolutions } = this.config;
    const type = { ...products, out: 'f32' as const };
    const skips: Tensor[] = [];
    let y = x;
    for (let level = 0; level < channels.length; level++) {
      if (level > 0) y = maxPool3d(y, { kernel: 2, stride: 2 });
      for (let i = 0; i < convolutions.encoder; i++)
        y = this.#block(`encoder.${level}.${i}`, y, training, type);
      skips.push(y);
    }
    for (let k = 0; k < channels.length - 1; k++) {
      const bias = this.tensor(`up.${k}.bias`);
      y = convTranspose3d(y, this.tensor(`up.${k}.weight`), { bias, ...type });
      const skip = skips[channels.length - 2 - k];
      for (let i = 0; i < convolutions.decoder; i++)
        y = this.#block(`decoder.${k}.${i}`, y, training, type, i === 0 ? skip : undefined);
    }
    return conv3d(y, this.tensor('head.weight'), { bias: this.tensor('head.bias'), ...type });
  }

  /** Convolution, batch norm, activation: of the eager form. */
  #block(
    name: string,
    x: Tensor,
    training: boolean,
    type: Products & { out: 'f32' },
    second?: Tensor,
  ): Tensor {
    const weight = this.tensor(`${name}.conv.weight`);
    const y = conv3d(x, weight, { ...this.#bias(name), padding: 1, second, ...type });
    const { gamma, beta } = this.#norm(name);
    const { mean, variance } = this.#running(name);
    const { slope } = this.config;
    return batchNorm(y, gamma, beta, mean, variance, { training, eps: EPSILON, slope });
  }

  /** The convolution alone, with the norm and activation of its input on load and the coefficients of its own norm beside it. */
  #rawBlock(name: string, from: Raw, products: Products, also: BlockOptions): RawAndPooled {
    const { second, up, pool = false } = also;
    const { slope, norm } = this.config;
    const weight = this.tensor(`${name}.conv.weight`);
    const { gamma, beta } = this.#norm(name);
    if (norm === 'instance') {
      // The norm takes a bias away again; until then it would take the place of digits in 16 bits. Only its gradient, zeros, asks for it.
      const bias = recording() ? this.#bias(name) : {};
      return rawConvolution(from, {
        ...{ weight, ...bias, slope, products, second, up, pool },
        norm: { gamma, beta, eps: EPSILON },
      });
    }
    const { mean: runningMean, variance: runningVar } = this.#running(name);
    const options = {
      ...{ ...products, ...this.#bias(name), padding: 1, slope, pool },
      ...{ scale: from.scale, shift: from.shift, ...upOptions(up) },
      ...{ second: second?.tensor, secondScale: second?.scale, secondShift: second?.shift },
    };
    const fixed = { gamma, beta, runningMean, runningVar, eps: EPSILON };
    return convolutionBeforeNorm(from.tensor, weight, options, fixed);
  }

  #norm(name: string): { gamma: Tensor; beta: Tensor } {
    return { gamma: this.tensor(`${name}.norm.weight`), beta: this.tensor(`${name}.norm.bias`) };
  }

  #running(name: string): { mean: Tensor; variance: Tensor } {
    const of = (what: string) => this.tensor(`${name}.norm.running_${what}`);
    return { mean: of('mean'), variance: of('var') };
  }

  #bias(name: string): { bias?: Tensor } {
    return this.config.convolutionBias ? { bias: this.tensor(`${name}.conv.bias`) } : {};
  }
}

function completed(config: UNet3DConfig): Complete {
  const complete: Complete = {
    convolutions: { encoder: 2, decoder: 2 },
    norm: 'instance',
    slope: 0.01,
    convolutionBias: true,
    ...config,
  };
  checkInteger('inputChannels', complete.inputChannels, 1, 64);
  checkInteger('classes', complete.classes, 2, 255);
  if (
    !Array.isArray(complete.channels) ||
    complete.channels.length < 2 ||
    complete.channels.length > 8
  )
    throw invalidArgument(
      'channels',
      'two to eight integers, finest level first',
      complete.channels,
    );
  for (const c of complete.channels) checkInteger('channels', c, 1, 2048);
  if (typeof complete.convolutions !== 'object' || complete.convolutions === null)
    throw invalidArgument('convolutions', '{ encoder, decoder }', complete.convolutions);
  checkInteger('convolutions.encoder', complete.convolutions.encoder, 1, 8);
  checkInteger('convolutions.decoder', complete.convolutions.decoder, 1, 8);
  if (complete.norm !== 'instance' && complete.norm !== 'batch')
    throw invalidArgument('norm', "'instance' or 'batch'", complete.norm);
  if (complete.deepSupervision !== undefined) {
    const most = complete.norm === 'instance' ? complete.channels.length - 2 : 0;
    checkInteger('deepSupervision', complete.deepSupervision, 0, most);
  }
  if (!(complete.slope >= 0 && complete.slope <= 1))
    throw invalidArgument('slope', 'a number from 0 to 1', complete.slope);
  return complete;
}

function blueprint({
  inputChannels,
  classes,
  channels,
  convolutions,
  norm,
  slope,
  convolutionBias,
  deepSupervision = 0,
}: Complete): Blueprint {
  const b = new Blueprint();
  const gain = Math.sqrt(2 / (1 + slope * slope));
  const block = (name: string, cin: number, cout: number) => {
    b.conv(`${name}.conv`, cin, cout, 3, convolutionBias, gain);
    b.norm(`${name}.norm`, cout, norm === 'batch');
  };
  let width = inputChannels;
  channels.forEach((c, level) => {
    for (let i = 0; i < convolutions.encoder; i++)
      block(`encoder.${level}.${i}`, i === 0 ? width : c, c);
    width = c;
  });
  const down = [...channels].reverse().slice(1);
  down.forEach((c, k) => {
    b.up(`up.${k}`, width, c);
    for (let i = 0; i < convolutions.decoder; i++)
      block(`decoder.${k}.${i}`, i === 0 ? 2 * c : c, c);
    width = c;
  });
  b.conv('head', width, classes, 1, true, 1);
  for (let level = 0; level < deepSupervision; level++)
    b.conv(`deep.${level}`, channels[level + 1] as number, classes, 1, true, 1);
  return b;
}
