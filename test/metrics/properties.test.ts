// What must hold whatever the masks are: exchange, orientation, translation, names of labels, units; and the masks that break tools.
import { type Device, device, isRenvoxError } from 'renvox';
import {
  compare,
  compareInstances,
  describeComponents,
  type Measures,
  measure,
  type RegionMeasures,
  surfaceElements,
} from 'renvox/metrics';
import t, { type Test } from 'tap';
import { onEveryDevice } from '../ops/harness.js';
import { randomLabels } from '../ops/random-labels.js';
import type { Triple } from './naive-components.js';
import { directed, percentile, surface } from './naive-surfaces.js';
import { type Laid, laid, ORIENTATIONS, padded } from './orientations.js';

const shape: Triple = [5, 6, 7];
const spacing: Triple = [2.5, 1, 0.7];
const regions = { one: [1], rest: [2, 3] };
const figures = { regions, percentiles: [50, 95], tolerances: [0.7, 1.5] };

/** Two maps that overlap somewhat, with labels 1..3. */
function pair(seed: number): [Laid, Laid] {
  const a = randomLabels(shape, seed, { labels: 4, grain: 2, density: 0.5 });
  const change = randomLabels(shape, seed + 50, { labels: 4, density: 0.15 });
  const b = a.map((v, i) => ((change[i] as number) > 0 ? (change[i] as number) - 1 : v));
  return [
    { data: a, shape, spacing },
    { data: b, shape, spacing },
  ];
}

/** Asserts that all numbers of two results agree: to the bit, or to a share. */
function same(t: Test, actual: unknown, expected: unknown, what: string, share = 0): void {
  const off: string[] = [];
  const visit = (x: unknown, y: unknown, path: string): void => {
    if (typeof x === 'number' && typeof y === 'number') {
      if (!(Object.is(x, y) || x === y || Math.abs(x - y) <= share * Math.abs(y)))
        off.push(`${path}: ${x}, ${y}`);
    } else if (typeof x === 'object' && typeof y === 'object' && x !== null && y !== null) {
      const names = new Set([...Object.keys(x), ...Object.keys(y)]);
      for (const name of names)
        visit((x as never)[name] as unknown, (y as never)[name] as unknown, `${path}.${name}`);
    } else if (x !== y) off.push(`${path}: ${x}, ${y}`);
  };
  visit(actual, expected, '');
  t.same(off, [], what);
}

const each = (
  found: Measures,
  change: (r: RegionMeasures) => Partial<RegionMeasures>,
): Record<string, RegionMeasures> =>
  Object.fromEntries(Object.entries(found.regions).map(([k, r]) => [k, { ...r, ...change(r) }]));

onEveryDevice(t, 'exchange of truth and prediction', async (t, d) => {
  for (let seed = 1; seed <= 3; seed++) {
    const [a, b] = pair(seed);
    const there = await measure(a, b, { ...figures, device: d });
    const back = await measure(b, a, { ...figures, device: d });
    const expected = each(there, (r) => ({
      ...{ voxelsTruth: r.voxelsPrediction, voxelsPrediction: r.voxelsTruth },
      ...{ precision: r.recall, recall: r.precision },
      ...{ volumeTruthMm3: r.volumePredictionMm3, volumePredictionMm3: r.volumeTruthMm3 },
      volumeDifferenceMm3: -r.volumeDifferenceMm3,
      meanTruthToPrediction: r.meanPredictionToTruth,
      meanPredictionToTruth: r.meanTruthToPrediction,
    }));
    // Specificity alone is no figure of the pair: its denominator is what is not truth.
    same(
      t,
      each(back, () => ({ specificity: 0 })),
      each({ ...there, regions: expected }, () => ({ specificity: 0 })),
      `measure, seed ${seed}`,
    );
    const turned = back.confusion.labels.map((_, i) => back.confusion.counts.map((row) => row[i]));
    t.same(turned, there.confusion.counts, 'confusion is transposed');
    const [e, f] = [
      await surfaceElements(a, b, { device: d }),
      await surfaceElements(b, a, { device: d }),
    ];
    same(
      t,
      f,
      {
        ...e,
        ...{ areaTruth: e.areaPrediction, areaPrediction: e.areaTruth },
        meanTruthToPrediction: e.meanPredictionToTruth,
        meanPredictionToTruth: e.meanTruthToPrediction,
        ...{ overlapTruth: e.overlapPrediction, overlapPrediction: e.overlapTruth },
      },
      'surface elements',
      1e-12,
    );
    const [i, j] = [
      await compareInstances(a, b, { device: d, distances: false }),
      await compareInstances(b, a, { device: d, distances: false }),
    ];
    t.same(
      [j.truePositives, j.falsePositives, j.falseNegatives],
      [i.truePositives, i.falseNegatives, i.falsePositives],
    );
    same(t, [j.precision, j.recall, j.f1], [i.recall, i.precision, i.f1], 'detection');
    same(t, j.panopticQuality, i.panopticQuality, 'panoptic quality', 1e-12);
  }
});

