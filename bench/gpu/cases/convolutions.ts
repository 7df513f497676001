/** Convolutions: exact and on tensor cores, of the networks' kinds. */
import { ops } from 'renvox';
import type { Workbench } from './workbench.js';

export function convolutions({ add, half, random, image, both }: Workbench): void {
  const convolution = (
    name: string,
    cin: number,
    cout: number,
    options: Omit<ops.Conv3dOptions, 'statistics'> & { kernel?: number } = {},
  ) =>
    add(name, () => {
      const { kernel = 3, ...rest } = options;
      const x = image(cin, 1);
      const weight = random([cout, cin, kernel, kernel, kernel], 2);
      const bias = random([cout], 3);
      const whole = { bias, padding: (kernel - 1) / 2, ...rest };
      if (whole.out && whole.out !== 'f32') return () => [ops.conv3d(x, weight, whole)];
      return both([x, weight, bias], () => ops.conv3d(x, weight, whole));
    });
  for (const precision of ['fp32', 'bf16', 'fp16'] as const) {
    convolution(`conv3d 1->16 ${precision}`, 1, 16, { precision });
    convolution(`conv3d 16->16 ${precision}`, 16, 16, { precision });
    convolution(`conv3d 24->20 ${precision}`, 24, 20, { precision });
    convolution(`conv3d 64->64 ${precision}`, 64, 64, { precision });
    convolution(`conv3d 1^3 16->3 ${precision}`, 16, 3, { precision, kernel: 1 });
    convolution(`conv3d stride 2 16->32 ${precision}`, 16, 32, { precision, stride: 2 });
    convolution(`conv3d dilation 2 32->32 ${precision}`, 32, 32, {
      ...{ precision, dilation: 2, padding: 2 },
    });
    convolution(`conv3d 7^3 stride 2 1->64 ${precision}`, 1, 64, {
      ...{ precision, kernel: 7, stride: 2 },
    });
  }
  for (const precision of ['bf16', 'fp16'] as const)
    add(`conv3d fused 16+16->16 ${precision}`, () => {
      const out = precision === 'bf16' ? 'bf16' : 'f16';
      const [x, second] = [ops.cast(image(16, 1), out), ops.cast(image(16, 2), out)];
      const weight = random([16, 32, 3, 3, 3], 3);
      const [scale, shift] = [random([2, 16], 4), random([2, 16], 5)];
      const norm = { scale, shift, secondScale: scale, secondShift: shift, slope: 0.01 };
      return () => {
        const fused = { second, padding: 1, precision, out, statistics: true, ...norm } as const;
        const { y, sums } = ops.conv3d(x, weight, fused);
        return [y, sums];
      };
    });
  // Of sums over 16 and over 64 channels: the store pools, and a kernel behind split sums.
  for (const precision of ['fp32', 'bf16', 'fp16'] as const)
    for (const channels of [16, 64])
      add(`conv3d pooled ${channels}->${channels} ${precision}`, () => {
        const x = image(channels, 1);
        const weight = random([channels, channels, 3, 3, 3], 2);
        const poolSign = random([channels], 3);
        return () => {
          const options = { padding: 1, precision, statistics: true, poolSign } as const;
          const { y, sums, pooled } = ops.conv3d(x, weight, options);
          return [y, sums, pooled];
        };
      });
  for (const precision of ['fp32', 'bf16', 'fp16'] as const)
    add(`conv3d up 32->16+16->16 ${precision}`, () => {
      const out = ({ fp32: 'f32', bf16: 'bf16', fp16: 'f16' } as const)[precision];
      const x = ops.cast(random([2, ...half, 32], 1), out);
      const second = ops.cast(random([2, ...half.map((n) => 2 * n), 16], 2), out);
      const [weight, upWeight] = [random([16, 32, 3, 3, 3], 3), random([32, 16, 2, 2, 2], 4)];
      const [scale, shift] = [random([2, 32], 5), random([2, 32], 6)];
      const fused = { upWeight, upBias: random([16], 7), second, scale, shift, slope: 0.01 };
      return () => {
        const options = { ...fused, padding: 1, precision, out, statistics: true } as const;
        const { y, sums } = ops.conv3d(x, weight, options);
        return [y, sums];
      };
    });
  for (const precision of ['fp32', 'bf16', 'fp16'] as const)
    add(`convTranspose3d 32->16 ${precision}`, () => {
      const x = random([2, ...half, 32], 1);
      const weight = random([32, 16, 2, 2, 2], 2);
      const bias = random([16], 3);
      return both([x, weight, bias], () => ops.convTranspose3d(x, weight, { bias, precision }));
    });
}
