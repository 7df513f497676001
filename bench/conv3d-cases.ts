/** The layers that bench/conv3d.bench.ts measures, each with the reason for its shape, its work and the bytes that must move. */
import { convFlops } from './flops.js';

export type Size = readonly [number, number, number];

/** A layer's definition; gradients are of a convolution with these shapes. */
export interface Layer {
  readonly name: string;
  readonly why: string;
  readonly kind: 'conv3d' | 'dgrad' | 'wgrad' | 'convTranspose3d' | 'maxPool3d';
  readonly size: Size;
  readonly cin: number;
  readonly cout: number;
  readonly kernel: number;
  readonly stride: number;
  readonly dilation: number;
  /** Of the definition; undefined where none is multiplied. */
  readonly flops: number | undefined;
  /** f32 input, output and weights, each moved once. */
  readonly bytes: number;
  /** The ceiling of memory: `read` where little of it is written. */
  readonly memory: 'read' | 'copy';
  /** Share of the roofline that the layer shall reach at least. */
  readonly goal: number | undefined;
  /** How many times as fast as the direct algorithm it shall be at least. */
  readonly speedup: number | undefined;
}

const voxels = (size: readonly number[]): number => size.reduce((a, b) => a * b, 1);

/** Voxels of the layer's output along each axis. */
export function outputOf({ kind, size, stride }: Pick<Layer, 'kind' | 'size' | 'stride'>): Size {
  const [d, h, w] = size.map((n) =>
    kind === 'convTranspose3d' ? 2 * n : Math.floor((n - 1) / stride) + 1,
  ) as [number, number, number];
  return [d, h, w];
}

const cube = (n: number): Size => [n, n, n];

function layer(
  why: string,
  size: Size,
  cin: number,
  cout: number,
  more: Partial<Pick<Layer, 'kind' | 'kernel' | 'stride' | 'dilation' | 'goal' | 'speedup'>> = {},
): Layer {
  const { kind = 'conv3d', kernel = 3, stride = 1, dilation = 1 } = more;
  const [d, h, w] = size;
  const shape = d === h && h === w ? `${d}^3` : size.join('x');
  const parts = [
    `conv3d/${shape} ${cin}->${cout}`,
    ...(kernel === 3 ? [] : [`kernel ${kernel}`]),
    ...(stride === 1 ? [] : [`stride ${stride}`]),
    ...(dilation === 1 ? [] : [`dilation ${dilation}`]),
    ...(kind === 'conv3d' ? [] : [kind]),
  ];
  const out = outputOf({ kind, size, stride });
  const weights = kind === 'maxPool3d' ? 0 : cin * cout * kernel ** 3;
  // One tap of a transposed convolution of kernel and stride 2 reaches an output voxel.
  const taps = kind === 'convTranspose3d' ? 1 : kernel;
  return {
    ...{ name: parts.join(' '), why, kind, size, cin, cout, kernel, stride, dilation },
    ...{ goal: more.goal, speedup: more.speedup },
    flops: kind === 'maxPool3d' ? undefined : convFlops(out, cin, cout, taps),
    bytes: 4 * (voxels(size) * cin + voxels(out) * cout + weights),
    memory: voxels(size) * cin >= 4 * voxels(out) * cout ? 'read' : 'copy',
  };
}

const small: Size = [64, 48, 40];

export const CASES: readonly Layer[] = [
  layer('finest level of the U-Net: half of its time', cube(128), 16, 16),
  layer('finest level after the concatenation', cube(128), 32, 16),
  layer('second level: a fifth of the time', cube(64), 32, 32),
  layer('second level after the concatenation', cube(64), 64, 32),
  layer('third level', cube(32), 64, 64),
  layer('fourth level: weights leave the second cache', cube(16), 128, 128),
  layer('deepest level: more weights than voxels', cube(8), 256, 256, { speedup: 2 }),
  layer('first layer: one channel in, no sums over channels', cube(128), 1, 16, { goal: 0.5 }),
  layer('head: one tap, bound by memory', cube(128), 16, 2, { kernel: 1, goal: 0.5 }),
  layer('the last up-convolution, bound by memory', cube(64), 32, 16, {
    ...{ kind: 'convTranspose3d', kernel: 2, stride: 2, goal: 0.5 },
  }),
  layer('the finest pool, bound by memory', cube(128), 16, 16, {
    ...{ kind: 'maxPool3d', kernel: 2, stride: 2, goal: 0.5 },
  }),
  layer("ResNet's first layer", cube(128), 1, 64, { kernel: 7, stride: 2, goal: 0.5 }),
  layer("ResNet's strided layer", cube(32), 64, 128, { stride: 2 }),
  layer("ResNet's deepest dilated layer: most of its time", cube(16), 512, 512, {
    dilation: 4,
    goal: 0.5,
  }),
  layer('gradient of the input, second level', cube(64), 32, 32, { kind: 'dgrad' }),
  layer('gradient of the weight, second level', cube(64), 32, 32, { kind: 'wgrad', goal: 0.85 }),
  layer('gradient of the input, fourth level', cube(16), 128, 128, { kind: 'dgrad' }),
  layer('gradient of the weight, fourth level', cube(16), 128, 128, { kind: 'wgrad', goal: 0.85 }),
  layer('the shipped networks train on grids like this: rows are short', small, 8, 8),
  layer('its gradient of the input', small, 8, 8, { kind: 'dgrad' }),
  layer('its gradient of the weight', small, 8, 8, { kind: 'wgrad' }),
  layer('its first layer', small, 1, 8),
  layer('the gradient of that weight', small, 1, 8, { kind: 'wgrad' }),
  layer('its deepest level: 240 voxels', [8, 6, 5], 64, 64),
  layer('the gradient of that weight', [8, 6, 5], 64, 64, { kind: 'wgrad' }),
];

/**
 * With --large: what strided ResNet-10 at 128^3 has beside the cases above, which are its conv1, 64->64 at 32^3 (twice), 64->128 of stride 2, 128->128 at
 * 16^3 and 256->256 at 8^3.
 */
export const STRIDED_RESNET: readonly Layer[] = [
  layer("strided ResNet's layer3, first", cube(16), 128, 256, { stride: 2 }),
  layer("strided ResNet's layer4, first: 64 voxels out", cube(8), 256, 512, { stride: 2 }),
  layer("strided ResNet's layer4, second: 64 voxels, 28 MB of weights", cube(4), 512, 512),
  layer("strided ResNet's shortcut, layer2", cube(32), 64, 128, { kernel: 1, stride: 2 }),
  layer("strided ResNet's shortcut, layer3", cube(16), 128, 256, { kernel: 1, stride: 2 }),
  layer("strided ResNet's shortcut, layer4", cube(8), 256, 512, { kernel: 1, stride: 2 }),
];
