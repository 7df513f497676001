// conv3d with `poolSign`: the extremes that it pools, against the definition and against what they take the place of, the pool of the normed
// result. On tensor cores some tiles pool as they store, and others, split sums and exact products leave it to a kernel behind them.
import { type Device, gradients, ops, type Tensor, threads } from 'renvox';
import t from 'tap';
import { native } from '#lib/native.js';
import { concatenated, convolve, type Image } from './convolution-naive.js';
import {
  agrees,
  generator,
  onEveryDevice,
  onEveryInstructionSet,
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
  roundingOf,
  type Stored,
  storedAs,
  upload,
  values,
} from './sixteen-bits.js';

type Three = readonly [number, number, number];
const three = (n: number): Three => [n, n, n];

interface Case {
  /** [N, D, H, W], channels of x and of the second source, and of the result. */
  space: readonly [number, number, number, number];
  cin: number;
  second?: number;
  cout: number;
  kernel?: Three;
  stride?: number;
  dilation?: number;
  /** Whether the tile that an H100 gets pools as it stores, in 16 bits. */
  onStore: boolean;
}

const cases: Case[] = [
  { space: [1, 8, 8, 8], cin: 16, cout: 16, onStore: true },
  { space: [1, 6, 9, 11], cin: 16, cout: 16, onStore: true },
  { space: [2, 5, 7, 9], cin: 9, cout: 16, onStore: true },
  { space: [1, 4, 8, 8], cin: 8, second: 8, cout: 32, onStore: true },
  { space: [1, 5, 6, 7], cin: 12, cout: 20, onStore: true },
  { space: [1, 4, 8, 9], cin: 16, cout: 64, onStore: true },
  { space: [1, 3, 5, 13], cin: 8, second: 8, cout: 48, onStore: true },
  { space: [1, 3, 4, 5], cin: 3, second: 5, cout: 7, onStore: true },
  { space: [1, 2, 2, 2], cin: 16, cout: 1, onStore: true },
  // Eight columns a warp, and warps side by side along the channels.
  { space: [2, 9, 24, 17], cin: 14, cout: 72, kernel: [1, 3, 1], onStore: true },
  { space: [1, 9, 17, 34], cin: 9, cout: 96, kernel: [1, 3, 1], onStore: true },
  { space: [1, 2, 3, 4], cin: 64, cout: 64, onStore: false },
  { space: [1, 4, 4, 4], cin: 40, second: 24, cout: 12, onStore: false },
  { space: [1, 9, 10, 21], cin: 1, cout: 5, onStore: false },
  { space: [1, 4, 5, 6], cin: 5, cout: 3, kernel: three(1), onStore: false },
  { space: [1, 9, 8, 7], cin: 16, cout: 32, stride: 2, onStore: false },
  { space: [1, 7, 8, 9], cin: 8, cout: 8, dilation: 2, onStore: false },
  // Patches of 16 voxels.
  { space: [1, 9, 6, 2], cin: 9, cout: 24, kernel: [1, 3, 1], onStore: false },
  { space: [2, 2, 2, 7], cin: 11, cout: 16, kernel: [1, 3, 1], onStore: false },
];

const title = ({ space, cin, second = 0, cout, kernel = three(3), ...rest }: Case) =>
  `${space.join('x')} ${cin}+${second} to ${cout} by ${kernel.join('x')}${rest.stride ? ` stride ${rest.stride}` : ''}${rest.dilation ? ` dilation ${rest.dilation}` : ''}`;

/** Signs of both kinds, and both zeros. */
function signs(count: number, seed: number): Float32Array {
  return randomArray(count, seed).map((v, i) => (i % 7 === 5 ? 0 : i % 7 === 6 ? -0 : v));
}

/** By the definition. Math.max and Math.min know NaN, and that +0 is above -0. */
function pool(y: Image, sign: ArrayLike<number>): Float32Array {
  const [n, d, h, w, c] = y.shape as [number, number, number, number, number];
  const [pd, ph, pw] = [d >> 1, h >> 1, w >> 1];
  const pooled = new Float32Array(n * pd * ph * pw * c);
  let i = 0;
  for (let s = 0; s < n; s++)
    for (let a = 0; a < 2 * pd; a += 2)
      for (let b = 0; b < 2 * ph; b += 2)
        for (let e = 0; e < 2 * pw; e += 2)
          for (let k = 0; k < c; k++) {
            const at = (z: number, y: number, x: number) =>
              (((s * d + a + z) * h + b + y) * w + e + x) * c + k;
            const window = [0, 1, 2, 3, 4, 5, 6, 7].map(
              (v) => y.data[at(v >> 2, (v >> 1) & 1, v & 1)] as number,
            );
            const least = (sign[k] as number) < 0;
            pooled[i++] = least ? Math.min(...window) : Math.max(...window);
          }
  return pooled;
}

