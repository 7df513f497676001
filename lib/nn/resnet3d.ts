import { invalidArgument } from '../errors.js';
import {
  add,
  batchNorm,
  type Conv3dOptions,
  cast,
  concatChannels,
  conv3d,
  dropout,
  globalAveragePool,
  linear,
  maxPool3d,
  relu,
} from '../ops/index.js';
import { scope } from '../scope.js';
import type { Tensor } from '../tensor.js';
import { declareInside, insideFeatures, insideOf } from './inside.js';
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
import { storageOf } from './precision.js';
import { convolutionBeforeNorm, type Raw, type RawAndPooled } from './raw.js';

/** What a {@link ResNet3D} is made of: plain data. */
export interface ResNet3DConfig {
  inputChannels?: number;
  classes: number;
  /** Channels of the four stages. MedicalNet: 64, 128, 256, 512. */
  widths: readonly number[];
  /**
   * `dilated` is MedicalNet's own: stages 3 and 4 keep the resolution of stage 2 and dilate by 2 and 4. `strided` halves at each stage, as
   * MONAI's. The same weights are two different functions.
   */
  geometry?: 'dilated' | 'strided';
  /** Units of the hidden linear layer between the pooled features and the classes. The study: 128. */
  hidden?: number;
  /** Probability of dropout between the two linear layers. The study: 0.1. */
  dropout?: number;
  /**
   * Channels of a branch that tells the inside of a mask, the input's last channel: features of 3x3x3 at the input's resolution, their means over the
   * mask, its middle and what lies round it, joined to the pooled features (inside.ts). Default 0: no branch, as MedicalNet.
   */
  inside?: number;
}

type Complete = Required<ResNet3DConfig>;
type RawOptions = Omit<Conv3dOptions, 'precision' | 'statistics'>;

/** Options of {@link ResNet3D.forward}. */
export interface ResNet3DForwardOptions extends ForwardOptions {
  /** Called with the output of each of {@link ResNet3D.LAYERS}, in their order; the pass goes on with what it returns. */
  tap?: ((layer: string, output: Tensor) => Tensor) | undefined;
}

const EPSILON = 1e-5;

/**
 * 3D ResNet of depth 10 as MedicalNet's (Chen et al. 2019, arXiv 1904.00625): conv 7x7x7 stride 2, batch norm, ReLU, max pool 3 stride 2, four
 * stages of one basic block, shortcut by 1x1x1 convolution where the shape changes; then global average pool, linear, ReLU, dropout,
 * linear. Input [N, D, H, W, inputChannels], logits [N, classes].
 */
export class ResNet3D extends Network<Complete> {
  /** The layers that can be looked at, by PyTorch's names, in order. `relu` is bn1 with its ReLU; `layerN` a whole stage. */
  static readonly LAYERS: readonly string[] = [
    ...['conv1', 'relu', 'maxpool'],
    ...[1, 2, 3, 4].flatMap((n) => [
      ...['conv1', 'relu', 'conv2', 'bn2'].map((part) => `layer${n}.0.${part}`),
      `layer${n}`,
    ]),
  ];
  readonly kind = 'resnet3d';

  /** @throws RenvoxError InvalidArgument */
  constructor(config: ResNet3DConfig, options: NetworkOptions = {}) {
    const complete = completed(config);
    super(complete, blueprint(complete), options);
  }

  override forward(x: Tensor, options: ResNet3DForwardOptions = {}): Tensor {
    return this.classify(this.pooled(x, options), options);
  }

