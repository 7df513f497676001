/** The networks as ONNX graphs, layer by layer as their `forward` has them. Values are [N, C, D, H, W]. */
import { invalidArgument } from '../errors.js';
import { ResNet3D, UNet3D } from '../nn/index.js';
import { DEEP, MIDDLE, SHARE } from '../nn/inside.js';
import { stageGeometry } from '../nn/resnet3d.js';
import type { Attribute, Extents, Graph } from './graph.js';

/** Of all norms of the networks. */
const EPSILON = 1e-5;
const INPUT = 'image';

interface Ends {
  input: { name: string; extents: Extents };
  output: { name: string; extents: Extents };
}

/** Adds a network's layers to a graph. */
export function addNetwork(graph: Graph, network: unknown): Ends {
  if (network instanceof UNet3D) return addUnet(graph, network.config);
  if (network instanceof ResNet3D) return addResnet(graph, network.config);
  throw invalidArgument('network', 'a UNet3D or a ResNet3D', network);
}

/** Three equal numbers, for the three axes. */
const cube = (n: number) => [n, n, n];
/** Zeros or copies on both sides of the three axes. */
const sides = (n: number) => [n, n, n, n, n, n];

function window(kernel: number, stride: number, padding: number): Record<string, Attribute> {
  return { kernel_shape: cube(kernel), strides: cube(stride), pads: sides(padding) };
}

function batchNorm(graph: Graph, name: string, x: string): string {
  const parts = ['weight', 'bias', 'running_mean', 'running_var'].map((part) => `${name}.${part}`);
  return graph.node('BatchNormalization', name, [x, ...parts], { epsilon: { float: EPSILON } });
}

function addUnet(graph: Graph, config: UNet3D['config']): Ends {
  const { inputChannels, classes, channels, convolutions, norm, slope, convolutionBias } = config;
  const block = (name: string, x: string): string => {
    const bias = convolutionBias ? [`${name}.conv.bias`] : [];
    const inputs = [x, `${name}.conv.weight`, ...bias];
    const y = graph.node('Conv', `${name}.conv`, inputs, window(3, 1, 1));
    const own = `${name}.norm`;
    const scaled =
      norm === 'batch'
        ? batchNorm(graph, own, y)
        : graph.node('InstanceNormalization', own, [y, `${own}.weight`, `${own}.bias`], {
            epsilon: { float: EPSILON },
          });
    return graph.node('LeakyRelu', name, [scaled], { alpha: { float: slope } });
  };
  const skips: string[] = [];
  let y = INPUT;
  for (let level = 0; level < channels.length; level++) {
    if (level > 0) y = graph.node('MaxPool', `down.${level - 1}`, [y], window(2, 2, 0));
    for (let i = 0; i < convolutions.encoder; i++) y = block(`encoder.${level}.${i}`, y);
    skips.push(y);
  }
  for (let k = 0; k < channels.length - 1; k++) {
    const up = [y, `up.${k}.weight`, `up.${k}.bias`];
    y = graph.node('ConvTranspose', `up.${k}`, up, window(2, 2, 0));
    const skip = skips[channels.length - 2 - k] as string;
    y = graph.node('Concat', `skip.${k}`, [y, skip], { axis: 1 });
    for (let i = 0; i < convolutions.decoder; i++) y = block(`decoder.${k}.${i}`, y);
  }
  graph.node('Conv', 'logits', [y, 'head.weight', 'head.bias'], window(1, 1, 0));
  return {
    input: { name: INPUT, extents: ['N', inputChannels, 'D', 'H', 'W'] },
    output: { name: 'logits', extents: ['N', classes, 'D', 'H', 'W'] },
  };
}