const launches = (): number => native().simulator?.times()['conv3d/pool']?.launches ?? 0;

/** A convolution that pools, with all that may go into one; `data` is what was given to it. */
function prepared(device: Device, c: Case, type: Stored, seed: number) {
  const { space, cin, second: c2 = 0, cout, kernel = three(3), stride = 1, dilation = 1 } = c;
  const samples = space[0];
  const padding = kernel.map((k) => ((k - 1) / 2) * dilation) as unknown as Three;
  const x = image([...space, cin], seed);
  const second = c2 ? image([...space, c2], seed + 1) : undefined;
  const weight = image([cout, cin + c2, ...kernel], seed + 2);
  const bias = randomArray(cout, seed + 3);
  const [scale, shift] = [randomArray(samples * cin, seed + 4), randomArray(samples * cin, seed)];
  const slope = 0.1;
  const vector = (v: Float32Array) => device.tensor(v, { shape: [samples, cin] });
  const sign = signs(cout, seed + 5);
  const geometry = { padding, stride: three(stride), dilation: three(dilation) };
  return {
    data: { x, second, weight, bias, norm: { scale, shift, slope }, sign, geometry },
    x: upload(device, x, type),
    weight: upload(device, weight),
    options: {
      ...{ bias: device.tensor(bias), ...geometry, slope },
      ...{ scale: vector(scale), shift: vector(shift) },
      ...(second ? { second: upload(device, second, type) } : {}),
    },
    poolSign: device.tensor(sign),
  };
}

onEveryDevice(t, 'conv3d pools as it stores', async (t, device) => {
  const combinations: [Precision, Stored][] = [
    ['bf16', 'bf16'],
    ['fp32', 'f32'],
    ['bf16', 'f32'],
    ['fp16', 'f16'],
  ];
  const largest = !simulated(device) || device.info.capability >= 90;
  for (const [i, c] of cases.entries())
    for (const [k, [wanted, out]] of combinations.entries()) {
      // The simulator takes its time: half of the combinations on each shape.
      if (simulated(device) && (i + k) % 2) continue;
      const precision = productsOn(device, wanted);
      const type = storedAs[precision];
      const layer = prepared(device, c, type, 100 * i + k);
      const { x, second, weight, bias, norm, sign, geometry } = layer.data;
      const from = loaded(roundedImage(x, type), type, norm);
      const both = second ? concatenated(from, loaded(roundedImage(second, type), type)) : from;
      const truth = convolve(both, roundedImage(weight, type), bias, geometry);
      const options = { ...layer.options, precision, out } as const;
      const { poolSign } = layer;
      await onEveryInstructionSet(device, async (set) => {
        const what = `${set} ${precision} ${title(c)} to ${out}`;
        const before = launches();
        const { y, sums, pooled } = ops.conv3d(layer.x, layer.weight, {
          ...{ ...options, statistics: true, poolSign },
        });
        const [n, d, h, w, channels] = y.shape as [number, number, number, number, number];
        t.strictSame(pooled.shape, [n, d >> 1, h >> 1, w >> 1, channels], `${what}: shape`);
        t.equal(pooled.dtype, y.dtype);
        const made = await values(pooled);
        const stored = { shape: y.shape, data: await values(y) };
        sameBits(t, Float32Array.from(made), pool(stored, sign), `${what}: the extremes of y`);
        // Of few values no mean makes half a unit less.
        const tolerance = 2e-6 + 2 * roundingOf[out];
        agrees(t, made, pool(truth, sign), tolerance, `${what}: and of the truth`);
        if (simulated(device) && largest && type !== 'f32')
          t.equal(launches() === before, c.onStore, `${what}: where it is pooled`);

        const plain = ops.conv3d(layer.x, layer.weight, { ...options, statistics: true });
        sameBits(t, await plain.y.data(), await y.data(), `${what}: y is as without the pool`);
        sameBits(t, await plain.sums.data(), await sums.data(), `${what}: statistics likewise`);
        const only = ops.conv3d(layer.x, layer.weight, { ...options, poolSign });
        sameBits(t, await only.pooled.data(), await pooled.data(), `${what}: without statistics`);

        // What it takes the place of: the norm with this sign, the activation, the pool.
        const after = { shape: [n, channels] };
        const scales = Float32Array.from(
          { length: n * channels },
          (_, j) => (sign[j % channels] as number) * (1 + Math.floor(j / channels)),
        );
        const load = {
          scale: device.tensor(scales, after),
          shift: device.tensor(randomArray(n * channels, i), after),
          slope: k < 2 ? 0.01 : 0.3,
        };
        const eager = ops.maxPool3d(y, { load });
        const fused = ops.maxPool3d(pooled, { kernel: 1, load });
        sameBits(t, await fused.data(), await eager.data(), `${what}: the pool of the norm`);
        const next = upload(device, image([3, channels, 1, 1, 1], i));
        const one = ops.conv3d(eager, next, { precision, out: 'f32' });
        const other = ops.conv3d(pooled, next, { precision, out: 'f32', ...load });
        sameBits(t, await other.data(), await one.data(), `${what}: the next layer`);
      });
    }
});