/** Figures of components that no orientation changes, in an order of their own. */
async function shapes(map: Laid, axialAxis: 0 | 1 | 2, d: Device) {
  const found = await describeComponents(map, { axialAxis, device: d });
  return found
    .map((c) => [c.label, c.voxels, c.volumeMm3, c.feretMm, ...Object.values(c.averageDiameterMm)])
    .sort((x, y) => x.reduce((o, n, i) => o || n - (y[i] as number), 0));
}

onEveryDevice(t, 'the 48 orientations', async (t, d) => {
  const [a, b] = pair(7);
  const expected = await measure(a, b, { ...figures, device: d });
  const elements = await surfaceElements(a, b, { device: d });
  const components = await shapes(a, 0, d);
  for (const orientation of ORIENTATIONS) {
    const what = `${orientation.order} ${orientation.flips}`;
    const [x, y] = [laid(a, orientation), laid(b, orientation)];
    // Counts are exact; squares along d, h and w are added in another order.
    same(t, await measure(x, y, { ...figures, device: d }), expected, `measure ${what}`, 1e-12);
    // All 256 elements have one area however the axes lie, so the official definition holds too.
    same(t, await surfaceElements(x, y, { device: d }), elements, `elements ${what}`, 1e-12);
    const axial = orientation.order.indexOf(0) as 0 | 1 | 2;
    same(t, await shapes(x, axial, d), components, `components ${what}`, 1e-12);
  }
});

onEveryDevice(t, 'translation in a larger array', async (t, d) => {
  const [a, b] = pair(9);
  const expected = await measure(a, b, { ...figures, device: d });
  const elements = await surfaceElements(a, b, { device: d });
  const instances = await compareInstances(a, b, { device: d });
  const components = await describeComponents(a, { device: d });
  for (const [before, after] of [
    [
      [1, 0, 0],
      [0, 0, 0],
    ],
    [
      [0, 0, 0],
      [2, 1, 3],
    ],
    [
      [3, 2, 5],
      [1, 4, 2],
    ],
  ] as const) {
    const [x, y] = [padded(a, before, after), padded(b, before, after)];
    const what = `${before} ${after}`;
    const found = await measure(x, y, { ...figures, device: d });
    // The background grows, and it alone.
    const still = (m: Measures) => each(m, () => ({ specificity: 0 }));
    same(t, still(found), still(expected), `measure ${what}`, 1e-12);
    same(t, await surfaceElements(x, y, { device: d }), elements, `elements ${what}`, 1e-12);
    const moved = await describeComponents(x, { device: d });
    const shift = (place: Triple): Triple => [
      place[0] + before[0],
      place[1] + before[1],
      place[2] + before[2],
    ];
    same(
      t,
      moved.map(({ centroidMm: _, ...c }) => c),
      components.map(({ centroidMm: _, ...c }) => ({
        ...c,
        ...{ centroid: shift(c.centroid), low: shift(c.low), high: shift(c.high) },
      })),
      `components ${what}`,
      1e-12,
    );
    const again = await compareInstances(x, y, { device: d });
    same(t, again.pairs, instances.pairs, `instances ${what}`, 1e-12);
    t.same([again.missed, again.spurious], [instances.missed, instances.spurious]);
  }
});

