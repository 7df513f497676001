import {
  cropGrid,
  fixedGrid,
  gridCentre,
  gridOf,
  gridToVolume,
  indexMap,
  toIndex,
  toWorld,
  Volume,
  volumeOnGrid,
  volumeToGrid,
} from 'renvox/volume';
import t from 'tap';
import { random } from './nifti-file.js';

type Point = [number, number, number];

function map(m: readonly number[], p: readonly number[]): Point {
  return [0, 1, 2].map(
    (row) =>
      (m[4 * row + 3] as number) +
      p.reduce((sum, value, k) => sum + (m[4 * row + k] as number) * value, 0),
  ) as Point;
}

function near(a: readonly number[], b: readonly number[], tolerance = 1e-9): boolean {
  return a.every((value, k) => Math.abs(value - (b[k] as number)) <= tolerance);
}

t.test('a fixed grid lies as it says', async (t) => {
  const grid = fixedGrid({ shape: [3, 5, 4], spacing: [4, 2, 1], centre: [10, -20, 30] });
  t.same(gridCentre(grid), [10, -20, 30]);
  t.same(toWorld(grid, [1, 2, 1.5]), [10, -20, 30], 'the middle of an even axis is between voxels');
  t.same(toWorld(grid, [0, 0, 0]), [8.5, -24, 26]);
  t.same(toWorld(grid, [2, 0, 0]), [8.5, -24, 34], 'd goes to the head');
  t.same(toWorld(grid, [0, 4, 0]), [8.5, -16, 26], 'h to the back');
  t.same(toWorld(grid, [0, 0, 3]), [11.5, -24, 26], 'w to the left');
  t.ok(near(toIndex(grid, [11.5, -16, 34]), [2, 4, 3]));
  t.throws(() => fixedGrid({ shape: [0, 1, 1], spacing: [1, 1, 1], centre: [0, 0, 0] }), {
    code: 'InvalidArgument',
  });
  t.throws(() => fixedGrid({ shape: [1, 1, 1], spacing: [1, -1, 1], centre: [0, 0, 0] }), {
    code: 'InvalidArgument',
  });
  t.throws(() => fixedGrid({ shape: [1, 1, 1], spacing: [1, 1, 1], centre: [0, Number.NaN, 0] }), {
    code: 'InvalidArgument',
  });
});

t.test('a volume as a grid and back', async (t) => {
  const grid = fixedGrid({ shape: [2, 3, 4], spacing: [3, 2, 1.5], centre: [1, 2, 3] });
  const volume = volumeOnGrid(new Uint8Array(24), grid);
  t.equal(volume.orientation, 'LPS');
  t.same([volume.shape, volume.spacing], [grid.shape, [3, 2, 1.5]]);
  t.same(gridOf(volume), grid);
  // RAS, as NIfTI: x and y are negative of LPS.
  t.same([volume.affine[3], volume.affine[7], volume.affine[11]], [1.25, 0, 1.5]);
  t.throws(() => volumeOnGrid(new Uint8Array(23), grid), { code: 'ShapeMismatch' });
});

t.test('index maps through the world, for random volumes and grids', async (t) => {
  const next = random(5);
  const any = (scale = 1) => (next() - 0.5) * scale;
  for (let round = 0; round < 200; round++) {
    const size = (): number => 1 + Math.floor(next() * 9);
    const shape: Point = [size(), size(), size()];
    const affine = [
      ...[1 + any(), any(), any(), any(500)],
      ...[any(), -1 + any(), any(), any(500)],
      ...[any(), any(), 3 + any(), any(500)],
    ];
    const volume = new Volume({
      data: new Uint8Array(shape[0] * shape[1] * shape[2]),
      shape,
      affine,
    });
    const grid = fixedGrid({
      shape: [8, 9, 10],
      spacing: [1 + next(), 1 + next(), 1 + next()],
      centre: [any(100), any(100), any(100)],
    });
    const forward = gridToVolume(grid, volume);
    const backward = volumeToGrid(volume, grid);
    t.equal(forward.length, 12);
    const p: Point = [next() * 7, next() * 8, next() * 9];
    const [d, h, w] = map(forward, p);
    // The same point by NIfTI's own rule: (w, h, d) to RAS, then to LPS.
    const [x, y, z] = map(volume.affine, [w, h, d]);
    if (!near([-x, -y, z], toWorld(grid, p), 1e-9)) t.fail(`round ${round}: another point`);
    if (!near(map(backward, [d, h, w]), p, 1e-8)) t.fail(`round ${round}: not the inverse`);
    const other = fixedGrid({ shape: [4, 4, 4], spacing: [2, 2, 2], centre: [0, 1, 2] });
    if (!near(map(indexMap(grid, other), p), toIndex(other, toWorld(grid, p)), 1e-9)) {
      t.fail(`round ${round}: grid to grid`);
    }
  }
});

t.test('the same grid maps onto itself exactly', async (t) => {
  const grid = fixedGrid({ shape: [64, 64, 64], spacing: [2.5, 2.5, 2.5], centre: [3, 5, 7] });
  const expected = [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0];
  t.ok(near(indexMap(grid, grid), expected, 1e-13));
});

t.test('a crop of a grid', async (t) => {
  const grid = fixedGrid({ shape: [8, 8, 8], spacing: [3, 2, 1], centre: [0, 0, 0] });
  const crop = cropGrid(grid, [2, -3, 4], [4, 5, 6]);
  t.same(crop.shape, [4, 5, 6]);
  t.same(toWorld(crop, [0, 0, 0]), toWorld(grid, [2, -3, 4]));
  t.same(toWorld(crop, [1, 2, 3]), toWorld(grid, [3, -1, 7]));
  t.ok(near(map(indexMap(crop, grid), [1, 1, 1]), [3, -2, 5]));
});
