// Winograd's form of first layers, up to four input channels with or without strides (CPU, docs/cpu-convolution.md), against plain loops in
// double, under every instruction set that the machine has. `auto` takes it: where a case says so, that it did is seen from bits that
// the direct algorithm does not give. The bars are those that the documentation states.
import { device, ops, type Tensor, threads } from 'renvox';
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
const bar = (channels: number) => (channels === 1 ? 2.5e-6 : 4e-6);
const SLOPE = 0.01;

type Data = Image & { data: Float32Array };
const upload = (i: Data): Tensor => cpu.tensor(i.data, { shape: i.shape });

interface Case {
  space: readonly number[];
  cin: number;
  cout: number;
  kernel: readonly number[];
  stride: readonly number[];
  padding: readonly number[];
  dilation?: readonly number[];
  /** Channels of a second source, part of cin. */
  second?: number;
  /** Norm and activation on load, of both sources. */
  norm?: boolean;
  bias?: boolean;
  /** Winograd's form is expected, or the direct one; not checked where this is left out. */
  by?: 'winograd' | 'direct';
}

const title = (c: Case) =>
  `${c.space.join('x')}, ${c.cin} (second ${c.second ?? 0}) to ${c.cout}, kernel ${c.kernel.join('x')}, stride ${c.stride.join('x')}, padding ${c.padding.join('x')}${c.norm ? ', normalized' : ''}`;

interface Found {
  /** Relative to the bar. */
  error: number;
  taken: boolean;
}

/** Checks result and statistics; returns the largest error. */
async function check(t: Test, c: Case, seed: number): Promise<Found> {
  const { space, cin, cout, kernel, stride, padding, dilation = [1, 1, 1] } = c;
  const { second = 0, norm = false } = c;
  const n = space[0] as number;
  const g: Geometry = { stride, padding, dilation };
  const x = image([...space, cin - second], seed);
  const x2 = image([...space, second], seed + 1);
  const weight = image([cout, cin, ...kernel], seed + 2);
  const bias = c.bias ? randomArray(cout, seed + 3) : undefined;
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
  const [tx, tw] = [upload(x), upload(weight)];
  const options = {
    ...{ stride, padding, dilation, slope: SLOPE, statistics: true },
    bias: bias && cpu.tensor(bias),
    second: second ? upload(x2) : undefined,
    ...(norm ? { scale: upload(first.scale), shift: upload(first.shift) } : {}),
    ...(norm && second
      ? { secondScale: upload(other.scale), secondShift: upload(other.shift) }
      : {}),
  } as ops.Conv3dOptions & { statistics: true };
  const found: Found = { error: 0, taken: false };
  await onEveryInstructionSet(cpu, async (set) => {
    const what = `${set} ${title(c)}`;
    const { y, sums } = ops.conv3d(tx, tw, options);
    t.strictSame(y.shape, truth.shape, `${what}: shape`);
    const made = (await y.data()) as Float32Array;
    agrees(t, made, truth.data, bar(cin), `${what}: y`);
    const own = moments({ shape: y.shape, data: made });
    agrees(t, await sums.data(), own, 1e-5, `${what}: statistics of what was stored`);
    const direct = ops.conv3d(tx, tw, { ...options, algorithm: 'direct' });
    const taken = relativeRms(made, (await direct.y.data()) as Float32Array) > 0;
    found.error = Math.max(found.error, taken ? relativeRms(made, truth.data) / bar(cin) : 0);
    found.taken ||= taken;
    if (c.by) t.equal(taken ? 'winograd' : 'direct', c.by, `${what}: algorithm`);
  });
  return found;
}

const seven = { kernel: [7, 7, 7], stride: [2, 2, 2], padding: [3, 3, 3] };
/** The geometry of `seven` alone. */
const strided = { stride: 2, padding: 3 };
const three = { kernel: [3, 3, 3], stride: [1, 1, 1], padding: [1, 1, 1] };

