// Winograd's form of conv3d (CPU, docs/cpu-convolution.md) against plain loops in double, under every instruction set that the machine
// has. The bars are those that the documentation states; every test prints the largest error that it met.
import { device, gradients, isRenvoxError, ops, type Tensor, threads } from 'renvox';
import t, { type Test } from 'tap';
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
  generator,
  onEveryInstructionSet,
  randomArray,
  randomTensor,
  relativeRms,
  sameBits,
} from './harness.js';
import { image } from './sixteen-bits.js';

const cpu = device('cpu');
t.teardown(() => cpu.dispose());

/** Relative RMS error of at most this, by the number of channels that are summed. */
const bar = (channels: number) => (channels <= 64 ? 2.5e-6 : 4e-6);
/** And of the weight's gradient, whatever the shape. */
const WEIGHT_BAR = 2e-6;
const algorithm = 'winograd' as const;
const SLOPE = 0.01;

type Data = Image & { data: Float32Array };
const upload = (i: Data): Tensor => cpu.tensor(i.data, { shape: i.shape });

interface Case {
  space: readonly number[];
  cin: number;
  cout: number;
  /** Channels of a second source, part of cin. */
  second?: number;
  /** Norm and activation on load, of both sources. */
  norm?: boolean;
  padding?: number;
  /** Along D, H, W. */
  dilation?: readonly [number, number, number];
}

const title = ({ space, cin, cout, second = 0, norm, padding = 1, dilation = [1, 1, 1] }: Case) =>
  `${space.join('x')}, ${second ? `${cin - second}+${second}` : cin} to ${cout}${norm ? ', normalized' : ''}, padding ${padding}, dilation ${dilation}`;

/** Checks result, statistics and gradients, with a norm that of the weight alone; returns the largest relative error / bar. */
async function check(t: Test, c: Case, seed: number): Promise<number> {
  const { space, cin, cout, second = 0, norm = false, padding = 1, dilation = [1, 1, 1] } = c;
  const n = space[0] as number;
  const g: Geometry = { stride: [1, 1, 1], padding: Array(3).fill(padding), dilation };
  const x = image([...space, cin - second], seed);
  const x2 = image([...space, second], seed + 1);
  const weight = image([cout, cin, 3, 3, 3], seed + 2);
  const bias = randomArray(cout, seed + 3);
  const load = (channels: number, s: number) => ({
    scale: image([n, channels], s),
    shift: image([n, channels], s + 1),
  });
  const [first, other] = [load(cin - second, seed + 4), load(second, seed + 6)];
  const active = (i: Data, { scale, shift }: typeof first) =>
    norm ? normalized(i, scale.data, shift.data, SLOPE) : i;
  const input = second
    ? concatenated(active(x, first), active(x2, other))
    : { ...active(x, first), shape: x.shape };
  const truth = convolve(input, weight, bias, g);
  const dy = image(truth.shape, seed + 8);
  const truthGradient = convolveGradients(input, weight, dy, g);

  const [tx, tw, tb, tdy] = [upload(x), upload(weight), cpu.tensor(bias), upload(dy)];
  const t2 = second ? upload(x2) : undefined;
  const options = {
    ...{ algorithm, padding, dilation, bias: tb, second: t2, slope: SLOPE },
    ...(norm ? { scale: upload(first.scale), shift: upload(first.shift) } : {}),
    ...(norm && t2 ? { secondScale: upload(other.scale), secondShift: upload(other.shift) } : {}),
  };
  let worst = 0;
  const compare = (
    actual: ArrayLike<number>,
    expected: ArrayLike<number>,
    most: number,
    w: string,
  ) => {
    worst = Math.max(worst, relativeRms(actual, expected) / most);
    agrees(t, actual, expected, most, w);
  };
  await onEveryInstructionSet(cpu, async (set) => {
    const what = `${set} ${title(c)}`;
    const { y, sums } = ops.conv3d(tx, tw, { ...options, statistics: true });
    t.strictSame(y.shape, truth.shape, `${what}: shape`);
    const made = await y.data();
    compare(made, truth.data, bar(cin), `${what}: y`);
    const own = moments({ shape: y.shape, data: made });
    agrees(t, await sums.data(), own, 1e-5, `${what}: statistics of what was stored`);
    if (norm) {
      const { scale, shift, secondScale, secondShift } = options as ops.Conv3dOptions;
      const load = { scale, shift, secondScale, secondShift, slope: SLOPE };
      const [made] = cpu.run('conv3dGradWeight', {
        ...{ x: tx, second: t2, dy: tdy, ...g, ...load },
        ...{ kernel: [3, 3, 3], algorithm },
      }) as [Tensor];
      return compare(await made.data(), truthGradient.dw, WEIGHT_BAR, `${what}: dw`);
    }
    const sources = t2 ? [tx, t2] : [tx];
    const wanted = [tw, tb, ...sources];
    const { gradients: parts } = gradients(() => ops.conv3d(tx, tw, options), wanted, tdy);
    const data = await Promise.all((parts as Tensor[]).map((p) => p.data()));
    const [dw, db, dx, d2] = data as [Float32Array, Float32Array, Float32Array, Float32Array?];
    compare(dw, truthGradient.dw, WEIGHT_BAR, `${what}: dw`);
    compare(db, truthGradient.db, WEIGHT_BAR, `${what}: db`);
    const whole = d2
      ? concatenated({ shape: x.shape, data: dx }, { shape: x2.shape, data: d2 }).data
      : dx;
    compare(whole, truthGradient.dx, bar(cout), `${what}: dx`);
  });
  return worst;
}

