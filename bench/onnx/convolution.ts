/** One convolution as an ONNX graph. Whole networks are written by the library itself. */
import { type Attribute, Graph, type Weight } from './graph.js';

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
