// Packed and transformed forms of a weight that conv3d keeps beside its buffer (native/cpu/kept_weights.h): none is taken for another form or for
// another state of the weight. A new tensor of the same values has no kept forms, so its results are what a used one must give, bit for bit;
// that they are right at all is seen from plain loops in double.
import { type Device, device, ops, type Tensor } from 'renvox';
import t, { type Test } from 'tap';
import { convolve, type Geometry } from './convolution-naive.js';
import {
  agrees,
  generator,
  onEveryDevice,
  onEveryInstructionSet,
  randomTensor,
  relativeRms,
  sameBits,
} from './harness.js';
import { image, productsOn, upload } from './sixteen-bits.js';

type Three = readonly [number, number, number];
const three = (n: number): Three => [n, n, n];

/** A call with a weight: what may change from one to the next. */
interface Use {
  /** [N, D, H, W] of the input. */
  space: readonly number[];
  stride?: Three;
  padding?: Three;
  dilation?: Three;
  algorithm?: 'direct' | 'auto' | 'winograd';
  precision?: 'fp32' | 'bf16' | 'fp16';
  /** Another shape of the same weight. */
  seenAs?: readonly number[];
}

const title = (u: Use) => JSON.stringify(u).replaceAll('"', '');

interface Weight {
  shape: readonly number[];
  uses: readonly Use[];
}

const both = (uses: readonly Use[]): Use[] =>
  uses.flatMap((use) => [
    { ...use, algorithm: 'direct' as const },
    { ...use, algorithm: 'auto' as const },
  ]);

/** Weights whose forms depend on more than the weight: rows that are interleaved, taps that are merged, blocks of channels, other algorithms. */
const weights: Weight[] = [
  {
    // One channel: taps along W and the channel are one run, but not with every stride and dilation.
    shape: [5, 1, 3, 3, 3],
    uses: both([
      { space: [1, 5, 1, 9], padding: three(1) },
      { space: [1, 5, 2, 9], padding: three(1) },
      { space: [1, 4, 4, 33], padding: three(1) },
      { space: [1, 6, 7, 9], stride: three(2), padding: three(1) },
      { space: [1, 6, 7, 9], stride: three(3) },
      { space: [2, 7, 8, 9], padding: three(2), dilation: three(2) },
      { space: [1, 12, 16, 20], padding: three(1) },
    ]),
  },
  {
    // A first layer, which has a form of its own.
    shape: [16, 2, 7, 7, 7],
    uses: both([
      { space: [1, 12, 24, 26], stride: three(2), padding: three(3) },
      { space: [1, 10, 20, 12], padding: three(3) },
      { space: [1, 9, 16, 20], stride: [1, 2, 1], padding: three(3) },
      { space: [1, 8, 8, 8], stride: [2, 2, 3], padding: three(3) },
      { space: [1, 7, 7, 9] },
    ]),
  },
  {
    shape: [16, 24, 3, 3, 3],
    uses: [
      ...both([
        { space: [1, 8, 9, 10], padding: three(1) },
        { space: [1, 16, 8, 8], padding: three(1) },
        { space: [1, 3, 3, 1], padding: three(1) },
        { space: [1, 5, 6, 7], stride: three(2), padding: three(1) },
        { space: [1, 8, 8, 9], padding: three(2), dilation: three(2) },
      ]),
      { space: [1, 3, 5, 6], padding: three(1), algorithm: 'winograd' },
      { space: [1, 4, 5, 6], padding: three(1), algorithm: 'winograd', seenAs: [24, 16, 3, 3, 3] },
      { space: [1, 4, 5, 6], padding: three(1), algorithm: 'direct', seenAs: [24, 16, 3, 3, 3] },
      { space: [1, 6, 5, 6], algorithm: 'direct', seenAs: [16, 72, 3, 1, 3] },
      { space: [1, 6, 5, 6], algorithm: 'direct', seenAs: [16, 72, 1, 3, 3] },
      { space: [1, 6, 5, 6], padding: three(1), precision: 'bf16' },
    ],
  },
  {
    // Few output channels, so that rows of one, two and four are interleaved; two blocks of input channels.
    shape: [3, 37, 3, 3, 3],
    uses: both(
      [1, 2, 3, 4, 5, 8].flatMap((rows) => [
        { space: [1, 3, rows, 5], padding: three(1) },
        { space: [1, 3, rows, 5], padding: three(1), stride: [1, 2, 2] },
      ]),
    ),
  },
];