onEveryDevice(t, 'conv3d pools on random shapes', async (t, device) => {
  const next = generator(31);
  const pick = (least: number, most: number) => least + Math.floor(next() * (most - least + 1));
  const wanted: Precision[] = ['bf16', 'fp32', 'fp16'];
  for (let i = 0; i < (sanitized ? 10 : 30); i++) {
    const c: Case = {
      space: [pick(1, 2), pick(2, 9), pick(2, 9), pick(2, 19)],
      ...{ cin: pick(1, 20), cout: pick(1, 64), onStore: false },
      ...(i % 3 ? {} : { second: pick(1, 9) }),
      kernel: i % 4 ? three(3) : [1, 3, 3],
    };
    const precision = productsOn(device, wanted[i % 3] as Precision);
    const layer = prepared(device, c, storedAs[precision], 50 * i);
    const { y, pooled } = ops.conv3d(layer.x, layer.weight, {
      ...{ ...layer.options, precision, poolSign: layer.poolSign },
    });
    const expected = pool({ shape: y.shape, data: await values(y) }, layer.data.sign);
    sameBits(t, Float32Array.from(await values(pooled)), expected, `${precision} ${title(c)}`);
  }
});

onEveryDevice(t, 'conv3d pools by every algorithm', async (t, device) => {
  // Shapes that the CPU brings into Winograd's form and into that of first layers.
  for (const [i, c] of [
    { space: [1, 9, 12, 17], cin: 16, cout: 16, onStore: false },
    { space: [1, 9, 12, 17], cin: 1, cout: 16, onStore: false },
  ].entries() as Iterable<[number, Case]>)
    for (const algorithm of ['auto', 'direct', 'winograd'] as const) {
      if (algorithm === 'winograd' && device.kind !== 'cpu') continue;
      const layer = prepared(device, c, 'f32', i);
      const options = { ...layer.options, algorithm, poolSign: layer.poolSign };
      const { y, pooled } = ops.conv3d(layer.x, layer.weight, options);
      const expected = pool({ shape: y.shape, data: await values(y) }, layer.data.sign);
      sameBits(t, await pooled.data(), expected, `${algorithm} ${title(c)}`);
    }
});

