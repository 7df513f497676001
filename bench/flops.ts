/** Floating point operations of the networks' definitions: two for each multiplication of each convolution, whatever the algorithm. */
import type { ResNet3DConfig, UNet3DConfig } from 'renvox/nn';

type Size = readonly number[];

const voxels = (size: Size): number => size.reduce((a, b) => a * b, 1);
const shrunk = (size: Size, by: number): number[] => size.map((n) => Math.ceil(n / by));

/** Of one convolution with this output. */
export function convFlops(out: Size, cin: number, cout: number, kernel: number): number {
  return 2 * voxels(out) * cin * cout * kernel ** 3;
}

/** Of a U-Net's forward pass on a volume of `size`. */
export function unetFlops(
  config: Required<Omit<UNet3DConfig, 'deepSupervision'>>,
  size: Size,
): number {
  const { channels, convolutions, inputChannels, classes } = config;
  const on = (level: number) => shrunk(size, 2 ** level);
  let width = inputChannels;
  let flops = 0;
  channels.forEach((c, level) => {
    for (let i = 0; i < convolutions.encoder; i++)
      flops += convFlops(on(level), i === 0 ? width : c, c, 3);
    width = c;
  });
  for (let level = channels.length - 2; level >= 0; level--) {
    const c = channels[level] as number;
    // Each output voxel of a transposed convolution of kernel and stride 2 has one tap.
    flops += convFlops(on(level), width, c, 1);
    for (let i = 0; i < convolutions.decoder; i++)
      flops += convFlops(on(level), i === 0 ? 2 * c : c, c, 3);
    width = c;
  }
  return flops + convFlops(size, width, classes, 1);
}

/** Of a ResNet-10's forward pass on a volume of `size`, but for its two linear layers. */
export function resnetFlops(config: Required<ResNet3DConfig>, size: Size): number {
  const { widths, inputChannels, geometry } = config;
  let cin = widths[0] as number;
  let flops = convFlops(shrunk(size, 2), inputChannels, cin, 7);
  let by = 4;
  widths.forEach((cout, i) => {
    if (i === 1 || (i > 1 && geometry === 'strided')) by *= 2;
    const out = shrunk(size, by);
    flops += convFlops(out, cin, cout, 3) + convFlops(out, cout, cout, 3);
    if (i > 0) flops += convFlops(out, cin, cout, 1);
    cin = cout;
  });
  return flops;
}
