import { ops, threads } from 'renvox';
import t from 'tap';
import { noteError } from './errors.js';
import { generator, onEveryDevice, sameBits, simulated } from './harness.js';
import { raggedShapes, randomLabels } from './random-labels.js';

type Triple = readonly [number, number, number];

/** Every voxel of one label, in raster order. */
function places(map: Uint8Array, [, H, W]: Triple, label: number): Triple[] {
  const found: Triple[] = [];
  map.forEach((value, v) => {
    if (value === label) found.push([Math.floor(v / (H * W)), Math.floor(v / W) % H, v % W]);
  });
  return found;
}

/** The largest distance of all pairs. */
function feret(points: Triple[], spacing: Triple): number {
  let best = 0;
  for (const p of points)
    for (const q of points) {
      let sum = 0;
      for (const axis of [0, 1, 2] as const) sum += ((p[axis] - q[axis]) * spacing[axis]) ** 2;
      best = Math.max(best, sum);
    }
  return Math.sqrt(best);
}

onEveryDevice(t, 'measureLabels against loops', async (t, device) => {
  let seed = 1;
  for (const shape of [...raggedShapes.slice(0, 5), [14, 15, 16] as Triple])
    for (const [density, grain] of [
      [0.02, 1],
      [0.3, 1],
      [0.5, 4],
    ] as const) {
      const next = generator(++seed);
      const spacing = [4 * next() + 0.5, next() + 0.3, 0.7] as const;
      const map = randomLabels(shape, seed, { density, grain, labels: 5 });
      const tensor = device.tensor(seed % 2 ? map : Int32Array.from(map), { shape });
      // Label 4 is there but not asked for.
      const values = await ops.measureLabels(tensor, { spacing, labels: 3 }).data();
      const measures = ops.labelMeasures(values);
      for (const label of [1, 2, 3]) {
        const voxels = places(map, shape, label);
        const measure = measures[label - 1];
        const what = `[${shape}] label ${label}, ${voxels.length} voxels`;
        if (voxels.length === 0) {
          t.equal(measure, null, what);
          continue;
        }
        const along = (axis: 0 | 1 | 2) => voxels.map((p) => p[axis]);
        const axes = [0, 1, 2] as const;
        t.equal(measure?.voxels, voxels.length, `${what}: voxels`);
        t.same(
          measure?.low,
          axes.map((axis) => Math.min(...along(axis))),
          `${what}: low`,
        );
        t.same(
          measure?.high,
          axes.map((axis) => Math.max(...along(axis))),
          `${what}: high`,
        );
        t.same(
          measure?.centroid,
          axes.map((axis) => along(axis).reduce((a, b) => a + b, 0) / voxels.length),
          `${what}: centroid`,
        );
        const expected = feret(voxels, spacing);
        const error = Math.abs((measure?.greatestDiameter ?? Number.NaN) - expected);
        // A single voxel's is 0.
        t.ok(noteError(error / (expected || 1)) <= 1e-12, `${what}: greatest diameter`);
      }
    }
});

onEveryDevice(t, 'measureLabels: same bits for any number of threads', async (t, device) => {
  const before = threads();
  const shape = simulated(device) ? ([15, 21, 50] as const) : ([30, 41, 50] as const);
  const map = device.tensor(randomLabels(shape, 1, { density: 0.3, grain: 6, labels: 4 }), {
    shape,
  });
  const results = [];
  for (const n of [1, 2, 3]) {
    threads(n);
    results.push(await ops.measureLabels(map, { spacing: [3, 0.8, 0.8], labels: 3 }).data());
  }
  for (const other of results) if (results[0]) sameBits(t, other, results[0], 'measures');
  threads(before);
});

onEveryDevice(t, 'measureLabels of long rows, and of many labels', async (t, device) => {
  // More corners than a tile of pairs has, rows of more than a strip, labels up to 255, and values that are none.
  const shape = [3, 70, 530] as const;
  const next = generator(11);
  const bends = Array.from({ length: 210 }, () => Math.floor(next() * 40));
  const map = Int16Array.from({ length: 3 * 70 * 530 }, (_, v) => {
    const w = v % 530;
    const edge = 40 + (bends[Math.floor(v / 530)] as number);
    return w === 300 ? 1 + (Math.floor(v / 530) % 260) : w > edge && w < 530 - edge ? 2 : -1;
  });
  const spacing = [5, 1.25, 0.75] as const;
  const values = await ops
    .measureLabels(device.tensor(map, { shape }), { spacing, labels: 255 })
    .data();
  const measures = ops.labelMeasures(values);
  const bytes = Uint8Array.from(map, (v) => (v > 0 && v < 256 ? v : 0));
  for (const label of [1, 3, 209, 210, 211, 255]) {
    const voxels = places(bytes, shape, label);
    const what = `label ${label}`;
    t.equal(measures[label - 1]?.voxels ?? 0, voxels.length, `${what}: voxels`);
    if (voxels.length === 0) continue;
    const error = Math.abs((measures[label - 1]?.greatestDiameter ?? -1) - feret(voxels, spacing));
    t.ok(noteError(error) <= 1e-12, `${what}: greatest diameter`);
  }
  // Of the large label only the ends of rows can be ends.
  const large = places(bytes, shape, 2);
  const ends = large.filter(([d, h, w]) =>
    [w - 1, w + 1].some((x) => bytes[(d * 70 + h) * 530 + x] !== 2),
  );
  const expected = feret(ends, spacing);
  t.equal(measures[1]?.voxels, large.length, 'the large label: voxels');
  const error = Math.abs((measures[1]?.greatestDiameter ?? 0) - expected);
  t.ok(noteError(error / expected) <= 1e-12, 'the large label: greatest diameter');
});

onEveryDevice(t, 'a ball of a million voxels', async (t, device) => {
  const half = simulated(device) ? 21 : 62;
  const n = 2 * half + 6;
  const middle = half + 2;
  const ball = new Uint8Array(n ** 3);
  for (let d = 0, v = 0; d < n; d++)
    for (let h = 0; h < n; h++)
      for (let w = 0; w < n; w++, v++)
        if ((d - middle) ** 2 + (h - middle) ** 2 + (w - middle) ** 2 <= half ** 2) ball[v] = 1;
  const map = device.tensor(ball, { shape: [n, n, n] });
  const values = await ops.measureLabels(map, { spacing: [1, 1, 1], labels: 1 }).data();
  t.equal(ops.labelMeasures(values)[0]?.greatestDiameter, 2 * half);
});