onEveryDevice(t, 'conv3d pools NaN, infinities and zeros', async (t, device) => {
  // The middle tap alone, so that y is x times 1e-4, whose smallest values are zeros of both signs in f16.
  const [cin, cout] = [8, 16];
  const kernel = new Float32Array(cout * cin * 27);
  for (let k = 0; k < cout; k++) kernel[(k * cin + (k % cin)) * 27 + 13] = 1e-4;
  const weight = device.tensor(kernel, { shape: [cout, cin, 3, 3, 3] });
  const shape = [1, 4, 8, 8, cin];
  const data = randomArray(256 * cin, 1).map((v, i) =>
    i % cin === 0 ? Math.sign(v) * 1e-5 : i % cin === 1 ? -Math.abs(v) * 1e-5 : v,
  );
  const sign = Float32Array.from({ length: cout }, (_, k) => (k < cin ? 1 : -1));
  const poolSign = device.tensor(sign);
  for (const precision of ['fp16', productsOn(device, 'bf16'), 'fp32'] as const) {
    const x = device.tensor(data, { shape });
    const { y, pooled } = ops.conv3d(x, weight, { padding: 1, precision, poolSign });
    const stored = await values(y);
    if (precision === 'fp16')
      t.ok(
        [0, -0].every((zero) => Array.from(stored).some((v) => Object.is(v, zero))),
        'zeros of both signs',
      );
    const expected = pool({ shape: y.shape, data: stored }, sign);
    sameBits(t, Float32Array.from(await values(pooled)), expected, `${precision}: zeros`);
  }
  // One value a window that spreads to no other: by 1x1x1 weights of one channel.
  const values1 = randomArray(512, 2);
  for (const [at, value] of [
    [0, Number.NaN],
    [17, -Number.NaN],
    [255, Number.POSITIVE_INFINITY],
    [300, Number.NEGATIVE_INFINITY],
    [511, Number.NaN],
  ] as const)
    values1[at] = value;
  const odd = device.tensor(values1, { shape: [1, 8, 8, 8, 1] });
  const ones = device.tensor([1, 1], { shape: [2, 1, 1, 1, 1] });
  for (const precision of ['fp16', productsOn(device, 'bf16'), 'fp32'] as const) {
    const options = { precision, poolSign: device.tensor([1, -1]) };
    const { y, pooled } = ops.conv3d(odd, ones, options);
    const expected = pool({ shape: y.shape, data: await values(y) }, [1, -1]);
    t.strictSame(Array.from(await values(pooled)), Array.from(expected), `${precision}: NaN`);
    const count = expected.filter(Number.isNaN).length;
    t.ok(count >= 6 && count < 20, `${count}: three windows of both channels at least`);
  }
  // The same through a tile that pools on store: a NaN reaches the windows of its neighbours.
  data[1000] = Number.NaN;
  const holed = device.tensor(data, { shape });
  for (const precision of ['fp16', productsOn(device, 'bf16')] as const) {
    const { y, pooled } = ops.conv3d(holed, weight, { padding: 1, precision, poolSign });
    const expected = pool({ shape: y.shape, data: await values(y) }, sign);
    t.strictSame(Array.from(await values(pooled)), Array.from(expected), `${precision}: on store`);
    t.ok(expected.some(Number.isNaN) && !expected.every(Number.isNaN));
  }
});

onEveryDevice(t, 'conv3d pools the same bits every time', async (t, device) => {
  const before = threads();
  const { simulator } = native();
  try {
    for (const c of [cases[1], cases[5], cases[10]] as Case[]) {
      const precision = productsOn(device, 'bf16');
      const layer = prepared(device, c, storedAs[precision], 3);
      const options = { ...layer.options, precision, poolSign: layer.poolSign };
      const once = () => ops.conv3d(layer.x, layer.weight, options).pooled.data();
      const first = await once();
      for (let i = 1; i < 5; i++) {
        threads(i);
        simulator?.schedule(i % 2 ? 'roundRobin' : 'warpGreedy', i);
        sameBits(t, await once(), first, title(c));
      }
    }
  } finally {
    threads(before);
    simulator?.schedule('mixed', 1);
  }
});

onEveryDevice(t, 'conv3d: what poolSign refuses', async (t, device) => {
  const x = device.full([1, 4, 4, 3, 2]);
  const weight = device.full([3, 2, 3, 3, 3]);
  const poolSign = device.full([3], 1);
  const code = (size: Tensor, options: ops.Conv3dPoolOptions) =>
    codeOf(() => ops.conv3d(size, weight, options));
  t.equal(code(x, { poolSign, padding: 1 }), 'none');
  t.equal(code(x, { poolSign }), 'ShapeMismatch', 'one voxel along W has no window');
  t.equal(code(x, { poolSign, padding: 1, stride: 3 }), 'ShapeMismatch');
  t.equal(code(x, { poolSign: device.full([2], 1), padding: 1 }), 'ShapeMismatch');
  t.equal(code(x, { poolSign: device.full([1, 3], 1), padding: 1 }), 'ShapeMismatch');
  t.equal(code(x, { poolSign: device.full([3], 0, 'bf16'), padding: 1 }), 'DtypeMismatch');
  t.equal(
    codeOf(() => gradients(() => ops.conv3d(x, weight, { poolSign, padding: 1 }).y, [weight])),
    'InvalidArgument',
    'no gradient through a fused pool',
  );
});
