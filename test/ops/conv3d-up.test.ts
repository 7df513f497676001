// conv3d with an up-sampled source (`upWeight`): against doubles made of operands that were rounded first, and bit by bit against
// convTranspose3d followed by conv3d, whether a GPU makes that source in its tiles or apart.
import { type Device, gradients, ops, type Tensor } from 'renvox';
import t, { type Test } from 'tap';
import { native } from '#lib/native.js';
import { concatenated, convolve, moments, transposed } from './convolution-naive.js';
import {
  agrees,
  generator,
  onEveryDevice,
  randomArray,
  sameBits,
  sanitized,
  simulated,
} from './harness.js';
import {
  codeOf,
  image,
  loaded,
  type Precision,
  productsOn,
  roundedImage,
  type Stored,
  storedAs,
  upload,
  values,
} from './sixteen-bits.js';

interface Case {
  /** x [N, D, H, W, Cx]; Cup; channels of the second source, 0: none; Cout. */
  x: number[];
  up: number;
  second: number;
  cout: number;
  /** Norms on load: of x and of the second source. */
  norms?: [boolean, boolean];
  bias?: boolean;
  padding?: number | [number, number, number];
  kernel?: [number, number, number];
  stride?: number;
  dilation?: number;
  stored?: 'f32' | 'products';
  out?: Stored;
}

const title = (c: Case) =>
  `${c.x.join('x')} to ${c.up}+${c.second} to ${c.cout}${c.kernel ? ` by ${c.kernel}` : ''}` +
  `${c.stride ? ` stride ${c.stride}` : ''}${c.dilation ? ` dilation ${c.dilation}` : ''}`;

/** Uploads a case; what makes its result in one operation and in two, and the result in doubles. */
function prepared(device: Device, c: Case, precision: Precision, seed: number) {
  const type = storedAs[precision];
  const stored = c.stored === 'f32' ? 'f32' : type;
  const [n, d, h, w, cx] = c.x as [number, number, number, number, number];
  const fine = [n, 2 * d, 2 * h, 2 * w];
  const slope = 0.05;
  const [normed, normed2] = c.norms ?? [true, true];
  const norm = (channels: number, k: number) => ({
    scale: randomArray(n * channels, seed + k),
    shift: randomArray(n * channels, seed + k + 1),
    slope,
  });
  const kernel = c.kernel ?? [3, 3, 3];
  const x = image(c.x, seed);
  const second = c.second ? image([...fine, c.second], seed + 1) : undefined;
  const weight = image([c.cout, c.up + c.second, ...kernel], seed + 2);
  const upWeight = image([cx, c.up, 2, 2, 2], seed + 3);
  const biases = c.bias ?? true;
  // Far from zero, so that a border with the bias in it is seen.
  const upBias = randomArray(c.up, seed + 4).map((v) => v + 2);
  const bias = randomArray(c.cout, seed + 5);
  const [load, load2] = [norm(cx, 6), norm(c.second, 8)];
  const vector = (v: Float32Array) => device.tensor(v, { shape: [n, v.length / n] });
  const own = normed ? { scale: vector(load.scale), shift: vector(load.shift) } : {};
  const other =
    second && normed2 ? { secondScale: vector(load2.scale), secondShift: vector(load2.shift) } : {};
  const [tx, tw, tu] = [
    upload(device, x, stored),
    upload(device, weight),
    upload(device, upWeight),
  ];
  const tb = biases ? device.tensor(upBias) : undefined;
  const geometry = { stride: c.stride ?? 1, padding: c.padding ?? 1, dilation: c.dilation ?? 1 };
  const options = {
    ...{ ...geometry, precision, slope, statistics: true as const },
    ...(c.out ? { out: c.out } : {}),
    ...(biases ? { bias: device.tensor(bias) } : {}),
    ...(second ? { second: upload(device, second, stored) } : {}),
    ...other,
  };
  const three = (v: number | readonly number[]) => (typeof v === 'number' ? [v, v, v] : [...v]);
  return {
    one: () => ops.conv3d(tx, tw, { ...options, ...own, upWeight: tu, upBias: tb }),
    two: () => {
      const up = ops.convTranspose3d(tx, tu, { bias: tb, ...own, slope, precision, out: stored });
      return ops.conv3d(up, tw, options);
    },
    truth: () => {
      const a = loaded(roundedImage(x, stored), type, normed ? load : undefined);
      const data = transposed(
        a,
        roundedImage(upWeight, type),
        biases ? upBias : new Float32Array(c.up),
      );
      const up = roundedImage({ shape: [...fine, c.up], data }, type);
      const b = second && loaded(roundedImage(second, stored), type, normed2 ? load2 : undefined);
      return convolve(
        b ? concatenated(up, b) : up,
        roundedImage(weight, type),
        biases ? bias : undefined,
        {
          stride: three(geometry.stride),
          padding: three(geometry.padding),
          dilation: three(geometry.dilation),
        },
      );
    },
  };
}

