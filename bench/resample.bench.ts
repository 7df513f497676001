/**
 * A CT to a network's grid and logits back to the CT's grid, at the size of a whole abdomen, against scipy.ndimage.zoom (order 1, grid mode: both
 * grids cover the same box). Voxels are compared to 1e-4 of the window, classes in all but 1e-4 of the voxels (where logits are equal but for
 * rounding). Bytes are those that must move at least: of plain trilinear interpolation only the voxels that it reads. The HU window alone, against NumPy.
 */
import { device, ops } from 'renvox';
import { withFiles } from './files.js';
import { measureHere } from './in-process.js';
import { type BenchOptions, type Measured, type Row, rowOf, type Turn } from './row.js';
import { measureVolume, type VolumeCase } from './volumes/versus-scipy.js';

const ct = [300, 512, 512] as const;
const grid = [128, 128, 128] as const;
const window = { level: 30, width: 300 };
const voxels = ct[0] * ct[1] * ct[2];
const small = grid[0] * grid[1] * grid[2];
const GOAL = { ratio: 1 / 20 };

/** Noise in the range of a CT. */
function storedCt(): Int16Array {
  const stored = new Int16Array(voxels);
  for (let i = 0; i < voxels; i++) stored[i] = (Math.imul(i, 2654435761) >>> 21) - 1024;
  return stored;
}

/** Logits of two ellipsoids that fill about two percent of the grid, as kidneys do. */
function kidneyLogits(): Float32Array {
  const [d, h, w] = grid;
  const logits = new Float32Array(d * h * w * 2);
  let at = 1;
  for (let i = 0; i < d; i++)
    for (let j = 0; j < h; j++)
      for (let k = 0; k < w; k++, at += 2) {
        const side = k < w / 2 ? 36 : 92;
        logits[at] = 1 - Math.hypot((i - 64) / 24, (j - 78) / 14, (k - side) / 14);
      }
  return logits;
}

const CASES: readonly VolumeCase[] = [
  {
    name: 'resample/512x512x300 i16 -> 128^3',
    why: 'what the first network reads of a whole abdomen',
    task: { work: 'resample', shape: ct, size: grid, window },
    // Two voxels along each axis for each voxel of the result, never more than there are.
    bytes: 2 * Math.min(voxels, 8 * small) + 4 * small,
    tolerance: 1e-4,
    rows: ['one thread'],
  },
  {
    name: 'resample/128^3x2 -> 512x512x300 argmax',
    why: 'what the first network found, on the grid of the CT, never storing floats of that size',
    task: { work: 'resampleArgmax', shape: grid, size: ct, classes: 2 },
    bytes: 8 * small + voxels,
    tolerance: 1e-4,
    rows: ['one thread'],
  },
];

const WINDOW: VolumeCase = {
  name: 'resample/512x512x300 i16 HU window',
  why: 'the window alone, where no resampling takes it along: what a picture shows',
  task: { work: 'window', shape: ct, window },
  bytes: (2 + 4) * voxels,
  tolerance: 1e-6,
  rows: ['one thread'],
};

/** Both ways one after the other: their n-th turns added. */
function together(there: Measured, back: Measured): Measured {
  const added = (a: readonly Turn[], b: readonly Turn[]): Turn[] =>
    a.slice(0, b.length).map((turn, i) => ({
      seconds: turn.seconds + (b[i] as Turn).seconds,
      cpu: (turn.cpu as number) + ((b[i] as Turn).cpu as number),
    }));
  const { peer: to } = there;
  const { peer: from } = back;
  const larger = (a: number | null, b: number | null) =>
    a === null || b === null ? null : Math.max(a, b);
  return {
    ...there,
    name: `resample/512x512x300 -> 128^3 and back with argmax${there.threads === 1 ? ', 1 thread' : ''}`,
    why: 'the two rows above, sample by sample: what the goal is set on',
    bytes: (there.bytes as number) + (back.bytes as number),
    own: {
      turns: added(there.own.turns, back.own.turns),
      rssMb: larger(there.own.rssMb, back.own.rssMb),
    },
    peer: to &&
      from && { ...to, turns: added(to.turns, from.turns), rssMb: larger(to.rssMb, from.rssMb) },
    goal: GOAL,
    more: {},
  };
}

export async function* bench(options: BenchOptions): AsyncGenerator<Row> {
  const stored = storedCt();
  yield* withFiles({ 'ct.i16': stored, 'logits.f32': kidneyLogits() }, async function* (folder) {
    const measured: Measured[][] = [];
    for (const c of CASES) {
      const figures = await measureVolume(c, folder, options);
      measured.push(figures);
      for (const m of figures) yield rowOf(m);
    }
    const [there, back] = measured as [Measured[], Measured[]];
    for (const [i, m] of there.entries()) yield rowOf(together(m, back[i] as Measured));
    for (const m of await measureVolume(WINDOW, folder, options)) yield rowOf(m);
  });
  yield* withoutPeer(stored, options);
}

/** Forms that SciPy has no equal of. */
async function* withoutPeer(stored: Int16Array, options: BenchOptions): AsyncGenerator<Row> {
  using cpu = device('cpu');
  using x = cpu.tensor(stored, { shape: [1, ...ct, 1], borrow: true });
  const tilt = ops.augmentationAffine({ size: grid, rotation: [10, 0, 0] });
  const turned = ops.composeAffine(ops.coveringAffine(ct, grid), tilt);
  yield await measureHere(
    cpu,
    {
      name: 'resample/512x512x300 i16 -> 128^3 box',
      why: 'averages whole footprints: every voxel is read',
      bytes: 2 * voxels + 4 * small,
      call: () => [ops.resample(x, { size: grid, window, prefilter: 'box' })],
    },
    options,
  );
  yield await measureHere(
    cpu,
    {
      name: 'resample/512x512x300 i16 -> 128^3 rotated',
      why: 'no axis runs along a row, as in augmentation',
      bytes: 2 * voxels + 4 * small,
      call: () => [ops.resample(x, { size: grid, window, affine: turned })],
    },
    options,
  );
  using logits = cpu.tensor(kidneyLogits(), { shape: [1, ...grid, 2] });
  const inverse = ops.invertAffine(turned);
  yield await measureHere(
    cpu,
    {
      name: 'resample/128^3x2 -> 512x512x300 argmax rotated',
      why: 'the way back of a rotated crop',
      bytes: 8 * small + voxels,
      call: () => [ops.resampleArgmax(logits, { size: ct, affine: inverse })],
    },
    options,
  );
  using patch = cpu.full([1, ...grid, 1], 1);
  yield await measureHere(
    cpu,
    {
      name: 'resample/gaussianBlur 128^3 sigma 1',
      why: 'what a phantom and augmentation blur with',
      bytes: 8 * small,
      call: () => [ops.gaussianBlur(patch, [1, 1, 1])],
    },
    options,
  );
}
