// convTranspose3d in bf16 and fp16 and its gradients: on every device against doubles made of operands that were rounded first.
import { gradients, ops, type Tensor } from 'renvox';
import t from 'tap';
import { native } from '#lib/native.js';
import { transposed, transposedGradients } from './convolution-naive.js';
import { agrees, onEveryDevice, randomArray, sameBits } from './harness.js';
import {
  codeOf,
  image,
  loaded,
  type Precision,
  productsOn,
  rounded,
  roundedImage,
  roundingOf,
  type Stored,
  storedAs,
  upload,
  values,
} from './sixteen-bits.js';

const TOLERANCE = 2e-6;

/** x and Cout: whole and ragged channels, one voxel, several samples, past one tile of 64 voxels, of 64 columns, of 320 channels. */
const cases: [number[], number][] = [
  [[1, 1, 1, 1, 1], 1],
  [[2, 3, 2, 7, 5], 3],
  [[1, 2, 5, 13, 32], 16],
  [[2, 3, 4, 7, 16], 8],
  [[1, 2, 3, 29, 20], 24],
  [[1, 1, 3, 3, 65], 2],
  [[1, 2, 2, 3, 330], 36],
  [[3, 1, 2, 2, 9], 40],
  // So many tiles of voxels that a block makes several tiles of columns.
  [[140, 1, 1, 1, 9], 40],
];
const doubled = ([n, d, h, w]: number[], c: number) =>
  [n, 2 * (d as number), 2 * (h as number), 2 * (w as number), c] as number[];

onEveryDevice(t, 'convTranspose3d in less than f32, and its gradients', async (t, device) => {
  for (const [i, [shape, cout]] of cases.entries())
    for (const wanted of ['bf16', 'fp16'] as Precision[]) {
      const precision = productsOn(device, wanted);
      const type = storedAs[precision];
      const x = image(shape, 5 * i + 1);
      const weight = image([shape[4] as number, cout, 2, 2, 2], 5 * i + 2);
      const bias = randomArray(cout, 5 * i + 3);
      const dy = image(doubled(shape, cout), 5 * i + 4);
      const [rx, rw, rdy] = [x, weight, dy].map((v) => roundedImage(v, type)) as [
        typeof x,
        typeof x,
        typeof x,
      ];
      const [tx, tw, tb] = [upload(device, x), upload(device, weight), device.tensor(bias)];
      const { value, gradients: made } = gradients(
        () => ops.convTranspose3d(tx, tw, { bias: tb, precision, out: 'f32' }),
        [tx, tw, tb],
        upload(device, dy),
      );
      const what = `${precision} ${shape.join('x')} to ${cout}`;
      const [dx, dw, db] = await Promise.all(made.map((m) => (m as Tensor).data()));
      const truth = transposedGradients(rx, rw, rdy);
      agrees(t, await value.data(), transposed(rx, rw, bias), TOLERANCE, `${what}: y`);
      agrees(t, dx as Float32Array, truth.dx, TOLERANCE, `${what}: dx`);
      agrees(t, dw as Float32Array, truth.dw, TOLERANCE, `${what}: dw`);
      agrees(
        t,
        db as Float32Array,
        transposedGradients(x, weight, dy).db,
        TOLERANCE,
        `${what}: db`,
      );
    }
});

onEveryDevice(t, 'convTranspose3d of images stored in 16 bits', async (t, device) => {
  const combinations: [Stored, Precision, Stored | undefined][] = [
    ['bf16', 'bf16', undefined],
    ['f16', 'fp16', 'f32'],
    ['f32', 'fp16', 'bf16'],
    ['f16', 'bf16', 'f16'],
    ['bf16', 'fp32', 'f32'],
    ['f16', 'fp32', 'f16'],
  ];
  for (const [i, [shape, cout]] of cases.entries())
    for (const [k, [stored, wanted, out]] of combinations.entries()) {
      const precision = productsOn(device, wanted);
      const [n, , , , cin] = shape as [number, number, number, number, number];
      const type = storedAs[precision];
      const seed = 100 * i + 10 * k;
      const x = image(shape, seed);
      const weight = image([cin, cout, 2, 2, 2], seed + 1);
      const bias = (i + k) % 3 ? randomArray(cout, seed + 2) : undefined;
      const norm = (i + k) % 2 === 0;
      const slope = 0.01;
      const [scale, shift] = [randomArray(n * cin, seed + 3), randomArray(n * cin, seed + 4)];
      const input = loaded(
        roundedImage(x, stored),
        type,
        norm ? { scale, shift, slope } : undefined,
      );
      const truth = transposed(input, roundedImage(weight, type), bias ?? new Float32Array(cout));
      const vector = (v: Float32Array) => device.tensor(v, { shape: [n, cin] });
      const y = ops.convTranspose3d(upload(device, x, stored), upload(device, weight), {
        ...{ slope, precision },
        ...(bias ? { bias: device.tensor(bias) } : {}),
        ...(out ? { out } : {}),
        ...(norm ? { scale: vector(scale), shift: vector(shift) } : {}),
      });
      const result = out ?? type;
      const what = `${shape.join('x')} to ${cout}, ${stored} by ${precision} to ${result}`;
      t.equal(y.dtype, result, what);
      const made = await values(y);
      agrees(t, made, truth, TOLERANCE + 2 * roundingOf[result], what);
      if (result === 'f32') continue;
      // Nothing but the last rounding, which a sum close to a tie may take the other way.
      let other = 0;
      for (const [j, v] of truth.entries()) if (rounded(v, result) !== made[j]) other++;
      t.ok(other <= 2 + truth.length / 100, `${what}: ${other} of ${truth.length} otherwise`);
    }
});

