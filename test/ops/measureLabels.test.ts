import { join } from 'node:path';
import { ops, threads } from 'renvox';
import { readVolume } from 'renvox/volume';
import t from 'tap';
import { mask, oracles, regionLabels } from '../oracle-labels.js';
import { generator, onEveryDevice, ReferenceCount, sameBits } from './harness.js';
import { raggedShapes, randomLabels } from './random-labels.js';

type Triple = readonly [number, number, number];
const references = new ReferenceCount(t);

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
        t.ok(error <= 1e-12 * expected, `${what}: greatest diameter`);
      }
    }
});

onEveryDevice(t, 'measureLabels: same bits for any number of threads', async (t, device) => {
  const before = threads();
  const shape = [30, 41, 50] as const;
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

onEveryDevice(t, 'a ball of a million voxels', async (t, device) => {
  const n = 130;
  const ball = new Uint8Array(n ** 3);
  for (let d = 0, v = 0; d < n; d++)
    for (let h = 0; h < n; h++)
      for (let w = 0; w < n; w++, v++)
        if ((d - 64) ** 2 + (h - 64) ** 2 + (w - 64) ** 2 <= 62 ** 2) ball[v] = 1;
  const map = device.tensor(ball, { shape: [n, n, n] });
  const values = await ops.measureLabels(map, { spacing: [1, 1, 1], labels: 1 }).data();
  t.equal(ops.labelMeasures(values)[0]?.greatestDiameter, 124);
});

onEveryDevice(t, 'diameters and centroids of the data folder', async (t, device) => {
  const reference = oracles();
  if (!reference) {
    t.comment('no oracles.json (RENVOX_DATA): nothing was compared');
    return;
  }
  const close = (a: number | undefined, e: number) =>
    a !== undefined && Math.abs(a - e) <= 1e-9 * Math.max(1, Math.abs(e));
  for (const [name, { regions = {} }] of Object.entries(reference.figures.label_maps)) {
    const volume = await readVolume(join(reference.folder, name));
    const { shape, spacing, affine } = volume;
    for (const [region, { c26 }] of Object.entries(regions)) {
      const labels = device.tensor(mask(volume.data as Uint8Array, regionLabels(region)), {
        shape,
      });
      const found = ops.connectedComponents(labels);
      // Numbers are in another raster order here than in oracles.json: the largest come by size.
      const { kept } = ops.keepComponents(found, { largest: 255 });
      const table = ops.measureLabels(kept, { spacing, labels: 255 });
      const measures = ops.labelMeasures(await table.data());
      for (const tensor of [labels, found.components, found.count, kept, table]) tensor.dispose();
      const { sizes, feret_mm = [], centroid_lps = [] } = c26;
      sizes.forEach((size, i) => {
        // Crumbs of one size cannot be told apart by size.
        if (sizes.filter((s) => s === size).length > 1) return;
        const measure = measures.find((m) => m?.voxels === size);
        const diameter = feret_mm[i];
        const centroid = centroid_lps[i];
        if (diameter !== undefined) {
          references.count++;
          t.ok(close(measure?.greatestDiameter, diameter), `${name} ${region} ${size}: diameter`);
        }
        if (centroid && measure) {
          references.count++;
          const [d, h, w] = measure.centroid;
          const ras = [0, 4, 8].map(
            (row) =>
              (affine[row] as number) * w +
              (affine[row + 1] as number) * h +
              (affine[row + 2] as number) * d +
              (affine[row + 3] as number),
          ) as [number, number, number];
          const lps = [-ras[0], -ras[1], ras[2]];
          t.ok(
            lps.every((x, axis) => close(x, centroid[axis] as number)),
            `${name} ${region} ${size}: centroid`,
          );
        }
      });
    }
  }
});
