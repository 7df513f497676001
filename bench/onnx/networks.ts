/**
 * The benches' networks as ONNX graphs: the eager form of lib/nn/unet3d.ts and lib/nn/resnet3d.ts with its weights, batch norm folded into the
 * convolution before it. benches compare logits with the library's, so a graph that is another function is found out.
 */
import type { ResNet3DConfig, UNet3DConfig } from 'renvox/nn';
import { type Attribute, Graph, type Weight } from './graph.js';

const EPSILON = 1e-5;

/** A network's tensors by name, on the host. */
export type Weights = ReadonlyMap<string, Weight>;

function named(weights: Weights, name: string): Weight {
  const weight = weights.get(name);
  if (!weight) throw new Error(`The network has no tensor ${name}`);
  return weight;
}

/**
 * The convolution that a convolution followed by batch norm in eval mode is: with a = gamma / sqrt(var + eps), weight a * w and bias
 * a * (b - mean) + beta, in double.
 */
export function fold(
  weights: Weights,
  conv: string,
  norm: string,
): { weight: Weight; bias: Weight } {
  const { data, shape } = named(weights, `${conv}.weight`);
  const [gamma, beta, mean, variance] = ['weight', 'bias', 'running_mean', 'running_var'].map(
    (part) => named(weights, `${norm}.${part}`).data,
  ) as [Float32Array, Float32Array, Float32Array, Float32Array];
  const before = weights.get(`${conv}.bias`)?.data;
  const filters = shape[0] as number;
  const taps = data.length / filters;
  const folded = new Float32Array(data.length);
  const bias = new Float32Array(filters);
  for (let f = 0; f < filters; f++) {
    const a = (gamma[f] as number) / Math.sqrt((variance[f] as number) + EPSILON);
    for (let t = f * taps; t < (f + 1) * taps; t++) folded[t] = a * (data[t] as number);
    bias[f] = a * ((before?.[f] ?? 0) - (mean[f] as number)) + (beta[f] as number);
  }
  return { weight: { data: folded, shape }, bias: { data: bias, shape: [filters] } };
}

const along = (n: number): number[] => [n, n, n];
const around = (n: number): number[] => [n, n, n, n, n, n];

interface Geometry {
  kernel: number;
  stride?: number;
  dilation?: number;
}

/** Attributes of a convolution that keeps the size, but for its stride. */
function convolution({ kernel, stride = 1, dilation = 1 }: Geometry): Record<string, Attribute> {
  return {
    kernel_shape: along(kernel),
    strides: along(stride),
    dilations: along(dilation),
    pads: around(dilation * ((kernel - 1) / 2)),
  };
}

/** Adds convolutions with their weights to a graph. */
class Layers {
  readonly #added = new Set<string>();

  constructor(
    readonly graph: Graph,
    readonly weights: Weights,
  ) {}