/** What sums add up to in another order, and what that turns over when the up-sampled source is rounded. */
const tolerances = { fp32: 3e-6, bf16: 3e-4, fp16: 3e-5 };
const roundings = { f32: 0, bf16: 2 ** -9, f16: 2 ** -12 };

/** Checks a case; whether the simulated GPU made the up-sampled source in the tiles. */
async function check(
  t: Test,
  device: Device,
  c: Case,
  precision: Precision,
  seed: number,
): Promise<boolean> {
  const what = `${precision} ${title(c)}`;
  const { one, two, truth } = prepared(device, c, precision, seed);
  const simulator = simulated(device) ? native().simulator : undefined;
  await device.drain();
  simulator?.count(1);
  const { y, sums } = one();
  await device.drain();
  const launches = simulator?.counted().map((l) => l.name) ?? [];
  simulator?.count(0);
  const expected = truth();
  t.same(y.shape, expected.shape, what);
  const result = c.out ?? storedAs[precision];
  const most = tolerances[precision] + roundings[result];
  agrees(t, await values(y), expected.data, most, what);
  agrees(t, await sums.data(), moments(expected), 3 * tolerances[precision], `${what}: statistics`);
  const apart = two();
  sameBits(t, await y.data(), await apart.y.data(), what);
  sameBits(t, await sums.data(), await apart.sums.data(), `${what}: statistics`);
  const separate = launches.some((n) => n.startsWith('convTranspose3d') && !n.endsWith('/pack'));
  return launches.length > 0 && !separate;
}

/** A simulated GPU with the shared memory of a large one. */
const large = (device: Device): boolean => simulated(device) && device.info.capability === 90;

const flat = { kernel: [1, 3, 1] as [number, number, number] };

/**
 * Few channels, which a GPU makes in its tiles where it has the shared memory of an A100. Of few voxels it does so only where few products
 * leave nothing to split: one chunk of channels, or a small kernel.
 */
const inTiles: Case[] = [
  { x: [2, 5, 4, 3, 16], up: 8, second: 8, cout: 8 },
  { x: [1, 4, 6, 7, 32], up: 16, second: 0, cout: 16, norms: [false, false], bias: false },
  { x: [1, 1, 1, 1, 32], up: 8, second: 3, cout: 16, norms: [false, false] },
  { x: [1, 7, 1, 6, 70], up: 16, second: 0, cout: 13, stored: 'f32' },
  { x: [1, 3, 4, 6, 24], up: 9, second: 0, cout: 16, padding: [0, 2, 1], out: 'f32' },
  { x: [1, 3, 5, 9, 32], up: 16, second: 16, cout: 16, ...flat },
  { x: [1, 7, 1, 6, 20], up: 16, second: 5, cout: 13, norms: [false, true], ...flat },
  { x: [2, 2, 3, 11, 40], up: 24, second: 8, cout: 16, norms: [true, false], ...flat },
  { x: [3, 2, 2, 5, 7], up: 12, second: 16, cout: 9, stored: 'f32', ...flat },
  { x: [1, 3, 4, 6, 32], up: 16, second: 16, cout: 32, kernel: [1, 3, 3], padding: [0, 1, 1] },
];

/** So many tiles that a block makes several of them, and keeps the weights. */
const manyTiles: Case = { x: [540, 1, 1, 1, 16], up: 16, second: 16, cout: 16, ...flat };

/** What it makes apart: wide, split, strided, dilated, of one tap along H. */
const apart: Case[] = [
  { x: [1, 2, 3, 2, 128], up: 64, second: 64, cout: 64 },
  { x: [1, 3, 5, 9, 32], up: 16, second: 16, cout: 16 },
  { x: [1, 2, 3, 5, 16], up: 8, second: 0, cout: 8 },
  { x: [1, 3, 4, 5, 16], up: 16, second: 16, cout: 16, stride: 2 },
  { x: [1, 3, 4, 5, 16], up: 16, second: 16, cout: 16, dilation: 2, padding: 2 },
  { x: [1, 2, 3, 5, 16], up: 16, second: 0, cout: 3, kernel: [1, 1, 1], padding: 0 },
];

onEveryDevice(t, 'conv3d of an up-sampled source', async (t, device) => {
  const all = [...inTiles, manyTiles, ...apart];
  let made = 0;
  for (const [i, c] of all.entries())
    for (const wanted of ['bf16', 'fp16', 'fp32'] as const) {
      // The simulator takes its time.
      if ((c === manyTiles || sanitized) && wanted !== 'bf16') continue;
      const precision = productsOn(device, wanted);
      const inTile = await check(t, device, c, precision, 50 * i + 1);
      if (inTile) made++;
      if (!large(device)) continue;
      const here = precision !== 'fp32' && !apart.includes(c);
      t.equal(inTile, here, `${precision} ${title(c)}: in the tiles`);
    }
  t.comment(`${made} cases made in the tiles`);
});

