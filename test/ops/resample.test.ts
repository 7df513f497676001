import { gradients, device as open, ops, type Tensor } from 'renvox';
import t from 'tap';
import {
  agrees,
  channelsFirst,
  channelsLast,
  generator,
  onEveryDevice,
  onEveryDeviceAndSet,
  product,
  ReferenceCount,
  randomArray,
  randomTensor,
  sameBits,
  torchCases,
  torchTensors,
} from './harness.js';
import { type NaiveSampling, naiveGradient, naiveResample } from './naive-sampling.js';
import { sameForThreads } from './same-threads.js';

type Three = [number, number, number];
const references = new ReferenceCount(t);

/** PyTorch's theta (output to input in -1..1 over the box, order x, y, z, align_corners false) as our affine. */
function affineOfTheta(theta: readonly (readonly number[])[], input: Three, output: Three) {
  const at = (row: number, column: number) => theta[row]?.[column] as number;
  const order = [2, 1, 0]; // D, H, W are z, y, x
  const thetaInOrder = order.flatMap((row) => [...order.map((c) => at(row, c)), at(row, 3)]);
  const toUnit = [0, 1, 2].flatMap((a) => {
    const row = [0, 0, 0, 1 / (output[a] as number) - 1];
    row[a] = 2 / (output[a] as number);
    return row;
  });
  const fromUnit = [0, 1, 2].flatMap((a) => {
    const n = input[a] as number;
    const row = [0, 0, 0, (n - 1) / 2];
    row[a] = n / 2;
    return row;
  });
  return ops.composeAffine(fromUnit, ops.composeAffine(thetaInOrder, toUnit));
}

onEveryDeviceAndSet(t, 'resample of PyTorch', async (t, device) => {
  const torch = torchTensors('ops');
  const cases = torchCases().filter((c) => c.op === 'resize_trilinear' || c.op === 'affine_sample');
  t.ok(cases.length > 0);
  for (const c of cases) {
    const get = (name: string) => {
      const r = torch.get(`${c.name}/${name}`);
      if (!r) throw new Error(`${c.name}/${name}`);
      return { ...channelsLast(r.data as Float32Array, r.shape), stored: r.data };
    };
    const [input, output, dy, dx] = [
      get('input'),
      get('output'),
      get('grad_output'),
      get('grad_input'),
    ];
    const from = input.shape.slice(1, 4) as Three;
    const size = output.shape.slice(1, 4) as Three;
    const options: ops.ResampleOptions =
      c.op === 'resize_trilinear'
        ? { size, outside: 'border' }
        : {
            size,
            affine: affineOfTheta(c.theta as number[][], from, size),
            outside: c.padding === 'border' ? 'border' : 'zero',
          };
    const x = device.tensor(input.data, { shape: input.shape });
    const g = device.tensor(dy.data, { shape: dy.shape });
    const { value, gradients: made } = gradients(() => ops.resample(x, options), [x], g);
    const y = channelsFirst(await value.data(), output.shape);
    references.compare(t, y, output.stored, 1e-6, `${c.name} output`);
    const back = channelsFirst(await (made as [Tensor])[0].data(), input.shape);
    references.compare(t, back, dx.stored, 1e-6, `${c.name} gradient`);
  }
});

/** Affines of every kind: rotated, sheared, mirrored, exchanged, shrinking, growing, partly or wholly outside. */
function affines(next: () => number, from: Three, to: Three): { name: string; affine: number[] }[] {
  const scale = (a: number, b: number) => (from[a] as number) / (to[b] as number);
  const rotated = ops.composeAffine(
    ops.coveringAffine(from, to),
    ops.augmentationAffine({
      size: to,
      rotation: [40 * next(), -70 * next(), 200 * next()],
      translation: [0.3 * next(), -0.2, 0.1],
      scale: 0.5 + next(),
    }),
  );
  return [
    { name: 'covering', affine: ops.coveringAffine(from, to) },
    { name: 'rotated', affine: rotated },
    {
      name: 'shifted and mirrored',
      affine: [1.3, 0, 0, -2.2, 0, -0.7, 0, (from[1] as number) - 0.4, 0, 0, 0.9, 0.3],
    },
    {
      name: 'exchanged',
      affine: [0, 0, scale(0, 2), 0.3, scale(1, 0), 0, 0, -0.6, 0, -scale(2, 1), 0, from[2] + 0.2],
    },
    { name: 'outside', affine: [1, 0, 0, 500, 0, 1, 0, 0, 0, 0, 1, 0] },
    { name: 'one point', affine: [0, 0, 0, 0.5, 0, 0, 0, 0.25, 0, 0, 0, -0.25] },
    { name: 'flattened', affine: [0.4, 0.3, 0, 0.2, 0.4, 0.3, 0, 0.1, 0, 0, 0.9, -0.2] },
  ];
}