onEveryDevice(t, 'labels by other names', async (t, d) => {
  const [a, b] = pair(11);
  const names = [0, 200, 1, 77];
  const renamed = (m: Laid) => ({ ...m, data: m.data.map((v) => names[v] as number) });
  const before = await measure(a, b, { device: d });
  const after = await measure(renamed(a), renamed(b), { device: d });
  for (const label of [1, 2, 3])
    same(t, after.regions[names[label] as number], before.regions[label], `label ${label}`);
  const [c, e] = [
    await compare(a, b, { device: d }),
    await compare(renamed(a), renamed(b), { device: d }),
  ];
  same(t, { ...e, labels: 0 }, { ...c, labels: 0 }, 'all labels as one');
  const of = async (m: Laid) =>
    (await describeComponents(m, { device: d })).map(({ label, ...rest }) => [label, rest]);
  const renamedToo = (await of(a)).map(([label, rest]) => [names[label as number], rest]);
  t.same(await of(renamed(a)), renamedToo, 'components');
});

onEveryDevice(t, 'spacing in other units', async (t, d) => {
  const [a, b] = pair(13);
  for (const k of [4, 0.1]) {
    const scaled = (m: Laid): Laid => ({
      ...m,
      spacing: [m.spacing[0] * k, m.spacing[1] * k, m.spacing[2] * k],
    });
    // Tolerances between the distances that occur, so that rounding decides nothing.
    const [near, far] = [
      [0.71, 1.51],
      [0.71 * k, 1.51 * k],
    ];
    const before = await measure(a, b, { ...figures, tolerances: near, device: d });
    const after = await measure(scaled(a), scaled(b), { ...figures, tolerances: far, device: d });
    const expected = each(before, (r) => ({
      volumeTruthMm3: r.volumeTruthMm3 * k ** 3,
      volumePredictionMm3: r.volumePredictionMm3 * k ** 3,
      volumeDifferenceMm3: r.volumeDifferenceMm3 * k ** 3,
      ...{ hausdorff: r.hausdorff * k, assd: r.assd * k },
      percentiles: r.percentiles.map((p) => p * k),
      meanTruthToPrediction: r.meanTruthToPrediction * k,
      meanPredictionToTruth: r.meanPredictionToTruth * k,
    }));
    same(t, after.regions, expected, `measure x ${k}`, 1e-12);
    const e = await surfaceElements(a, b, { tolerances: near, device: d });
    same(
      t,
      await surfaceElements(scaled(a), scaled(b), { tolerances: far, device: d }),
      {
        ...e,
        ...{ areaTruth: e.areaTruth * k * k, areaPrediction: e.areaPrediction * k * k },
        ...{ hausdorff: e.hausdorff * k, percentiles: e.percentiles.map((p) => p * k) },
        meanTruthToPrediction: e.meanTruthToPrediction * k,
        meanPredictionToTruth: e.meanPredictionToTruth * k,
      },
      `elements x ${k}`,
      1e-12,
    );
    const lengths = async (m: Laid) =>
      (await describeComponents(m, { device: d })).flatMap((c) => [
        ...[Math.cbrt(c.volumeMm3), c.feretMm, c.longAxisMm, c.shortAxisMm],
        ...Object.values(c.averageDiameterMm),
      ]);
    const own = (await lengths(a)).map((mm) => mm * k);
    same(t, await lengths(scaled(a)), own, `components x ${k}`, 1e-12);
  }
});

/** Distances of two masks by loops. */
function byLoops(a: Uint8Array, b: Uint8Array, [, H, W]: Triple, s: Triple) {
  const voxels = (m: Uint8Array) =>
    [...m.keys()]
      .filter((at) => m[at])
      .map((at): Triple => [Math.floor(at / (H * W)), Math.floor(at / W) % H, at % W]);
  const [x, y] = [surface(voxels(a)), surface(voxels(b))];
  const [ab, ba] = [directed(x, y, s), directed(y, x, s)];
  return {
    hausdorff: Math.max(...ab, ...ba),
    percentiles: [Math.max(percentile(ab, 95), percentile(ba, 95))],
    assd: [...ab, ...ba].reduce((p, q) => p + q, 0) / (ab.length + ba.length),
  };
}

