import { gradients, ops, type TensorData } from 'renvox';
import t from 'tap';
import {
  generator,
  onEveryDevice,
  product,
  randomArray,
  randomTensor,
  sameBits,
} from './harness.js';
import { sameForThreads } from './same-threads.js';

type Three = [number, number, number];

function cropNaive(
  x: ArrayLike<number>,
  shape: readonly number[],
  start: Three,
  size: Three,
  fill: number,
): number[] {
  const [n, d, h, w, c = 1] = shape as [number, number, number, number, number?];
  const y: number[] = [];
  for (let i = 0; i < n; i++)
    for (let a = start[0]; a < start[0] + size[0]; a++)
      for (let b = start[1]; b < start[1] + size[1]; b++)
        for (let e = start[2]; e < start[2] + size[2]; e++)
          for (let k = 0; k < c; k++) {
            const inside = a >= 0 && a < d && b >= 0 && b < h && e >= 0 && e < w;
            y.push(inside ? (x[(((i * d + a) * h + b) * w + e) * c + k] as number) : fill);
          }
  return y;
}

const arrays: TensorData[] = [
  new Float32Array(0),
  new Int32Array(0),
  new Int16Array(0),
  new Uint8Array(0),
];

onEveryDevice(t, 'crop', async (t, device) => {
  const next = generator(5);
  const whole = (low: number, high: number) => low + Math.floor(next() * (high - low + 1));
  for (let round = 0; round < 40; round++) {
    const shape = [whole(1, 2), whole(1, 6), whole(1, 6), whole(1, 6)];
    if (round % 2) shape.push(whole(1, 3));
    const start: Three = [whole(-7, 7), whole(-3, 3), whole(-7, 7)];
    const size: Three = [whole(1, 9), whole(1, 9), whole(1, 9)];
    const Kind = (arrays[round % 4] as TensorData).constructor as Float32ArrayConstructor;
    const values = Kind.from({ length: product(shape) }, () => whole(0, 100));
    const y = ops.crop(device.tensor(values, { shape }), { start, size, fill: 7 });
    t.strictSame(y.shape, [shape[0], ...size, ...shape.slice(4)]);
    const expected = Kind.from(cropNaive(values, shape, start, size, 7));
    t.strictSame(await y.data(), expected, `${y.dtype} ${shape} from ${start}, ${size}`);
  }
});

onEveryDevice(t, 'crop: rows of whole packets and others, past one block', async (t, device) => {
  for (const [shape, start, size] of [
    [
      [2, 3, 5, 64],
      [0, 1, 16],
      [3, 4, 48],
    ],
    [
      [1, 5, 7, 64],
      [-1, 2, -16],
      [7, 9, 128],
    ],
    [
      [2, 4, 9, 31, 3],
      [1, -2, 3],
      [3, 13, 30],
    ],
    [
      [1, 20, 31, 40, 1],
      [-2, 3, 5],
      [30, 20, 50],
    ],
  ] as [number[], Three, Three][])
    for (const array of arrays) {
      const Kind = array.constructor as Float32ArrayConstructor;
      const values = Kind.from({ length: product(shape) }, (_, i) => (i * 37) % 127);
      const y = ops.crop(device.tensor(values, { shape }), { start, size, fill: 7 });
      const expected = Kind.from(cropNaive(values, shape, start, size, 7));
      sameBits(t, await y.data(), expected, `${y.dtype} ${shape} from ${start}, ${size}`);
    }
});

onEveryDevice(t, 'crop and pad: gradients', async (t, device) => {
  const shape = [2, 4, 5, 6, 2];
  const x = randomTensor(device, shape, 1);
  const start: Three = [-1, 2, 3];
  const size: Three = [4, 2, 5];
  const dy = randomArray(2 * product(size) * 2, 2);
  const { gradients: made } = gradients(
    () => ops.crop(x, { start, size, fill: 3 }),
    [x],
    device.tensor(dy, { shape: [2, ...size, 2] }),
  );
  const expected = cropNaive(dy, [2, ...size, 2], [1, -2, -3], [4, 5, 6], 0);
  t.strictSame(await made[0]?.data(), Float32Array.from(expected), 'crop');

  const padded = ops.pad(x, { before: [1, 0, 2], after: [0, 3, 1], fill: -1 });
  t.strictSame(padded.shape, [2, 5, 8, 9, 2]);
  t.strictSame(
    await padded.data(),
    Float32Array.from(cropNaive(await x.data(), shape, [-1, 0, -2], [5, 8, 9], -1)),
    'pad',
  );
});

onEveryDevice(t, 'crop: threads and arguments', async (t, device) => {
  const x = randomTensor(device, [1, 20, 31, 40, 1], 1);
  await sameForThreads(t, () => ops.crop(x, { start: [-2, 3, 5], size: [30, 20, 50] }), 'crop');
  for (const bad of [
    { start: [0, 0, 0.5], size: [1, 1, 1] },
    { start: [0, 0, 0], size: [1, 0, 1] },
    { start: [0, 0], size: [1, 1, 1] },
  ])
    t.throws(() => ops.crop(x, bad as unknown as { start: Three; size: Three }), {
      code: 'InvalidArgument',
    });
  const start: Three = [0, 0, 0];
  const one: Three = [1, 1, 1];
  const box: Three = [3, 3, 3];
  for (const [dtype, least, most] of [
    ['u8', 0, 255],
    ['i16', -32768, 32767],
    ['i32', -(2 ** 31), 2 ** 31 - 1],
  ] as const) {
    const labels = device.full([1, 2, 2, 2], 1, dtype);
    for (const fill of [least - 5, most + 1]) {
      const refusal = {
        code: 'InvalidArgument',
        message: new RegExp(`number from ${least} to ${most} .*fill of .* received ${fill}`),
      };
      t.throws(() => ops.crop(labels, { start, size: box, fill }), refusal, `${dtype} ${fill}`);
      t.throws(() => ops.pad(labels, { before: one, after: one, fill }), refusal, 'pad');
    }
    for (const fill of [least, most]) {
      const cropped = await ops.crop(labels, { start, size: box, fill }).data();
      t.equal(cropped.at(-1), fill, `${dtype} ${fill}`);
    }
  }
});