  /**
   * Batch norms and ReLU are applied when the next operation loads, but for the two branches of a block; what is stored between convolutions has
   * the type of the precision, sums of the two branches stay f32.
   */
  override infer(x: Tensor, options: InferOptions = {}): Tensor {
    checkImage('ResNet3D', x, this.config.inputChannels, 1);
    const precision = this.precisionOf(options);
    const products = { precision, algorithm: options.algorithm };
    const out = storageOf(precision);
    return scope(() => {
      const first = this.#raw('conv1', 'bn1', { tensor: x }, products, {
        ...{ stride: 2, padding: 3, out },
      });
      const { tensor: stem, ...load } = first;
      let y: Raw = {
        tensor: maxPool3d(stem, { kernel: 3, stride: 2, padding: 1, load: { ...load, slope: 0 } }),
      };
      stem.dispose();
      for (let stage = 1; stage <= 4; stage++) {
        const name = `layer${stage}.0`;
        const { stride, dilation } = stageGeometry(stage, this.config.geometry);
        const one = this.#raw(`${name}.conv1`, `${name}.bn1`, y, products, {
          ...{ stride, padding: dilation, dilation, out },
        });
        const branch = this.#branch(`${name}.conv2`, `${name}.bn2`, one, products, {
          ...{ padding: dilation, dilation },
        });
        one.tensor.dispose();
        let shortcut: Tensor;
        if (stage > 1) {
          const down = `${name}.downsample`;
          shortcut = this.#branch(`${down}.0`, `${down}.1`, y, products, { stride });
        } else {
          // A maximum over activations, which ReLU would leave as it is.
          shortcut = y.tensor.dtype === 'f32' ? y.tensor : cast(y.tensor, 'f32');
        }
        if (shortcut !== y.tensor) y.tensor.dispose();
        const sum = add(branch, shortcut);
        branch.dispose();
        shortcut.dispose();
        y = { tensor: relu(sum) };
        sum.dispose();
      }
      return this.classify(this.#joined(y.tensor, x, products));
    });
  }

  /** A convolution, and its norm with ReLU for the next load. */
  #raw(
    name: string,
    norm: string,
    from: Raw,
    products: Products,
    options: RawOptions,
  ): RawAndPooled {
    const weight = this.tensor(`${name}.weight`);
    return convolutionBeforeNorm(from.tensor, weight, loading(from, products, options), {
      gamma: this.tensor(`${norm}.weight`),
      beta: this.tensor(`${norm}.bias`),
      runningMean: this.tensor(`${norm}.running_mean`),
      runningVar: this.tensor(`${norm}.running_var`),
      eps: EPSILON,
    });
  }

  /** A convolution with its norm, without ReLU: what is added to another one, f32. */
  #branch(name: string, norm: string, from: Raw, products: Products, options: RawOptions): Tensor {
    const all = loading(from, products, { ...options, out: 'f32' });
    const raw = conv3d(from.tensor, this.tensor(`${name}.weight`), all);
    const y = this.#norm(norm, raw, false, 1);
    raw.dispose();
    return y;
  }

  /** What the head reads of a batch [N, ...]: the last stage's means, behind them what the branch says where there is one; [N, widths[3] + 5 (inside + 1)]. */
  pooled(x: Tensor, options: ForwardOptions = {}): Tensor {
    const { precision, algorithm } = options;
    return this.#joined(this.features(x, options), x, { precision, algorithm });
  }

  #joined(features: Tensor, x: Tensor, products: Products): Tensor {
    const mean = globalAveragePool(features);
    if (this.config.inside === 0) return mean;
    return concatChannels([mean, insideOf(x, (name) => this.tensor(name), products)]);
  }

  /** Logits [N, classes] of what {@link pooled} returned: the two linear layers. */
  classify(pooled: Tensor, { training = false, seed = 0 }: ForwardOptions = {}): Tensor {
    const hidden = relu(linear(pooled, this.tensor('head.0.weight'), this.tensor('head.0.bias')));
    const kept =
      training && this.config.dropout > 0 ? dropout(hidden, this.config.dropout, { seed }) : hidden;
    return linear(kept, this.tensor('head.2.weight'), this.tensor('head.2.bias'));
  }

  /** The activations of the last stage [N, d, h, w, widths[3]], what Grad-CAM looks at. */
  features(x: Tensor, options: ResNet3DForwardOptions = {}): Tensor {
    const { training = false, precision, algorithm, tap = passed } = options;
    checkImage('ResNet3D', x, this.config.inputChannels, 1);
    const type = { precision, algorithm, out: 'f32' as const };
    const stem = conv3d(x, this.tensor('conv1.weight'), { stride: 2, padding: 3, ...type });
    let y = tap('relu', this.#norm('bn1', tap('conv1', stem), training, 0));
    y = tap('maxpool', maxPool3d(y, { kernel: 3, stride: 2, padding: 1 }));
    for (let stage = 1; stage <= 4; stage++) y = this.#basicBlock(stage, y, training, type, tap);
    return y;
  }

  /**
   * Voxels of the input from one voxel of a layer to the next, along each axis. The layer's voxel i looks at what lies round the input's voxel
   * i times that.
   * @throws RenvoxError InvalidArgument for what is none of {@link LAYERS}
   */
  layerStride(layer: string): number {
    if (!ResNet3D.LAYERS.includes(layer))
      throw invalidArgument('layer', `one of ${ResNet3D.LAYERS.join(', ')}`, layer);
    if (layer === 'conv1' || layer === 'relu') return 2;
    const last = Number(/^layer(\d)/.exec(layer)?.[1] ?? 0);
    let stride = 4;
    for (let stage = 1; stage <= last; stage++)
      stride *= stageGeometry(stage, this.config.geometry).stride;
    return stride;
  }

  #basicBlock(
    stage: number,
    x: Tensor,
    training: boolean,
    type: Products & { out: 'f32' },
    tap: NonNullable<ResNet3DForwardOptions['tap']>,
  ): Tensor {
    const name = `layer${stage}.0`;
    const { stride, dilation } = stageGeometry(stage, this.config.geometry);
    let y = conv3d(x, this.tensor(`${name}.conv1.weight`), {
      ...{ stride, padding: dilation, dilation },
      ...type,
    });
    y = this.#norm(`${name}.bn1`, tap(`${name}.conv1`, y), training, 0);
    y = tap(`${name}.relu`, y);
    y = conv3d(y, this.tensor(`${name}.conv2.weight`), { padding: dilation, dilation, ...type });
    y = this.#norm(`${name}.bn2`, tap(`${name}.conv2`, y), training, 1);
    y = tap(`${name}.bn2`, y);
    let shortcut = x;
    if (stage > 1) {
      shortcut = conv3d(x, this.tensor(`${name}.downsample.0.weight`), { stride, ...type });
      shortcut = this.#norm(`${name}.downsample.1`, shortcut, training, 1);
    }
    return tap(`layer${stage}`, relu(add(y, shortcut)));
  }

  #norm(name: string, x: Tensor, training: boolean, slope: number): Tensor {
    return batchNorm(
      x,
      this.tensor(`${name}.weight`),
      this.tensor(`${name}.bias`),
      this.tensor(`${name}.running_mean`),
      this.tensor(`${name}.running_var`),
      { training, eps: EPSILON, slope },
    );
  }
}