const shapes: { shape: number[]; size: Three }[] = [
  { shape: [1, 5, 6, 7, 1], size: [4, 9, 11] },
  { shape: [2, 9, 4, 13, 3], size: [6, 7, 5] },
  { shape: [1, 1, 8, 3, 2], size: [3, 2, 4] },
  { shape: [1, 17, 2, 1], size: [5, 3, 6] },
  { shape: [1, 6, 5, 140], size: [2, 3, 70] },
];
/** Off the axes: no box there. */
const oblique = ['rotated', 'flattened'];
const outsides: { outside: 'zero' | 'border' | number; naive: Partial<NaiveSampling> }[] = [
  { outside: 'zero', naive: { fill: 0 } },
  { outside: 'border', naive: { border: true } },
  { outside: -3.5, naive: { fill: -3.5 } },
];

onEveryDeviceAndSet(t, 'resample and its gradient, naive in double', async (t, device) => {
  const next = generator(11);
  for (const [seed, { shape, size }] of shapes.entries())
    for (const { outside, naive } of outsides) {
      const from = shape.slice(1, 4) as Three;
      for (const { name, affine } of affines(next, from, size))
        for (const prefilter of ['none', 'box'] as const) {
          if (prefilter === 'box' && oblique.includes(name)) continue;
          const values = randomArray(product(shape), seed);
          const outShape = [shape[0] as number, ...size, ...shape.slice(4)];
          const dy = randomArray(product(outShape), seed + 9);
          const x = device.tensor(values, { shape });
          const options = { size, affine, outside, prefilter };
          const { value, gradients: made } = gradients(
            () => ops.resample(x, options),
            [x],
            device.tensor(dy, { shape: outShape }),
          );
          const sampling = { size, affine, box: prefilter === 'box', ...naive };
          const count = dy.length / (shape[0] as number);
          const y: number[] = [];
          const dx: number[] = [];
          for (let n = 0; n < (shape[0] as number); n++) {
            y.push(...naiveResample(values, shape, sampling, n));
            dx.push(...naiveGradient(dy.subarray(n * count, (n + 1) * count), shape, sampling));
          }
          const what = `${name} ${prefilter} ${outside}: ${shape} to ${size}`;
          agrees(t, await value.data(), y, 1e-6, what);
          agrees(t, await (made as [Tensor])[0].data(), dx, 1e-6, `gradient, ${what}`);
        }
    }
});

onEveryDeviceAndSet(t, 'resample: window first, stored values, every type', async (t, device) => {
  const window = { level: 30, width: 300, low: -1, high: 2 };
  const scale = { slope: 2, intercept: -1024 };
  const value = (v: number) => -1 + 3 * Math.min(Math.max((v * 2 - 1024 - (30 - 150)) / 300, 0), 1);
  const shape = [1, 6, 7, 45, 1];
  const size: Three = [3, 5, 20];
  const next = generator(3);
  const numbers = Array.from({ length: product(shape) }, () => Math.floor(next() * 1024));
  for (const Kind of [Int16Array, Int32Array, Float32Array, Uint8Array])
    for (const { name, affine } of affines(next, [6, 7, 45], size)) {
      const stored = Kind.from(numbers.map((v) => (Kind === Uint8Array ? v % 256 : v)));
      const x = device.tensor(stored, { shape });
      const y = ops.resample(x, { size, affine, window, ...scale, outside: -1 });
      t.equal(y.dtype, 'f32');
      const expected = naiveResample(stored, shape, { size, affine, value, fill: -1 });
      agrees(t, await y.data(), expected, 1e-6, `${Kind.name} ${name}`);
    }

  const values = randomArray(product(shape), 8).map((v) => 512 + 300 * v);
  const dy = randomArray(product(size), 9);
  const affine = ops.coveringAffine([6, 7, 45], size);
  const x = device.tensor(values, { shape });
  const { gradients: made } = gradients(
    () => ops.resample(x, { size, affine, window, ...scale }),
    [x],
    device.tensor(dy, { shape: [1, ...size, 1] }),
  );
  const expected = naiveGradient(dy, shape, { size, affine }).map((v, i) => {
    const hu = (values[i] as number) * 2 - 1024;
    return hu > -120 && hu < 180 ? v * 2 * (3 / 300) : 0;
  });
  agrees(t, await (made as [Tensor])[0].data(), expected, 1e-6, 'gradient through the window');
});