function geometry({ stride = three(1), padding = three(0), dilation = three(1) }: Use): Geometry {
  return { stride, padding, dilation };
}

/** The convolution of a use; `weight` is not of the use's own shape where it says another. */
function convolved(x: Tensor, weight: Tensor, { space: _, seenAs, ...options }: Use): Tensor {
  const seen = seenAs ? ops.reshape(weight, seenAs) : weight;
  return ops.conv3d(x, seen, { ...options, ...(options.precision ? { out: 'f32' } : {}) });
}

t.test('one weight in turns: shapes, strides, paddings, dilations, algorithms', async (t) => {
  using cpu = device('cpu');
  const next = generator(11);
  for (const [i, { shape, uses }] of weights.entries()) {
    const weight = image(shape, i);
    const prepared = uses.map((use, k) => {
      const seen = { ...weight, shape: use.seenAs ?? shape };
      const x = image([...use.space, seen.shape[1] as number], 100 * i + k);
      const truth = convolve(x, seen, undefined, geometry(use)).data;
      return { key: k, use, x: upload(cpu, x), truth };
    });
    const used = upload(cpu, weight);
    const fresh = new Map<string, Float32Array>();
    // From the second round on, every form is there; instruction sets, whose forms differ too, take turns.
    for (let round = 0; round < 3; round++)
      await onEveryInstructionSet(cpu, async (set) => {
        for (const { key, use, x, truth } of shuffled(prepared, next)) {
          const what = `round ${round} ${set} ${shape.join('x')} ${title(use)}`;
          using y = convolved(x, used, use);
          const made = (await y.data()) as Float32Array;
          if (round === 0) {
            using alone = upload(cpu, weight);
            using expected = convolved(x, alone, use);
            fresh.set(`${set} ${key}`, (await expected.data()) as Float32Array);
            agrees(t, made, truth, use.precision ? 5e-3 : 4e-6, what);
          }
          sameBits(t, made, fresh.get(`${set} ${key}`) as Float32Array, what);
        }
      });
  }
});

function shuffled<T>(list: readonly T[], next: () => number): T[] {
  return list
    .map((value) => ({ value, place: next() }))
    .sort((a, b) => a.place - b.place)
    .map(({ value }) => value);
}

/** Uses of a weight [16, 8, 3, 3, 3] that keep different forms of it. */
const forms = (device: Device): Use[] => [
  { space: [1, 8, 8, 9], padding: three(1), algorithm: 'direct' },
  { space: [1, 3, 1, 5], padding: three(1), algorithm: 'direct' },
  { space: [1, 5, 6, 7], padding: three(1), stride: three(2) },
  { space: [1, 8, 8, 9], padding: three(1), algorithm: 'auto' },
  { space: [1, 4, 4, 5], padding: three(1), precision: productsOn(device, 'bf16') },
];

/** What each use gives with a weight of these values that is not used for anything else. */
async function expected(device: Device, values: Float32Array, uses: readonly Use[], xs: Tensor[]) {
  const made: Float32Array[] = [];
  for (const [k, use] of uses.entries()) {
    using weight = device.tensor(values, { shape: SHAPE });
    using y = convolved(xs[k] as Tensor, weight, use);
    made.push((await y.data()) as Float32Array);
  }
  return made;
}
const SHAPE = [16, 8, 3, 3, 3];

const inputs = (device: Device, uses: readonly Use[]) =>
  uses.map(({ space }, k) => randomTensor(device, [...space, SHAPE[1] as number], k));