  constant(name: string, weight: Weight = named(this.weights, name)): string {
    if (!this.#added.has(name)) this.graph.weight(name, weight);
    this.#added.add(name);
    return name;
  }

  conv(x: string, weight: string, bias: string | undefined, geometry: Geometry): string {
    const inputs = bias === undefined ? [x, weight] : [x, weight, bias];
    return this.graph.node('Conv', inputs, convolution(geometry));
  }

  folded(x: string, conv: string, norm: string, geometry: Geometry): string {
    const { weight, bias } = fold(this.weights, conv, norm);
    return this.conv(
      x,
      this.constant(`${conv}.folded.weight`, weight),
      this.constant(`${conv}.folded.bias`, bias),
      geometry,
    );
  }
}

/** A U-Net on a volume of `size` [D, H, W]; x [1, Cin, D, H, W] to y [1, classes, D, H, W]. */
export function unetModel(
  config: Required<UNet3DConfig>,
  weights: Weights,
  size: readonly number[],
): Uint8Array {
  const { channels, convolutions, norm, slope, convolutionBias, inputChannels, classes } = config;
  const graph = new Graph('unet3d');
  const layers = new Layers(graph, weights);
  const block = (name: string, x: string): string => {
    if (norm === 'batch') {
      const y = layers.folded(x, `${name}.conv`, `${name}.norm`, { kernel: 3 });
      return graph.node('LeakyRelu', [y], { alpha: { float: slope } });
    }
    const bias = convolutionBias ? layers.constant(`${name}.conv.bias`) : undefined;
    const y = layers.conv(x, layers.constant(`${name}.conv.weight`), bias, { kernel: 3 });
    const scale = layers.constant(`${name}.norm.weight`);
    const shift = layers.constant(`${name}.norm.bias`);
    const normed = graph.node('InstanceNormalization', [y, scale, shift], {
      epsilon: { float: EPSILON },
    });
    return graph.node('LeakyRelu', [normed], { alpha: { float: slope } });
  };
  const blocks = (stem: string, count: number, x: string): string => {
    let y = x;
    for (let i = 0; i < count; i++) y = block(`${stem}.${i}`, y);
    return y;
  };
  const skips: string[] = [];
  let y = 'x';
  for (let level = 0; level < channels.length; level++) {
    if (level > 0) y = graph.node('MaxPool', [y], { kernel_shape: along(2), strides: along(2) });
    y = blocks(`encoder.${level}`, convolutions.encoder, y);
    skips.push(y);
  }
  for (let k = 0; k < channels.length - 1; k++) {
    const up = [layers.constant(`up.${k}.weight`), layers.constant(`up.${k}.bias`)];
    y = graph.node('ConvTranspose', [y, ...up], { kernel_shape: along(2), strides: along(2) });
    const skip = skips[channels.length - 2 - k] as string;
    y = blocks(`decoder.${k}`, convolutions.decoder, graph.node('Concat', [y, skip], { axis: 1 }));
  }
  const head = [layers.constant('head.weight'), layers.constant('head.bias')];
  graph.node('Conv', [y, ...head], { kernel_shape: along(1) }, 'y');
  return graph.bytes([1, inputChannels, ...size], [1, classes, ...size]);
}

/** A ResNet-10 on a volume of `size` [D, H, W]; x [1, Cin, D, H, W] to y [1, classes]. */
export function resnetModel(
  config: Required<ResNet3DConfig>,
  weights: Weights,
  size: readonly number[],
): Uint8Array {
  const graph = new Graph('resnet3d');
  const layers = new Layers(graph, weights);
  const relu = (x: string): string => graph.node('Relu', [x]);
  const first = relu(layers.folded('x', 'conv1', 'bn1', { kernel: 7, stride: 2 }));
  const pool = { kernel_shape: along(3), strides: along(2), pads: around(1) };
  let y = graph.node('MaxPool', [first], pool);
  for (let stage = 1; stage <= 4; stage++) {
    const name = `layer${stage}.0`;
    const strided = stage === 2 || (stage > 2 && config.geometry === 'strided');
    const stride = strided ? 2 : 1;
    const dilation = stage < 3 || strided ? 1 : stage === 3 ? 2 : 4;
    const one = relu(
      layers.folded(y, `${name}.conv1`, `${name}.bn1`, { kernel: 3, stride, dilation }),
    );
    const two = layers.folded(one, `${name}.conv2`, `${name}.bn2`, { kernel: 3, dilation });
    const shortcut =
      stage === 1
        ? y
        : layers.folded(y, `${name}.downsample.0`, `${name}.downsample.1`, { kernel: 1, stride });
    y = relu(graph.node('Add', [two, shortcut]));
  }
  const pooled = graph.node('Flatten', [graph.node('GlobalAveragePool', [y])], { axis: 1 });
  const linear = (x: string, head: string, output?: string): string => {
    const inputs = [x, layers.constant(`${head}.weight`), layers.constant(`${head}.bias`)];
    return graph.node('Gemm', inputs, { transB: 1 }, output);
  };
  linear(relu(linear(pooled, 'head.0')), 'head.2', 'y');
  return graph.bytes([1, config.inputChannels, ...size], [1, config.classes]);
}

/** One convolution; x [1, Cin, D, H, W] to y [1, Cout, d, h, w]. */
export function convModel(
  weight: Weight,
  geometry: Geometry,
  input: readonly number[],
  output: readonly number[],
): Uint8Array {
  const [cout, cin] = weight.shape as [number, number];
  const graph = new Graph('conv3d');
  graph.node('Conv', ['x', graph.weight('weight', weight)], convolution(geometry), 'y');
  return graph.bytes([1, cin, ...input], [1, cout, ...output]);
}