onEveryDevice(t, 'convTranspose3dGradInput: dy and dx in 16 bits', async (t, device) => {
  for (const [i, [shape, cout]] of cases.entries()) {
    const dy = image(doubled(shape, cout), i);
    const weight = image([shape[4] as number, cout, 2, 2, 2], i + 50);
    const zero = { shape, data: new Float32Array(shape.reduce((a, b) => a * b, 1)) };
    const { dx } = transposedGradients(
      zero,
      roundedImage(weight, 'f16'),
      roundedImage(roundedImage(dy, 'bf16'), 'f16'),
    );
    const made = device.run('convTranspose3dGradInput', {
      ...{ dy: upload(device, dy, 'bf16'), weight: upload(device, weight) },
      ...{ precision: 'fp16', out: 'bf16' },
    })[0] as Tensor;
    t.equal(made.dtype, 'bf16');
    agrees(t, await values(made), dx, TOLERANCE + 2 * roundingOf.bf16, `${shape.join('x')}`);
  }
});

onEveryDevice(t, 'convTranspose3d: the same bits in other orders of blocks', async (t, device) => {
  const x = image([2, 3, 4, 9, 20], 1);
  const weight = image([20, 12, 2, 2, 2], 2);
  const dy = image([2, 6, 8, 18, 12], 3);
  const [tx, tw, tdy] = [upload(device, x), upload(device, weight), upload(device, dy)];
  const { simulator } = native();
  try {
    for (const wanted of ['fp32', 'bf16'] as Precision[]) {
      const precision = productsOn(device, wanted);
      const one = async () => {
        const { value, gradients: made } = gradients(
          () => ops.convTranspose3d(tx, tw, { precision, out: 'f32' }),
          [tx, tw],
          tdy,
        );
        return Promise.all([value, ...(made as Tensor[])].map((r) => r.data()));
      };
      const first = await one();
      for (let i = 0; i < 6; i++) {
        simulator?.schedule(i % 2 ? 'roundRobin' : 'warpGreedy', i);
        const again = await one();
        for (const [k, data] of first.entries())
          sameBits(t, again[k] as typeof data, data, `${precision}, result ${k}`);
      }
    }
  } finally {
    simulator?.schedule('mixed', 1);
  }
});

onEveryDevice(t, 'convTranspose3d: an updated weight is taken', async (t, device) => {
  const precision = productsOn(device, 'bf16');
  const type = storedAs[precision];
  const x = image([1, 2, 3, 4, 8], 1);
  const weight = image([8, 4, 2, 2, 2], 2);
  const gradient = image(weight.shape, 3);
  const [tx, tw] = [upload(device, x), upload(device, weight)];
  const run = () => ops.convTranspose3d(tx, tw, { precision, out: 'f32' });
  const before = run();
  ops.sgd([tw], [upload(device, gradient)], [device.full(weight.shape, 0)], { lr: 1 });
  const after = run();
  const moved = weight.data.map((w, i) => w - (gradient.data[i] as number));
  const truth = (data: Float32Array) =>
    transposed(
      roundedImage(x, type),
      roundedImage({ shape: weight.shape, data }, type),
      new Float32Array(4),
    );
  agrees(t, await before.data(), truth(weight.data), TOLERANCE, 'before');
  agrees(t, await after.data(), truth(moved), TOLERANCE, 'after');
});

onEveryDevice(t, 'convTranspose3d: what precision and out refuse', async (t, device) => {
  const x = device.full([1, 2, 2, 2, 2]);
  const weight = device.full([2, 3, 2, 2, 2]);
  t.equal(
    codeOf(() => ops.convTranspose3d(x, weight, { precision: 'fp8' as never })),
    'InvalidArgument',
  );
  t.equal(
    codeOf(() => ops.convTranspose3d(x, weight, { out: 'u8' as never })),
    'InvalidArgument',
  );
  const half = device.full([1, 2, 2, 2, 2], 0, 'bf16');
  t.equal(
    codeOf(() =>
      gradients(
        () =>
          ops.convTranspose3d(half, weight, { precision: productsOn(device, 'bf16'), out: 'f32' }),
        [weight],
      ),
    ),
    'InvalidArgument',
    'no gradient of an image in 16 bits',
  );
});
