import { type Device, gradients, isRenvoxError, ops, type Tensor, threads } from 'renvox';
import t from 'tap';
import {
  concatenated,
  convolve,
  convolveGradients,
  type Geometry,
  type Image,
  moments,
  normalized,
} from './convolution-naive.js';
import {
  agrees,
  channelsFirst,
  channelsLast,
  generator,
  onEveryDevice,
  onEveryInstructionSet,
  product,
  ReferenceCount,
  randomArray,
  randomTensor,
  sameBits,
  torchCases,
  torchTensors,
} from './harness.js';
import { image } from './sixteen-bits.js';

const references = new ReferenceCount(t);
// Relative RMS errors of fp32 sums against double: they grow with the root of the number of terms. These are of the direct algorithm;
// conv3d-winograd.test.ts has the bars of the other.
const FORWARD = 1e-6;
const GRADIENT = 2e-6;

const upload = (d: Device, i: Image & { data: Float32Array }): Tensor =>
  d.tensor(i.data, { shape: i.shape });
const three = (n: number) => [n, n, n] as const;

onEveryDevice(t, 'conv3d of PyTorch', async (t, device) => {
  const torch = torchTensors('ops');
  for (const { name, op, stride, padding, dilation } of torchCases()) {
    if (op !== 'conv3d') continue;
    const get = (part: string) => {
      const r = torch.get(`${name}/${part}`);
      if (!r) throw new Error(`${name}/${part}`);
      return { shape: r.shape, data: r.data as Float32Array };
    };
    const input = channelsLast(get('input').data, get('input').shape);
    const x = upload(device, input);
    const weight = upload(device, get('weight'));
    const bias = upload(device, get('bias'));
    const dy = upload(device, channelsLast(get('grad_output').data, get('grad_output').shape));
    const { value, gradients: made } = gradients(
      () =>
        ops.conv3d(x, weight, {
          bias,
          algorithm: 'direct',
          stride: stride as number,
          padding: padding as number,
          dilation: dilation as number,
        }),
      [x, weight, bias],
      dy,
    );
    const [dx, dw, db] = made as [Tensor, Tensor, Tensor];
    const output = channelsFirst(await value.data(), value.shape);
    references.compare(t, output, get('output').data, FORWARD, `${name}: output`);
    const gradient = channelsFirst(await dx.data(), dx.shape);
    references.compare(t, gradient, get('grad_input').data, GRADIENT, `${name}: dx`);
    references.compare(t, await dw.data(), get('grad_weight').data, GRADIENT, `${name}: dw`);
    references.compare(t, await db.data(), get('grad_bias').data, GRADIENT, `${name}: db`);
  }
});

interface Case {
  x: number[];
  weight: number[];
  stride?: readonly number[];
  padding?: readonly number[];
  dilation?: readonly number[];
}