t.test('first layers', async (t) => {
  const by = 'winograd' as const;
  const cases: Case[] = [
    { space: [1, 16, 32, 32], cin: 1, cout: 16, ...seven, bias: true, by },
    { space: [2, 9, 21, 39], cin: 1, cout: 19, ...seven, norm: true, bias: true, by },
    { space: [1, 11, 23, 33], cin: 2, cout: 40, ...seven, norm: true, by },
    { space: [1, 13, 23, 31], cin: 4, cout: 5, ...seven, second: 1, norm: true, bias: true, by },
    { space: [1, 12, 24, 34], cin: 3, cout: 33, ...seven, second: 2, by },
    // One wide along D and along W, two wide along H: outputs, then inputs too.
    { space: [2, 1, 46, 55], cin: 1, cout: 17, ...seven, bias: true, by },
    { space: [2, 39, 53, 2], cin: 1, cout: 16, ...seven, by },
    { space: [2, 39, 54, 1], cin: 2, cout: 9, ...seven, norm: true, by },
    { space: [1, 50, 4, 43], cin: 1, cout: 16, ...seven, bias: true, by },
    // Many strips, chunks and groups of tiles, the last ones not whole; a row of many tiles.
    { space: [1, 35, 75, 40], cin: 1, cout: 4, ...seven, by },
    { space: [1, 7, 13, 301], cin: 1, cout: 6, ...seven, norm: true, by },
    // No padding, more than the kernel reaches, other kernels and strides.
    { space: [1, 21, 27, 33], cin: 1, cout: 16, ...seven, padding: [0, 0, 0], by },
    { space: [1, 5, 17, 25], cin: 1, cout: 8, ...seven, padding: [9, 4, 8], norm: true, by },
    { space: [1, 15, 30, 31], cin: 1, cout: 20, ...three, padding: [1, 0, 1], norm: true, by },
    { space: [2, 9, 13, 22], cin: 3, cout: 37, ...three, second: 1, by },
    { space: [1, 14, 26, 31], cin: 2, cout: 16, ...seven, kernel: [2, 5, 8], by },
    { space: [1, 14, 29, 40], cin: 1, cout: 16, ...seven, stride: [1, 2, 3], by },
    { space: [1, 14, 20, 21], cin: 1, cout: 48, ...three, kernel: [1, 4, 4], by },
    { space: [1, 16, 20, 21], cin: 1, cout: 24, ...three, dilation: [3, 1, 1], by },
    // Left to the direct form.
    { space: [1, 16, 16, 16], cin: 1, cout: 16, ...seven, by: 'direct' },
    { space: [1, 60, 1, 72], cin: 1, cout: 16, ...seven, by: 'direct' },
    { space: [1, 20, 24, 24], cin: 1, cout: 3, ...seven, by: 'direct' },
    { space: [1, 12, 16, 16], cin: 1, cout: 8, ...three, by: 'direct' },
    { space: [1, 20, 24, 24], cin: 1, cout: 16, ...three, stride: [2, 2, 2], by: 'direct' },
    { space: [1, 12, 16, 16], cin: 1, cout: 16, ...three, dilation: [1, 1, 2], by: 'direct' },
    { space: [1, 12, 24, 24], cin: 1, cout: 16, ...seven, stride: [2, 1, 2], by: 'direct' },
  ];
  let worst = 0;
  for (const [i, c] of cases.entries()) worst = Math.max(worst, (await check(t, c, 100 * i)).error);
  t.comment(`largest error: ${worst.toFixed(2)} of the bar`);
});

t.test('random shapes', async (t) => {
  const next = generator(79);
  const pick = (least: number, most: number) => least + Math.floor(next() * (most - least + 1));
  const three = (least: number, most: number) => [0, 1, 2].map(() => pick(least, most));
  let worst = 0;
  let taken = 0;
  const count = 28;
  for (let i = 0; i < count; i++) {
    const stride = next() < 0.6 ? [2, 2, 2] : three(1, 3);
    const kernel = next() < 0.6 ? [7, 7, 7] : three(2, 8);
    const padding = next() < 0.5 ? [3, 3, 3] : three(0, 3);
    const wanted = three(1, 21);
    wanted[pick(0, 2)] = pick(10, 40);
    const size = wanted.map((o, a) =>
      Math.max(
        1,
        (o - 1) * (stride[a] as number) +
          (kernel[a] as number) -
          2 * (padding[a] as number) +
          pick(0, (stride[a] as number) - 1),
      ),
    );
    const room = size.map((s, a) => s + 2 * (padding[a] as number) - (kernel[a] as number));
    const fits = room.every((r) => r >= 0);
    const cin = pick(1, 4);
    const c: Case = {
      ...{ space: [pick(1, 2), ...size], cin, cout: pick(1, 40), kernel, stride },
      padding: fits ? padding : kernel.map((k) => k),
      ...(cin > 1 && next() < 0.3 ? { second: pick(1, cin - 1) } : {}),
      ...{ norm: next() < 0.5, bias: next() < 0.5 },
    };
    const found = await check(t, c, 7000 + 100 * i);
    worst = Math.max(worst, found.error);
    if (found.taken) taken++;
  }
  t.ok(taken >= count / 3, `${taken} of ${count} by Winograd's form`);
  t.comment(`largest error: ${worst.toFixed(2)} of the bar`);
});