t.test(
  'shapes with whole and hanging tiles, one and many strips, one and many channel blocks',
  async (t) => {
    const cases: Case[] = [
      { space: [1, 1, 1, 1], cin: 1, cout: 1 },
      { space: [1, 2, 4, 4], cin: 16, cout: 16 },
      { space: [1, 3, 5, 1], cin: 16, cout: 32 },
      { space: [2, 5, 1, 7], cin: 17, cout: 15 },
      { space: [1, 1, 9, 10], cin: 24, cout: 40 },
      // More than 256 tiles: strips that walk along D, two chunks of it, the last strip not whole.
      { space: [1, 33, 9, 11], cin: 8, cout: 8 },
      { space: [1, 12, 17, 26], cin: 16, cout: 16, norm: true },
      { space: [2, 4, 10, 87], cin: 9, cout: 5, second: 4, norm: true },
      { space: [1, 13, 17, 18], cin: 18, cout: 9, second: 2 },
      // Point by point.
      { space: [1, 4, 8, 8], cin: 256, cout: 12, norm: true },
      { space: [2, 3, 4, 5], cin: 100, cout: 34, second: 36 },
      { space: [1, 4, 6, 6], cin: 48, cout: 33, second: 24, norm: true },
      // The weight's gradient point by point, over two chunks of planes.
      { space: [1, 8, 18, 19], cin: 49, cout: 57 },
      { space: [1, 6, 7, 8], cin: 20, cout: 20, padding: 0 },
      { space: [1, 4, 5, 9], cin: 20, cout: 20, padding: 2 },
      { space: [1, 2, 3, 3], cin: 8, cout: 12, padding: 4 },
      // Lattices of dilated taps: equal ones, ragged ones, more of them than outputs, few to a group and many.
      { space: [1, 8, 8, 8], cin: 16, cout: 32, padding: 2, dilation: [2, 2, 2] },
      { space: [2, 7, 9, 11], cin: 20, cout: 33, padding: 4, dilation: [4, 4, 4], norm: true },
      { space: [1, 16, 5, 6], cin: 70, cout: 48, padding: 4, dilation: [4, 2, 3] },
      { space: [1, 8, 13, 8], cin: 130, cout: 70, padding: 3, dilation: [1, 5, 2], second: 50 },
      { space: [1, 9, 9, 9], cin: 8, cout: 8, padding: 2, dilation: [4, 4, 4] },
      // Weights so large that they are made a range of channels at a time.
      { space: [1, 4, 3, 5], cin: 272, cout: 290, padding: 2, dilation: [2, 2, 2], norm: true },
      { space: [2, 5, 3, 4], cin: 9, cout: 24, padding: 6, dilation: [5, 6, 7], norm: true },
    ];
    let worst = 0;
    for (const [i, c] of cases.entries()) worst = Math.max(worst, await check(t, c, 100 * i));
    t.comment(`largest error: ${worst.toFixed(2)} of the bar`);
  },
);

