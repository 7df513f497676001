// Every figure against its definition on random masks; each mode's empty masks; the documentation's table.
import { readFileSync } from 'node:fs';
import { CONVENTIONS, type ConventionName, measure, surfaceElements } from 'renvox/metrics';
import t from 'tap';
import { conventionsMarkdown } from '#lib/metrics/conventions.js';
import { generator, onEveryDevice } from '../ops/harness.js';

const SHAPE = [5, 6, 7] as const;
const SPACING = [2.5, 1, 0.8] as const;
const SIZE = SHAPE[0] * SHAPE[1] * SHAPE[2];

function randomMap(seed: number): Uint8Array {
  const next = generator(seed);
  return Uint8Array.from({ length: SIZE }, () => (next() < 0.3 ? 1 + Math.floor(3 * next()) : 0));
}

/** Surface voxels' places in mm. */
function surface(map: Uint8Array, member: (v: number) => boolean): number[][] {
  const at = (d: number, h: number, w: number) =>
    d >= 0 && d < SHAPE[0] && h >= 0 && h < SHAPE[1] && w >= 0 && w < SHAPE[2]
      ? member(map[(d * SHAPE[1] + h) * SHAPE[2] + w] as number)
      : false;
  const found: number[][] = [];
  for (let d = 0; d < SHAPE[0]; d++)
    for (let h = 0; h < SHAPE[1]; h++)
      for (let w = 0; w < SHAPE[2]; w++) {
        if (!at(d, h, w)) continue;
        const inside =
          at(d - 1, h, w) &&
          at(d + 1, h, w) &&
          at(d, h - 1, w) &&
          at(d, h + 1, w) &&
          at(d, h, w - 1) &&
          at(d, h, w + 1);
        if (!inside) found.push([d * SPACING[0], h * SPACING[1], w * SPACING[2]]);
      }
  return found;
}

const nearest = (from: number[][], to: number[][]) =>
  from.map((p) => Math.min(...to.map((q) => Math.hypot(...p.map((x, i) => x - (q[i] as number))))));

function percentile(values: number[], p: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const at = ((sorted.length - 1) * p) / 100;
  const [low, high] = [sorted[Math.floor(at)] as number, sorted[Math.ceil(at)] as number];
  return low + (at - Math.floor(at)) * (high - low);
}

onEveryDevice(t, 'figures by their definitions', async (t, device) => {
  for (let seed = 1; seed <= 6; seed++) {
    const [a, b] = [randomMap(seed), randomMap(100 + seed)];
    const regions = { one: [1], rest: [2, 3], all: [1, 2, 3] };
    const options = { shape: SHAPE, spacing: SPACING, regions, percentiles: [50, 95], device };
    const found = await measure(a, b, { ...options, tolerances: [0, 1, 2] });
    const medpy = await measure(a, b, { ...options, conventions: 'medpy' });
    for (const [name, labels] of Object.entries(regions)) {
      const member = (v: number) => labels.includes(v);
      const own = found.regions[name] as NonNullable<(typeof found.regions)[string]>;
      const count = (f: (x: boolean, y: boolean) => boolean) =>
        a.reduce((n, v, i) => n + (f(member(v), member(b[i] as number)) ? 1 : 0), 0);
      const both = count((x, y) => x && y);
      const [inA, inB] = [count((x) => x), count((_, y) => y)];
      const near = (x: number, y: number, what: string) =>
        t.ok(
          Math.abs(x - y) <= 1e-9 * Math.max(1, Math.abs(y)),
          `${seed} ${name} ${what}: ${x}, ${y}`,
        );
      near(own.dice, (2 * both) / (inA + inB), 'dice');
      near(own.iou, both / count((x, y) => x || y), 'iou');
      near(own.precision, both / inB, 'precision');
      near(own.recall, both / inA, 'recall');
      near(own.specificity, count((x, y) => !x && !y) / count((x) => !x), 'specificity');
      near(own.volumeDifferenceMm3, (inB - inA) * 2, 'volume difference');
      near(own.volumeSimilarity, 1 - Math.abs(inA - inB) / (inA + inB), 'volume similarity');
      const [sa, sb] = [surface(a, member), surface(b, member)];
      const [ab, ba] = [nearest(sa, sb), nearest(sb, sa)];
      const sum = (v: number[]) => v.reduce((x, y) => x + y, 0);
      near(own.hausdorff, Math.max(...ab, ...ba), 'hausdorff');
      near(own.assd, (sum(ab) + sum(ba)) / (ab.length + ba.length), 'assd');
      near(own.meanTruthToPrediction, sum(ab) / ab.length, 'mean of truth');
      near(own.meanPredictionToTruth, sum(ba) / ba.length, 'mean of prediction');
      const directed = (sum(ab) / ab.length + sum(ba) / ba.length) / 2;
      near(medpy.regions[name]?.assd as number, directed, "medpy's assd");
      [50, 95].forEach((p, i) => {
        near(own.percentiles[i] as number, Math.max(percentile(ab, p), percentile(ba, p)), `p${p}`);
        const pooled = medpy.regions[name]?.percentiles[i] as number;
        near(pooled, percentile([...ab, ...ba], p), `pooled p${p}`);
      });
      [0, 1, 2].forEach((tolerance, i) => {
        const within = [...ab, ...ba].filter((d) => d <= tolerance).length;
        near(own.surfaceDice[i] as number, within / (ab.length + ba.length), `NSD ${tolerance}`);
      });
    }
    const { labels, counts } = found.confusion;
    t.same(labels, [0, 1, 2, 3]);
    t.equal(
      counts[1]?.[2],
      a.reduce((n, v, i) => n + (v === 1 && b[i] === 2 ? 1 : 0), 0),
    );
  }
});

