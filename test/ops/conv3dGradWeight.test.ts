// Gradients of conv3d with respect to the weight and bias, on every device: fp32, bf16 and fp16 against doubles made of operands that
// were rounded first. conv3d.test.ts has more shapes in fp32.
import { gradients, ops, type Tensor } from 'renvox';
import t from 'tap';
import { native } from '#lib/native.js';
import {
  concatenated,
  convolveGradients,
  type Geometry,
  outputShape,
} from './convolution-naive.js';
import { agrees, generator, onEveryDevice, onEveryDeviceAndSet, sameBits } from './harness.js';
import {
  image,
  loaded,
  type Precision,
  productsOn,
  roundedImage,
  type Stored,
  storedAs,
  upload,
} from './sixteen-bits.js';

const TOLERANCE = 2e-6;
type Three = readonly [number, number, number];
const three = (n: number): Three => [n, n, n];

interface Case {
  x: number[];
  /** [Cout, kD, kH, kW] */
  weight: number[];
  second?: number;
  stride?: Three;
  padding?: Three;
  dilation?: Three;
}

/** Channels of one, ragged and several tiles of 4, 8, 16 and 32; boxes of taps that the kernel's axes fill or not; short rows. */
const cases: Case[] = [
  { x: [1, 1, 1, 1, 1], weight: [1, 1, 1, 1] },
  { x: [1, 1, 1, 1, 3], weight: [5, 3, 3, 3], padding: three(1) },
  { x: [1, 3, 5, 17, 16], weight: [16, 3, 3, 3], padding: three(1) },
  { x: [2, 3, 3, 7, 8], weight: [40, 3, 3, 3], padding: three(1) },
  { x: [1, 2, 3, 9, 37], weight: [19, 3, 3, 3], padding: three(1) },
  { x: [1, 3, 4, 6, 1], weight: [16, 3, 3, 3], padding: three(1) },
  { x: [2, 3, 4, 5, 12], second: 7, weight: [9, 3, 3, 3], padding: three(1) },
  { x: [1, 3, 4, 5, 16], second: 16, weight: [8, 1, 1, 1] },
  { x: [1, 4, 4, 33, 20], weight: [3, 1, 1, 1] },
  { x: [1, 7, 6, 9, 16], weight: [12, 3, 3, 3], stride: three(2), padding: three(1) },
  { x: [2, 5, 4, 7, 5], weight: [34, 1, 1, 1], stride: three(2) },
  { x: [1, 9, 9, 11, 1], weight: [6, 7, 7, 7], stride: three(2), padding: three(3) },
  { x: [1, 6, 6, 6, 9], weight: [4, 5, 5, 5], padding: three(2) },
  { x: [1, 7, 8, 9, 4], weight: [6, 3, 3, 3], padding: three(4), dilation: three(4) },
  { x: [1, 6, 7, 11, 3], weight: [9, 2, 3, 4], stride: [1, 2, 3], padding: [0, 1, 2] },
  { x: [1, 7, 9, 11, 2], weight: [4, 3, 2, 3], stride: [3, 1, 2], dilation: [2, 3, 1] },
  { x: [1, 5, 9, 8, 5], weight: [7, 2, 3, 2], stride: [1, 2, 1], dilation: [1, 2, 1] },
  { x: [1, 2, 3, 50, 4], weight: [3, 1, 1, 31], padding: [0, 0, 20], stride: [1, 1, 3] },
  { x: [1, 12, 6, 6, 16], weight: [17, 3, 3, 3], padding: [3, 0, 1] },
  // One unit of input channels, and lattices of an odd number of slots.
  { x: [1, 8, 8, 8, 1], weight: [1, 2, 2, 2] },
  { x: [1, 8, 8, 8, 3], weight: [2, 3, 2, 2] },
  { x: [1, 15, 15, 15, 1], weight: [1, 1, 4, 2] },
  // So many tiles of channels that a block goes over several tiles of voxels.
  { x: [2, 2, 8, 70, 129], weight: [129, 1, 1, 1] },
];

const geometryOf = (c: Case): Geometry => ({
  stride: c.stride ?? three(1),
  padding: c.padding ?? three(0),
  dilation: c.dilation ?? three(1),
});
const title = (c: Case) => `${c.x.join('x')}${c.second ? `+${c.second}` : ''} by ${c.weight}`;

/** x, second, dy, and what the sum over `both` is. */
function imagesOf(c: Case, seed: number) {
  const g = geometryOf(c);
  const x = image(c.x, seed);
  const second = c.second ? image([...c.x.slice(0, 4), c.second], seed + 1) : undefined;
  const both = second ? concatenated(x, second) : x;
  const [cout, ...kernel] = c.weight as [number, ...number[]];
  const cin = both.shape[4] as number;
  const weight = { shape: [cout, cin, ...kernel], data: [] };
  return { g, x, second, both, weight, dy: image(outputShape(both, weight, g), seed + 2) };
}

