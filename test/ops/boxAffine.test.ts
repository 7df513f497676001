import { ops } from 'renvox';
import t from 'tap';
import { onEveryDevice } from './harness.js';

onEveryDevice(t, 'boxAffine', async (t, device) => {
  // One component of 4 x 2 x 6 voxels of 2 x 3 x 4 mm: 8 x 6 x 24 mm.
  const table = device.tensor(
    Int32Array.of(0, 0, 0, 0, -1, -1, -1, -1, 48, 10, 20, 30, 13, 21, 35, 0),
    { shape: [2, 8] },
  );
  const spacing: [number, number, number] = [2, 3, 4];
  const at = (a: Float64Array, index: number[]) =>
    [0, 1, 2].map((r) =>
      [0, 1, 2].reduce(
        (s, c) => s + (a[4 * r + c] as number) * (index[c] as number),
        a[4 * r + 3] as number,
      ),
    );

  const roomy = (await ops
    .boxAffine(table, { row: 1, size: [9, 9, 31], spacing, step: 1 })
    .data()) as unknown as Float64Array;
  t.strictSame(
    at(roomy, [4, 4, 15]),
    [11.5, 20.5, 32.5],
    'the middle of the crop is the middle of the box',
  );
  t.strictSame(at(roomy, [6, 4, 15]), [12.5, 20.5, 32.5], 'a voxel of the crop is 1 mm');

  const tight = (await ops
    .boxAffine(table, { row: 1, size: [7, 7, 7], spacing, step: 1, margin: 2 })
    .data()) as unknown as Float64Array;
  t.match((tight[10] as number) * 4, 4, 'enlarged to 28 mm in 7 voxels along the longest axis');
  t.match((tight[0] as number) * 2, 4, 'and alike along the others');

  const mirrored = (await ops
    .boxAffine(table, {
      row: 1,
      size: 9,
      spacing,
      step: 4,
      mirror: true,
      base: [1, 0, 0, 100, 0, 1, 0, 0, 0, 0, 1, 0],
    })
    .data()) as unknown as Float64Array;
  t.strictSame(
    at(mirrored, [4, 4, 5]),
    [111.5, 20.5, 31.5],
    'w runs the other way; the base comes last',
  );

  const through = device.tensor(Float64Array.of(1, 0, 0, 100, 0, 1, 0, 0, 0, 0, 1, 0), {
    dtype: 'f64',
  });
  const same = await ops
    .boxAffine(table, { row: 1, size: 9, spacing, step: 4, mirror: true, through })
    .data();
  t.strictSame(same, mirrored, 'a base in a tensor is the same');
  t.throws(() => ops.boxAffine(table, { row: 2, size: 9, spacing, step: 1 }), {
    code: 'InvalidArgument',
  });
});