function addResnet(graph: Graph, config: ResNet3D['config']): Ends {
  const conv = (name: string, x: string, attributes: Record<string, Attribute>): string =>
    graph.node('Conv', name, [x, `${name}.weight`], attributes);
  let y = conv('conv1', INPUT, window(7, 2, 3));
  y = graph.node('Relu', 'relu1', [batchNorm(graph, 'bn1', y)]);
  y = graph.node('MaxPool', 'maxpool', [y], window(3, 2, 1));
  for (let stage = 1; stage <= 4; stage++) {
    const name = `layer${stage}.0`;
    const { stride, dilation } = stageGeometry(stage, config.geometry);
    const dilated = { dilations: cube(dilation) };
    let z = conv(`${name}.conv1`, y, { ...window(3, stride, dilation), ...dilated });
    z = graph.node('Relu', `${name}.relu1`, [batchNorm(graph, `${name}.bn1`, z)]);
    z = conv(`${name}.conv2`, z, { ...window(3, 1, dilation), ...dilated });
    z = batchNorm(graph, `${name}.bn2`, z);
    if (stage > 1) {
      y = conv(`${name}.downsample.0`, y, window(1, stride, 0));
      y = batchNorm(graph, `${name}.downsample.1`, y);
    }
    y = graph.node('Relu', name, [graph.node('Add', `${name}.add`, [z, y])]);
  }
  y = graph.node('Flatten', 'pooled', [graph.node('GlobalAveragePool', 'avgpool', [y])], {
    axis: 1,
  });
  if (config.inside > 0)
    y = graph.node('Concat', 'joined', [y, addInside(graph, config)], { axis: 1 });
  const linear = (name: string, output: string, x: string): string =>
    graph.node('Gemm', output, [x, `${name}.weight`, `${name}.bias`], { transB: 1 });
  y = graph.node('Relu', 'head.1', [linear('head.0', 'head.0', y)]);
  linear('head.2', 'logits', y);
  return {
    input: { name: INPUT, extents: ['N', config.inputChannels, 'D', 'H', 'W'] },
    output: { name: 'logits', extents: ['N', config.classes] },
  };
}

/** The branch for the inside of a mask, the input's last channel, as lib/nn/inside.ts has it. */
function addInside(graph: Graph, { inputChannels }: ResNet3D['config']): string {
  const inputs = [INPUT, 'inside.conv.weight', 'inside.conv.bias'];
  const raw = graph.node('Conv', 'inside.conv', inputs, window(3, 1, 1));
  const features = graph.node('Relu', 'inside.features', [raw]);
  const last = graph.node('Constant', 'inside.last', [], { value_ints: [inputChannels - 1] });
  const mask = graph.node('Gather', 'inside.mask', [INPUT, last], { axis: 1 });
  const blur = (name: string, x: string, dilation: number): string =>
    graph.node('Conv', name, [x, 'inside.blur.weight'], {
      ...window(5, 1, 2 * dilation),
      dilations: cube(dilation),
    });
  const close = blur('inside.close', mask, 1);
  const wide = blur('inside.wide', close, 2);
  const wider = blur('inside.wider', wide, 4);
  const number = (name: string, value: number): string =>
    graph.node('Constant', name, [], { value_float: { float: value } });
  const above = (name: string, x: string, than: string): string =>
    graph.node('Relu', name, [graph.node('Sub', `${name}.over`, [x, than])]);
  const regions = [
    mask,
    above('inside.middle', close, number('inside.middle.least', MIDDLE)),
    above('inside.deep', wide, number('inside.deep.least', DEEP)),
    above('inside.near', wide, mask),
    above('inside.far', wider, mask),
  ];
  const mean = (name: string, x: string): string =>
    graph.node('Flatten', `${name}.flat`, [graph.node('GlobalAveragePool', `${name}.mean`, [x])], {
      axis: 1,
    });
  // Of an empty region the mean is 0.
  const least = number('inside.least', 1e-12);
  const parts = regions.map((region, k) => {
    const share = mean(`inside.share.${k}`, region);
    const marked = graph.node('Mul', `inside.marked.${k}`, [features, region]);
    const atLeast = graph.node('Max', `inside.divisor.${k}`, [share, least]);
    return {
      share,
      means: graph.node('Div', `inside.means.${k}`, [mean(`inside.marked.${k}`, marked), atLeast]),
    };
  });
  const joined = graph.node(
    'Concat',
    'inside.shares',
    parts.map(({ share }) => share),
    { axis: 1 },
  );
  const shares = graph.node('Mul', 'inside.scaled', [joined, number('inside.scale', SHARE)]);
  return graph.node('Concat', 'inside', [...parts.map(({ means }) => means), shares], { axis: 1 });
}