onEveryDeviceAndSet(t, 'conv3dGradWeight', async (t, device) => {
  for (const [i, c] of cases.entries())
    for (const wanted of ['fp32', 'bf16', 'fp16'] as Precision[]) {
      const precision = productsOn(device, wanted);
      if (precision === 'fp16' && i % 4) continue;
      const { g, x, second, both, weight, dy } = imagesOf(c, 3 * i);
      const type = storedAs[precision];
      const data = new Float32Array(weight.shape.reduce((a, b) => a * b, 1));
      const truth = convolveGradients(
        roundedImage(both, type),
        { ...weight, data },
        roundedImage(dy, type),
        g,
      );
      const { db } = convolveGradients(both, { ...weight, data }, dy, g);
      const made = device.run('conv3dGradWeight', {
        ...{ x: upload(device, x), dy: upload(device, dy), ...g, precision },
        ...(second ? { second: upload(device, second) } : {}),
        kernel: c.weight.slice(1),
      }) as [Tensor, Tensor];
      t.strictSame(made[0].shape, weight.shape);
      agrees(t, await made[0].data(), truth.dw, TOLERANCE, `${precision} ${title(c)}: dw`);
      agrees(t, await made[1].data(), db, TOLERANCE, `${precision} ${title(c)}: db`);
    }
});

onEveryDevice(t, 'conv3dGradWeight of images stored in 16 bits', async (t, device) => {
  const combinations: [Stored, Stored, Precision][] = [
    ['bf16', 'bf16', 'bf16'],
    ['f16', 'f16', 'fp16'],
    ['f32', 'bf16', 'fp16'],
    ['f16', 'f32', 'bf16'],
    ['bf16', 'f16', 'fp32'],
  ];
  for (const [i, c] of cases.entries()) {
    if (i % 2 === 1 && i > 7) continue;
    const [xType, dyType, wanted] = combinations[i % combinations.length] as [
      Stored,
      Stored,
      Precision,
    ];
    const precision = productsOn(device, wanted);
    const { g, x, second, both, weight, dy } = imagesOf(c, 3 * i + 100);
    const type = storedAs[precision];
    const data = new Float32Array(weight.shape.reduce((a, b) => a * b, 1));
    const storedDy = roundedImage(dy, dyType);
    const truth = convolveGradients(
      roundedImage(roundedImage(both, xType), type),
      { ...weight, data },
      roundedImage(storedDy, type),
      g,
    );
    const { db } = convolveGradients(both, { ...weight, data }, storedDy, g);
    const made = device.run('conv3dGradWeight', {
      ...{ x: upload(device, x, xType), dy: upload(device, dy, dyType), ...g, precision },
      ...(second ? { second: upload(device, second, xType) } : {}),
      kernel: c.weight.slice(1),
    }) as [Tensor, Tensor];
    const what = `${title(c)}, ${xType} and ${dyType} by ${precision}`;
    agrees(t, await made[0].data(), truth.dw, TOLERANCE, `${what}: dw`);
    agrees(t, await made[1].data(), db, TOLERANCE, `${what}: db`);
  }
});

onEveryDeviceAndSet(t, 'conv3dGradWeight with norms on load', async (t, device) => {
  for (const [i, c] of cases.entries()) {
    const { g, x, second, weight, dy } = imagesOf(c, 3 * i + 200);
    // Both sources have a norm, the first alone, the second alone; without a second the first.
    const which = second ? ['both', 'first', 'second'][i % 3] : 'first';
    const precision = productsOn(device, (['fp32', 'bf16', 'fp16'] as const)[i % 3] as Precision);
    const stored: Stored = i % 4 === 3 ? 'bf16' : 'f32';
    const type = storedAs[precision];
    const slope = 0.1;
    const norm = (of: typeof x, wanted: boolean, seed: number) => {
      const shape = [of.shape[0] as number, of.shape[4] as number];
      const [scale, shift] = [image(shape, seed), image(shape, seed + 1)];
      return wanted ? { scale, shift } : undefined;
    };
    const own = norm(x, which !== 'second', i + 300);
    const other = second && norm(second, which !== 'first', i + 400);
    const load = (of: typeof x, n: typeof own) =>
      loaded(
        roundedImage(of, stored),
        type,
        n && { scale: n.scale.data, shift: n.shift.data, slope },
      );
    const X = second ? concatenated(load(x, own), load(second, other)) : load(x, own);
    const data = new Float32Array(weight.shape.reduce((a, b) => a * b, 1));
    const { dw } = convolveGradients(X, { ...weight, data }, roundedImage(dy, type), g);
    const fields = {
      ...{ x: upload(device, x, stored), dy: upload(device, dy), ...g, precision, slope },
      ...(second ? { second: upload(device, second, stored) } : {}),
      ...(own ? { scale: upload(device, own.scale), shift: upload(device, own.shift) } : {}),
      ...(other
        ? { secondScale: upload(device, other.scale), secondShift: upload(device, other.shift) }
        : {}),
      kernel: c.weight.slice(1),
    };
    const [made] = device.run('conv3dGradWeight', fields) as [Tensor];
    const what = `${precision} of ${stored} ${title(c)}, ${which}`;
    agrees(t, await made.data(), dw, TOLERANCE, what);
  }
});

