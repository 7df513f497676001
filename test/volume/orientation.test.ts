import {
  leftRightAxis,
  niftiBytes,
  parseNifti,
  reorient,
  reorientLike,
  sameGrid,
  Volume,
} from 'renvox/volume';
import t from 'tap';
import { random } from './nifti-file.js';

/** A little patient: 5 voxels from left to right, 4 from back to front, 3 from foot to head, 1, 2 and 4 mm apart. */
const EXTENT = [5, 4, 3] as const;
const MM = [1, 2, 4] as const;
const ORIGIN = [-100, 20.5, 300] as const;

/** All 48 codes. */
const CODES = ['LR', 'PA', 'IS'].flatMap((a, i) =>
  ['LR', 'PA', 'IS'].flatMap((b, j) =>
    ['LR', 'PA', 'IS'].flatMap((c, k) =>
      i === j || j === k || i === k
        ? []
        : [...a].flatMap((x) => [...b].flatMap((y) => [...c].map((z) => x + y + z))),
    ),
  ),
);

/** The patient in an orientation, built from the meaning of the letters: each voxel's value tells where it lies. */
function patient(code: string): Volume {
  const axes = [...code].map((letter) => {
    const axis = 'LRPAIS'.indexOf(letter) >> 1;
    return { axis, plus: 'RAS'.includes(letter), n: EXTENT[axis] as number };
  });
  const affine = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
  axes.forEach(({ axis, plus, n }, column) => {
    const mm = MM[axis] as number;
    affine[4 * axis + column] = plus ? mm : -mm;
    affine[4 * axis + 3] = (ORIGIN[axis] as number) + (plus ? 0 : (n - 1) * mm);
  });
  const [i, j, k] = axes.map(({ n }) => n) as [number, number, number];
  const data = new Int16Array(60);
  for (let voxel = 0; voxel < 60; voxel++) {
    const index = [voxel % i, Math.floor(voxel / i) % j, Math.floor(voxel / (i * j))];
    const ras = [0, 0, 0];
    axes.forEach(({ axis, plus, n }, column) => {
      ras[axis] = plus ? (index[column] as number) : n - 1 - (index[column] as number);
    });
    data[voxel] = (ras[0] as number) + 10 * (ras[1] as number) + 100 * (ras[2] as number);
  }
  return new Volume({ data, shape: [k, j, i], affine });
}

t.test('48 orientations: code, sides, and each turned to each', async (t) => {
  t.equal(new Set(CODES).size, 48);
  const all = CODES.map((code) => ({ code, volume: patient(code) }));
  for (const { code, volume } of all) {
    t.equal(volume.orientation, code);
    t.equal(parseNifti(niftiBytes(volume)).orientation, code, `${code} through a file`);
    const { axis, higherIsLeft } = leftRightAxis(volume);
    const index = [0, 0, 0];
    index[axis] = (volume.shape[axis] as number) - 1;
    const [d, h, w] = index as [number, number, number];
    const last = volume.data[(d * volume.shape[1] + h) * volume.shape[2] + w] as number;
    const first = volume.data[0] as number;
    // The value's last digit counts from the patient's left.
    t.same([first % 10, last % 10], higherIsLeft ? [4, 0] : [0, 4], `${code}: left and right`);
  }
  let turned = 0;
  for (const from of all) {
    for (const to of all) {
      const result = reorient(from.volume, to.code);
      const same =
        result.orientation === to.code &&
        result.data.every((value, k) => value === to.volume.data[k]) &&
        result.affine.every((value, k) => value === to.volume.affine[k]) &&
        result.shape.every((n, k) => n === to.volume.shape[k]) &&
        result.spacing.every((mm, k) => mm === to.volume.spacing[k]);
      if (!same) t.fail(`${from.code} to ${to.code}`);
      else turned++;
    }
  }
  t.equal(turned, 48 * 48);
});

t.test('there and back keeps the very header', async (t) => {
  const original = parseNifti(niftiBytes(patient('IPL')));
  const lps = reorient(original, 'LPS');
  const labels = new Volume({
    data: Uint8Array.from(lps.data, (value) => value % 7),
    shape: lps.shape,
    affine: lps.affine,
  });
  const back = reorientLike(labels, original);
  t.same(
    back.data,
    Uint8Array.from(original.data, (value) => value % 7),
  );
  t.equal(back.template, original.template);
  t.same(back.affine, original.affine);
  t.equal(reorient(original, 'IPL'), original, 'nothing to do: the same object');
});

t.test('volumes that do not show the same voxels', async (t) => {
  const a = patient('RAS');
  const moved = (mm: number) =>
    new Volume({
      data: a.data,
      shape: a.shape,
      affine: a.affine.map((v, k) => (k === 3 ? v + mm : v)),
    });
  t.ok(sameGrid(a, moved(0.005)));
  t.notOk(sameGrid(a, moved(0.02)));
  t.ok(sameGrid(a, moved(0.02), 0.1));
  t.notOk(sameGrid(a, patient('LAS')));
  t.throws(() => reorientLike(moved(1), a), { code: 'ShapeMismatch', message: /same voxels/ });
  t.throws(() => reorientLike(moved(1), patient('SPL')), { code: 'ShapeMismatch' });
});

t.test('codes that are none', async (t) => {
  for (const code of ['', 'LP', 'LPSA', 'LRS', 'lps', 'LPX', 5, undefined]) {
    t.throws(
      () => reorient(patient('RAS'), code as string),
      { code: 'InvalidArgument' },
      `${code}`,
    );
  }
});

/** A random rotation, row-major, from a unit quaternion. */
function rotation(next: () => number): number[] {
  const q = Array.from(
    { length: 4 },
    () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(6.283185307 * next()),
  );
  const norm = Math.hypot(...q);
  const [a, b, c, d] = q.map((v) => v / norm) as [number, number, number, number];
  return [
    ...[a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
    ...[2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
    ...[2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
  ];
}

t.test('oblique volumes: every patient axis once, the nearest assignment', async (t) => {
  const next = random(3);
  let greedyWouldRepeat = 0;
  for (let round = 0; round < 2000; round++) {
    const r = rotation(next);
    const scale = [0.5 + next(), 0.5 + next(), 1 + 4 * next()];
    const affine = [0, 1, 2].flatMap((row) => [
      ...scale.map((mm, column) => (r[3 * row + column] as number) * mm),
      next(),
    ]);
    const { orientation } = new Volume({ data: new Uint8Array(1), shape: [1, 1, 1], affine });
    const axes = [...orientation].map((letter) => 'LRPAIS'.indexOf(letter) >> 1);
    if (new Set(axes).size !== 3) t.fail(`${orientation} uses an axis twice`);
    const sum = (order: readonly number[]) =>
      order.reduce((total, row, column) => total + Math.abs(r[3 * row + column] as number), 0);
    const best = Math.max(
      ...[
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
      ].map(sum),
    );
    if (sum(axes) < best - 1e-8)
      t.fail(`${orientation} is not the nearest: ${sum(axes)} < ${best}`);
    axes.forEach((row, column) => {
      const positive = (r[3 * row + column] as number) > 0;
      if (positive !== 'RAS'.includes(orientation[column] as string)) t.fail('a sign is wrong');
    });
    const nearest = [0, 1, 2].map((column) => {
      const cosines = [0, 1, 2].map((row) => Math.abs(r[3 * row + column] as number));
      return cosines.indexOf(Math.max(...cosines));
    });
    if (new Set(nearest).size < 3) greedyWouldRepeat++;
  }
  t.ok(greedyWouldRepeat > 50, `${greedyWouldRepeat} of 2000 would use an axis twice one by one`);
});