/** Shapes that meet every kernel's edges: whole and ragged channel blocks, short, long and single-voxel rows, several samples. */
const cases: Case[] = [
  { x: [1, 1, 1, 1, 1], weight: [1, 1, 1, 1, 1] },
  { x: [1, 1, 1, 1, 3], weight: [5, 3, 3, 3, 3], padding: three(1) },
  { x: [1, 9, 10, 33, 16], weight: [16, 16, 3, 3, 3], padding: three(1) },
  { x: [2, 5, 3, 7, 8], weight: [8, 8, 3, 3, 3], padding: three(1) },
  { x: [1, 3, 17, 29, 8], weight: [16, 8, 3, 3, 3], padding: three(1) },
  { x: [1, 4, 3, 3, 64], weight: [64, 64, 3, 3, 3], padding: three(1) },
  { x: [1, 2, 9, 30, 40], weight: [24, 40, 3, 3, 3], padding: three(1) },
  { x: [1, 3, 5, 13, 33], weight: [48, 33, 3, 3, 3], padding: three(1) },
  { x: [1, 4, 9, 61, 1], weight: [16, 1, 3, 3, 3], padding: three(1) },
  { x: [2, 4, 9, 14, 2], weight: [8, 2, 3, 3, 3], padding: three(1) },
  { x: [1, 4, 5, 14, 3], weight: [7, 3, 3, 3, 3], padding: three(1) },
  { x: [1, 5, 6, 7, 5], weight: [2, 5, 1, 1, 1] },
  { x: [1, 3, 4, 65, 16], weight: [3, 16, 1, 1, 1] },
  { x: [1, 9, 8, 7, 16], weight: [32, 16, 3, 3, 3], stride: three(2), padding: three(1) },
  { x: [2, 8, 7, 9, 8], weight: [12, 8, 1, 1, 1], stride: three(2) },
  { x: [1, 13, 14, 15, 1], weight: [16, 1, 7, 7, 7], stride: three(2), padding: three(3) },
  { x: [1, 9, 9, 10, 4], weight: [6, 4, 3, 3, 3], padding: three(4), dilation: three(4) },
  { x: [1, 7, 8, 20, 32], weight: [32, 32, 3, 3, 3], padding: three(2), dilation: three(2) },
  { x: [1, 6, 7, 11, 3], weight: [9, 3, 2, 3, 4], stride: [1, 2, 3], padding: [0, 1, 2] },
  { x: [1, 7, 9, 11, 2], weight: [4, 2, 3, 2, 3], stride: [3, 1, 2], dilation: [2, 3, 1] },
  { x: [1, 3, 4, 5, 6], weight: [10, 6, 3, 3, 3], padding: [3, 0, 5] },
];

function geometryOf(c: Case): Geometry {
  return {
    stride: c.stride ?? three(1),
    padding: c.padding ?? three(0),
    dilation: c.dilation ?? three(1),
  };
}
type Three = readonly [number, number, number];
const options = (g: Geometry) => ({
  algorithm: 'direct' as const,
  stride: g.stride as Three,
  padding: g.padding as Three,
  dilation: g.dilation as Three,
});
const title = (c: Case) =>
  `${c.x.join('x')} by ${c.weight.join('x')}${c.stride ? ` stride ${c.stride}` : ''}${c.dilation ? ` dilation ${c.dilation}` : ''}`;

onEveryDevice(t, 'conv3d and its gradients', async (t, device) => {
  for (const [i, c] of cases.entries()) {
    const g = geometryOf(c);
    const x = image(c.x, 3 * i + 1);
    const weight = image(c.weight, 3 * i + 2);
    const bias = randomArray(c.weight[0] as number, 3 * i + 3);
    const y = convolve(x, weight, bias, g);
    const dy = image(y.shape, 7 * i);
    const truth = convolveGradients(x, weight, dy, g);
    const [tx, tw, tb, tdy] = [
      upload(device, x),
      upload(device, weight),
      device.tensor(bias),
      upload(device, dy),
    ];
    await onEveryInstructionSet(device, async (set) => {
      const { value, gradients: made } = gradients(
        () => ops.conv3d(tx, tw, { bias: tb, ...options(g) }),
        [tx, tw, tb],
        tdy,
      );
      const [dx, dw, db] = made as [Tensor, Tensor, Tensor];
      t.strictSame(value.shape, y.shape, `${title(c)}: shape`);
      agrees(t, await value.data(), y.data, FORWARD, `${set} ${title(c)}: y`);
      agrees(t, await dx.data(), truth.dx, GRADIENT, `${set} ${title(c)}: dx`);
      agrees(t, await dw.data(), truth.dw, GRADIENT, `${set} ${title(c)}: dw`);
      agrees(t, await db.data(), truth.db, GRADIENT, `${set} ${title(c)}: db`);
    });
  }
});

