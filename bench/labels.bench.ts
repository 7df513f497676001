/**
 * What else an analysis and an evaluation do with label maps of an abdomen, two kidneys with a mass on each, against what reading gives in the same rounds:
 * bytes that must move at least. Components, distances and whole sets of metrics have benches of their own.
 */
import { device, ops } from 'renvox';
import { type Call, measureHere } from './in-process.js';
import { kidneys } from './label-maps.js';
import type { BenchOptions, Row } from './row.js';

const shape = [100, 512, 512] as const;
const spacing = [3, 0.75, 0.75] as const;

export async function* bench(options: BenchOptions): AsyncGenerator<Row> {
  using cpu = device('cpu');
  const truth = cpu.tensor(kidneys(shape), { shape });
  const prediction = cpu.tensor(kidneys(shape, 1), { shape });
  const voxels = truth.size;
  const measure = (name: string, why: string, bytes: number, call: Call): Promise<Row> =>
    measureHere(
      cpu,
      { name: `labels/512x512x100 ${name}`, why, bytes, memory: 'read', call },
      options,
    );
  yield await measure(
    'overlapCounts',
    'a confusion matrix: both maps read once',
    2 * voxels,
    () => {
      const { counts, outside } = ops.overlapCounts(truth, prediction, { labels: 256 });
      return [counts, outside];
    },
  );
  for (const surface of ['voxels', 'elements'] as const)
    yield await measure(
      `surfaceDistances, ${surface}`,
      'surfaces one voxel apart: both maps read once, all else is near the surfaces',
      2 * voxels,
      () => [ops.surfaceDistances(truth, prediction, { spacing, surface }).summary],
    );
  yield await measure(
    'measureLabels',
    'volumes, centroids and diameters: the map read once',
    voxels,
    () => [ops.measureLabels(truth, { spacing, labels: 2 })],
  );
}
