import { chmodSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { niftiBytes, parseNifti, readVolume, Volume } from 'renvox/volume';
import t from 'tap';
import { writeFileAtomic } from '#lib/atomic-write.js';
import { niftiFile, random } from './nifti-file.js';

/** [first byte, bytes] of pixdim[0..3], units, codes, quaternion, offsets and sform rows. */
const GEOMETRY_1 = [
  [76, 16],
  [123, 1],
  [252, 76],
] as const;
const GEOMETRY_2 = [
  [104, 32],
  [344, 152],
  [500, 4],
] as const;

t.test('geometry fields keep every bit, for any bits', async (t) => {
  const next = random(1);
  const any = () => (next() - 0.5) * 300;
  for (const version of [1, 2] as const) {
    for (let round = 0; round < 20; round++) {
      const file = niftiFile({
        version,
        dim: [4, 2, 3, 1, 1],
        datatype: 4,
        voxels: [1, 2, 3, 4, 5, 6],
        pixdim: [-1, any(), any(), any(), 5, 6, 7, 8],
        qformCode: round % 3,
        sformCode: 1 + (round % 4),
        quaternion: round === 0 ? [Number.NaN, -0, 1e-40] : [any(), any(), any()],
        qoffset: [any(), any(), any()],
        srow: [any(), 1, 2, any(), 3, any(), -4, any(), 7, 9, any(), any()],
        units: 2 + 8,
        slope: 2,
        inter: -1000,
        descrip: 'a patient',
      });
      const volume = parseNifti(file);
      const labels = volume.like(new Uint8Array(6).fill(3));
      for (const written of [niftiBytes(volume), niftiBytes(labels)]) {
        for (const [start, bytes] of version === 1 ? GEOMETRY_1 : GEOMETRY_2) {
          t.same(
            Buffer.from(written).subarray(start, start + bytes),
            file.subarray(start, start + bytes),
            `version ${version}, bytes ${start} to ${start + bytes}`,
          );
        }
        t.notOk(Buffer.from(written).includes('patient'), 'texts are not carried over');
      }
      const again = parseNifti(niftiBytes(volume));
      t.same([again.slope, again.inter], [2, -1000]);
      t.same(again.affine, volume.affine);
      const { slope, inter } = parseNifti(niftiBytes(labels));
      t.same([slope, inter], [1, 0], 'a label map is unscaled');
    }
  }
});

t.test('a big-endian file is written little-endian with the same numbers', async (t) => {
  const fields = {
    dim: [3, 1, 1, 2],
    datatype: 4,
    voxels: [-5, 300],
    qformCode: 1,
    sformCode: 2,
    quaternion: [0.1, 0.2, 0.3],
    qoffset: [-4, 5, 6.5],
    srow: [0.7, 0.01, 0, -100.125, 0, 0.7, 0, 33, 0, 0, 2.5, 1e3],
  };
  for (const version of [1, 2] as const) {
    const big = niftiBytes(parseNifti(niftiFile({ ...fields, version, little: false })));
    const little = niftiBytes(parseNifti(niftiFile({ ...fields, version })));
    t.same(big, little, `version ${version}`);
  }
});

t.test('a volume made in memory', async (t) => {
  const folder = t.testdir();
  const affine = [-0.5, 0, 0, 10, 0, -0.5, 0, 20, 0, 0, 2, 30];
  const volume = new Volume({ data: Int16Array.of(1, -2, 3, 4), shape: [1, 2, 2], affine });
  t.same(volume.spacing, [2, 0.5, 0.5]);
  t.equal(volume.orientation, 'LPS');
  t.equal(volume.voxelVolume, 0.5);
  for (const name of ['a.nii', 'a.nii.gz']) {
    await volume.write(join(folder, name));
    const again = await readVolume(join(folder, name));
    t.same(again.data, volume.data);
    t.same(again.affine, volume.affine);
    t.same([again.spacing, again.affineSource], [[2, 0.5, 0.5], 'sform']);
  }
  const plain = readFileSync(join(folder, 'a.nii'));
  t.same(gunzipSync(readFileSync(join(folder, 'a.nii.gz'))), plain, 'same bytes under gzip');
  await volume.write(join(folder, 'b.nii.gz'));
  t.same(
    readFileSync(join(folder, 'a.nii.gz')),
    readFileSync(join(folder, 'b.nii.gz')),
    'every time',
  );

  const long = new Volume({ data: new Uint8Array(40000), shape: [1, 1, 40000], affine });
  t.same(parseNifti(niftiBytes(long)).shape, [1, 1, 40000], 'an axis too long for NIfTI-1');
});

t.test('what makes no volume', async (t) => {
  const data = new Uint8Array(8);
  const affine = [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0];
  const make = (init: object) => () => new Volume({ data, shape: [2, 2, 2], affine, ...init });
  t.doesNotThrow(make({}));
  t.throws(make({ shape: [2, 2, 3] }), { code: 'ShapeMismatch' });
  t.throws(make({ shape: [2, 4] }), { code: 'InvalidArgument' });
  t.throws(make({ shape: [2, 2, -2] }), { code: 'InvalidArgument' });
  t.throws(make({ shape: [2.5, 2, 2] }), { code: 'InvalidArgument' });
  t.throws(make({ affine: [1, 2, 3] }), { code: 'InvalidArgument' });
  t.throws(make({ affine: affine.map((v) => v * 0) }), { code: 'InvalidArgument' });
  t.throws(make({ affine: [...affine.slice(0, 11), Number.NaN] }), { code: 'InvalidArgument' });
  t.throws(make({ slope: 0 }), { code: 'InvalidArgument' });
  t.throws(make({ inter: Number.NaN }), { code: 'InvalidArgument' });
  t.throws(() => make({})().like(new Uint8Array(7)), { code: 'ShapeMismatch' });
});

t.test('whole or not at all', async (t) => {
  const folder = t.testdir({ 'old.nii': 'old' });
  const old = join(folder, 'old.nii');
  const affine = [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0];
  const volume = new Volume({ data: new Uint8Array(1 << 22), shape: [64, 256, 256], affine });
  await t.rejects(volume.write(join(folder, 'none', 'a.nii')), { code: 'FileNotFound' });
  for (const path of [old, join(folder, 'old.nii.gz')]) {
    await t.rejects(volume.write(path, { signal: AbortSignal.abort() }), { code: 'AbortError' });
  }
  await t.rejects(volume.write(folder), { code: 'WriteFailed' }, 'a folder of that name');
  await t.rejects(
    writeFileAtomic(
      old,
      (function* () {
        yield Buffer.from('new');
        throw new Error('a fault while the bytes are made');
      })(),
    ),
    { code: 'WriteFailed', message: /a fault while the bytes/ },
  );
  t.same(readdirSync(folder), ['old.nii'], 'no temporary file is left');
  t.equal(readFileSync(old, 'utf8'), 'old', 'and the old one is as it was');
  await volume.write(old);
  t.equal(readFileSync(old).length, 352 + (1 << 22), 'replaced in one step');
  t.same(readdirSync(folder), ['old.nii']);
});

t.test('a folder without permission', async (t) => {
  if (process.getuid?.() === 0) {
    t.comment('not tried: the superuser may write everywhere');
    return;
  }
  const folder = t.testdir();
  chmodSync(folder, 0o500);
  await t.rejects(writeFileAtomic(join(folder, 'a'), [Buffer.from('x')]), { code: 'WriteFailed' });
  chmodSync(folder, 0o700);
  t.doesNotThrow(() => writeFileSync(join(folder, 'a'), 'x'));
});