onEveryDevice(t, 'conv3d on random shapes', async (t, device) => {
  const next = generator(2024);
  const pick = (least: number, most: number) => least + Math.floor(next() * (most - least + 1));
  for (let i = 0; i < 40; i++) {
    const kernel = [pick(1, 3), pick(1, 3), pick(1, 3)];
    const c: Case = {
      x: [pick(1, 2), pick(3, 9), pick(3, 9), pick(3, 30), pick(1, 20)],
      weight: [pick(1, 36), 0, ...kernel],
      stride: [pick(1, 2), pick(1, 2), pick(1, 2)],
      padding: [pick(0, 2), pick(0, 2), pick(0, 2)],
    };
    c.weight[1] = c.x[4] as number;
    const g = geometryOf(c);
    const x = image(c.x, i);
    const weight = image(c.weight, i + 1000);
    const y = convolve(x, weight, undefined, g);
    const dy = image(y.shape, i + 2000);
    const truth = convolveGradients(x, weight, dy, g);
    const [tx, tw, tdy] = [upload(device, x), upload(device, weight), upload(device, dy)];
    const { value, gradients: made } = gradients(
      () => ops.conv3d(tx, tw, options(g)),
      [tx, tw],
      tdy,
    );
    agrees(t, await value.data(), y.data, FORWARD, `${title(c)}: y`);
    agrees(t, await (made[0] as Tensor).data(), truth.dx, GRADIENT, `${title(c)}: dx`);
    agrees(t, await (made[1] as Tensor).data(), truth.dw, GRADIENT, `${title(c)}: dw`);
  }
});

onEveryDevice(t, 'conv3d: fused forms', async (t, device) => {
  const slope = 0.01;
  const shapes: [number[], number[], number[]][] = [
    [
      [2, 5, 6, 19],
      [16, 16],
      [16, 3, 3, 3],
    ],
    [
      [1, 6, 4, 9],
      [8, 24],
      [8, 3, 3, 3],
    ],
    [
      [2, 3, 4, 5],
      [3, 5],
      [7, 3, 3, 3],
    ],
    [
      [1, 3, 4, 11],
      [1, 1],
      [16, 3, 3, 3],
    ],
    [
      [1, 4, 5, 6],
      [32, 16],
      [3, 1, 1, 1],
    ],
  ];
  for (const [i, [space, channels, [cout, ...kernel]]] of shapes.entries()) {
    const [c1, c2] = channels as [number, number];
    const n = space[0] as number;
    const g: Geometry = {
      stride: three(1),
      padding: kernel.map((k) => (k - 1) / 2),
      dilation: three(1),
    };
    const x = image([...space, c1], i);
    const second = image([...space, c2], i + 10);
    const full = image([cout as number, c1 + c2, ...kernel], i + 20);
    const only = image([cout as number, c1, ...kernel], i + 30);
    const scale = image([n, c1], i + 40);
    const shift = image([n, c1], i + 50);
    const scale2 = image([n, c2], i + 60);
    const shift2 = image([n, c2], i + 70);
    const tensors = { x, second, full, only, scale, shift, scale2, shift2 };
    const on = Object.fromEntries(
      Object.entries(tensors).map(([k, v]) => [k, upload(device, v as typeof x)]),
    ) as Record<keyof typeof tensors, Tensor>;
    const what = `${space.join('x')} ${c1}+${c2} to ${cout}`;
    const load = { scale: on.scale, shift: on.shift };
    const load2 = { secondScale: on.scale2, secondShift: on.shift2 };
    const nx = normalized(x, scale.data, shift.data, slope);
    const n2 = normalized(second, scale2.data, shift2.data, slope);

    await onEveryInstructionSet(device, async (set) => {
      const compare = async (y: Tensor, input: Image, weight: Image, form: string) =>
        agrees(
          t,
          await y.data(),
          convolve(input, weight, undefined, g).data,
          FORWARD,
          `${set} ${what}, ${form}`,
        );
      const o = options(g);
      await compare(ops.conv3d(on.x, on.only, { ...load, slope, ...o }), nx, only, 'scale');
      await compare(
        ops.conv3d(on.x, on.full, { second: on.second, ...o }),
        concatenated(x, second),
        full,
        'second',
      );
      await compare(
        ops.conv3d(on.x, on.full, { second: on.second, ...load2, slope, ...o }),
        concatenated(x, n2),
        full,
        'second with a scale',
      );
      const { y, sums } = ops.conv3d(on.x, on.full, {
        ...{ second: on.second, ...load, ...load2, slope, ...o },
        statistics: true,
      });
      const truth = convolve(concatenated(nx, n2), full, undefined, g);
      agrees(t, await y.data(), truth.data, FORWARD, `${set} ${what}, all`);
      agrees(t, await sums.data(), moments(truth), 1e-5, `${set} ${what}, statistics`);
    });
  }
});

