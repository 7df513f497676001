/** Exact Euclidean distances in mm against scipy.ndimage.distance_transform_edt; every distance is compared, to 1e-9. */
import { kidneys } from './label-maps.js';
import type { BenchOptions, Row } from './row.js';
import { measureVolumes, type VolumeCase } from './volumes/versus-scipy.js';

type Triple = readonly [number, number, number];

const spacing = [3, 0.75, 0.75] as const;

/** Distances of the map `truth.u8`. */
export function edt(
  shape: Triple,
  to: 'background' | 'foreground',
  more: Pick<VolumeCase, 'why'> & Partial<VolumeCase>,
  what = 'kidneys',
): VolumeCase {
  const [d, h, w] = shape;
  return {
    name: `edt/${w}x${h}x${d} ${what} to ${to}`,
    task: { work: 'distance', shape, spacing, to, dtype: 'f64' },
    // One byte read and a double written a voxel.
    bytes: (1 + 8) * d * h * w,
    tolerance: 1e-9,
    goal: { ratio: 1 / 5 },
    rows: ['one thread'],
    ...more,
  };
}

export async function* bench(options: BenchOptions): AsyncGenerator<Row> {
  const abdomen: Triple = [100, 512, 512];
  yield* measureVolumes(
    [
      edt(abdomen, 'background', {
        why: 'inside the kidneys: most lines hold nothing',
        rows: ['one thread', 'to JS'],
      }),
      edt(abdomen, 'foreground', { why: 'outside the kidneys: every voxel has a distance' }),
    ],
    { 'truth.u8': kidneys(abdomen) },
    options,
  );
  const large: Triple = [464, 464, 464];
  yield* measureVolumes(
    [
      edt(large, 'foreground', {
        why: 'a hundred million voxels: memory, SciPy takes 5 GB',
        task: { work: 'distance', shape: large, spacing, to: 'foreground', dtype: 'f32' },
        bytes: (1 + 4) * 464 ** 3,
        tolerance: 1e-6,
        goal: { rssMb: 2000 },
        rows: [],
        heavyPeer: true,
      }),
    ],
    { 'truth.u8': kidneys(large) },
    // One run is seconds long.
    { ...options, samples: Math.min(options.samples, 3) },
  );
}
