import t from 'tap';
import { cropsBox, onWholeGrid } from '#lib/pipeline/crops-box.js';

type Triple = [number, number, number];
const ct: Triple = [20, 30, 40];
const gone = { shape: [8, 8, 8] as Triple, affine: new Float64Array(12) };

t.test('the box of the crops', async (t) => {
  t.strictSame(
    cropsBox([gone, gone], ct),
    { start: [0, 0, 0], size: [1, 1, 1] },
    'no kidney: one voxel',
  );
  const plain = {
    shape: [4, 5, 6] as Triple,
    affine: Float64Array.of(1.5, 0, 0, 3.25, 0, 1, 0, 7, 0, 0, -2, 30),
  };
  // d from 3.25 to 7.75, h from 7 to 11, w from 20 to 30, and one voxel round them.
  const box = { start: [2, 6, 19], size: [8, 7, 13] };
  t.strictSame(cropsBox([plain, gone], ct), box, 'of one side, mirrored');
  t.strictSame(
    cropsBox([gone, { ...plain, shape: [1, 1, 1] }, plain], ct),
    box,
    'a crop inside another changes nothing',
  );
  const beyond = { shape: [9, 9, 9] as Triple, affine: [9, 0, 0, -5, 0, 9, 0, -5, 0, 0, 9, -5] };
  t.strictSame(cropsBox([beyond], ct), { start: [0, 0, 0], size: ct }, 'never beyond the CT');
  const outside = { shape: [2, 2, 2] as Triple, affine: [1, 0, 0, 50, 0, 1, 0, -9, 0, 0, 1, 3] };
  t.strictSame(
    cropsBox([outside], ct),
    { start: [19, 0, 2], size: [1, 1, 4] },
    'a crop outside of the CT leaves a voxel of it',
  );
});

t.test('every voxel that a turned crop covers lies in its box, with its neighbours', async (t) => {
  const affine = [0.9, 0.3, -0.2, 5, -0.25, 1.1, 0.4, 9, 0.3, -0.2, 1.2, 12];
  const shape: Triple = [6, 7, 8];
  const { start, size } = cropsBox([{ shape, affine }], ct);
  let closest = Number.POSITIVE_INFINITY;
  for (let d = 0; d < shape[0]; d++)
    for (let h = 0; h < shape[1]; h++)
      for (let w = 0; w < shape[2]; w++)
        for (let axis = 0; axis < 3; axis++) {
          const m = affine.slice(4 * axis, 4 * axis + 4) as [number, number, number, number];
          const x = m[0] * d + m[1] * h + m[2] * w + m[3];
          const low = start[axis] as number;
          closest = Math.min(closest, x - low, low + (size[axis] as number) - 1 - x);
        }
  t.ok(
    closest >= 1 && closest < 2,
    `the nearest lies ${closest.toFixed(3)} voxels from the border`,
  );
});

t.test('a box on the whole grid', async (t) => {
  const part = Uint8Array.from({ length: 2 * 3 * 2 }, (_, i) => i + 1);
  const whole = onWholeGrid(part, { start: [1, 0, 2], size: [2, 3, 2] }, [4, 3, 5]);
  t.equal(whole.length, 60);
  const at = (d: number, h: number, w: number) => whole[(d * 3 + h) * 5 + w];
  t.strictSame([at(1, 0, 2), at(1, 0, 3), at(1, 2, 3), at(2, 0, 2), at(2, 2, 3)], [1, 2, 6, 7, 12]);
  t.equal(
    whole.reduce((sum, x) => sum + x, 0),
    78,
    'nothing else',
  );
});
