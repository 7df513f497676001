// Products of bf16 and fp16, and images stored in 16 bits: on every device against doubles made of operands that were rounded first.
import { gradients, ops, type Tensor } from 'renvox';
import t from 'tap';
import { native } from '#lib/native.js';
import {
  concatenated,
  convolve,
  convolveGradients,
  type Geometry,
  moments,
} from './convolution-naive.js';
import { agrees, generator, onEveryDevice, randomArray, sameBits } from './harness.js';
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

type Three = readonly [number, number, number];

const FORWARD = 2e-6;
const three = (n: number): Three => [n, n, n];

interface Case {
  x: number[];
  weight: number[];
  stride?: Three;
  padding?: Three;
  dilation?: Three;
  /** There alone: the CPU's rows are padded, here to 100 GB and more. */
  onGpu?: boolean;
}

/** Shapes that meet every tile's edges. */
const cases: Case[] = [
  { x: [1, 1, 1, 1, 1], weight: [1, 1, 1, 1, 1] },
  { x: [1, 1, 1, 1, 3], weight: [5, 3, 3, 3, 3], padding: three(1) },
  { x: [1, 5, 9, 17, 16], weight: [16, 16, 3, 3, 3], padding: three(1) },
  { x: [2, 5, 3, 7, 8], weight: [8, 8, 3, 3, 3], padding: three(1) },
  { x: [1, 3, 5, 18, 24], weight: [40, 24, 3, 3, 3], padding: three(1) },
  { x: [1, 4, 4, 4, 64], weight: [64, 64, 3, 3, 3], padding: three(1) },
  { x: [1, 3, 5, 13, 33], weight: [48, 33, 3, 3, 3], padding: three(1) },
  { x: [1, 4, 9, 33, 1], weight: [16, 1, 3, 3, 3], padding: three(1) },
  { x: [2, 4, 9, 14, 2], weight: [8, 2, 3, 3, 3], padding: three(1) },
  { x: [1, 4, 5, 14, 3], weight: [7, 3, 3, 3, 3], padding: three(1) },
  { x: [1, 5, 6, 7, 5], weight: [2, 5, 1, 1, 1] },
  { x: [1, 3, 4, 65, 16], weight: [3, 16, 1, 1, 1] },
  { x: [1, 9, 8, 7, 16], weight: [32, 16, 3, 3, 3], stride: three(2), padding: three(1) },
  { x: [2, 8, 7, 9, 8], weight: [12, 8, 1, 1, 1], stride: three(2) },
  { x: [1, 7, 10, 15, 1], weight: [16, 1, 7, 7, 7], stride: three(2), padding: three(3) },
  { x: [1, 3, 4, 35, 1], weight: [64, 1, 7, 7, 7], stride: three(2), padding: three(3) },
  { x: [1, 5, 6, 10, 4], weight: [6, 4, 3, 3, 3], padding: three(4), dilation: three(4) },
  { x: [1, 7, 8, 9, 32], weight: [32, 32, 3, 3, 3], padding: three(2), dilation: three(2) },
  { x: [1, 6, 7, 11, 3], weight: [9, 3, 2, 3, 4], stride: [1, 2, 3], padding: [0, 1, 2] },
  { x: [1, 7, 9, 11, 2], weight: [4, 2, 3, 2, 3], stride: [3, 1, 2], dilation: [2, 3, 1] },
  { x: [1, 3, 4, 5, 6], weight: [10, 6, 3, 3, 3], padding: [3, 0, 5] },
  { x: [1, 2, 5, 9, 16], weight: [8, 16, 7, 7, 7], padding: three(3) },
  { x: [1, 2, 3, 90, 16], weight: [8, 16, 1, 1, 31], padding: [0, 0, 20], stride: [1, 1, 3] },
  { x: [1, 2, 10, 9, 5], weight: [3, 5, 2, 4, 2], stride: [1, 4, 6], padding: [1, 3, 1] },
  { x: [1, 11, 3, 12, 4], weight: [4, 4, 3, 1, 3], stride: [2, 1, 4], dilation: [4, 1, 2] },
  // Dilations beyond y's axes; of 2^32 in all; and with a stride, halo tiles of more bytes than 32 bits count.
  { x: [1, 2, 3, 11, 8], weight: [3, 8, 1, 2, 2], padding: [0, 2, 0], dilation: [1, 4, 7] },
  {
    ...{ x: [1, 2, 3, 2, 8], weight: [3, 8, 3, 3, 3] },
    ...{ padding: [2048, 2048, 1024], dilation: [2048, 2048, 1024] },
    onGpu: true,
  },
  {
    ...{ x: [1, 2, 2, 2, 16], weight: [3, 16, 3, 3, 3], stride: three(2) },
    ...{ padding: three(623), dilation: three(623) },
    onGpu: true,
  },
];