onEveryDevice(t, 'conv3d: gradients of a concatenation', async (t, device) => {
  const space = [2, 4, 5, 6];
  const [x, second] = [image([...space, 5], 1), image([...space, 3], 2)];
  const weight = image([4, 8, 3, 3, 3], 3);
  const g: Geometry = { stride: three(1), padding: three(1), dilation: three(1) };
  const dy = image([...space, 4], 4);
  const both = concatenated(x, second);
  const truth = convolveGradients(both, weight, dy, g);
  const [tx, t2, tw] = [upload(device, x), upload(device, second), upload(device, weight)];
  const { gradients: made } = gradients(
    () => ops.conv3d(tx, tw, { second: t2, ...options(g) }),
    [tx, tw, t2],
    upload(device, dy),
  );
  const parts = { shape: [...space, 5], data: await (made[0] as Tensor).data() };
  const parts2 = { shape: [...space, 3], data: await (made[2] as Tensor).data() };
  agrees(t, concatenated(parts, parts2).data, truth.dx, GRADIENT, 'dx and dsecond');
  agrees(t, await (made[1] as Tensor).data(), truth.dw, GRADIENT, 'dw');
});

onEveryDevice(t, 'conv3d: statistics far from zero', async (t, device) => {
  // Mean 1e4, deviation about 1: a one-pass sum of squares in float has no correct digit.
  const shape = [1, 12, 13, 40, 1];
  const values = randomArray(product(shape), 5).map((v) => 1e4 + v * Math.sqrt(3));
  for (const cout of [2, 8, 16]) {
    const weight = new Float32Array(cout).fill(1);
    const { y, sums } = ops.conv3d(
      device.tensor(values, { shape }),
      device.tensor(weight, { shape: [cout, 1, 1, 1, 1] }),
      { statistics: true },
    );
    const truth = moments({ shape: y.shape, data: await y.data() });
    const made = await sums.data();
    for (let c = 0; c < cout; c++) {
      const m2 = truth[2 * c + 1] as number;
      t.ok(Math.abs((made[2 * c] as number) - (truth[2 * c] as number)) <= 1e-3, 'mean');
      t.ok(Math.abs((made[2 * c + 1] as number) / m2 - 1) <= 1e-5, 'squared deviations');
    }
  }
});

onEveryDevice(t, 'conv3d: the same bits for any number of threads', async (t, device) => {
  const before = threads();
  try {
    for (const c of cases) {
      if (device.kind !== 'cpu' && product(c.x) > 30000) continue;
      const g = geometryOf(c);
      const x = randomTensor(device, c.x, 1);
      const weight = randomTensor(device, c.weight, 2);
      const results: Awaited<ReturnType<Tensor['data']>>[][] = [];
      // Threads are the CPU's: elsewhere one repeat says whether the bits are the same.
      for (const count of device.kind === 'cpu' ? [1, 2, 3] : [1, 2]) {
        threads(count);
        const { y, sums } = ops.conv3d(x, weight, { ...options(g), statistics: true });
        const { gradients: made } = gradients(
          () => ops.conv3d(x, weight, options(g)),
          [x, weight],
          y,
        );
        results.push(await Promise.all([y, sums, ...made].map((r) => r.data())));
      }
      const [first, ...others] = results as [(typeof results)[0], ...typeof results];
      for (const other of others)
        for (const [k, data] of first.entries())
          sameBits(t, data, other[k] as typeof data, `${title(c)}, result ${k}`);
    }
  } finally {
    threads(before);
  }
});

