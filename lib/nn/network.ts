import { type Device, defaultDevice } from '../device.js';
import { invalidArgument, RenvoxError } from '../errors.js';
import { randomNormal } from '../ops/index.js';
import { adopt, keep } from '../scope.js';
import { Tensor } from '../tensor.js';
import { checkPrecision, defaultPrecision, type Precision } from './precision.js';

/** What a parameter starts from. */
export type Initial =
  /** Normal with variance gain^2 / fanIn (He et al. 2015, doi 10.1109/ICCV.2015.123). */
  | { kind: 'he'; fanIn: number; gain: number }
  | { kind: 'constant'; value: number }
  | { kind: 'values'; values: Float32Array };

interface Declared {
  shape: readonly number[];
  initial: Initial;
  /** Parameters learn; buffers (running statistics) are only kept with them. */
  role: 'parameter' | 'buffer';
}

/** What a network declares before it has values: names, shapes and starting values, in order. */
export class Blueprint {
  readonly entries = new Map<string, Declared>();

  /** A convolution's weight [Cout, Cin, kD, kH, kW] and, if wanted, bias [Cout]. */
  conv(name: string, cin: number, cout: number, kernel: number, bias: boolean, gain: number): this {
    const taps = kernel ** 3;
    this.#add(`${name}.weight`, [cout, cin, kernel, kernel, kernel], {
      kind: 'he',
      fanIn: cin * taps,
      gain,
    });
    if (bias) this.#add(`${name}.bias`, [cout], { kind: 'constant', value: 0 });
    return this;
  }

  /** A transposed convolution with kernel and stride 2: weight [Cin, Cout, 2, 2, 2], bias [Cout]. */
  up(name: string, cin: number, cout: number): this {
    // Every output voxel sees each input channel through one tap.
    this.#add(`${name}.weight`, [cin, cout, 2, 2, 2], { kind: 'he', fanIn: cin, gain: 1 });
    this.#add(`${name}.bias`, [cout], { kind: 'constant', value: 0 });
    return this;
  }

  /**
   * A 3x3x3 convolution with bias whose units begin as steps along the scale -1 to 1 of one image each, the last channel apart: half of them of a voxel,
   * half of its neighbourhood, rising and falling.
   */
  steps(name: string, cin: number, cout: number): this {
    const weight = new Float32Array(cout * cin * 27);
    const bias = new Float32Array(cout);
    const tent = [0.25, 0.5, 0.25] as const;
    const images = Math.max(1, cin - 1);
    for (let k = 0; k < cout; k++) {
      const [image, smooth, falls] = [k % images, Math.floor(k / images) % 2, k % 3 === 2];
      const sign = falls ? -2 : 2;
      bias[k] = -sign * (-0.95 + (1.9 * (k + 0.5)) / cout);
      for (let tap = 0; tap < 27; tap++) {
        const at = [Math.floor(tap / 9), Math.floor(tap / 3) % 3, tap % 3] as const;
        const near = at.reduce<number>((all, i) => all * (tent[i] as number), 1);
        weight[(k * cin + image) * 27 + tap] = sign * (smooth ? near : Number(tap === 13));
      }
    }
    this.#add(`${name}.weight`, [cout, cin, 3, 3, 3], { kind: 'values', values: weight });
    this.#add(`${name}.bias`, [cout], { kind: 'values', values: bias });
    return this;
  }

  /** A Gaussian of one voxel, [1, 1, 5, 5, 5], which is kept and does not learn. */
  blur(name: string): this {
    const line = [-2, -1, 0, 1, 2].map((i) => Math.exp(-(i ** 2) / 2));
    const sum = line.reduce((a, b) => a + b);
    const values = Float32Array.from({ length: 125 }, (_, tap) =>
      [Math.floor(tap / 25), Math.floor(tap / 5) % 5, tap % 5].reduce(
        (all, i) => (all * (line[i] as number)) / sum,
        1,
      ),
    );
    this.#add(`${name}.weight`, [1, 1, 5, 5, 5], { kind: 'values', values }, 'buffer');
    return this;
  }

  /** A norm's weight and bias [C], with running statistics for batch norm. */
  norm(name: string, channels: number, running: boolean): this {
    this.#add(`${name}.weight`, [channels], { kind: 'constant', value: 1 });
    this.#add(`${name}.bias`, [channels], { kind: 'constant', value: 0 });
    if (running) {
      this.#add(`${name}.running_mean`, [channels], { kind: 'constant', value: 0 }, 'buffer');
      this.#add(`${name}.running_var`, [channels], { kind: 'constant', value: 1 }, 'buffer');
    }
    return this;
  }

  /** A linear layer's weight [Out, In] and bias [Out]. */
  linear(name: string, inputs: number, outputs: number, gain: number): this {
    this.#add(`${name}.weight`, [outputs, inputs], { kind: 'he', fanIn: inputs, gain });
    this.#add(`${name}.bias`, [outputs], { kind: 'constant', value: 0 });
    return this;
  }

  #add(
    name: string,
    shape: readonly number[],
    initial: Initial,
    role: Declared['role'] = 'parameter',
  ): void {
    this.entries.set(name, { shape, initial, role });
  }
}

