// Tensors with an axis of zero: what is empty stays empty, sums of nothing are zeros, a convolution of no channels gives its bias; or the
// operation refuses, saying so. The same on every device, in every precision, and never the end of the process.
import { type Device, gradients, isRenvoxError, ops, type Tensor } from 'renvox';
import t, { type Test } from 'tap';
import { concatenated, convolve, convolveGradients } from './convolution-naive.js';
import { agrees, onEveryDevice, product, randomTensor } from './harness.js';
import {
  image,
  type Precision,
  productsOn,
  rounded,
  roundedImage,
  roundingOf,
  storedAs,
  upload,
  values,
} from './sixteen-bits.js';

/** Samples, space and channels of a convolution, one of them without any. */
const sizes = {
  'no samples': { n: 0, space: [3, 4, 5], cin: 2, cout: 3 },
  'no output channels': { n: 2, space: [3, 4, 5], cin: 2, cout: 0 },
  'no input channels': { n: 2, space: [3, 4, 5], cin: 0, cout: 3 },
  'no planes': { n: 2, space: [0, 4, 5], cin: 2, cout: 3 },
  'no columns': { n: 1, space: [3, 4, 0], cin: 2, cout: 3 },
  'no samples of 32 channels': { n: 0, space: [2, 8, 16], cin: 32, cout: 32 },
  'none of 32 output channels': { n: 1, space: [2, 8, 8], cin: 32, cout: 0 },
  'no channels for 32': { n: 1, space: [2, 8, 8], cin: 0, cout: 32 },
};
const precisions: Precision[] = ['fp32', 'bf16', 'fp16'];

const repeated = (row: ArrayLike<number>, count: number): number[] =>
  Array.from({ length: row.length * count }, (_, i) => row[i % row.length] as number);

async function is(t: Test, tensor: Tensor, expected: ArrayLike<number>, what: string) {
  t.strictSame(Array.from(await values(tensor)), Array.from(expected), what);
}

