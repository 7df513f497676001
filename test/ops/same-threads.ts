// Asserts that a result has the same bits for 1, 2 and 3 threads.
import { type Tensor, type TensorData, threads } from 'renvox';
import type { Test } from 'tap';
import { sameBits } from './harness.js';

export async function sameForThreads(
  tap: Test,
  make: () => Tensor,
  what: string,
): Promise<TensorData> {
  const before = threads();
  try {
    threads(1);
    const first = await make().data();
    for (const n of [2, 3]) {
      threads(n);
      sameBits(tap, await make().data(), first, `${what}, ${n} threads as 1`);
    }
    return first;
  } finally {
    threads(before);
  }
}
