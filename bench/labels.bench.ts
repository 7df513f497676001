/**
 * What else an analysis and an evaluation do with label maps of an abdomen, two kidneys with a mass on each: bytes that must move at least against
 * what reading gives in the same rounds. Overlap counts are compared with NumPy's exactly, surface distances with SciPy's to 1e-9; what has no peer
 * in either is measured alone. Components, distances and whole sets of metrics have benches of their own.
 */
import { device, ops } from 'renvox';
import { type Call, measureHere } from './in-process.js';
import { kidneys } from './label-maps.js';
import type { BenchOptions, Row } from './row.js';
import { measureVolumes, type VolumeCase } from './volumes/versus-scipy.js';

const shape = [100, 512, 512] as const;
const voxels = shape[0] * shape[1] * shape[2];
const spacing = [3, 0.75, 0.75] as const;

// Both maps are read once; all else is near the surfaces.
const both = { bytes: 2 * voxels, memory: 'read', rows: ['one thread'] } as const;
const CASES: readonly VolumeCase[] = [
  {
    ...both,
    name: 'labels/512x512x100 overlapCounts',
    why: 'a confusion matrix of 256 labels; the peer is numpy.bincount of pairs',
    task: { work: 'overlap', shape, labels: 256 },
    tolerance: 0,
  },
  {
    ...both,
    name: 'labels/512x512x100 surfaceDistances, voxels',
    why: 'surfaces one voxel apart; the peer, too, cuts the joint box out first',
    task: { work: 'surface', shape, spacing, crop: true },
    tolerance: 1e-9,
  },
];

export async function* bench(options: BenchOptions): AsyncGenerator<Row> {
  const [truth, prediction] = [kidneys(shape), kidneys(shape, 1)];
  const files = { 'truth.u8': truth, 'prediction.u8': prediction };
  yield* measureVolumes(CASES, files, options);
  using cpu = device('cpu');
  using a = cpu.tensor(truth, { shape });
  using b = cpu.tensor(prediction, { shape });
  const measure = (name: string, why: string, bytes: number, call: Call): Promise<Row> =>
    measureHere(
      cpu,
      { name: `labels/512x512x100 ${name}`, why, bytes, memory: 'read', call },
      options,
    );
  yield await measure(
    'surfaceDistances, elements',
    'marching-cubes surfaces one voxel apart: both maps read once, all else is near the surfaces (SciPy has none)',
    2 * voxels,
    () => [ops.surfaceDistances(a, b, { spacing, surface: 'elements' }).summary],
  );
  yield await measure(
    'measureLabels',
    'volumes, centroids and diameters: the map read once (SciPy has no such pass)',
    voxels,
    () => [ops.measureLabels(a, { spacing, labels: 2 })],
  );
}
