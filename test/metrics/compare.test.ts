import { device, isRenvoxError, liveBytes } from 'renvox';
import { compare, comparisonJson } from 'renvox/metrics';
import { Volume } from 'renvox/volume';
import t from 'tap';

const shape = [2, 3, 4] as const;
const spacing = [5, 1, 1] as const;

/** A map of 2 x 3 x 4 voxels with a label at some of them. */
function map(voxels: Record<number, number>): Uint8Array {
  const data = new Uint8Array(24);
  for (const [at, label] of Object.entries(voxels)) data[Number(at)] = label;
  return data;
}

async function code(run: () => Promise<unknown>): Promise<string | undefined> {
  try {
    await run();
  } catch (error) {
    if (isRenvoxError(error)) return error.code;
    throw error;
  }
  return undefined;
}

t.test('one label, by hand', async (t) => {
  // Truth: w = 0, 1 of the first row; prediction: w = 1, 2, 3. One voxel in common.
  const result = await compare(map({ 0: 1, 1: 1 }), map({ 1: 1, 2: 1, 3: 1 }), {
    shape,
    spacing,
    labels: [1],
  });
  t.equal(result.dice, 2 / 5);
  t.equal(result.iou, 1 / 4);
  t.equal(result.hausdorff, 2, 'w = 3 is two voxels from w = 1');
  t.ok(Math.abs(result.hd95 - 1.9) < 1e-12, 'distances 0, 1, 2: 95th percentile 1.9');
  t.equal(result.assd, (1 + 0 + (0 + 1 + 2)) / 5);
  t.equal(result.state, 'normal');
  const { labels, ...figures } = result;
  t.same(labels, { 1: figures }, 'the label by itself says the same');
});

t.test('labels, and all of them as one region', async (t) => {
  const truth = map({ 0: 1, 1: 2, 12: 3 });
  const prediction = map({ 0: 2, 1: 1, 23: 5 });
  const result = await compare(truth, prediction, { shape, spacing });
  t.same(Object.keys(result.labels), ['1', '2', '3', '5'], 'what occurs in either map');
  t.equal(result.labels['1']?.dice, 0);
  t.equal(result.labels['1']?.hausdorff, 1);
  t.equal(result.dice, 4 / 6, 'together the labels agree in two voxels');
  t.equal(result.voxelsTruth, 3);
  const some = await compare(truth, prediction, { shape, spacing, labels: [2, 1] });
  t.equal(some.dice, 1, 'only the labels asked for');
});

t.test('empty masks', async (t) => {
  const none = map({});
  const some = map({ 3: 1 });
  const json = async (truth: Uint8Array, prediction: Uint8Array) =>
    comparisonJson(await compare(truth, prediction, { shape, spacing, labels: [1] })).labels['1'];
  const nothing = { hausdorff_mm: null, hd95_mm: null, assd_mm: null };
  t.same(await json(some, none), {
    ...{ dice: 0, iou: 0, voxels_truth: 1, voxels_prediction: 0 },
    ...nothing,
    state: 'empty_prediction',
  });
  t.same(await json(none, some), {
    ...{ dice: 0, iou: 0, voxels_truth: 0, voxels_prediction: 1 },
    ...nothing,
    state: 'empty_truth',
  });
  t.same(await json(none, none), {
    ...{ dice: null, iou: null, voxels_truth: 0, voxels_prediction: 0 },
    ...nothing,
    state: 'both_empty',
  });
  const missed = await compare(some, none, { shape, spacing });
  t.equal(missed.hausdorff, Number.POSITIVE_INFINITY, 'a miss is infinitely far');
  const both = await compare(none, none, { shape, spacing });
  t.ok(Number.isNaN(both.dice) && Number.isNaN(both.assd), 'nothing to compare: NaN');
  t.same(both.labels, {});
});