for (const wanted of precisions)
  onEveryDevice(t, `empty convolutions, ${wanted}`, async (t, d) => {
    const precision = productsOn(d, wanted);
    const type = storedAs[precision];
    const biasOf = (n: number) => Float32Array.from({ length: n }, (_, i) => Math.sin(i + 1));
    const stored = (b: Float32Array) => Array.from(b, (v) => rounded(v, type));
    const ones = (like: Tensor) => d.full(like.shape, 1);

    for (const [name, { n, space, cin, cout }] of Object.entries(sizes)) {
      const x = randomTensor(d, [n, ...space, cin], 1);
      const bias = biasOf(cout);
      const b = d.tensor(bias, { shape: [cout] });
      for (const stride of [1, 2] as const) {
        const weight = randomTensor(d, [cout, cin, 3, 3, 3], 2);
        const geometry = { padding: 2, stride, precision };
        const biased = ops.conv3d(x, weight, { bias: b, ...geometry });
        const outputs = space.map((s) => Math.floor((s + 1) / stride) + 1);
        const what = `${name}, stride ${stride}`;
        t.strictSame(biased.shape, [n, ...outputs, cout], what);
        const voxels = n * product(outputs);
        await is(t, biased, repeated(stored(bias), voxels), `${what}: the bias`);
        const plain = ops.conv3d(x, weight, geometry);
        await is(t, plain, new Float32Array(voxels * cout), `${what}: no bias`);
        const { y, sums } = ops.conv3d(x, weight, { bias: b, ...geometry, statistics: true });
        await is(t, y, repeated(stored(bias), voxels), `${what}: with statistics`);
        agrees(
          t,
          await values(sums),
          repeated(
            repeated(
              Array.from(bias).flatMap((v) => [v, 0]),
              1,
            ),
            n,
          ),
          1e-6,
          `${what}: statistics`,
        );
        const normed = { scale: d.full([n, cin], 2), shift: d.full([n, cin], 1), slope: 0.1 };
        const loaded = ops.conv3d(x, weight, { bias: b, ...geometry, ...normed });
        await is(t, loaded, repeated(stored(bias), voxels), `${what}: with a norm on load`);
        const { gradients: made } = gradients(
          () => ops.conv3d(x, weight, { bias: b, ...geometry, out: 'f32' }),
          [x, weight, b],
          d.full(biased.shape, 1),
        );
        const [dx, dw, db] = made as [Tensor, Tensor, Tensor];
        t.strictSame([dx.shape, dw.shape, db.shape], [x.shape, weight.shape, [cout]]);
        await is(t, dx, new Float32Array(product(x.shape)), `${what}: dx`);
        await is(t, dw, new Float32Array(product(weight.shape)), `${what}: dw`);
        await is(t, db, repeated([voxels], cout), `${what}: db`);
      }
      if (precision === 'fp32' && d.kind === 'cpu') {
        const weight = randomTensor(d, [cout, cin, 3, 3, 3], 2);
        const y = ops.conv3d(x, weight, { bias: b, padding: 2, algorithm: 'winograd' });
        const outputs = n * product(space.map((s) => s + 2));
        await is(t, y, repeated(bias, outputs), `${name}: by Winograd's form`);
        const asked = { padding: 2, algorithm: 'winograd' } as const;
        const made = gradients(() => ops.conv3d(x, weight, asked), [x, weight], ones(y));
        for (const g of made.gradients)
          await is(t, g, new Float32Array(product(g.shape)), `${name}: its gradients`);
      }

      const weight = randomTensor(d, [cin, cout, 2, 2, 2], 3);
      const voxels = 8 * n * product(space);
      const y = ops.convTranspose3d(x, weight, { bias: b, precision });
      t.strictSame(y.shape, [n, ...space.map((s) => 2 * s), cout]);
      await is(t, y, repeated(stored(bias), voxels), `${name}, transposed: the bias`);
      const normed = { scale: d.full([n, cin], 2), shift: d.full([n, cin], 1), precision };
      const loaded = ops.convTranspose3d(x, weight, normed);
      await is(t, loaded, new Float32Array(voxels * cout), `${name}, transposed: no bias`);
      const { gradients: made } = gradients(
        () => ops.convTranspose3d(x, weight, { bias: b, precision, out: 'f32' }),
        [x, weight, b],
        ones(y),
      );
      const [dx, dw, db] = made as [Tensor, Tensor, Tensor];
      await is(t, dx, new Float32Array(product(x.shape)), `${name}, transposed: dx`);
      await is(t, dw, new Float32Array(product(weight.shape)), `${name}, transposed: dw`);
      await is(t, db, repeated([voxels], cout), `${name}, transposed: db`);
    }
  });

for (const wanted of precisions)
  onEveryDevice(t, `a concatenation of nothing, ${wanted}`, async (t, d) => {
    const precision = productsOn(d, wanted);
    const type = storedAs[precision];
    const three = (n: number) => [n, n, n] as const;
    const g = { stride: three(1), padding: three(1), dilation: three(1) };
    for (const [first, second, samples] of [
      [0, 3, 2],
      [3, 0, 2],
      [0, 0, 2],
      [3, 2, 0],
    ] as const) {
      const a = image([samples, 3, 4, 5, first], 1);
      const b = image([samples, 3, 4, 5, second], 2);
      const w = image([4, first + second, 3, 3, 3], 3);
      const bias = Float32Array.of(1, -0.5, 0.25, 2);
      const [x, s, weight] = [upload(d, a), upload(d, b), upload(d, w)];
      const both = roundedImage(concatenated(a, b), type);
      const expected = convolve(both, roundedImage(w, type), bias, g);
      const options = { second: s, bias: d.tensor(bias), padding: 1, precision };
      const what = `${first} and ${second} channels, ${samples} samples`;
      const y = ops.conv3d(x, weight, options);
      t.strictSame(y.shape, expected.shape, what);
      agrees(t, await values(y), expected.data, roundingOf[type] + 2e-6, what);
      const made = gradients(
        () => ops.conv3d(x, weight, { ...options, out: 'f32' }),
        [x, weight, s],
        d.full(y.shape, 1),
      );
      const dy = { shape: y.shape, data: new Float64Array(product(y.shape)).fill(1) };
      const { dx, dw } = convolveGradients(both, roundedImage(w, type), dy, g);
      const own = (channels: number, from: number) =>
        dx.filter((_, i) => {
          const c = i % (first + second);
          return c >= from && c < from + channels;
        });
      const [gx, gw, gs] = made.gradients as [Tensor, Tensor, Tensor];
      agrees(t, await values(gx), own(first, 0), 2e-6, `${what}: dx`);
      agrees(t, await values(gs), own(second, first), 2e-6, `${what}: dsecond`);
      agrees(t, await values(gw), dw, 2e-6, `${what}: dw`);
    }
  });