const geometryOf = (c: Case): Geometry => ({
  stride: c.stride ?? three(1),
  padding: c.padding ?? three(0),
  dilation: c.dilation ?? three(1),
});
const options = (g: Geometry) => ({
  stride: g.stride as Three,
  padding: g.padding as Three,
  dilation: g.dilation as Three,
});
const title = (c: Case) =>
  `${c.x.join('x')} by ${c.weight.join('x')}${c.stride ? ` stride ${c.stride}` : ''}${c.dilation ? ` dilation ${c.dilation}` : ''}`;

onEveryDevice(
  t,
  'conv3d in less than f32, and its gradient with respect to x',
  async (t, device) => {
    for (const [i, c] of cases.entries()) {
      if (c.onGpu && device.kind === 'cpu') continue;
      const precision: Precision = i % 2 ? 'fp16' : productsOn(device, 'bf16');
      const type = storedAs[precision];
      const g = geometryOf(c);
      const x = image(c.x, 3 * i + 1);
      const weight = image(c.weight, 3 * i + 2);
      const bias = randomArray(c.weight[0] as number, 3 * i + 3);
      const truth = convolve(roundedImage(x, type), roundedImage(weight, type), bias, g);
      const [tx, tw, tb] = [upload(device, x), upload(device, weight), device.tensor(bias)];
      const { y, sums } = ops.conv3d(tx, tw, {
        ...options(g),
        ...{ bias: tb, precision, out: 'f32', statistics: true },
      });
      t.strictSame(y.shape, truth.shape, `${title(c)}: shape`);
      t.equal(y.dtype, 'f32');
      agrees(t, await y.data(), truth.data, FORWARD, `${precision} ${title(c)}: y`);
      const [samples = 1, , , , channels = 1] = truth.shape;
      if (truth.data.length / samples / channels > 1)
        agrees(t, await sums.data(), moments(truth), 1e-5, `${precision} ${title(c)}: statistics`);
      const dy = image(truth.shape, 7 * i);
      const back = convolveGradients(
        roundedImage(x, type),
        roundedImage(weight, type),
        roundedImage(dy, type),
        g,
      );
      const { gradients: made } = gradients(
        () => ops.conv3d(tx, tw, { ...options(g), precision, out: 'f32' }),
        [tx],
        upload(device, dy),
      );
      agrees(t, await (made[0] as Tensor).data(), back.dx, FORWARD, `${precision} ${title(c)}: dx`);
    }
  },
);