/** That results are those of a state of the weight, and far from those of the state before. */
function areOf(
  t: Test,
  made: readonly ArrayLike<number>[],
  [now, before]: readonly [readonly Float32Array[], readonly Float32Array[] | undefined],
  what: string,
): void {
  for (const [k, y] of made.entries()) {
    sameBits(t, y as Float32Array, now[k] as Float32Array, `${what}, use ${k}`);
    if (!before) continue;
    const change = relativeRms(before[k] as Float32Array, now[k] as Float32Array);
    t.ok(change > 0.01, `${what}, use ${k}: ${change.toExponential(1)} from the state before`);
  }
}

onEveryDevice(t, 'a weight that an optimiser changes between its uses', async (t, device) => {
  const uses = forms(device);
  const xs = inputs(device, uses);
  const weight = randomTensor(device, SHAPE, 50);
  const [first, second] = [device.full(SHAPE), device.full(SHAPE)];
  const gradient = randomTensor(device, SHAPE, 51);
  const averaged = randomTensor(device, SHAPE, 52);
  const updates: Record<string, () => void> = {
    none: () => undefined,
    adam: () => ops.adam([weight], [gradient], [first], [second], { lr: 0.1, step: 1 }),
    sgd: () => ops.sgd([weight], [gradient], [first], { lr: 0.3, momentum: 0.9 }),
    average: () => ops.average([weight], [averaged], 0.5),
  };
  const run = () => uses.map((use, k) => convolved(xs[k] as Tensor, weight, use));
  // All is enqueued before anything is read: an update that waits for its turn is no update yet.
  const queued: { name: string; state: Promise<Float32Array>; results: Tensor[] }[] = [];
  for (const [name, update] of Object.entries(updates)) {
    update();
    const state = weight.data() as Promise<Float32Array>;
    queued.push({ name, state, results: [...run(), ...run()] });
  }
  let before: Float32Array[] | undefined;
  for (const { name, state, results } of queued) {
    const now = await expected(device, await state, uses, xs);
    const made = (await Promise.all(results.map((y) => y.data()))) as Float32Array[];
    areOf(t, made.slice(0, uses.length), [now, before], name);
    areOf(t, made.slice(uses.length), [now, undefined], `${name}, again`);
    before = now;
  }
  // An update that a condition leaves out changes nothing; one that it lets through does.
  for (const count of [0, 1]) {
    const counts = device.tensor(Int32Array.of(count));
    device.under({ when: { counts, index: 0 } }, () =>
      ops.sgd([weight], [gradient], [first], { lr: 0.3 }),
    );
    const now = await expected(device, (await weight.data()) as Float32Array, uses, xs);
    const made = (await Promise.all(run().map((y) => y.data()))) as Float32Array[];
    areOf(t, made, [now, count === 1 ? before : undefined], `under a count of ${count}`);
  }
});

onEveryDevice(t, 'weights that come and go in the same memory', async (t, device) => {
  const uses = forms(device);
  const xs = inputs(device, uses);
  const live = async () => {
    await device.drain();
    return device.memory.live;
  };
  const begun = await live();
  // One that stays, so that what the allocator gives away is another's each time.
  const other = randomTensor(device, SHAPE, 60);
  const stays = await expected(device, (await other.data()) as Float32Array, uses, xs);
  const held: number[] = [];
  let before: Float32Array[] | undefined;
  for (let k = 0; k < 4; k++) {
    const { data } = image(SHAPE, 70 + k);
    const now = await expected(device, data, uses, xs);
    const weight = device.tensor(data, { shape: SHAPE });
    const results = uses.flatMap((use, i) =>
      [weight, other].map((w) => convolved(xs[i] as Tensor, w, use)),
    );
    // Its forms go with it, once what is enqueued is done.
    weight.dispose();
    const made = (await Promise.all(results.map((y) => y.data()))) as Float32Array[];
    for (const y of results) y.dispose();
    const of = (rest: number) => made.filter((_, i) => i % 2 === rest);
    areOf(t, of(0), [now, before], `weight ${k}`);
    areOf(t, of(1), [stays, undefined], `the one that stays, beside weight ${k}`);
    before = now;
    held.push(await live());
  }
  t.same(held, Array(4).fill(held[0]), 'forms of one weight are held, however many there were');
  other.dispose();
  t.equal(await live(), begun, 'and none without it');
});