/** Values for a network's tensors, by name. */
export type Weights = ReadonlyMap<string, Tensor>;

/** Options of one forward pass. */
export interface ForwardOptions {
  /** Batch norm uses and updates batch statistics, dropout drops. Default false. */
  training?: boolean;
  /** Seed of dropout. */
  seed?: number;
  /**
   * Of the convolutions' products, forward and backward. Where a U-Net has instance norm, activations and their gradients are stored in the
   * same type, elsewhere in f32. Logits, weights and the weights' gradients are f32. Default fp32.
   */
  precision?: Precision | undefined;
  /** Of the convolutions in fp32 on the CPU, as conv3d's. Default `auto`. */
  algorithm?: 'auto' | 'direct' | undefined;
}

/** @internal How the products of convolutions are formed. */
export type Products = Pick<ForwardOptions, 'precision' | 'algorithm'>;

/** Options of {@link Network.infer}. */
export interface InferOptions {
  /** Default: the network's. */
  precision?: Precision | undefined;
  /** Of the convolutions in fp32 on the CPU, as conv3d's. Default `auto`. */
  algorithm?: 'auto' | 'direct' | undefined;
}

/** What every network is made with. */
export interface NetworkOptions {
  /** Default: CUDA when one works, else the CPU. */
  device?: Device | undefined;
  /** Of the initial weights. */
  seed?: number | undefined;
  /** Of {@link Network.infer}. Default: fp32 on the CPU, bf16 on a GPU (fp16 on one without bf16). */
  precision?: Precision | undefined;
}

/** A network: a description that is plain data, and named tensors on one device. {@link dispose} frees all of them. */
export abstract class Network<Config extends object = object> {
  abstract readonly kind: string;
  readonly device: Device;
  readonly config: Readonly<Config>;
  readonly #tensors: Map<string, Tensor>;
  readonly #roles: Map<string, Declared['role']>;
  #disposed = false;
  /** What {@link infer} uses unless it is told otherwise. */
  readonly precision: Precision;

