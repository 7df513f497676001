// One-to-one matching against a search of all matchings; panoptic quality, FROC and average precision against figures by hand.
import { averagePrecision, froc, type InstanceOverlap, matchInstances } from 'renvox/metrics';
import t from 'tap';
import { generator } from '../ops/harness.js';

/** Greatest number of pairs, then of their IoU, by trying everything. */
function best(
  truth: number[],
  prediction: number[],
  overlaps: InstanceOverlap[],
): [number, number] {
  const visit = (k: number, usedT: number, usedP: number): [number, number] => {
    const o = overlaps[k];
    if (!o) return [0, 0];
    const without = visit(k + 1, usedT, usedP);
    if (usedT & (1 << o.truth) || usedP & (1 << o.prediction)) return without;
    const [n, sum] = visit(k + 1, usedT | (1 << o.truth), usedP | (1 << o.prediction));
    const iou =
      o.voxels / ((truth[o.truth] as number) + (prediction[o.prediction] as number) - o.voxels);
    const taken: [number, number] = [n + 1, sum + iou];
    return taken[0] > without[0] || (taken[0] === without[0] && taken[1] > without[1])
      ? taken
      : without;
  };
  return visit(0, 0, 0);
}

t.test('maximum matching is the best of all', async (t) => {
  const next = generator(7);
  const below = (n: number) => Math.floor(next() * n);
  for (let round = 0; round < 400; round++) {
    const truth = Array.from({ length: below(6) }, () => 10 + below(30));
    const prediction = Array.from({ length: below(6) }, () => 10 + below(30));
    const overlaps: InstanceOverlap[] = [];
    for (let i = 0; i < truth.length; i++)
      for (let j = 0; j < prediction.length; j++)
        if (next() < 0.45) overlaps.push({ truth: i, prediction: j, voxels: 1 + below(10) });
    const [pairs, sum] = best(truth, prediction, overlaps);
    const m = matchInstances(truth, prediction, overlaps);
    const own = m.pairs.reduce((s, p) => s + p.iou, 0);
    t.equal(m.truePositives, pairs, `round ${round}: pairs`);
    t.ok(Math.abs(own - sum) < 1e-9, `round ${round}: IoU ${own} of at most ${sum}`);
    t.equal(new Set(m.pairs.map((p) => p.truth)).size, pairs);
    t.equal(new Set(m.pairs.map((p) => p.prediction)).size, pairs);
    t.equal(m.missed.length + pairs, truth.length);
    t.equal(m.spurious.length + pairs, prediction.length);
  }
});

t.test('greedy takes the best pair first, and may end with fewer', async (t) => {
  const overlaps = [
    { truth: 0, prediction: 0, voxels: 9 },
    { truth: 0, prediction: 1, voxels: 1 },
    { truth: 1, prediction: 0, voxels: 1 },
  ];
  const greedy = matchInstances([10, 10], [10, 10], overlaps, { method: 'greedy' });
  t.equal(greedy.truePositives, 1);
  t.ok(Math.abs(greedy.panopticQuality - 9 / 11 / 2) < 1e-12);
  const most = matchInstances([10, 10], [10, 10], overlaps);
  t.equal(most.truePositives, 2);
  const strict = matchInstances([10, 10], [10, 10], overlaps, { iou: 0.5 });
  t.equal(strict.truePositives, 1);
  t.same([strict.precision, strict.recall, strict.f1], [0.5, 0.5, 0.5]);
  t.equal(strict.pairs[0]?.dice, 0.9);
});

t.test('nothing to match', async (t) => {
  const none = matchInstances([], [], []);
  t.ok(Number.isNaN(none.f1) && Number.isNaN(none.panopticQuality));
  t.equal(matchInstances([5], [], []).recall, 0);
  t.ok(Number.isNaN(matchInstances([5], [], []).precision));
  t.equal(matchInstances([5], [], []).panopticQuality, 0);
  t.throws(() => matchInstances([5], [5], [{ truth: 0, prediction: 0, voxels: 6 }]), {
    code: 'InvalidArgument',
  });
  t.throws(() => matchInstances([5], [5], [{ truth: 1, prediction: 0, voxels: 1 }]), {
    code: 'InvalidArgument',
  });
});

t.test('FROC and average precision', async (t) => {
  const detections = [
    { score: 0.9, hit: true },
    { score: 0.8, hit: false },
    { score: 0.7, hit: true },
    { score: 0.7, hit: false },
    { score: 0.1, hit: true },
  ];
  const points = froc(detections, 4, 2);
  t.same(
    points.map((p) => [p.threshold, p.sensitivity, p.falsePositivesPerCase]),
    [
      [0.9, 0.25, 0],
      [0.8, 0.25, 0.5],
      [0.7, 0.5, 1],
      [0.1, 0.75, 1],
    ],
  );
  // Recall 1/4 at 1, 2/4 at 2/4, 3/4 at 3/5: interpolated 1, 3/5, 3/5.
  t.ok(Math.abs(averagePrecision(detections, 4) - (0.25 + 0.25 * 0.6 + 0.25 * 0.6)) < 1e-12);
  t.equal(averagePrecision([], 4), 0);
  t.ok(Number.isNaN(averagePrecision(detections, 0)));
  const code = 'InvalidArgument';
  t.throws(() => averagePrecision(detections, 2), { code, message: /at most 2 hits.*received 3/ });
  t.throws(() => froc(detections, 2, 2), { code });
  t.throws(() => froc([{ score: Number.NaN, hit: true }], 4, 2), { code, message: /\[0\]\.score/ });
  t.throws(() => froc(detections, 4, 0), { code, message: /parameter cases/ });
  t.throws(() => averagePrecision(detections, 2.5), { code });
  t.equal(froc([{ score: Number.NEGATIVE_INFINITY, hit: true }], 1, 1)[0]?.sensitivity, 1);
});