/** The options of a convolution that applies the norm of what it reads, and ReLU. Name by name: a spread of each would take longer than the call. */
function loading(
  { scale, shift }: Raw,
  { precision, algorithm }: Products,
  { stride, padding, dilation, out }: RawOptions,
): Omit<Conv3dOptions, 'statistics'> {
  return { stride, padding, dilation, out, scale, shift, slope: 0, precision, algorithm };
}

const passed = (_layer: string, output: Tensor): Tensor => output;

/** @internal How stage 1 to 4 moves and spreads its taps. */
export function stageGeometry(
  stage: number,
  geometry: 'dilated' | 'strided',
): { stride: number; dilation: number } {
  if (stage === 1) return { stride: 1, dilation: 1 };
  if (stage === 2 || geometry === 'strided') return { stride: 2, dilation: 1 };
  return { stride: 1, dilation: stage === 3 ? 2 : 4 };
}

function completed(config: ResNet3DConfig): Complete {
  const complete: Complete = {
    inputChannels: 1,
    geometry: 'dilated',
    hidden: 128,
    dropout: 0.1,
    inside: 0,
    ...config,
  };
  checkInteger('inputChannels', complete.inputChannels, 1, 64);
  checkInteger('classes', complete.classes, 2, 1000);
  checkInteger('hidden', complete.hidden, 1, 4096);
  checkInteger('inside', complete.inside, 0, 256);
  if (complete.inside > 0 && complete.inputChannels < 2)
    throw invalidArgument(
      'inputChannels',
      'at least 2 with a branch for the inside: an image and a mask',
      complete.inputChannels,
    );
  if (!Array.isArray(complete.widths) || complete.widths.length !== 4)
    throw invalidArgument('widths', 'four integers', complete.widths);
  for (const w of complete.widths) checkInteger('widths', w, 1, 2048);
  if (complete.geometry !== 'dilated' && complete.geometry !== 'strided')
    throw invalidArgument('geometry', "'dilated' or 'strided'", complete.geometry);
  if (!(complete.dropout >= 0 && complete.dropout < 1))
    throw invalidArgument('dropout', 'a number from 0 to below 1', complete.dropout);
  return complete;
}

function blueprint({ inputChannels, classes, widths, hidden, inside }: Complete): Blueprint {
  const b = new Blueprint();
  const gain = Math.SQRT2;
  let cin = widths[0] as number;
  b.conv('conv1', inputChannels, cin, 7, false, gain).norm('bn1', cin, true);
  widths.forEach((width, i) => {
    const name = `layer${i + 1}.0`;
    b.conv(`${name}.conv1`, cin, width, 3, false, gain).norm(`${name}.bn1`, width, true);
    b.conv(`${name}.conv2`, width, width, 3, false, gain).norm(`${name}.bn2`, width, true);
    if (i > 0)
      b.conv(`${name}.downsample.0`, cin, width, 1, false, 1).norm(
        `${name}.downsample.1`,
        width,
        true,
      );
    cin = width;
  });
  if (inside > 0) declareInside(b, inputChannels, inside);
  return b
    .linear('head.0', cin + insideFeatures(inside), hidden, gain)
    .linear('head.2', hidden, classes, 1);
}