t.test('means far from zero', async (t) => {
  const x = image([1, 16, 40, 40, 1], 1);
  x.data.forEach((v, i) => {
    x.data[i] = 20 + v;
  });
  const weight = image([16, 1, 7, 7, 7], 2);
  const truth = convolve(x, weight, undefined, { ...seven, dilation: [1, 1, 1] });
  await onEveryInstructionSet(cpu, async (set) => {
    const { y, sums } = ops.conv3d(upload(x), upload(weight), { ...strided, statistics: true });
    agrees(t, await y.data(), truth.data, bar(1), `${set}: y`);
    agrees(t, await sums.data(), moments(truth), 1e-4, `${set}: statistics`);
  });
});

t.test('the gradient of x where y has few channels', async (t) => {
  const weight = image([3, 16, 3, 3, 3], 1);
  const dy = image([1, 9, 13, 18, 3], 2);
  const x = image([1, 9, 13, 18, 16], 3);
  const g = { stride: [1, 1, 1], padding: [1, 1, 1], dilation: [1, 1, 1] };
  const { dx } = convolveGradients(x, weight, dy, g);
  await onEveryInstructionSet(cpu, async (set) => {
    const fields = { dy: upload(dy), weight: upload(weight), size: [9, 13, 18], ...g };
    const [made] = cpu.run('conv3dGradInput', fields) as [Tensor];
    const [direct] = cpu.run('conv3dGradInput', { ...fields, algorithm: 'direct' }) as [Tensor];
    const data = (await made.data()) as Float32Array;
    agrees(t, data, dx, bar(3), `${set}: dx`);
    t.ok(relativeRms(data, (await direct.data()) as Float32Array) > 0, `${set}: not direct`);
  });
});

t.test(
  'results that go past the caches, and the same bits for any number of threads',
  async (t) => {
    const before = threads();
    try {
      for (const [space, cin, cout] of [
        // Above 32 MiB of y.
        [[1, 70, 140, 136], 1, 64],
        [[2, 20, 37, 50], 2, 24],
      ] as const) {
        const x = randomTensor(cpu, [...space, cin], 1);
        const weight = randomTensor(cpu, [cout, cin, ...seven.kernel], 2);
        await onEveryInstructionSet(cpu, async (set) => {
          const results: Float32Array[][] = [];
          for (const count of [1, 2, 3, 2]) {
            threads(count);
            const { y, sums } = ops.conv3d(x, weight, { ...strided, statistics: true });
            results.push(
              await Promise.all([y, sums].map((r) => r.data() as Promise<Float32Array>)),
            );
            for (const tensor of [y, sums]) tensor.dispose();
          }
          const [first, ...others] = results as [Float32Array[], ...Float32Array[][]];
          for (const other of others)
            for (const [k, data] of first.entries())
              sameBits(t, data, other[k] as Float32Array, `${set} ${space.join('x')} result ${k}`);
          const direct = ops.conv3d(x, weight, { ...strided, algorithm: 'direct' });
          agrees(
            t,
            first[0] as Float32Array,
            (await direct.data()) as Float32Array,
            bar(cin),
            `${set}: y`,
          );
          direct.dispose();
        });
      }
    } finally {
      threads(before);
    }
  },
);

t.test('a weight that was changed in place, though its transformed form is kept', async (t) => {
  const x = image([1, 16, 32, 33, 1], 1);
  const weight = image([16, 1, 7, 7, 7], 2);
  const change = image(weight.shape, 3);
  const g: Geometry = { ...seven, dilation: [1, 1, 1] };
  const [tx, tw, tg] = [upload(x), upload(weight), upload(change)];
  const run = (stride = 2) => ops.conv3d(tx, tw, { padding: 3, stride });
  const before = [run(), run(4), run()];
  ops.sgd([tw], [tg], [cpu.full(weight.shape, 0)], { lr: 1 });
  const after = [run(), run()];
  const moved = weight.data.map((w, i) => w - (change.data[i] as number));
  const truth = convolve(x, { shape: weight.shape, data: moved }, undefined, g).data;
  const [first, , again] = before as [Tensor, Tensor, Tensor];
  const old = convolve(x, weight, undefined, g).data;
  for (const y of [first, again]) agrees(t, await y.data(), old, bar(1), 'before');
  for (const y of after) agrees(t, await y.data(), truth, bar(1), 'after');
});