  protected constructor(config: Config, blueprint: Blueprint, options: NetworkOptions) {
    const { device = defaultDevice(), seed = 0, precision = defaultPrecision(device) } = options;
    checkPrecision(precision);
    this.device = device;
    this.precision = precision;
    this.config = Object.freeze({ ...config });
    this.#tensors = new Map();
    this.#roles = new Map();
    let stream = 0;
    try {
      for (const [name, { shape, initial, role }] of blueprint.entries) {
        this.#hold(name, start(device, shape, initial, seed, stream++));
        this.#roles.set(name, role);
      }
    } catch (error) {
      // A device that is lost refuses the next tensor; those made so far belong to nobody else.
      for (const tensor of this.#tensors.values()) tensor.dispose();
      throw error;
    }
    adopt(this);
  }

  /** Logits of a batch [N, D, H, W, C]. Differentiable: use it under `gradients`. */
  abstract forward(x: Tensor, options?: ForwardOptions): Tensor;

  /**
   * The logits of {@link forward} without training, by a plan that needs less memory and passes, in the network's precision or another:
   * not differentiable. Logits are f32.
   */
  abstract infer(x: Tensor, options?: InferOptions): Tensor;

  /** @internal The precision of one call of infer. */
  protected precisionOf({ precision = this.precision }: InferOptions): Precision {
    checkPrecision(precision);
    return precision;
  }

  /** A parameter or buffer by its name. */
  tensor(name: string): Tensor {
    const tensor = this.#tensors.get(name);
    if (!tensor || this.#disposed)
      throw new RenvoxError(
        this.#disposed ? 'DisposedError' : 'InvalidWeights',
        this.#disposed
          ? `The ${this.kind} was used after its dispose()`
          : `The ${this.kind} has no tensor ${name}`,
        { name },
      );
    return tensor;
  }

  /** Names and shapes of all tensors, in order. */
  get shapes(): Map<string, readonly number[]> {
    return new Map([...this.#tensors].map(([name, t]) => [name, t.shape]));
  }

  /** What learns, by name. */
  get parameters(): Map<string, Tensor> {
    return new Map([...this.#tensors].filter(([name]) => this.#roles.get(name) === 'parameter'));
  }

  /** Parameters and buffers, by name: what a weights file holds. */
  get tensors(): Map<string, Tensor> {
    return new Map(this.#tensors);
  }

  /** Number of learned values. */
  get parameterCount(): number {
    return [...this.parameters.values()].reduce((n, t) => n + t.size, 0);
  }

  /**
   * Replaces all tensors; takes ownership of those given.
   * @throws RenvoxError InvalidWeights listing every missing, unexpected or misshapen name
   */
  load(weights: Weights): void {
    const faults: string[] = [];
    for (const [name, own] of this.#tensors) {
      const given = weights.get(name);
      if (!given) faults.push(`${name} is missing`);
      else if (String(given.shape) !== String(own.shape))
        faults.push(
          `${name} has shape [${given.shape.join(', ')}], expected [${own.shape.join(', ')}]`,
        );
      else if (given.dtype !== 'f32') faults.push(`${name} is ${given.dtype}, expected f32`);
    }
    for (const name of weights.keys())
      if (!this.#tensors.has(name)) faults.push(`${name} is not part of this ${this.kind}`);
    if (faults.length > 0)
      throw new RenvoxError(
        'InvalidWeights',
        `${faults.length} of the weights do not fit this ${this.kind}: ${faults.slice(0, 5).join('; ')}${faults.length > 5 ? '; …' : ''}`,
        { faults },
      );
    for (const [name, tensor] of weights) {
      const before = this.#tensors.get(name);
      if (before !== tensor) before?.dispose();
      this.#hold(name, tensor);
    }
  }

  /** The network's life is the tensor's: a scope that frees or keeps the network decides for all it holds. */
  #hold(name: string, tensor: Tensor): void {
    keep(tensor);
    this.#tensors.set(name, tensor);
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    for (const tensor of this.#tensors.values()) tensor.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

function start(
  device: Device,
  shape: readonly number[],
  initial: Initial,
  seed: number,
  stream: number,
): Tensor {
  if (initial.kind === 'constant') return device.full(shape, initial.value);
  if (initial.kind === 'values') return device.tensor(initial.values, { shape });
  const deviation = initial.gain / Math.sqrt(initial.fanIn);
  return randomNormal(device, { shape, seed, stream, deviation });
}

/** Checks a network's configuration value: an integer in a range. */
export function checkInteger(
  parameter: string,
  value: unknown,
  least: number,
  most: number,
): asserts value is number {
  if (!Number.isInteger(value) || (value as number) < least || (value as number) > most)
    throw invalidArgument(parameter, `an integer from ${least} to ${most}`, value);
}

/** Checks the input of a network. */
export function checkImage(
  kind: string,
  x: unknown,
  channels: number,
  multiple: number,
): asserts x is Tensor {
  if (!(x instanceof Tensor)) throw invalidArgument(`x of ${kind}`, 'a Tensor', x);
  const [, d = 0, h = 0, w = 0, c] = x.shape;
  if (x.shape.length !== 5 || c !== channels)
    throw new RenvoxError(
      'ShapeMismatch',
      `Expected shape [N, D, H, W, ${channels}] for the input of ${kind} but received [${x.shape.join(', ')}]`,
      { shape: x.shape, channels },
    );
  if ([d, h, w].some((n) => n === 0 || n % multiple !== 0))
    throw new RenvoxError(
      'ShapeMismatch',
      `Expected D, H and W to be multiples of ${multiple} for the input of ${kind} but received [${x.shape.join(', ')}]`,
      { shape: x.shape, multiple },
    );
}