t.test('random shapes', async (t) => {
  const next = generator(77);
  const pick = (least: number, most: number) => least + Math.floor(next() * (most - least + 1));
  let worst = 0;
  for (let i = 0; i < 30; i++) {
    const dilated = next() < 0.4;
    const dilation = [1, 1, 1].map(() => (dilated ? pick(1, 4) : 1)) as [number, number, number];
    const padding = dilated ? pick(4, 5) : pick(0, 3) > 2 ? pick(0, 2) : 1;
    const size = () => pick(padding === 0 ? 3 : 1, 10);
    const cin = pick(1, 70);
    const c: Case = {
      ...{ space: [pick(1, 2), size(), size(), size()], cin, cout: pick(1, 70), padding, dilation },
      ...(cin > 1 && next() < 0.5 ? { second: pick(1, cin - 1) } : {}),
      norm: next() < 0.5,
    };
    worst = Math.max(worst, await check(t, c, 5000 + 100 * i));
  }
  t.comment(`largest error: ${worst.toFixed(2)} of the bar`);
});

t.test('weights in ranges of channels, the last one small: as the direct form', async (t) => {
  for (const [space, cin, cout, dilation] of [
    [[1, 8, 24, 32], 192, 384, 1],
    [[1, 4, 48, 48], 256, 272, 1],
    [[1, 16, 16, 16], 192, 384, 2],
    // Few tiles: small ranges.
    [[2, 5, 6, 7], 128, 250, 1],
  ] as const) {
    const x = randomTensor(cpu, [...space, cin], 1);
    const weight = randomTensor(cpu, [cout, cin, 3, 3, 3], 2);
    const options = { padding: dilation, dilation, statistics: true as const };
    await onEveryInstructionSet(cpu, async (set) => {
      const { y, sums } = ops.conv3d(x, weight, { ...options, algorithm });
      const direct = ops.conv3d(x, weight, { ...options, algorithm: 'direct' });
      const what = `${set} ${space.join('x')} ${cin} to ${cout}`;
      agrees(t, await y.data(), await direct.y.data(), 2 * bar(256), what);
      agrees(t, await sums.data(), await direct.sums.data(), 1e-4, `${what}: statistics`);
      for (const made of [y, sums, direct.y, direct.sums]) made.dispose();
    });
  }
});

t.test('the same bits for any number of threads, and at every call', async (t) => {
  const before = threads();
  try {
    for (const [space, cin, cout, dilation = 1] of [
      [[1, 34, 18, 20], 16, 24],
      [[2, 8, 8, 8], 64, 48],
      [[2, 4, 5, 8], 64, 80],
      [[1, 8, 9, 8], 40, 48, 2],
    ] as const) {
      const x = randomTensor(cpu, [...space, cin], 1);
      const weight = randomTensor(cpu, [cout, cin, 3, 3, 3], 2);
      const results: Float32Array[][] = [];
      for (const count of [1, 2, 3, 2]) {
        threads(count);
        const options = { algorithm, padding: dilation, dilation };
        const { y, sums } = ops.conv3d(x, weight, { ...options, statistics: true });
        const { gradients: made } = gradients(() => ops.conv3d(x, weight, options), [x, weight], y);
        const all = [y, sums, ...(made as Tensor[])].map((r) => r.data() as Promise<Float32Array>);
        results.push(await Promise.all(all));
      }
      const [first, ...others] = results as [Float32Array[], ...Float32Array[][]];
      for (const other of others)
        for (const [k, data] of first.entries())
          sameBits(t, data, other[k] as Float32Array, `${space.join('x')} result ${k}`);
    }
  } finally {
    threads(before);
  }
});