onEveryDevice(
  t,
  'conv3dGradWeight on random shapes, the same bits every time',
  async (t, device) => {
    const next = generator(5);
    const pick = (least: number, most: number) => least + Math.floor(next() * (most - least + 1));
    const { simulator } = native();
    try {
      for (let i = 0; i < 16; i++) {
        const c: Case = {
          x: [pick(1, 2), pick(3, 6), pick(3, 9), pick(3, 20), pick(1, 20)],
          weight: [pick(1, 36), pick(1, 3), pick(1, 3), pick(1, 3)],
          stride: [pick(1, 2), pick(1, 2), pick(1, 2)],
          padding: [pick(0, 2), pick(0, 2), pick(0, 2)],
          dilation: [1, pick(1, 2), 1],
        };
        if (2 * ((c.weight[2] as number) - 1) + 1 > (c.x[2] as number)) continue;
        const precision = productsOn(device, (['bf16', 'fp32'] as const)[i % 2] as Precision);
        const { g, x, weight, dy } = imagesOf(c, i);
        const type = storedAs[precision];
        const data = new Float32Array(weight.shape.reduce((a, b) => a * b, 1));
        const { dw } = convolveGradients(
          roundedImage(x, type),
          { ...weight, data },
          roundedImage(dy, type),
          g,
        );
        const [tx, tdy] = [upload(device, x), upload(device, dy)];
        const run = async () => {
          const [made] = device.run('conv3dGradWeight', {
            ...{ x: tx, dy: tdy, ...g, precision },
            kernel: c.weight.slice(1),
          }) as [Tensor];
          return made.data();
        };
        const first = await run();
        agrees(t, first, dw, TOLERANCE, `${precision} ${title(c)}`);
        for (const order of ['roundRobin', 'warpGreedy'] as const) {
          simulator?.schedule(order, i);
          sameBits(t, await run(), first, `${precision} ${title(c)}, ${order}`);
        }
      }
    } finally {
      simulator?.schedule('mixed', 1);
    }
  },
);

onEveryDevice(
  t,
  'conv3dGradWeight: bias gradient of many voxels and channels',
  async (t, device) => {
    // A mean far from zero: one f32 sum would lose digits.
    for (const shape of [
      [2, 20, 21, 22, 1],
      [1, 9, 10, 11, 33],
      [1, 1, 2, 3, 300],
    ]) {
      const dy = image(shape, 1);
      dy.data = dy.data.map((v) => 100 + v);
      const channels = shape[4] as number;
      const db = new Float64Array(channels);
      for (const [i, v] of dy.data.entries()) db[i % channels] = (db[i % channels] as number) + v;
      const x = device.full([...shape.slice(0, 4), 1], 1);
      const made = device.run('conv3dGradWeight', {
        ...{ x, dy: upload(device, dy), kernel: [1, 1, 1] },
        precision: productsOn(device, 'bf16'),
      })[1] as Tensor;
      agrees(t, await made.data(), db, 1e-7, `${shape.join('x')}`);
    }
  },
);

onEveryDevice(t, 'conv3d: dw and db of a training step in less than f32', async (t, device) => {
  const c = cases[6] as Case;
  const precision = productsOn(device, 'bf16');
  const type = storedAs[precision];
  const { g, x, second, both, weight, dy } = imagesOf(c, 7);
  const w = image(weight.shape, 8);
  const [tx, t2, tw] = [x, second as typeof x, w].map((v) => upload(device, v)) as [
    Tensor,
    Tensor,
    Tensor,
  ];
  const { gradients: made } = gradients(
    () => ops.conv3d(tx, tw, { second: t2, padding: 1, precision, out: 'f32' }),
    [tw],
    upload(device, dy),
  );
  const { dw } = convolveGradients(roundedImage(both, type), w, roundedImage(dy, type), g);
  agrees(t, await (made[0] as Tensor).data(), dw, TOLERANCE, 'dw');
});