onEveryDeviceAndSet(t, 'resample: nearest', async (t, device) => {
  const next = generator(4);
  const [from, size]: [Three, Three] = [
    [7, 5, 9],
    [6, 8, 7],
  ];
  for (const Kind of [Uint8Array, Int16Array, Int32Array, Float32Array])
    for (const border of [false, true])
      for (const { name, affine } of affines(next, from, size)) {
        const labels = Kind.from(Array.from({ length: 2 * 315 }, () => Math.floor(next() * 100)));
        const x = device.tensor(labels, { shape: [1, ...from, 2] });
        const outside = border ? 'border' : 9;
        const y = ops.resample(x, { size, affine, mode: 'nearest', outside });
        const expected = new Kind(product(size) * 2);
        const dy = randomArray(expected.length, 6);
        const dx = new Float64Array(labels.length);
        let at = 0;
        for (let a = 0; a < size[0]; a++)
          for (let b = 0; b < size[1]; b++)
            for (let e = 0; e < size[2]; e++, at += 2) {
              const i = [0, 1, 2].map((r) => {
                const m = affine.slice(4 * r, 4 * r + 4) as [number, number, number, number];
                const voxel = Math.floor(m[0] * a + m[1] * b + m[3] + m[2] * e + 0.5);
                const last = (from[r] as number) - 1;
                return border ? Math.min(Math.max(voxel, 0), last) : voxel > last ? -1 : voxel;
              }) as Three;
              const voxel = i.some((v) => v < 0) ? -1 : (i[0] * from[1] + i[1]) * from[2] + i[2];
              for (let k = 0; k < 2; k++)
                expected[at + k] = voxel < 0 ? 9 : (labels[voxel * 2 + k] as number);
              for (let k = 0; k < 2 && voxel >= 0; k++)
                dx[voxel * 2 + k] = (dx[voxel * 2 + k] as number) + (dy[at + k] as number);
            }
        t.strictSame(await y.data(), expected, `${Kind.name} ${name} ${outside}`);
        if (Kind !== Float32Array) continue;
        const { gradients: made } = gradients(
          () => ops.resample(x, { size, affine, mode: 'nearest', outside }),
          [x],
          device.tensor(dy, { shape: y.shape }),
        );
        agrees(t, await (made as [Tensor])[0].data(), dx, 1e-6, `gradient, ${name} ${outside}`);
      }
});

onEveryDevice(t, 'resample: affine from the device, one for each sample', async (t, device) => {
  const shape = [2, 6, 7, 8, 2];
  const size: Three = [5, 6, 7];
  const values = randomArray(product(shape), 1);
  const x = device.tensor(values, { shape });
  const maps = [
    ops.augmentationAffine({ size: [6, 7, 8], rotation: [10, 5, -3] }),
    ops.coveringAffine([6, 7, 8], size),
  ].map((m) => m.map(Math.fround));
  const dy = randomArray(2 * 210 * 2, 2);
  const g = device.tensor(dy, { shape: [2, ...size, 2] });
  const affine = device.tensor(Float32Array.from(maps.flat()), { shape: [2, 12] });
  const { value, gradients: made } = gradients(() => ops.resample(x, { size, affine }), [x], g);
  const y: number[] = [];
  const dx: number[] = [];
  for (const [n, m] of maps.entries()) {
    y.push(...naiveResample(values, shape, { size, affine: m }, n));
    dx.push(...naiveGradient(dy.subarray(n * 420, (n + 1) * 420), shape, { size, affine: m }));
  }
  agrees(t, await value.data(), y, 1e-6, 'values');
  agrees(t, await (made as [Tensor])[0].data(), dx, 1e-6, 'gradient');

  const one = device.tensor(Float32Array.from(maps[0] as number[]));
  const both = await ops.resample(x, { size, affine: one }).data();
  const listed = await ops.resample(x, { size, affine: maps[0] as number[] }).data();
  t.strictSame(both, listed, 'one for all samples, as numbers or tensor');
  const wide = device.tensor(Float64Array.from(maps[0] as number[]), { dtype: 'f64' });
  t.strictSame(await ops.resample(x, { size, affine: wide }).data(), listed, 'f64 as f32');

  const broken = device.tensor(Float32Array.from([...(maps[0] as number[]).slice(1), Number.NaN]));
  await t.rejects(ops.resample(x, { size, affine: broken }).data(), { code: 'InvalidArgument' });
  await t.rejects(ops.resample(x, { size, affine: one, prefilter: 'box' }).data(), {
    code: 'InvalidArgument',
  });
});