onEveryDevice(t, 'kits mode measures surface elements', async (t, device) => {
  const [a, b] = [randomMap(1), randomMap(2)];
  const geometry = { shape: SHAPE, spacing: SPACING, device };
  const regions = { x: [2], y: [1, 2], z: [1, 2, 3] };
  const before = device.transfers;
  const found = await measure(a, b, { ...geometry, conventions: 'kits', tolerances: [1], regions });
  const { uploads, downloads } = device.transfers;
  t.equal(uploads - before.uploads, 2, 'each map goes up once, for all regions');
  // The table of overlaps; a summary a region.
  t.equal(downloads - before.downloads, 1 + 3, 'nothing comes back but figures');
  for (const [name, labels] of Object.entries(regions)) {
    const direct = await surfaceElements(a, b, { ...geometry, labels, tolerances: [1] });
    const own = found.regions[name];
    t.same(own?.surfaceDice, direct.surfaceDice, name);
    t.equal(own?.hausdorff, direct.hausdorff, name);
    t.same(own?.percentiles, direct.percentiles, name);
    const {
      meanTruthToPrediction: m,
      meanPredictionToTruth: n,
      areaTruth,
      areaPrediction,
    } = direct;
    const assd = (m * areaTruth + n * areaPrediction) / (areaTruth + areaPrediction);
    t.equal(own?.assd, assd, name);
  }
});

t.test('empty masks in every mode', async (t) => {
  const none = new Uint8Array(SIZE);
  const some = Uint8Array.from(none);
  some[60] = 1;
  const geometry = { shape: SHAPE, spacing: SPACING, regions: { x: [1] }, tolerances: [1] };
  for (const [name, c] of Object.entries(CONVENTIONS)) {
    const conventions = name as ConventionName;
    for (const [truth, prediction, overlap, distance, dice] of [
      [none, none, c.overlap.bothEmpty, c.distance.bothEmpty, c.surfaceDice.bothEmpty],
      [none, some, c.overlap.emptyTruth, c.distance.oneEmpty, c.surfaceDice.oneEmpty],
      [some, none, c.overlap.emptyPrediction, c.distance.oneEmpty, c.surfaceDice.oneEmpty],
    ] as const) {
      if (distance === 'raises') {
        await t.rejects(measure(truth, prediction, { ...geometry, conventions }), {
          code: 'InvalidArgument',
        });
        const own = await measure(truth, prediction, {
          ...geometry,
          conventions,
          distances: false,
        });
        t.same(own.regions.x?.dice, overlap, name);
        continue;
      }
      const { x } = (await measure(truth, prediction, { ...geometry, conventions })).regions;
      t.same(
        [x?.dice, x?.iou, x?.hausdorff, x?.surfaceDice[0]],
        [overlap, overlap, distance, dice],
        name,
      );
    }
  }
  for (const conventions of ['x', 'toString'] as unknown as ConventionName[])
    await t.rejects(measure(none, none, { ...geometry, conventions }), { code: 'InvalidArgument' });
  for (const odd of [new DataView(new ArrayBuffer(SIZE)), new BigInt64Array(SIZE)] as never[])
    await t.rejects(measure(odd, none, geometry), { code: 'InvalidArgument' });
  await t.rejects(surfaceElements(some, some, { ...geometry, signal: AbortSignal.abort() }), {
    code: 'AbortError',
  });
  const twice = await measure(some, some, { ...geometry, regions: { x: [1, 1] } });
  t.equal(twice.regions.x?.voxelsTruth, 1, 'a label that is named twice counts once');
  await t.rejects(measure(none, none, { ...geometry, regions: { x: [0] } }), {
    code: 'InvalidArgument',
  });
});

t.test('docs/conventions.md holds the table', async (t) => {
  // The formatter pads tables.
  const bare = (text: string) => text.replace(/ +/g, ' ').replace(/-+/g, '-');
  t.ok(bare(readFileSync('docs/conventions.md', 'utf8')).includes(bare(conventionsMarkdown())));
});
