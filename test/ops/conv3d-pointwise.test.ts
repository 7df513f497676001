// Convolutions 1x1x1 into at most four channels (native/cpu/pointwise.cpp): sums across lanes, four voxels at a time, against double precision;
// and the same bits for 16 and 8 lanes and any number of threads.
import { type Device, ops, type Tensor, threads } from 'renvox';
import t from 'tap';
import { concatenated, convolve, type Image, normalized } from './convolution-naive.js';
import { agrees, generator, onEveryDevice, onEveryInstructionSet, sameBits } from './harness.js';
import { image } from './sixteen-bits.js';

const upload = (d: Device, i: Image & { data: Float32Array }): Tensor =>
  d.tensor(i.data, { shape: i.shape });
const plain = { stride: [1, 1, 1], padding: [0, 0, 0], dilation: [1, 1, 1] };

onEveryDevice(t, 'conv3d 1x1x1 into few channels', async (t, device) => {
  const next = generator(77);
  const pick = (least: number, most: number) => least + Math.floor(next() * (most - least + 1));
  for (let i = 0; i < 30; i++) {
    const space = [pick(1, 2), pick(1, 5), pick(1, 6), pick(1, i % 5 === 0 ? 400 : 19)];
    // Multiples of 16 and, beside them, what the other kernels take.
    const c1 = i % 6 === 5 ? pick(1, 40) : 16 * pick(1, 4);
    const c2 = i % 3 === 0 ? 16 * pick(1, 2) : 0;
    const cout = pick(1, 5);
    const fused = i % 2 === 0 || c2 > 0;
    const n = space[0] as number;
    const slope = 0.01;
    const x = image([...space, c1], i);
    const second = image([...space, c2], i + 100);
    const weight = image([cout, c1 + c2, 1, 1, 1], i + 200);
    const bias = image([cout], i + 300);
    const [scale, shift] = [image([n, c1], i + 400), image([n, c1], i + 500)];
    const read = fused ? normalized(x, scale.data, shift.data, slope) : x;
    const all = c2 > 0 ? concatenated(read, second) : read;
    const truth = convolve(all, weight, bias.data, plain);
    const what = `${[...space, c1]}${c2 ? ` and ${c2}` : ''} to ${cout}${fused ? ', normalised' : ''}`;
    const inputs = {
      x: upload(device, x),
      weight: upload(device, weight),
      b: upload(device, bias),
    };
    const more = {
      ...(fused ? { scale: upload(device, scale), shift: upload(device, shift), slope } : {}),
      ...(c2 > 0 ? { second: upload(device, second) } : {}),
    };
    const run = () => ops.conv3d(inputs.x, inputs.weight, { bias: inputs.b, ...more }).data();
    const fusedMultiplyAdd: Float32Array[] = [];
    await onEveryInstructionSet(device, async (set) => {
      const y = (await run()) as Float32Array;
      agrees(t, y, truth.data, 1e-6, `${set}: ${what}`);
      if (set !== 'baseline' && set !== 'cuda') fusedMultiplyAdd.push(y);
      const before = threads();
      threads(1);
      sameBits(t, await run(), y, `${set}: ${what}, one thread`);
      threads(before);
    });
    const [first, ...others] = fusedMultiplyAdd;
    for (const other of others) sameBits(t, other, first as Float32Array, `${what}: any lanes`);
  }
});