t.test('a weight that was changed in place, though its transformed form is kept', async (t) => {
  const x = image([1, 4, 8, 9, 16], 1);
  const weight = image([16, 16, 3, 3, 3], 2);
  const change = image(weight.shape, 3);
  const g: Geometry = { stride: [1, 1, 1], padding: [1, 1, 1], dilation: [1, 1, 1] };
  const [tx, tw, tg] = [upload(x), upload(weight), upload(change)];
  const run = () => ops.conv3d(tx, tw, { padding: 1, algorithm });
  const before = run();
  ops.sgd([tw], [tg], [cpu.full(weight.shape, 0)], { lr: 1 });
  const after = [run(), run()];
  const moved = weight.data.map((w, i) => w - (change.data[i] as number));
  const truth = convolve(x, { shape: weight.shape, data: moved }, undefined, g).data;
  agrees(t, await before.data(), convolve(x, weight, undefined, g).data, bar(16), 'before');
  for (const y of after) agrees(t, await y.data(), truth, bar(16), 'after');
});

t.test('auto: Winograd where it is faster, else direct', async (t) => {
  const cases: [number[], number, number, object, 'winograd' | 'direct'][] = [
    [[1, 16, 16, 16], 16, 16, {}, 'winograd'],
    [[1, 8, 8, 8], 64, 64, {}, 'winograd'],
    [[1, 16, 16, 16], 8, 16, {}, 'winograd'],
    [[1, 16, 16, 16], 5, 16, {}, 'direct'],
    [[1, 16, 16, 16], 8, 8, {}, 'direct'],
    [[1, 4, 4, 4], 64, 64, {}, 'direct'],
    [[1, 30, 5, 5], 16, 16, {}, 'direct'],
    [[1, 16, 16, 16], 16, 16, { stride: 2 }, 'direct'],
    [[1, 16, 16, 16], 16, 16, { dilation: 2, padding: 2 }, 'winograd'],
    [[1, 16, 16, 16], 16, 16, { dilation: 8, padding: 8 }, 'direct'],
    [[1, 16, 16, 16], 16, 16, { precision: 'bf16', out: 'f32' }, 'direct'],
  ];
  for (const [space, cin, cout, more, expected] of cases) {
    const x = randomTensor(cpu, [...space, cin], 1);
    const weight = randomTensor(cpu, [cout, cin, 3, 3, 3], 2);
    const options = { padding: 1, ...more };
    const results = async (algorithm?: 'winograd' | 'direct') => {
      const run = () => ops.conv3d(x, weight, { ...options, algorithm });
      const y = run();
      const { gradients: made } = gradients(run, [weight], cpu.full(y.shape, 1));
      const parts = [y, made[0] as Tensor].map((r) => r.data() as Promise<Float32Array>);
      return Promise.all(parts);
    };
    const [auto, forced, direct] = [
      await results(),
      await results(expected),
      await results('direct'),
    ];
    for (const [k, part] of ['y', 'dw'].entries()) {
      const what = `${space.join('x')}, ${cin} to ${cout} ${JSON.stringify(more)}: ${part}`;
      const made = auto[k] as Float32Array;
      sameBits(t, made, forced[k] as Float32Array, `${what} by ${expected}`);
      if (expected === 'direct') continue;
      t.ok(relativeRms(made, direct[k] as Float32Array) > 0, `${what}: not the direct algorithm`);
    }
  }
});

t.test('errors', async (t) => {
  const x = cpu.full([1, 8, 8, 8, 2]);
  const message = (body: () => unknown): string => {
    try {
      body();
    } catch (error) {
      if (isRenvoxError(error, 'InvalidArgument')) return error.message;
    }
    return 'none';
  };
  const weight = cpu.full([3, 2, 3, 3, 3]);
  const refused = [
    [weight, { stride: 2 }, /stride 2x2x2|stride \[2, 2, 2\]/],
    [weight, { precision: 'bf16' }, /precision bf16/],
    [cpu.full([3, 2, 1, 1, 1]), {}, /3x3x3 weights/],
  ] as const;
  for (const [w, options, expected] of refused)
    t.match(
      message(() => ops.conv3d(x, w, { ...options, algorithm })),
      expected,
    );
  t.match(
    message(() => ops.conv3d(x, weight, { algorithm: 'fft' as 'auto' })),
    /algorithm/,
  );
  t.match(
    message(() => cpu.run('conv3d', { x, weight, stride: [2, 2, 2], algorithm })),
    /winograd/,
    'the native operation says so too',
  );
});