onEveryDevice(t, 'conv3d of images stored in 16 bits', async (t, device) => {
  const combinations: [Stored, Precision, Stored | undefined][] = [
    ['bf16', 'bf16', undefined],
    ['f16', 'fp16', undefined],
    ['bf16', 'bf16', 'f32'],
    ['f32', 'fp16', 'bf16'],
    ['f16', 'bf16', 'f16'],
    ['bf16', 'fp16', undefined],
  ];
  if (device.kind === 'cpu') combinations.push(['bf16', 'fp32', 'f32'], ['f16', 'fp32', 'f16']);
  const shapes: [number[], number[], number[]][] = [
    [
      [1, 3, 5, 18],
      [16, 16],
      [16, 3, 3, 3],
    ],
    [
      [2, 4, 4, 5],
      [8, 24],
      [32, 3, 3, 3],
    ],
    [
      [1, 3, 4, 5],
      [3, 5],
      [7, 3, 3, 3],
    ],
    [
      [1, 5, 4, 9],
      [1, 1],
      [16, 3, 3, 3],
    ],
    [
      [1, 4, 5, 6],
      [32, 16],
      [3, 1, 1, 1],
    ],
    [
      [1, 4, 5, 6],
      [64, 0],
      [72, 3, 3, 3],
    ],
    [
      [2, 3, 9, 10],
      [1, 0],
      [16, 3, 3, 3],
    ],
  ];
  for (const [i, [space, channels, [cout, ...kernel]]] of shapes.entries())
    for (const [k, [stored, wanted, out]] of combinations.entries()) {
      const precision = productsOn(device, wanted);
      // The simulator takes its time: half of the combinations on each shape.
      if ((device.kind as string) === 'cuda-sim' && (i + k) % 2) continue;
      const [c1, c2] = channels as [number, number];
      const n = space[0] as number;
      const type = storedAs[precision];
      const slope = 0.01;
      const g = { stride: three(1), padding: kernel.map((s) => (s - 1) / 2), dilation: three(1) };
      const seed = 100 * i + 10 * k;
      const x = image([...space, c1], seed);
      const second = c2 ? image([...space, c2], seed + 1) : undefined;
      const weight = image([cout as number, c1 + c2, ...kernel], seed + 2);
      const bias = randomArray(cout as number, seed + 3);
      // Each source once with and once without a norm.
      const norm = (i + k) % 2 === 0 || c2 === 0 ? k % 3 !== 1 : false;
      const norm2 = c2 > 0 && (i + k) % 3 === 1;
      const vectors = [c1, c1, c2, c2].map((c, j) => randomArray(n * c, seed + 4 + j));
      const [scale, shift, scale2, shift2] = vectors as [
        Float32Array,
        Float32Array,
        Float32Array,
        Float32Array,
      ];
      const a = loaded(roundedImage(x, stored), type, norm ? { scale, shift, slope } : undefined);
      const b = second
        ? loaded(
            roundedImage(second, stored),
            type,
            norm2 ? { scale: scale2, shift: shift2, slope } : undefined,
          )
        : undefined;
      const truth = convolve(b ? concatenated(a, b) : a, roundedImage(weight, type), bias, g);
      const vector = (v: Float32Array, c: number) => device.tensor(v, { shape: [n, c] });
      const { y, sums } = ops.conv3d(upload(device, x, stored), upload(device, weight), {
        ...options(g),
        ...{ bias: device.tensor(bias), slope, precision, statistics: true },
        ...(out ? { out } : {}),
        ...(second ? { second: upload(device, second, stored) } : {}),
        ...(norm ? { scale: vector(scale, c1), shift: vector(shift, c1) } : {}),
        ...(norm2 ? { secondScale: vector(scale2, c2), secondShift: vector(shift2, c2) } : {}),
      });
      const result = out ?? type;
      const what = `${space.join('x')} ${c1}+${c2} to ${cout}, ${stored} by ${precision} to ${result}`;
      t.equal(y.dtype, result, what);
      agrees(t, await values(y), truth.data, FORWARD + roundingOf[result], what);
      agrees(t, await sums.data(), moments(truth), 1e-5, `${what}, statistics`);
      // Nothing but the last rounding, which a sum close to a tie may take the other way.
      if (result !== 'f32') {
        const made = await values(y);
        const exact = truth.data.map((v) => rounded(v, result));
        let other = 0;
        for (const [j, v] of exact.entries()) if (v !== made[j]) other++;
        t.ok(
          other <= 2 + exact.length / 100,
          `${what}: ${other} of ${exact.length} rounded otherwise`,
        );
      }
    }
});

onEveryDevice(
  t,
  'conv3dGradInput: one source of a concatenation, dy in 16 bits',
  async (t, device) => {
    const precision = productsOn(device, 'bf16');
    const type = storedAs[precision];
    const [c1, c2, cout] = [20, 12, 24];
    const g = { stride: three(1), padding: three(1), dilation: three(1) };
    const dy = image([2, 3, 4, 9, cout], 1);
    const weight = image([cout, c1 + c2, 3, 3, 3], 2);
    const x = { shape: [2, 3, 4, 9, c1 + c2], data: new Float32Array(2 * 3 * 4 * 9 * (c1 + c2)) };
    const { dx } = convolveGradients(x, roundedImage(weight, type), roundedImage(dy, type), g);
    const [tdy, tw] = [upload(device, dy, type), upload(device, weight)];
    const part = async (first: number, channels: number) => {
      const made = device.run('conv3dGradInput', {
        ...{ dy: tdy, weight: tw, size: [3, 4, 9], first, channels },
        ...{ ...g, precision, out: 'f32' },
      })[0] as Tensor;
      return { shape: made.shape, data: await made.data() };
    };
    const made = concatenated(await part(0, c1), await part(c1, c2));
    agrees(t, made.data, dx, FORWARD, 'both parts');
  },
);

