import { ops, type TensorData } from 'renvox';
import t, { type Test } from 'tap';
import {
  generator,
  onEveryDevice,
  onEveryDeviceAndSet,
  product,
  randomArray,
  sameBits,
} from './harness.js';
import { sameForThreads } from './same-threads.js';

type Three = [number, number, number];

interface Naive {
  /** Label of each voxel. */
  labels: number[];
  /** How far the best class lies above the second: where it is tiny, rounding decides. */
  margin: number[];
}

/** In double. `component` and `map` as the options; classes by interpolation of all eight corners. */
function naive(
  logits: ArrayLike<number>,
  shape: readonly number[],
  size: Three,
  affine: readonly number[],
  components?: ArrayLike<number>,
  table?: readonly number[],
): Naive {
  const grid = shape.slice(1, 4) as Three;
  const c = shape[4] as number;
  const result: Naive = { labels: [], margin: [] };
  for (let a = 0; a < size[0]; a++)
    for (let b = 0; b < size[1]; b++)
      for (let e = 0; e < size[2]; e++) {
        const p = [0, 1, 2].map((r) => {
          const m = affine.slice(4 * r, 4 * r + 4) as [number, number, number, number];
          return m[0] * a + m[1] * b + m[2] * e + m[3];
        }) as Three;
        const far = Math.min(
          ...p.flatMap((v, i) => [Math.abs(v + 0.5), Math.abs(v + 0.5 - (grid[i] as number))]),
        );
        if (p.some((v, i) => v < -0.5 || v > (grid[i] as number) - 0.5)) {
          result.labels.push(0);
          result.margin.push(far);
          continue;
        }
        const q = p.map((v, i) => Math.min(Math.max(v, 0), (grid[i] as number) - 1)) as Three;
        const sums = new Float64Array(c);
        let component = 0;
        let most = 0;
        let second = 0;
        for (let corner = 0; corner < 8; corner++) {
          let voxel = 0;
          let weight = 1;
          for (const axis of [0, 1, 2]) {
            const low = Math.floor(q[axis] as number);
            const up = (corner >> (2 - axis)) & 1;
            const f = (q[axis] as number) - low;
            const n = grid[axis] as number;
            voxel = voxel * n + Math.min(low + up, n - 1);
            weight *= up ? f : 1 - f;
          }
          for (let k = 0; k < c; k++)
            sums[k] = (sums[k] as number) + weight * (logits[voxel * c + k] as number);
          const here = components?.[voxel] ?? 0;
          if (here > 0 && weight > most) {
            if (here !== component) second = most;
            most = weight;
            component = here;
          } else if (here > 0 && here !== component) second = Math.max(second, weight);
        }
        const best = sums.indexOf(Math.max(...sums));
        const others = [...sums].filter((_, k) => k !== best);
        let label = best;
        let margin = Math.min(far, (sums[best] as number) - Math.max(...others));
        if (components && best > 0) {
          label = component;
          margin = Math.min(margin, most - second);
        }
        result.labels.push(table ? (table[label] ?? 0) : Math.min(label, 255));
        result.margin.push(margin);
      }
  return result;
}

function matches(tap: Test, actual: TensorData, { labels, margin }: Naive, what: string) {
  let wrong = 0;
  for (const [i, label] of labels.entries())
    if (actual[i] !== label && (margin[i] as number) > 1e-5) wrong++;
  const some = labels.filter((v) => v > 0).length;
  tap.equal(wrong, 0, `${what} (${some} of ${labels.length} voxels labelled)`);
}

/** Smooth logits: a few blobs of classes above background, as a network gives. */
function blobs(shape: readonly number[], seed: number): Float32Array {
  const [, d, h, w, c] = shape as [number, number, number, number, number];
  const next = generator(seed);
  const centres = Array.from({ length: 4 }, () => [d * next(), h * next(), w * next()] as Three);
  const noise = randomArray(product(shape), seed + 1);
  return noise.map((v, at) => {
    const k = at % c;
    const i = Math.floor(at / c);
    const p = [Math.floor(i / w / h), Math.floor(i / w) % h, i % w] as const;
    if (k === 0) return 0.2 * v;
    const near = centres
      .filter((_, j) => j % (c - 1) === k - 1)
      .map((q) => Math.hypot(p[0] - q[0], p[1] - q[1], p[2] - q[2]));
    return 2 - Math.min(9, ...near) + 0.2 * v;
  });
}