/** What an operation of empty tensors gives: nothing, one value everywhere, these values, or such values. */
type Expected = 'empty' | number | number[] | ((v: number) => boolean);

const REFUSED = 'ShapeMismatch';
const spaces = {
  'no samples': [0, 3, 4, 5],
  'no planes': [1, 0, 4, 5],
  'no columns': [2, 3, 4, 0],
};

/** Value and gradients. */
const both = (d: Device, inputs: Tensor[], body: () => Tensor): Tensor[] => {
  const made = gradients(body, inputs, d.full(body().shape, 1));
  return [made.value, ...(made.gradients as Tensor[])];
};

async function outcome(run: () => Tensor[]): Promise<{ code?: string; data: number[][] }> {
  try {
    const data = await Promise.all(run().map((x) => values(x)));
    return { data: data.map((values) => Array.from(values, Number)) };
  } catch (error) {
    if (!isRenvoxError(error)) throw error;
    return { code: error.code, data: [] };
  }
}

/** `expected` by result, or the code of the error that is expected. */
async function expect(t: Test, name: string, run: () => Tensor[], expected: Expected[] | string) {
  const { code, data } = await outcome(run);
  if (typeof expected === 'string') {
    t.equal(code, expected, name);
    return;
  }
  t.equal(code, undefined, name);
  t.equal(data.length, expected.length, `${name}: results`);
  for (const [i, values] of data.entries()) {
    const e = expected[i] as Expected;
    if (e === 'empty') t.strictSame(values, [], `${name}: ${i}`);
    else if (typeof e === 'function') t.ok(values.every(e), `${name}: ${i}`);
    else if (typeof e === 'number')
      t.ok(values.length > 0 && values.every((v) => Object.is(v + 0, e)), `${name}: ${i} is ${e}`);
    else t.strictSame(values, e, `${name}: ${i}`);
  }
}

