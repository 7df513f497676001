/** Connected components against scipy.ndimage.label; partitions are compared exactly. */
import { kidneys, noise } from './label-maps.js';
import type { BenchOptions, Row } from './row.js';
import { measureVolumes, type VolumeCase } from './volumes/versus-scipy.js';

type Triple = readonly [number, number, number];

/** One byte read and four written a voxel. */
const BYTES = 1 + 4;

/** Components of the map `truth.u8`. */
export function components(
  shape: Triple,
  what: string,
  connectivity: 6 | 26,
  why: string,
): VolumeCase {
  const [d, h, w] = shape;
  return {
    name: `components/${w}x${h}x${d} ${what}, ${connectivity}`,
    why,
    task: { work: 'components', shape, connectivity },
    bytes: BYTES * d * h * w,
    tolerance: 0,
    goal: { ratio: 1 / 3 },
    rows: connectivity === 26 ? ['one thread', 'to JS'] : ['one thread'],
  };
}

export async function* bench(options: BenchOptions): AsyncGenerator<Row> {
  const abdomen: Triple = [100, 512, 512];
  yield* measureVolumes(
    [
      components(
        abdomen,
        'kidneys',
        26,
        'a label map as an analysis makes: a few large components in much background',
      ),
      components(abdomen, 'kidneys', 6, "SciPy's default connectivity"),
    ],
    { 'truth.u8': kidneys(abdomen) },
    options,
  );
  const cube: Triple = [128, 128, 128];
  yield* measureVolumes(
    [
      components(cube, '40 % noise', 26, 'worst case of merging: one component winds through all'),
      components(
        cube,
        '40 % noise',
        6,
        'worst case of counting: above the threshold of percolation, many small ones beside',
      ),
    ],
    { 'truth.u8': noise(cube) },
    options,
  );
}