onEveryDevice(t, 'conv3d of an up-sampled source on random shapes', async (t, device) => {
  const next = generator(4);
  const pick = (least: number, most: number) => least + Math.floor(next() * (most - least + 1));
  let made = 0;
  for (let i = 0; i < (sanitized ? 4 : 14); i++) {
    const wide = i % 4 === 3;
    const c: Case = {
      x: [
        pick(1, 2),
        pick(1, 5),
        pick(1, 6),
        pick(1, wide ? 4 : 10),
        wide ? pick(48, 128) : pick(16, 48),
      ],
      up: wide ? pick(24, 64) : pick(8, 16),
      second: pick(0, 3) === 0 ? 0 : pick(1, wide ? 40 : 16),
      cout: wide ? pick(17, 64) : pick(1, 32),
      ...(wide ? {} : { kernel: [pick(1, 2), 3, pick(1, 3)] as [number, number, number] }),
      norms: [pick(0, 1) === 1, pick(0, 1) === 1],
      bias: pick(0, 2) > 0,
      padding: [pick(1, 2), pick(1, 2), pick(1, 2)],
      stored: pick(0, 2) === 0 ? 'f32' : 'products',
    };
    const precision = productsOn(device, (['bf16', 'fp16'] as const)[i % 2] as Precision);
    if (await check(t, device, c, precision, 1000 + 20 * i)) made++;
  }
  if (large(device)) t.ok(made >= (sanitized ? 1 : 5), `${made} made in the tiles`);
});

onEveryDevice(t, 'conv3d of an up-sampled source in other orders of blocks', async (t, device) => {
  const precision = productsOn(device, 'bf16');
  const c: Case = { x: [1, 3, 5, 9, 32], up: 16, second: 16, cout: 16, ...flat };
  const { one } = prepared(device, c, precision, 7);
  const first = one();
  const { simulator } = native();
  try {
    for (let i = 0; i < 4; i++) {
      simulator?.schedule(i % 2 ? 'roundRobin' : 'warpGreedy', i);
      const again = one();
      sameBits(t, await again.y.data(), await first.y.data(), 'y');
      sameBits(t, await again.sums.data(), await first.sums.data(), 'statistics');
    }
  } finally {
    simulator?.schedule('mixed', 1);
  }
});

onEveryDevice(t, 'conv3d of an up-sampled source: an updated weight', async (t, device) => {
  const precision = productsOn(device, 'bf16');
  const x = upload(device, image([1, 3, 4, 5, 32], 1), storedAs[precision]);
  const weight = upload(device, image([16, 16, 3, 3, 3], 2));
  const upWeight = upload(device, image([32, 16, 2, 2, 2], 3));
  const run = () => ops.conv3d(x, weight, { upWeight, padding: 1, precision, out: 'f32' });
  const before = run();
  const gradient = upload(device, image(upWeight.shape, 4));
  ops.sgd([upWeight], [gradient], [device.full(upWeight.shape, 0)], { lr: 1 });
  const after = await run().data();
  const two = ops.conv3d(ops.convTranspose3d(x, upWeight, { precision }), weight, {
    ...{ padding: 1, precision, out: 'f32' },
  });
  sameBits(t, after, await two.data(), 'after');
  t.notOk(Buffer.from(after.buffer).equals(Buffer.from((await before.data()).buffer)), 'changed');
});

onEveryDevice(t, 'conv3d: what upWeight refuses', async (t, device) => {
  const x = device.full([1, 2, 2, 2, 4]);
  const weight = device.full([3, 6, 3, 3, 3]);
  const upWeight = device.full([4, 6, 2, 2, 2]);
  const half = productsOn(device, 'bf16') === 'bf16' ? 'bf16' : 'f16';
  const refusals: [string, () => unknown, string][] = [
    ['ShapeMismatch', () => ops.conv3d(x, weight), 'the channels are those of upWeight'],
    [
      'ShapeMismatch',
      () => ops.conv3d(x, weight, { upWeight: device.full([5, 6, 2, 2, 2]) }),
      'its own channels are x’s',
    ],
    [
      'ShapeMismatch',
      () => ops.conv3d(x, weight, { upWeight: device.full([4, 6, 3, 3, 3]) }),
      'kernel 2',
    ],
    [
      'ShapeMismatch',
      () => ops.conv3d(x, weight, { upWeight, upBias: device.full([4]) }),
      'upBias',
    ],
    ['InvalidArgument', () => ops.conv3d(x, weight, { upBias: device.full([6]) }), 'upBias alone'],
    [
      'ShapeMismatch',
      () =>
        ops.conv3d(x, device.full([3, 7, 3, 3, 3]), {
          ...{ upWeight, second: device.full([1, 2, 2, 2, 1]) },
        }),
      'a second source of x’s size',
    ],
    [
      'DtypeMismatch',
      () => ops.conv3d(device.full([1, 2, 2, 2, 4], 0, half), weight, { upWeight }),
      'x of another type than the products',
    ],
    [
      'InvalidArgument',
      () => gradients(() => ops.conv3d(x, weight, { upWeight, padding: 1 }), [weight]),
      'no gradient',
    ],
  ];
  for (const [code, body, what] of refusals) t.equal(codeOf(body), code, what);
  t.same((ops.conv3d(x, weight, { upWeight, padding: 1 }) as Tensor).shape, [1, 4, 4, 4, 3]);
});