onEveryDevice(t, 'resample: long rows, many channels, same bits as the CPU', async (t, device) => {
  const cases: { shape: number[]; size: Three }[] = [
    { shape: [1, 3, 4, 2200, 1], size: [2, 10, 700] },
    { shape: [1, 3, 11, 1041, 1], size: [4, 9, 2100] },
    { shape: [1, 2, 3, 5, 1020], size: [3, 2, 4] },
    { shape: [2, 10, 12, 36, 1], size: [9, 19, 35] },
  ];
  const cpu = open('cpu');
  const next = generator(21);
  for (const { shape, size } of cases) {
    const from = shape.slice(1, 4) as Three;
    const numbers = Int16Array.from({ length: product(shape) }, () => next() * 2000 - 1000);
    const x = device.tensor(numbers, { shape });
    const same = cpu.tensor(numbers, { shape });
    for (const { name, affine } of affines(next, from, size))
      for (const prefilter of ['none', 'box'] as const) {
        if (prefilter === 'box' && oblique.includes(name)) continue;
        const window = { level: 30, width: 900 };
        const options = { size, affine, prefilter, window, outside: 0.25 };
        const y = await ops.resample(x, options).data();
        sameBits(
          t,
          y,
          await ops.resample(same, options).data(),
          `${name} ${prefilter}: ${shape} to ${size}`,
        );
      }
  }
  cpu.dispose();
});

onEveryDevice(t, 'resample: threads', async (t, device) => {
  const x = randomTensor(device, [1, 18, 35, 40, 2], 1);
  const size: Three = [20, 36, 35];
  const from: Three = [18, 35, 40];
  const rotated = ops.composeAffine(
    ops.coveringAffine(from, size),
    ops.augmentationAffine({ size, rotation: [10, 20, 30] }),
  );
  const g = randomTensor(device, [1, ...size, 2], 2);
  for (const affine of [ops.coveringAffine(from, size), rotated]) {
    await sameForThreads(t, () => ops.resample(x, { size, affine, outside: 'border' }), 'values');
    await sameForThreads(
      t,
      () =>
        gradients(() => ops.resample(x, { size, affine, outside: 'border' }), [x], g)
          .gradients[0] as Tensor,
      'gradient',
    );
  }
});

onEveryDevice(t, 'resample: bad arguments', async (t, device) => {
  const x = device.full([1, 3, 3, 3, 1], 0);
  const size: Three = [2, 2, 2];
  const bad = [
    { size: [0, 1, 1] },
    { size, affine: [1, 2, 3] },
    { size, affine: new Array(12).fill(Number.NaN) },
    { size, mode: 'cubic' },
    { size, outside: 'mirror' },
    { size, window: { level: 0, width: 0 } },
    { size, mode: 'nearest', window: { level: 0, width: 1 } },
    { size, slope: 0 },
    { size, prefilter: 'gauss' },
    { size, affine: device.full([3, 12], 0) },
  ];
  for (const options of bad)
    t.throws(() => ops.resample(x, options as never), { code: 'InvalidArgument' });
  t.throws(() => ops.resample(device.full([3, 3], 0), { size }), { code: 'ShapeMismatch' });
  t.throws(() => ops.resample(device.full([1, 0, 3, 3], 0), { size }), {
    code: 'InvalidArgument',
  });
  // No samples, so that the axes may be as long as they like.
  const refusal = { code: 'ShapeMismatch', message: /2147483648/ };
  for (const mode of ['trilinear', 'nearest'] as const)
    t.throws(
      () => ops.resample(device.full([0, 1, 1, 2 ** 31], 0, 'u8'), { size, mode }),
      refusal,
      `a row of 2^31 voxels, ${mode}`,
    );
  const long: Three = [1, 1, 2 ** 30];
  t.throws(() => ops.resample(device.full([0, 1, 1, 1]), { size: long }), {
    code: 'ShapeMismatch',
  });
  if (device.kind === 'cpu') return;
  const wide = ops.resample(device.full([0, 1, 1, 2 ** 30, 2], 0, 'u8'), { size });
  await t.rejects(wide.data(), { code: 'ShapeMismatch', message: /1073741824/ });
});