t.test('every form of a map', async (t) => {
  using cpu = device('cpu');
  const truth = map({ 0: 1, 1: 1, 5: 200 });
  const prediction = map({ 1: 1, 5: 200 });
  const expected = await compare(truth, prediction, { shape, spacing });
  const affine = [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 5, 0];
  const volume = (data: Uint8Array | Float32Array, slope = 1) =>
    new Volume({ data, shape: [2, 3, 4], affine, slope });
  t.same(await compare(volume(truth), volume(prediction)), expected, 'volumes');
  t.same(
    await compare(
      volume(truth),
      volume(
        Float32Array.from(prediction, (v) => v / 2),
        2,
      ),
    ),
    expected,
    'a volume of floats with a slope',
  );
  t.same(await compare(volume(truth), prediction), expected, 'an array beside a volume');
  t.same(
    await compare({ data: truth, shape: [2, 3, 4], spacing: [5, 1, 1] }, prediction),
    expected,
    'an object with data, shape and spacing',
  );
  for (const type of [Int16Array, Int32Array, Uint16Array, Float64Array])
    t.same(await compare(type.from(truth), prediction, { shape, spacing }), expected, type.name);
  const tensor = cpu.tensor(Int32Array.from(truth), { shape: [1, ...shape, 1] });
  t.same(await compare(tensor, prediction, { spacing }), expected, 'a tensor');
  t.notOk(tensor.disposed, 'the tensor is still there');
});

t.test('bad input', async (t) => {
  using cpu = device('cpu');
  const a = map({ 1: 1 });
  t.equal(await code(() => compare(a, a, { spacing })), 'InvalidArgument', 'no shape');
  t.equal(await code(() => compare(a, a, { shape })), 'InvalidArgument', 'no spacing');
  t.equal(
    await code(() => compare(a, new Uint8Array(23), { shape, spacing })),
    'ShapeMismatch',
    'too short',
  );
  const tensor = cpu.tensor(a, { shape: [3, 2, 4] });
  t.equal(
    await code(() => compare(tensor, a, { shape, spacing })),
    'ShapeMismatch',
    'shapes disagree',
  );
  const float = cpu.tensor(Float32Array.from(a), { shape });
  t.equal(await code(() => compare(float, a, { spacing })), 'DtypeMismatch', 'f32 tensor');
  t.equal(
    await code(() =>
      compare(
        Int16Array.from(a, (v) => -v),
        a,
        { shape, spacing },
      ),
    ),
    'InvalidArgument',
    'negative labels',
  );
  t.equal(
    await code(() =>
      compare(
        Int32Array.from(a, (v) => 256 * v),
        a,
        { shape, spacing },
      ),
    ),
    'InvalidArgument',
    'labels above 255',
  );
  await t.rejects(compare(a, Int32Array.of(300, -1, -1, ...a.subarray(3)), { shape, spacing }), {
    message: /for parameter prediction but received 300 \(1 voxels\), -1 \(2 voxels\)/,
  });
  t.equal(
    await code(() =>
      compare(
        Float32Array.from(a, (v) => v / 2),
        a,
        { shape, spacing },
      ),
    ),
    'InvalidArgument',
    'halves of labels',
  );
  for (const labels of [[], [0], [1.5], [256]])
    t.equal(await code(() => compare(a, a, { shape, spacing, labels })), 'InvalidArgument');
  const volume = (x: number) =>
    new Volume({ data: a, shape: [2, 3, 4], affine: [1, 0, 0, x, 0, 1, 0, 0, 0, 0, 5, 0] });
  t.equal(await code(() => compare(volume(0), volume(3))), 'ShapeMismatch', 'other affine');
  t.equal(
    await code(() => compare(volume(0), { data: a, shape: [2, 3, 4], spacing: [4, 1, 1] })),
    'ShapeMismatch',
    'other spacing',
  );
});

t.test('nothing stays on the device', async (t) => {
  using cpu = device('cpu');
  const before = liveBytes();
  for (let i = 0; i < 5; i++)
    await compare(map({ 1: 1 }), map({ 2: 1 }), { shape, spacing, device: cpu });
  // Garbage of the tests before may go meanwhile.
  t.ok(liveBytes() <= before);
});

t.test('an aborted comparison', async (t) => {
  const signal = AbortSignal.abort();
  t.equal(
    await code(() => compare(map({ 1: 1 }), map({ 2: 1 }), { shape, spacing, signal })),
    'AbortError',
  );
});