onEveryDevice(t, 'tiny, full and border masks, axes of one voxel', async (t, d) => {
  const one = (n: number, at: number) => Uint8Array.from({ length: n }, (_, i) => +(i === at));
  for (const size of [
    [1, 1, 1],
    [1, 1, 9],
    [1, 9, 1],
    [9, 1, 1],
    [1, 4, 5],
    [4, 1, 5],
    [4, 5, 1],
    [3, 4, 5],
  ] as Triple[]) {
    const n = size[0] * size[1] * size[2];
    const border = Uint8Array.from({ length: n }, (_, at) => {
      const [z, y, x] = [
        Math.floor(at / (size[1] * size[2])),
        Math.floor(at / size[2]) % size[1],
        at % size[2],
      ];
      return +(z === 0 || y === size[1] - 1 || x === 0);
    });
    const masks = {
      full: new Uint8Array(n).fill(1),
      first: one(n, 0),
      last: one(n, n - 1),
      border,
      some: randomLabels(size, n, { density: 0.5 }),
    };
    for (const [p, a] of Object.entries(masks))
      for (const [q, b] of Object.entries(masks)) {
        if (!a.includes(1) || !b.includes(1)) continue;
        const found = await measure(a, b, { shape: size, spacing, device: d });
        const { hausdorff, percentiles, assd } = found.regions['1'] as RegionMeasures;
        const what = `[${size}] ${p} ${q}`;
        same(t, { hausdorff, percentiles, assd }, byLoops(a, b, size, spacing), what, 1e-12);
        const own = { shape: size, spacing, device: d };
        const e = await surfaceElements(a, b, own);
        if (p === q) t.match(e, { hausdorff: 0, surfaceDice: [1] }, `${what}: elements`);
        else t.ok(e.areaTruth > 0 && Number.isFinite(e.hausdorff), `${what}: elements`);
      }
    const none = new Uint8Array(n);
    for (const [name, a] of Object.entries(masks)) {
      if (!a.includes(1)) continue;
      const missed = await measure(a, none, { shape: size, spacing, device: d });
      t.match(missed.regions['1'], { state: 'empty_prediction', dice: 0, hausdorff: Infinity });
      const parts = await describeComponents(a, { shape: size, spacing, device: d });
      const voxels = parts.reduce((sum, c) => sum + c.voxels, 0);
      t.equal(
        voxels,
        a.reduce((x, y) => x + y, 0),
        `[${size}] ${name}: all voxels in components`,
      );
    }
    const nothing = await measure(none, none, { shape: size, spacing, device: d });
    t.same(nothing.regions, {}, 'nothing to measure');
    t.same(nothing.confusion, { labels: [0], counts: [[n]] });
  }
});

t.test('2^31 voxels are refused, and a shape that lies is found out', async (t) => {
  using cpu = device('cpu');
  const code = async (run: () => Promise<unknown>) => {
    try {
      await run();
    } catch (error) {
      if (isRenvoxError(error)) return error.code;
      throw error;
    }
    return undefined;
  };
  const short = new Uint8Array(8);
  const calls = (
    a: Parameters<typeof measure>[0],
    geometry: { shape?: Triple; spacing: Triple },
  ) => [
    () => measure(a, a, { ...geometry, device: cpu }),
    () => measure(a, a, { ...geometry, device: cpu, sizes: true }),
    () => compare(a, a, { ...geometry, device: cpu }),
    () => surfaceElements(a, a, { ...geometry, device: cpu }),
    () => compareInstances(a, a, { ...geometry, device: cpu }),
    () => describeComponents(a, { ...geometry, device: cpu }),
  ];
  const before = process.memoryUsage().rss;
  for (const size of [
    [1290, 1290, 1291],
    [2048, 1024, 1024],
    [2 ** 20, 2 ** 20, 2 ** 20],
  ] as Triple[])
    for (const run of calls(short, { shape: size, spacing }))
      t.equal(await code(run), 'ShapeMismatch', `[${size}] of 8 voxels`);
  for (const run of calls(short, { shape: [1000, 1000, 1000], spacing }))
    t.equal(await code(run), 'ShapeMismatch', 'below the limit, but not there');
  // Zeroed pages that nobody touches: an array of this length takes no memory until it is read.
  const long = new Uint8Array(2 ** 31);
  for (const run of calls(long, { shape: [2048, 1024, 1024], spacing }))
    t.equal(await code(run), 'ShapeMismatch', 'an array over the limit');
  const tensor = cpu.tensor(long, { shape: [2048, 1024, 1024], borrow: true });
  for (const run of calls(tensor, { spacing }))
    t.equal(await code(run), 'ShapeMismatch', 'a tensor over the limit');
  tensor.dispose();
  const grown = process.memoryUsage().rss - before;
  t.ok(grown < 2 ** 29, `${Math.round(grown / 2 ** 20)} MiB more than before`);
});
