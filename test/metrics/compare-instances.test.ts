// compareInstances against flood fill, a search of all matchings and distances by loops; misses are counted.
import { device } from 'renvox';
import { compareInstances, matchInstances } from 'renvox/metrics';
import t, { type Test } from 'tap';
import { generator, onEveryDevice } from '../ops/harness.js';
import { randomLabels } from '../ops/random-labels.js';
import { naiveComponents, type Triple } from './naive-components.js';
import { directed, key, percentile, surface } from './naive-surfaces.js';

function near(t: Test, actual: number, expected: number, what: string): void {
  const same = Number.isNaN(expected) ? Number.isNaN(actual) : actual === expected;
  const close = Math.abs(actual - expected) <= 1e-12 * Math.max(1, Math.abs(expected));
  t.ok(same || close, `${what}: ${actual}, ${expected}`);
}

/** Most pairs, then most IoU, over all one-to-one matchings of pairs of at least `iou`. */
function best(ious: number[][], least: number): { pairs: [number, number][]; sum: number } {
  const visit = (i: number, used: Set<number>): { pairs: [number, number][]; sum: number } => {
    if (i === ious.length) return { pairs: [], sum: 0 };
    let top = visit(i + 1, used);
    (ious[i] as number[]).forEach((iou, j) => {
      if (iou === 0 || iou < least || used.has(j)) return;
      const rest = visit(i + 1, new Set([...used, j]));
      const own = { pairs: [[i, j] as [number, number], ...rest.pairs], sum: rest.sum + iou };
      const more = own.pairs.length - top.pairs.length;
      if (more > 0 || (more === 0 && own.sum > top.sum + 1e-12)) top = own;
    });
    return top;
  };
  return visit(0, new Set());
}

onEveryDevice(t, 'against loops', async (t, d) => {
  let matched = 0;
  let missed = 0;
  for (let seed = 1; seed <= 12; seed++) {
    const shape: Triple = [5, 9, 10];
    const next = generator(seed);
    const spacing: Triple = [2 + next(), 0.5 + next(), 0.9];
    const common = randomLabels(shape, seed, { grain: 2, density: 0.25, labels: 3 });
    const change = randomLabels(shape, 100 + seed, { grain: 3, density: 0.5, labels: 3 });
    const truth = common;
    const prediction = common.map((v, i) => (change[i] === 1 ? 0 : change[i] === 2 ? 1 : v));
    const perLabel = seed % 3 === 0;
    const connectivity = ([6, 18, 26] as const)[seed % 3] as 6;
    const iou = seed % 2 ? 0 : 0.3;
    const options = { shape, spacing, perLabel, connectivity, iou, device: d };
    const found = await compareInstances(truth, prediction, options);
    const a = naiveComponents(truth, shape, connectivity, perLabel);
    const b = naiveComponents(prediction, shape, connectivity, perLabel);
    const labelOf = (map: Uint8Array, [[z, y, x] = [0, 0, 0]]: Triple[]) =>
      map[(z * shape[1] + y) * shape[2] + x];
    const shared = (p: Triple[], q: Triple[]) => {
      const set = new Set(q.map(key));
      return p.filter((v) => set.has(key(v))).length;
    };
    const ious = a.map((p) =>
      b.map((q) => {
        if (perLabel && labelOf(truth, p) !== labelOf(prediction, q)) return 0;
        const both = shared(p, q);
        return both / (p.length + q.length - both);
      }),
    );
    const { pairs, sum } = best(ious, iou);
    const [tp, fp, fn] = [pairs.length, b.length - pairs.length, a.length - pairs.length];
    t.same(
      [found.truePositives, found.falsePositives, found.falseNegatives],
      [tp, fp, fn],
      `seed ${seed}: counts`,
    );
    t.same([found.truth.length, found.prediction.length], [a.length, b.length], 'instances');
    near(t, found.precision, tp / (tp + fp), 'precision');
    near(t, found.recall, tp / (tp + fn), 'recall');
    near(t, found.f1, (2 * tp) / (2 * tp + fp + fn), 'F1');
    near(t, found.segmentationQuality, sum / tp, 'SQ');
    near(t, found.recognitionQuality, tp / (tp + 0.5 * fp + 0.5 * fn), 'RQ');
    near(t, found.panopticQuality, sum / (tp + 0.5 * fp + 0.5 * fn), 'PQ');
    if (tp > 0)
      near(
        t,
        found.panopticQuality,
        found.segmentationQuality * found.recognitionQuality,
        'PQ = SQ RQ',
      );
    let dice = 0;
    const hd95: number[] = [];
    for (const pair of found.pairs) {
      const [p, q] = [a[pair.truth] as Triple[], b[pair.prediction] as Triple[]];
      const own = (2 * shared(p, q)) / (p.length + q.length);
      near(t, pair.dice, own, 'Dice of a pair');
      dice += own;
      const [sp, sq] = [surface(p), surface(q)];
      const [ab, ba] = [directed(sp, sq, spacing), directed(sq, sp, spacing)];
      near(t, pair.hausdorff, Math.max(...ab, ...ba), 'Hausdorff of a pair');
      hd95.push(Math.max(percentile(ab, 95), percentile(ba, 95)));
      near(t, pair.hd95, hd95[hd95.length - 1] as number, 'HD95 of a pair');
      const total = [...ab, ...ba].reduce((x, y) => x + y, 0);
      near(t, pair.assd, total / (ab.length + ba.length), 'ASSD of a pair');
    }
    near(t, found.meanDice, dice / a.length, 'mean Dice, misses as 0');
    near(t, found.lesionwiseDice, dice / (tp + fp + fn), 'lesion-wise Dice');
    const all = [...hd95, ...Array.from({ length: fn }, () => Infinity)].sort((x, y) => x - y);
    const middle = [all[(all.length - 1) >> 1], all[all.length >> 1]] as [number, number];
    near(t, found.medianHd95, (middle[0] + middle[1]) / 2, 'median HD95, misses as infinity');
    const again = matchInstances(
      found.truth.map((c) => c.voxels),
      found.prediction.map((c) => c.voxels),
      found.overlaps,
      { iou },
    );
    t.equal(again.panopticQuality, found.panopticQuality, 'the overlaps say the same');
    const sums = Object.values(found.byLabel);
    if (perLabel) {
      const total = (of: (m: (typeof sums)[0]) => number) => sums.reduce((s, m) => s + of(m), 0);
      t.equal(
        total((m) => m.truePositives),
        tp,
        'labels add up',
      );
      t.equal(
        total((m) => m.falseNegatives),
        fn,
      );
      t.equal(
        total((m) => m.falsePositives),
        fp,
      );
      for (const [label, m] of Object.entries(found.byLabel))
        for (const i of [...m.missed, ...m.pairs.map((p) => p.truth)])
          t.equal(found.truth[i]?.label, Number(label), 'numbered as in the whole');
    } else t.same(sums, []);
    matched += tp;
    missed += fn;
  }
  t.ok(matched > 20 && missed > 5, `${matched} pairs and ${missed} misses were compared`);
});

