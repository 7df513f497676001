import { invalidArgument } from '../errors.js';
import { forget } from '../gradient.js';
import {
  batchNorm,
  conv3d,
  convTranspose3d,
  foldBatchNorm,
  instanceNorm,
  maxPool3d,
  normCoefficients,
} from '../ops/index.js';
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
   * {@link UNet3D.forwardDeep} uses: deep supervision. Default 0.
   */
  deepSupervision?: number;
}

type Complete = Required<Omit<UNet3DConfig, 'deepSupervision'>> &
  Pick<UNet3DConfig, 'deepSupervision'>;

const EPSILON = 1e-5;

/** A raw convolution output and what turns it into an activation when it is next loaded. */
interface Raw {
  tensor: Tensor;
  scale?: Tensor;
  shift?: Tensor;
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
    return this.#forward(x, options, 0)[0] as Tensor;
  }

  /**
   * The logits of {@link forward} and, behind them, those of the heads for deep supervision: [N, D/2, H/2, W/2, classes] and so on.
   */
  forwardDeep(x: Tensor, options: ForwardOptions = {}): Tensor[] {
    return this.#forward(x, options, this.config.deepSupervision ?? 0);
  }

  /** Activations whose last reader is a convolution are forgotten: the tape makes them again from the convolution's output before. */
  #forward(x: Tensor, options: ForwardOptions, heads: number): Tensor[] {
    const { training = false, precision, algorithm } = options;
    const type = { precision, algorithm, out: 'f32' as const };
    const { channels, convolutions } = this.config;
    checkImage('UNet3D', x, this.config.inputChannels, 2 ** (channels.length - 1));
    const skips: Tensor[] = [];
    let y = x;
    for (let level = 0; level < channels.length; level++) {
      if (level > 0) y = maxPool3d(y, { kernel: 2, stride: 2 });
      for (let i = 0; i < convolutions.encoder; i++) {
        const from = y;
        y = this.#block(`encoder.${level}.${i}`, from, training, type);
        if (i > 0) forget(from);
      }
      skips.push(y);
    }
    const deep: Tensor[] = [];
    for (let k = 0; k < channels.length - 1; k++) {
      const bias = this.tensor(`up.${k}.bias`);
      const below = y;
      y = convTranspose3d(below, this.tensor(`up.${k}.weight`), { bias, ...type });
      forget(below);
      const skip = skips[channels.length - 2 - k] as Tensor;
      for (let i = 0; i < convolutions.decoder; i++) {
        const from = y;
        y = this.#block(`decoder.${k}.${i}`, from, training, type, i === 0 ? skip : undefined);
        forget(i === 0 ? skip : from);
      }
      const level = channels.length - 3 - k;
      if (level >= 0 && level < heads) deep.unshift(this.#head(`deep.${level}`, y, type));
    }
    const logits = this.#head('head', y, type);
    forget(y);
    return [logits, ...deep];
  }

  #head(name: string, x: Tensor, type: Products & { out: 'f32' }): Tensor {
    const bias = this.tensor(`${name}.bias`);
    return conv3d(x, this.tensor(`${name}.weight`), { bias, ...type });
  }

  /**
   * Norm and activation are applied when the next operation loads a raw convolution output, skips stay raw too, the concatenation is two
   * sources of one convolution, and every tensor is freed after its last use. What is held at most: three tensors of the finest level.
   */
  override infer(x: Tensor, options: InferOptions = {}): Tensor {
    const { channels, convolutions } = this.config;
    const precision = this.precisionOf(options);
    const products = { precision, algorithm: options.algorithm };
    checkImage('UNet3D', x, this.config.inputChannels, 2 ** (channels.length - 1));
    return scope(() => {
      const skips: Raw[] = [];
      let raw: Raw = { tensor: x };
      const free = ({ tensor }: Raw) => tensor !== x && tensor.dispose();
      const next = (name: string, from: Raw, second?: Raw): Raw => {
        const to = this.#rawBlock(name, from, products, second);
        free(from);
        if (second) free(second);
        return to;
      };
      for (let level = 0; level < channels.length; level++) {
        for (let i = 0; i < convolutions.encoder; i++) raw = next(`encoder.${level}.${i}`, raw);
        if (level === channels.length - 1) break;
        skips.push(raw);
        raw = { tensor: maxPool3d(raw.tensor, { kernel: 2, load: this.#load(raw) }) };
      }
      for (let k = 0; k < channels.length - 1; k++) {
        const up = convTranspose3d(raw.tensor, this.tensor(`up.${k}.weight`), {
          bias: this.tensor(`up.${k}.bias`),
          precision,
          ...this.#load(raw),
        });
        free(raw);
        raw = next(`decoder.${k}.0`, { tensor: up }, skips.pop());
        for (let i = 1; i < convolutions.decoder; i++) raw = next(`decoder.${k}.${i}`, raw);
      }
      const bias = this.tensor('head.bias');
      const type = { ...products, out: 'f32' as const };
      return conv3d(raw.tensor, this.tensor('head.weight'), { bias, ...type, ...this.#load(raw) });
    });
  }

  /** Convolution, norm, activation: the eager form. */
  #block(
    name: string,
    x: Tensor,
    training: boolean,
    type: Products & { out: 'f32' },
    second?: Tensor,
  ): Tensor {
    const weight = this.tensor(`${name}.conv.weight`);
    const y = conv3d(x, weight, { ...this.#bias(name), padding: 1, second, ...type });
    const gamma = this.tensor(`${name}.norm.weight`);
    const beta = this.tensor(`${name}.norm.bias`);
    const { slope } = this.config;
    if (this.config.norm === 'instance')
      return instanceNorm(y, gamma, beta, { eps: EPSILON, slope });
    return batchNorm(
      y,
      gamma,
      beta,
      this.tensor(`${name}.norm.running_mean`),
      this.tensor(`${name}.norm.running_var`),
      {
        training,
        eps: EPSILON,
        slope,
      },
    );
  }

  /** The convolution alone, with the norm and activation of its input on load and the coefficients of its own norm beside it. */
  #rawBlock(name: string, from: Raw, products: Products, second?: Raw): Raw {
    const common = {
      ...{ ...products, padding: 1, slope: this.config.slope },
      ...{ scale: from.scale, shift: from.shift },
      ...{ second: second?.tensor, secondScale: second?.scale, secondShift: second?.shift },
    };
    const weight = this.tensor(`${name}.conv.weight`);
    const gamma = this.tensor(`${name}.norm.weight`);
    const beta = this.tensor(`${name}.norm.bias`);
    if (this.config.norm === 'instance') {
      const { y, sums } = conv3d(from.tensor, weight, {
        ...this.#bias(name),
        ...common,
        statistics: true,
      });
      const voxels = (y.shape[1] as number) * (y.shape[2] as number) * (y.shape[3] as number);
      const [scale, shift] = normCoefficients(sums, voxels, gamma, beta, { eps: EPSILON });
      sums.dispose();
      return { tensor: y, scale, shift };
    }
    // Batch norm with fixed statistics is part of the convolution; only the activation is left for the next load.
    const runningMean = this.tensor(`${name}.norm.running_mean`);
    const runningVar = this.tensor(`${name}.norm.running_var`);
    const [folded, bias] = foldBatchNorm(
      { weight, ...this.#bias(name), gamma, beta, runningMean, runningVar },
      { eps: EPSILON },
    );
    const tensor = conv3d(from.tensor, folded, { ...common, bias });
    const coefficients = [tensor.shape[0] as number, tensor.shape[4] as number];
    return {
      tensor,
      scale: this.device.full(coefficients, 1),
      shift: this.device.full(coefficients, 0),
    };
  }

  /** What turns a raw tensor into activations while it is loaded; nothing for what is none. */
  #load({ scale, shift }: Raw): { scale: Tensor; shift: Tensor; slope: number } | undefined {
    return scale && shift ? { scale, shift, slope: this.config.slope } : undefined;
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
  if (complete.deepSupervision !== undefined)
    checkInteger('deepSupervision', complete.deepSupervision, 0, complete.channels.length - 2);
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