onEveryDeviceAndSet(t, 'resampleArgmax, naive in double', async (t, device) => {
  const cases: { shape: number[]; size: Three }[] = [
    { shape: [1, 7, 8, 9, 2], size: [15, 13, 20] },
    { shape: [1, 12, 9, 14, 4], size: [7, 30, 9] },
    { shape: [1, 1, 6, 5, 3], size: [4, 5, 16] },
    { shape: [1, 5, 5, 1, 2], size: [8, 9, 3] },
    // Rows of more values than one look takes on a GPU, few and many to a voxel.
    { shape: [1, 2, 3, 410, 4], size: [2, 2, 300] },
    { shape: [1, 2, 2, 9, 256], size: [3, 2, 20] },
  ];
  for (const [seed, { shape, size }] of cases.entries()) {
    const grid = shape.slice(1, 4) as Three;
    const covering = ops.coveringAffine(grid, size);
    const turn = ops.augmentationAffine({ size, rotation: [25, -10, 40], scale: 0.8 });
    const affines = {
      covering,
      part: ops.composeAffine(covering, [2, 0, 0, -2.6, 0, 1.5, 0, -1, 0, 0, -1.7, size[2] + 0.3]),
      rotated: ops.composeAffine(covering, turn),
      exchanged: [0, 0.7, 0, -1.1, 0, 0, -0.6, grid[1] - 0.8, 0.9, 0, 0, 0.1],
      outside: [1, 0, 0, 100, 0, 1, 0, 0, 0, 0, 1, 0],
    };
    const random = randomArray(product(shape), seed);
    for (const logits of [blobs(shape, seed), random])
      for (const [name, affine] of Object.entries(affines)) {
        const x = device.tensor(logits, { shape });
        const y = ops.resampleArgmax(x, { size, affine });
        t.strictSame(y.shape, [1, ...size]);
        t.equal(y.dtype, 'u8');
        const what = `${name}: ${shape} to ${size}`;
        matches(t, await y.data(), naive(logits, shape, size, affine), what);

        const next = generator(seed + 5);
        const marks = Int32Array.from({ length: product(grid) }, () =>
          next() < 0.4 ? 0 : Math.floor(next() * 400),
        );
        const table = Array.from({ length: 300 }, (_, k) => (k * 7) % 256);
        for (const components of [marks, Uint8Array.from(marks, (v) => v % 256)])
          for (const labels of [undefined, table]) {
            const y = ops.resampleArgmax(x, {
              size,
              affine,
              components: device.tensor(components, { shape: [1, ...grid] }),
              ...(labels ? { labels: device.tensor(Int32Array.from(labels)) } : {}),
            });
            const expected = naive(logits, shape, size, affine, components, labels);
            matches(t, await y.data(), expected, `components, ${what}`);
          }
      }
  }
});

onEveryDevice(t, 'resampleArgmax into an existing map', async (t, device) => {
  const shape = [1, 6, 7, 8, 3];
  const size: Three = [11, 12, 13];
  const logits = blobs(shape, 3);
  const x = device.tensor(logits, { shape });
  const turn = ops.augmentationAffine({ size, rotation: [10, 10, 10] });
  const covering = ops.coveringAffine([6, 7, 8], size);
  for (const affine of [covering, ops.composeAffine(covering, turn)]) {
    const before = Uint8Array.from({ length: product(size) }, (_, i) => i % 5);
    const map = device.tensor(before, { shape: [1, ...size, 1] });
    const plain = await ops.resampleArgmax(x, { size, affine, labels: [0, 0, 9] }).data();
    t.ok(plain.includes(9) && !plain.includes(1) && !plain.includes(2), 'labels by class');
    t.equal(ops.resampleArgmax(x, { affine, labels: [0, 0, 9], into: map }), map);
    t.strictSame(
      await map.data(),
      before.map((v, i) => plain[i] || v),
      'only what has a label is written',
    );
  }
});

onEveryDevice(t, 'resampleArgmax: affine from the device, threads', async (t, device) => {
  const shape = [1, 20, 21, 22, 3];
  const size: Three = [40, 50, 60];
  const x = device.tensor(blobs(shape, 1), { shape });
  const turn = ops.augmentationAffine({ size, rotation: [10, 5, 1] });
  const covering = ops.coveringAffine([20, 21, 22], size);
  for (const affine of [covering, ops.composeAffine(covering, turn)]) {
    const made = await sameForThreads(t, () => ops.resampleArgmax(x, { size, affine }), 'labels');
    t.ok(made.includes(1) && made.includes(2));
    const tensor = device.tensor(Float64Array.from(affine));
    sameBits(t, await ops.resampleArgmax(x, { size, affine: tensor }).data(), made, 'f64 tensor');
  }
});

onEveryDevice(t, 'resampleArgmax: bad arguments', async (t, device) => {
  const x = device.full([1, 3, 3, 3, 2], 0);
  const size: Three = [2, 2, 2];
  const u8 = device.full([1, 2, 2, 2], 0, 'u8');
  for (const [options, code] of [
    [{}, 'InvalidArgument'],
    [{ size, into: u8 }, 'InvalidArgument'],
    [{ size, components: u8 }, 'ShapeMismatch'],
    [{ size, components: device.full([1, 3, 3, 3], 0) }, 'DtypeMismatch'],
    [{ size, labels: [256] }, 'InvalidArgument'],
    [{ into: device.full([1, 2, 2, 2], 0) }, 'DtypeMismatch'],
    [{ size, affine: [1] }, 'InvalidArgument'],
  ] as const)
    t.throws(() => ops.resampleArgmax(x, options as never), { code });
  t.throws(() => ops.resampleArgmax(device.full([2, 3, 3, 3, 2], 0), { size }), {
    code: 'ShapeMismatch',
  });
});
