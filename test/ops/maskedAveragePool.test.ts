// maskedAveragePool and its gradient against sums in double.
import { gradients, ops, type Tensor, threads } from 'renvox';
import t from 'tap';
import {
  agrees,
  generator,
  onEveryDevice,
  product,
  randomArray,
  relativeRms,
  sameBits,
} from './harness.js';

/** By the definition; gradient of `dy`. */
function naive(
  x: Float32Array,
  masks: Float32Array,
  dy: Float32Array,
  [n, voxels, c, k]: readonly [number, number, number, number],
) {
  const y = new Float64Array(n * k * c);
  const dx = new Float64Array(x.length);
  for (let row = 0; row < n * k; row++) {
    const [sample, mask] = [Math.floor(row / k), row % k];
    const weight = (v: number) => masks[(sample * voxels + v) * k + mask] as number;
    let total = 0;
    for (let v = 0; v < voxels; v++) total += weight(v);
    if (total === 0) continue;
    for (let v = 0; v < voxels; v++)
      for (let i = 0; i < c; i++) {
        if (weight(v) === 0) continue;
        const at = (sample * voxels + v) * c + i;
        (y[row * c + i] as number) += ((x[at] as number) * weight(v)) / total;
        (dx[at] as number) += ((dy[row * c + i] as number) * weight(v)) / total;
      }
  }
  return { y, dx };
}

/** [samples, ..., channels], and how many masks. */
function shapes(): [number[], number][] {
  const next = generator(77);
  const upTo = (most: number) => 1 + Math.floor(next() * most);
  const random = Array.from({ length: 12 }, (): [number[], number] => [
    [upTo(3), upTo(9), upTo(9), upTo(9), upTo(70)],
    upTo(8),
  ]);
  return [
    ...random,
    [[1, 1], 1],
    [[3, 7, 5], 2],
    [[2, 2, 1, 3, 257], 1],
    // A row of channels in tiles, and blocks that go round more than once.
    [[1, 3, 1, 2, 1028], 2],
    [[2, 33, 32, 31, 16], 3],
    [[1, 70, 64, 61, 3], 2],
  ];
}

onEveryDevice(t, 'random shapes and masks', async (tap, device) => {
  for (const [seed, [shape, k]] of shapes().entries()) {
    const [n, c] = [shape[0] as number, shape[shape.length - 1] as number];
    const voxels = product(shape) / n / c;
    const next = generator(seed);
    // Zeros and ones; or any weights.
    const soft = seed % 3 === 2;
    const masks = Float32Array.from({ length: n * voxels * k }, () =>
      next() < 0.6 ? 0 : soft ? next() : 1,
    );
    // One mask of one sample is empty.
    if (n * k > 1) for (let v = 0; v < voxels; v++) masks[(v + 1) * k - 1] = 0;
    const x = randomArray(product(shape), seed + 1).map((v) => v + 3);
    for (let i = 0; i < x.length; i++) {
      const at = Math.floor(i / c) * k;
      if (masks.subarray(at, at + k).every((m) => m === 0)) x[i] = Number.NaN;
    }
    const dy = randomArray(n * k * c, seed + 2);
    const expected = naive(x, masks, dy, [n, voxels, c, k]);
    const [input, marked, seedGradient] = [
      device.tensor(x, { shape }),
      device.tensor(masks, { shape: [...shape.slice(0, -1), k] }),
      device.tensor(dy, { shape: [n, k, c] }),
    ];
    const before = threads();
    let first: Float32Array[] | undefined;
    for (const count of [1, 2, 3]) {
      threads(count);
      const made = gradients(() => ops.maskedAveragePool(input, marked), [input], seedGradient);
      const [y, dx] = (await Promise.all([
        made.value.data(),
        (made.gradients as [Tensor])[0].data(),
      ])) as [Float32Array, Float32Array];
      const what = `[${shape}], ${k} masks, ${count} threads`;
      agrees(tap, y, expected.y, 1e-6, what);
      agrees(tap, dx, expected.dx, 1e-6, `gradient of ${what}`);
      first ??= [y, dx];
      sameBits(tap, y, first[0] as Float32Array, `${what}: the same bits`);
      sameBits(tap, dx, first[1] as Float32Array, `gradient of ${what}: the same bits`);
    }
    threads(before);
  }
});

onEveryDevice(t, 'a few voxels of many', async (tap, device) => {
  const shape = [1, 48, 48, 48, 5];
  const voxels = 48 ** 3;
  const mask = new Float32Array(voxels);
  for (const v of [0, 4711, 50000, voxels - 1]) mask[v] = 1;
  const x = randomArray(voxels * 5, 3).map((v) => 1000 + v);
  const y = ops.maskedAveragePool(
    device.tensor(x, { shape }),
    device.tensor(mask, { shape: [...shape.slice(0, 4), 1] }),
  );
  const expected = naive(x, mask, new Float32Array(5), [1, voxels, 5, 1]).y;
  tap.ok(relativeRms(await y.data(), expected) < 1e-7, 'nothing of the rest is in the mean');
});

onEveryDevice(t, 'what does not fit is refused', async (tap, device) => {
  const x = device.full([2, 3, 4, 5, 6], 1);
  const refused = (mask: Tensor, code: string) =>
    tap.throws(() => ops.maskedAveragePool(x, mask), { code });
  refused(device.full([2, 3, 4, 6, 1], 1), 'ShapeMismatch');
  refused(device.full([2, 3, 4, 5], 1), 'ShapeMismatch');
  refused(device.full([1, 3, 4, 5, 1], 1), 'ShapeMismatch');
  refused(device.full([2, 3, 4, 5, 9], 1), 'ShapeMismatch');
  refused(device.full([2, 3, 4, 5, 0], 1), 'ShapeMismatch');
  refused(device.tensor(new Uint8Array(120), { shape: [2, 3, 4, 5, 1] }), 'DtypeMismatch');
});