const shape = [1, 3, 9] as const;
const spacing = [1, 1, 1] as const;
const row = (...columns: number[]) => {
  const map = new Uint8Array(27);
  for (const w of columns) map[9 + w] = 1;
  return map;
};

t.test('a miss is infinitely far and has Dice 0', async (t) => {
  const found = await compareInstances(row(0, 1, 4, 8), row(0, 1, 4), { shape, spacing });
  t.match(found, { truePositives: 2, falseNegatives: 1, falsePositives: 0, missed: [2] });
  t.equal(found.meanDice, 2 / 3);
  t.equal(found.medianHd95, 0);
  const worse = await compareInstances(row(0, 4, 8), row(0), { shape, spacing });
  t.equal(worse.medianHd95, Infinity, 'more misses, greater median');
  const none = await compareInstances(row(0), row(), { shape, spacing });
  t.match(none, { recall: 0, meanDice: 0, lesionwiseDice: 0, medianHd95: Infinity });
  t.ok(Number.isNaN(none.precision));
  const spurious = await compareInstances(row(), row(0, 2), { shape, spacing });
  t.match(spurious, { falsePositives: 2, precision: 0, lesionwiseDice: 0 });
  t.ok(Number.isNaN(spurious.meanDice) && Number.isNaN(spurious.medianHd95));
  const empty = await compareInstances(row(), row(), { shape, spacing });
  t.ok(Number.isNaN(empty.f1) && Number.isNaN(empty.lesionwiseDice));
});

t.test('greedy, thresholds, values, and no distances', async (t) => {
  // Truths 0-3 and 5-6; predictions 0-5: greedy and maximum agree; from IoU 0.6 on nothing does.
  const [a, b] = [row(0, 1, 2, 3, 5, 6), row(0, 1, 2, 3, 4, 5)];
  const one = await compareInstances(a, b, { shape, spacing, method: 'greedy' });
  t.match(one, { truePositives: 1, falseNegatives: 1 });
  t.equal((await compareInstances(a, b, { shape, spacing, iou: 0.7 })).truePositives, 0);
  const near = await compareInstances(a, b, { shape, spacing, distances: false });
  t.ok(Number.isNaN(near.pairs[0]?.hd95) && Number.isNaN(near.medianHd95));
  t.equal(near.pairs[0]?.dice, 8 / 10);
  const numbered = Uint8Array.from(row(), (_, i) => (i === 9 || i === 12 ? 5 : i === 13 ? 3 : 0));
  const values = await compareInstances(numbered, numbered, {
    ...{ shape, spacing, instances: 'values' as const },
  });
  t.same(
    values.truth.map((c) => [c.label, c.voxels]),
    [
      [5, 2],
      [3, 1],
    ],
    'a value is one instance, wherever its voxels are',
  );
  t.equal(values.panopticQuality, 1);
});

t.test('tensors, and bad input', async (t) => {
  using cpu = device('cpu');
  const a = cpu.tensor(row(0, 1), { shape });
  const found = await compareInstances(a, row(1, 2), { spacing });
  t.equal(found.pairs[0]?.iou, 1 / 3);
  t.notOk(a.disposed);
  const rejected = async (options: object, code: string) =>
    t.rejects(compareInstances(row(0), row(1), { shape, spacing, ...options }), { code });
  await rejected({ iou: 2 }, 'InvalidArgument');
  await rejected({ method: 'x' }, 'InvalidArgument');
  await rejected({ instances: 'x' }, 'InvalidArgument');
  await rejected({ instances: 'values', perLabel: true }, 'InvalidArgument');
  await rejected({ labels: [] }, 'InvalidArgument');
  await rejected({ shape: [3, 9, 2] }, 'ShapeMismatch');
  await rejected({ signal: AbortSignal.abort() }, 'AbortError');
});