onEveryDevice(t, 'empty images', async (t, d) => {
  const images: Record<string, number[]> = { 'no channels': [1, 3, 4, 5, 0] };
  for (const [name, space] of Object.entries(spaces)) images[name] = [...space, 2];
  for (const [name, shape] of Object.entries(images)) {
    const c = shape[4] as number;
    const check = (what: string, run: () => Tensor[], expected: Expected[] | string) =>
      expect(t, `${what}, ${name}`, run, expected);
    const x = randomTensor(d, shape, 1);
    const other = randomTensor(d, shape, 2);
    const mask = d.full(shape.slice(0, 4), 1, 'u8');
    const channels = (n = c) => d.full([n], 1);
    const hasVoxels = product(shape.slice(0, 4)) > 0;
    const noSpace = product(shape.slice(1, 4)) === 0;

    const elementwise: Expected[] = ['empty', 'empty', 'empty'];
    await check('add', () => both(d, [x, other], () => ops.add(x, other)), elementwise);
    await check('multiply', () => both(d, [x, other], () => ops.multiply(x, other)), elementwise);
    const weighted = () => ops.weightedSum([x, other], [1, 2]);
    await check('weightedSum', () => both(d, [x, other], weighted), elementwise);
    await check('leakyRelu', () => both(d, [x], () => ops.leakyRelu(x, 0.1)), ['empty', 'empty']);
    const dropped = () => ops.dropout(x, 0.3, { seed: 1 });
    await check('dropout', () => both(d, [x], dropped), ['empty', 'empty']);
    await check('cast', () => [ops.cast(x, 'bf16'), ops.cast(x, 'i16')], ['empty', 'empty']);
    const window = { level: 40, width: 400 };
    await check('hounsfieldWindow', () => [ops.hounsfieldWindow(x, window)], ['empty']);
    await check('sum', () => both(d, [x], () => ops.sum(x)), [0, 'empty']);
    await check('randomNormal', () => [ops.randomNormal(d, { shape, seed: 1 })], ['empty']);
    await check('gaussianBlur', () => [ops.gaussianBlur(x, [1, 1, 1])], ['empty']);
    const masked = () => ops.maskOutside(x, mask, -1);
    await check('maskOutside', () => both(d, [x], masked), ['empty', 'empty']);
    await check('flip', () => both(d, [x], () => ops.flip(x, ['d', 'w'])), ['empty', 'empty']);
    const stacked = () => ops.stack([x, other]);
    await check('stack', () => both(d, [x, other], stacked), ['empty', 'empty', 'empty']);
    const wide = randomTensor(d, [...shape.slice(0, 4), 3], 3);
    const joined: Expected = hasVoxels ? Array.from(await values(wide)) : 'empty';
    await check('concatChannels', () => [ops.concatChannels([x, wide])], [joined]);
    if (c > 0) await check('sliceChannels', () => [ops.sliceChannels(x, 0, c)], ['empty']);

    const norm = () => ops.instanceNorm(x, channels(), channels());
    await check('instanceNorm', () => both(d, [x], norm), REFUSED);
    for (const training of [true, false]) {
      const batch = () =>
        ops.batchNorm(x, channels(), channels(), channels(), channels(), { training });
      await check(`batchNorm, training ${training}`, () => [batch()], REFUSED);
    }
    await check('globalAveragePool', () => [ops.globalAveragePool(x)], REFUSED);
    await check('maskedAveragePool', () => [ops.maskedAveragePool(x, other)], REFUSED);
    await check('gradCamPlusPlus', () => [ops.gradCamPlusPlus(x, other)], REFUSED);
    await check('softmax', () => [ops.softmax(x)], REFUSED);
    await check('argmax', () => [ops.argmax(x)], REFUSED);
    await check('crossEntropy', () => [ops.crossEntropy(x, mask)], REFUSED);
    await check('softDice', () => [ops.softDice(x, mask)], REFUSED);
    const range = [-1, 1] as const;
    const adjusted = () => ops.adjustIntensity(x, { contrast: 1.2, gamma: 0.8, range });
    await check('adjustIntensity', () => [adjusted()], REFUSED);
    const pooled = () => ops.maxPool3d(x, { kernel: 3, stride: 2, padding: 1 });
    await check('maxPool3d', () => both(d, [x], pooled), noSpace ? REFUSED : ['empty', 'empty']);

    const inside: Expected[] | string = noSpace ? 'InvalidArgument' : ['empty', 'empty'];
    const size = [2, 2, 2] as const;
    await check('resample', () => both(d, [x], () => ops.resample(x, { size })), inside);
    const cropped = () => ops.crop(x, { start: [-1, 0, 0], size });
    await check('crop', () => both(d, [x], cropped), inside);
    await check('resampleArgmax', () => [ops.resampleArgmax(x, { size })], REFUSED);

    await check('optimisers', () => {
      const list = () => [d.full(shape, 1), d.full([2], 1)];
      const [p, q, a] = [list(), list(), list()];
      ops.adam(p, list(), list(), list(), { lr: 0, step: 1 });
      ops.sgd(q, list(), list(), { lr: 1 });
      ops.average(a, list(), 0.5);
      return [...p, ...q, ...a];
    }, ['empty', 1, 'empty', 0, 'empty', 1]);
    await check('clipGradients', () => {
      const g = [x];
      return [ops.gradientNorm(g), ops.clipGradients(g, 1), ops.allFinite(g), ...g];
    }, [0, 0, 1, 'empty']);
  }

  const linear = async (n: number, cin: number, cout: number, expected: Expected[]) => {
    const [x, w] = [randomTensor(d, [n, cin], 1), randomTensor(d, [cout, cin], 2)];
    const bias = d.full([cout], 3);
    const run = () => both(d, [x, w, bias], () => ops.linear(x, w, bias));
    await expect(t, `linear ${n}, ${cin} to ${cout}`, run, expected);
  };
  await linear(0, 3, 4, ['empty', 'empty', 0, 0]);
  await linear(2, 0, 4, [3, 'empty', 'empty', 2]);
  await linear(2, 3, 0, ['empty', 0, 'empty', 'empty']);
});

