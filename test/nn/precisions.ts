import type { Device, Tensor, TensorData } from 'renvox';
import type { Precision } from 'renvox/nn';
import type { Test } from 'tap';
import { agrees } from '../ops/harness.js';
import { productsOn } from '../ops/sixteen-bits.js';

/**
 * Checks inference in every precision against what lies near zero, where means of 300 were put in its place: 300 has a unit of 2^-15 in f32, and one of 2
 * in bf16.
 */
export async function agreesFarFromZero(
  tap: Test,
  device: Device,
  infer: (precision: Precision) => Tensor,
  expected: TensorData,
  what = '',
) {
  for (const [wanted, tolerance] of [
    ['fp32', 1e-3],
    ['fp16', 4e-3],
    ['bf16', 3e-2],
  ] as const) {
    const precision = productsOn(device, wanted);
    using logits = infer(precision);
    agrees(tap, await logits.data(), expected, tolerance, `${what} ${precision}`);
  }
}
