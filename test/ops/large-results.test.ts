// Results of 32 MiB and more are stored past the caches (Gather::passesCaches in native/cpu/convolution_algorithm.cpp): two samples, together so
// large, have the bits that each has by itself, under every instruction set that the machine has.
import { device, ops, type Tensor } from 'renvox';
import t from 'tap';
import { onEveryInstructionSet, randomTensor, sameBits } from './harness.js';

const cpu = device('cpu');
t.teardown(() => cpu.dispose());

const BOUND = 32 * 2 ** 20;
const bias = randomTensor(cpu, [32], 1);

interface Case {
  name: string;
  /** D, H, W, C of a sample. */
  sample: readonly number[];
  weight: readonly number[];
  run: (x: Tensor, weight: Tensor) => Tensor;
}

const fine = [64, 65, 67, 8];
const cases: readonly Case[] = [
  {
    name: 'convTranspose3d',
    sample: [32, 33, 34, 4],
    weight: [4, 16, 2, 2, 2],
    run: (x, w) => ops.convTranspose3d(x, w),
  },
  {
    name: 'convTranspose3d, 32 channels',
    sample: [32, 33, 17, 3],
    weight: [3, 32, 2, 2, 2],
    run: (x, w) => ops.convTranspose3d(x, w, { bias }),
  },
  {
    name: '1x1x1',
    sample: fine,
    weight: [16, 8, 1, 1, 1],
    run: (x, w) => ops.conv3d(x, w),
  },
  {
    name: '1x1x1 with statistics, for which it is read again',
    sample: fine,
    weight: [16, 8, 1, 1, 1],
    run: (x, w) => {
      const { y, sums } = ops.conv3d(x, w, { statistics: true });
      sums.dispose();
      return y;
    },
  },
  {
    name: '3x3x3, direct',
    sample: fine,
    weight: [16, 8, 3, 3, 3],
    run: (x, w) => ops.conv3d(x, w, { padding: 1, algorithm: 'direct' }),
  },
  {
    name: '3x3x3 by Winograd',
    sample: fine,
    weight: [16, 8, 3, 3, 3],
    run: (x, w) => ops.conv3d(x, w, { padding: 1, algorithm: 'winograd' }),
  },
  {
    name: '3x3x3 by Winograd, 32 channels',
    sample: [64, 65, 34, 8],
    weight: [32, 8, 3, 3, 3],
    run: (x, w) => ops.conv3d(x, w, { bias, padding: 1, algorithm: 'winograd' }),
  },
  {
    name: 'a first layer',
    sample: [128, 129, 133, 1],
    weight: [16, 1, 7, 7, 7],
    run: (x, w) => ops.conv3d(x, w, { stride: 2, padding: 3 }),
  },
];

for (const { name, sample, weight, run } of cases)
  t.test(name, async (t) => {
    const w = randomTensor(cpu, weight, 2);
    const x = [3, 4].map((seed) => randomTensor(cpu, [1, ...sample], seed));
    const both = ops.stack(x);
    await onEveryInstructionSet(cpu, async (set) => {
      const together = run(both, w);
      const large = (await together.data()) as Float32Array;
      t.ok(large.byteLength >= BOUND && large.byteLength / 2 < BOUND, 'the size is what it tests');
      together.dispose();
      for (const [i, own] of x.entries()) {
        const y = run(own, w);
        const from = (i * large.length) / 2;
        const part = large.subarray(from, from + large.length / 2);
        sameBits(t, part, await y.data(), `${set}, sample ${i}`);
        y.dispose();
      }
    });
    for (const tensor of [w, both, ...x]) tensor.dispose();
  });