onEveryDevice(t, 'empty label maps', async (t, d) => {
  const spacing = [3, 1, 1] as const;
  for (const [name, shape] of Object.entries({
    'no planes': [1, 0, 4, 5],
    'no columns': [1, 3, 4, 0],
    'no samples': [0, 3, 4, 5],
  })) {
    const map = d.full(shape, 1, 'u8');
    const image = d.full([...shape, 1], 1);
    const check = (what: string, run: () => Tensor[], expected: Expected[]) =>
      expect(t, `${what}, ${name}`, run, shape[0] === 0 ? REFUSED : expected);
    for (const connectivity of [6, 18, 26] as const)
      for (const perLabel of [false, true])
        await check(`connectedComponents ${connectivity}, per label ${perLabel}`, () => {
          const found = ops.connectedComponents(map, { connectivity, perLabel });
          return [found.components, found.count];
        }, ['empty', 0]);
    await check('keepComponents', () => {
      const found = ops.connectedComponents(map);
      const { kept, voxels } = ops.keepComponents(found, { minimumVoxels: 1, largest: 3 });
      return [kept, voxels];
    }, ['empty', 0]);
    const row = [0, 0, 0, 0, -1, -1, -1, -1];
    await check('componentTable', () => {
      const { components } = ops.connectedComponents(map);
      return [ops.componentTable(components, { capacity: 1 })];
    }, [[...row, ...row]]);
    await check('kidneySides', () => {
      const found = ops.connectedComponents(map);
      const { sides, table } = ops.kidneySides(found, d.full(shape, 1), { bodyThreshold: 0 });
      return [sides, table];
    }, ['empty', [...row, ...row]]);
    await check('overlapCounts', () => {
      const { counts, outside } = ops.overlapCounts(map, map, { labels: 3 });
      return [counts, outside];
    }, [0, 0]);
    const histogram = { labels: 3, low: -8, bins: 16 };
    await check('labelHistograms', () => [ops.labelHistograms(map, image, histogram)], [0]);
    const enhanced = { ...histogram, minus: image, interior: true };
    await check('labelHistograms minus', () => [ops.labelHistograms(map, image, enhanced)], [0]);
    await check('measureLabels', () => [ops.measureLabels(map, { spacing, labels: 1 })], [
      [0, ...new Array(10).fill(Number.NaN)],
    ]);
    for (const dtype of ['f32', 'f64'] as const)
      await check('distanceTransform', () => [ops.distanceTransform(map, { spacing, dtype })], [
        'empty',
      ]);
    for (const surface of ['voxels', 'elements'] as const)
      await check(`surfaceDistances ${surface}`, () => {
        const options = { spacing, tolerances: [2], capacity: 4, surface };
        const { summary, distancesAB, distancesBA } = ops.surfaceDistances(map, map, options);
        return [summary, distancesAB as Tensor, distancesBA as Tensor];
      }, [(v) => v === 0 || Number.isNaN(v), Number.NaN, Number.NaN]);
    await expect(t, `maskEquals, ${name}`, () => [ops.maskEquals(map, [1])], ['empty']);
    const ragged = { shift: 0.3, ragged: 0.5, seed: 4 };
    await expect(t, `raggedMask, ${name}`, () => [ops.raggedMask(map, ragged)], ['empty']);
    for (const count of [0, 2]) {
      const classes = () => [ops.instanceClasses(map, d.full([count], 1, 'u8'), 1)];
      await expect(t, `instanceClasses, ${name}`, classes, ['empty']);
    }
    const crop = { logits: d.full([...shape, 3], 1), masses: map, affine: d.full([12], 1, 'f64') };
    const composed = () => [ops.composeFindings(crop, crop, { size: [2, 3, 4], capacity: 4 })];
    await expect(t, `composeFindings, ${name}`, composed, REFUSED);
  }
});