onEveryDevice(t, 'conv3d: errors', async (t, device) => {
  const x = device.full([1, 4, 4, 4, 2]);
  const weight = device.full([3, 2, 3, 3, 3]);
  const code = (body: () => unknown) => {
    try {
      body();
    } catch (error) {
      if (isRenvoxError(error)) return error.code;
    }
    return 'none';
  };
  t.equal(
    code(() => ops.conv3d(device.full([4, 4, 4, 2]), weight)),
    'ShapeMismatch',
  );
  t.equal(
    code(() => ops.conv3d(x, device.full([3, 4, 3, 3, 3]))),
    'ShapeMismatch',
  );
  t.equal(
    code(() => ops.conv3d(x, weight, { dilation: 2 })),
    'ShapeMismatch',
    'no room',
  );
  t.equal(
    code(() => ops.conv3d(x, weight, { bias: device.full([2]) })),
    'ShapeMismatch',
  );
  t.equal(
    code(() => ops.conv3d(x, weight, { stride: 0 })),
    'InvalidArgument',
  );
  t.equal(
    code(() => ops.conv3d(x, weight, { padding: -1 })),
    'InvalidArgument',
  );
  t.equal(
    code(() => ops.conv3d(x, weight, { padding: 1.5 })),
    'InvalidArgument',
  );
  t.equal(
    code(() => ops.conv3d(device.full([1, 4, 4, 4, 2], 0, 'u8'), weight)),
    'DtypeMismatch',
  );
  t.equal(
    code(() => ops.conv3d(x, weight, { scale: device.full([1, 2]) })),
    'InvalidArgument',
  );
  t.equal(
    code(() => ops.conv3d(x, weight, { second: device.full([1, 4, 4, 5, 2]) })),
    'ShapeMismatch',
  );
  const load = { scale: device.full([1, 2], 1), shift: device.full([1, 2]) };
  t.equal(
    code(() => gradients(() => ops.conv3d(x, weight, load), [weight])),
    'InvalidArgument',
    'no gradient through a fused norm',
  );
});

onEveryDevice(t, 'more samples than a grid of blocks is high', async (t, device) => {
  if (device.kind === 'cpu') return;
  const x = device.full([65536, 1, 1, 1, 1], 1);
  const weight = device.full([1, 1, 1, 1, 1], 2);
  for (const precision of ['fp32', 'fp16'] as const) {
    const { y } = ops.conv3d(x, weight, { precision, statistics: true });
    await t.rejects(y.data(), { code: 'ShapeMismatch', message: /65536/ }, precision);
  }
});

onEveryDevice(t, 'more channels of y than 16 bits count', async (t, device) => {
  const channels = 131076;
  const [weight, bias] = [randomArray(channels, 1), randomArray(channels, 2)];
  const y = ops.conv3d(
    device.tensor(Float32Array.of(2), { shape: [1, 1, 1, 1, 1] }),
    device.tensor(weight, { shape: [channels, 1, 1, 1, 1] }),
    { bias: device.tensor(bias) },
  );
  const truth = weight.map((w, c) => 2 * w + (bias[c] as number));
  agrees(t, await y.data(), truth, FORWARD, 'y');
  const wrong = (await y.data()).filter((v, c) => Math.abs(v - (truth[c] as number)) > 1e-6);
  t.equal(wrong.length, 0, 'each of them');
});