onEveryDevice(
  t,
  'conv3d in less than f32 on random shapes, the same bits every time',
  async (t, device) => {
    const precision = productsOn(device, 'bf16');
    const type = storedAs[precision];
    const next = generator(77);
    const pick = (least: number, most: number) => least + Math.floor(next() * (most - least + 1));
    for (let i = 0; i < 24; i++) {
      const c: Case = {
        x: [pick(1, 2), pick(3, 9), pick(3, 9), pick(3, 20), pick(1, 20)],
        weight: [pick(1, 70), 0, pick(1, 3), pick(1, 3), pick(1, 3)],
        stride: [pick(1, 2), pick(1, 2), pick(1, 2)],
        padding: [pick(0, 2), pick(0, 2), pick(0, 2)],
        dilation: [pick(1, 2), 1, 1],
      };
      c.weight[1] = c.x[4] as number;
      const reach = (c.dilation as Three)[0] * ((c.weight[2] as number) - 1) + 1;
      if (reach > (c.x[1] as number)) continue;
      const g = geometryOf(c);
      const [x, weight] = [image(c.x, i), image(c.weight, i + 1000)];
      const truth = convolve(roundedImage(x, type), roundedImage(weight, type), undefined, g);
      const [tx, tw] = [upload(device, x), upload(device, weight)];
      const run = () => ops.conv3d(tx, tw, { ...options(g), precision, out: 'f32' });
      const y = await run().data();
      agrees(t, y, truth.data, FORWARD, `${title(c)}: y`);
      sameBits(t, await run().data(), y, title(c));
      const dy = image(truth.shape, i + 2000);
      const back = convolveGradients(x, roundedImage(weight, type), roundedImage(dy, type), g);
      const { gradients: made } = gradients(run, [tx], upload(device, dy));
      agrees(t, await (made[0] as Tensor).data(), back.dx, FORWARD, `${title(c)}: dx`);
    }
  },
);

onEveryDevice(
  t,
  'conv3d in less than f32: 20 repeats in other orders of blocks',
  async (t, device) => {
    const precision = productsOn(device, 'bf16');
    const type = storedAs[precision];
    const x = upload(device, image([1, 3, 5, 20, 32], 1), type);
    const weight = upload(device, image([16, 32, 3, 3, 3], 2));
    const one = async () => {
      const { y, sums } = ops.conv3d(x, weight, {
        padding: 1,
        precision,
        statistics: true,
      });
      return [await y.data(), await sums.data()] as const;
    };
    const [y, sums] = await one();
    const { simulator } = native();
    try {
      for (let i = 0; i < 20; i++) {
        simulator?.schedule(i % 2 ? 'roundRobin' : 'warpGreedy', i);
        const [again, sumsAgain] = await one();
        sameBits(t, again, y, 'y');
        sameBits(t, sumsAgain, sums, 'statistics');
      }
    } finally {
      simulator?.schedule('mixed', 1);
    }
  },
);

onEveryDevice(t, 'conv3d in less than f32: an updated weight is taken', async (t, device) => {
  const precision = productsOn(device, 'bf16');
  const type = storedAs[precision];
  const x = image([1, 3, 4, 5, 8], 1);
  const weight = image([4, 8, 3, 3, 3], 2);
  const gradient = image(weight.shape, 3);
  const g = { stride: three(1), padding: three(1), dilation: three(1) };
  const [tx, tw] = [upload(device, x), upload(device, weight)];
  const tg = upload(device, gradient);
  const run = () => ops.conv3d(tx, tw, { padding: 1, precision, out: 'f32' });
  const before = run();
  const momenta = device.full(weight.shape, 0);
  // Enqueued at once: the update waits in the queue while the first convolution packs.
  ops.sgd([tw], [tg], [momenta], { lr: 1 });
  const after = run();
  const moved = {
    shape: weight.shape,
    data: weight.data.map((w, i) => w - (gradient.data[i] as number)),
  };
  const [bx, bw] = [roundedImage(x, type), roundedImage(weight, type)];
  agrees(t, await before.data(), convolve(bx, bw, undefined, g).data, FORWARD, 'before');
  const truth = convolve(bx, roundedImage(moved, type), undefined, g).data;
  agrees(t, await after.data(), truth, FORWARD, 'after');
});

onEveryDevice(t, 'conv3d: what precision and out refuse', async (t, device) => {
  const x = device.full([1, 4, 4, 4, 2]);
  const weight = device.full([3, 2, 3, 3, 3]);
  t.equal(
    codeOf(() => ops.conv3d(x, weight, { precision: 'fp8' as never })),
    'InvalidArgument',
  );
  t.equal(
    codeOf(() => ops.conv3d(x, weight, { out: 'u8' as never })),
    'InvalidArgument',
  );
  const half = device.full([1, 4, 4, 4, 2], 0, 'bf16');
  t.equal(
    codeOf(() => ops.conv3d(x, weight, { second: half })),
    'DtypeMismatch',
  );
  t.equal(
    codeOf(() => ops.conv3d(half, device.full([3, 2, 3, 3, 3], 0, 'bf16'))),
    'DtypeMismatch',
    'weight',
  );
  t.equal(
    codeOf(() =>
      gradients(
        () => ops.conv3d(half, weight, { precision: productsOn(device, 'bf16'), out: 'f32' }),
        [weight],
      ),
    ),
    'InvalidArgument',
    'no gradient of an image in 16 bits',
  );
});
