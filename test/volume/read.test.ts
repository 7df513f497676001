import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { parseNifti, readVolume } from 'renvox/volume';
import t from 'tap';
import { niftiFile } from './nifti-file.js';

const TYPES = [
  { datatype: 256, name: 'Int8Array', values: [-128, -1, 0, 1, 127, 5] },
  { datatype: 2, name: 'Uint8Array', values: [0, 1, 127, 128, 255, 5] },
  { datatype: 4, name: 'Int16Array', values: [-32768, -1024, 0, 1, 32767, 5] },
  { datatype: 512, name: 'Uint16Array', values: [0, 1, 32768, 65535, 258, 5] },
  { datatype: 8, name: 'Int32Array', values: [-2147483648, -1, 0, 66051, 2147483647, 5] },
  { datatype: 768, name: 'Uint32Array', values: [0, 1, 2147483648, 4294967295, 66051, 5] },
  { datatype: 16, name: 'Float32Array', values: [-1.5, 0, 0.25, 2 ** 100, 3, Number.NaN] },
  { datatype: 64, name: 'Float64Array', values: [-1.1, 0, Math.PI, 1e300, 3, Number.NaN] },
  { datatype: 1024, name: 'Int32Array', values: [-2147483648n, -1n, 0n, 1n, 2147483647n, 5n] },
  {
    datatype: 1024,
    name: 'Float64Array',
    values: [-(2n ** 53n), -1n, 0n, 2n ** 31n, 2n ** 40n, 5n],
  },
  { datatype: 1280, name: 'Int32Array', values: [0n, 1n, 2147483647n, 3n, 4n, 5n] },
  {
    datatype: 1280,
    name: 'Float64Array',
    values: [0n, 2n ** 31n, 2n ** 53n - 1n, 2n ** 40n, 4n, 5n],
  },
];

t.test('every type, byte order and version, read and written again', async (t) => {
  const folder = t.testdir();
  for (const { datatype, name, values } of TYPES) {
    for (const version of [1, 2] as const) {
      for (const little of [true, false]) {
        const label = `type ${datatype} to ${name}, version ${version}, ${little ? 'little' : 'big'}-endian`;
        const bytes = niftiFile({ version, little, dim: [3, 3, 2, 1], datatype, voxels: values });
        const volume = parseNifti(bytes);
        t.equal(volume.data.constructor.name, name, label);
        t.same([...volume.data].map(String), values.map(String), label);
        t.same(
          [volume.shape, volume.fileShape],
          [
            [1, 2, 3],
            [3, 2, 1],
          ],
          label,
        );
        const path = join(folder, `${datatype}.${version}.nii${little ? '.gz' : ''}`);
        await volume.write(path);
        const again = await readVolume(path);
        t.same([...again.data].map(String), values.map(String), `${label}, written`);
        t.equal(again.data.constructor.name, name, `${label}, written`);
        t.same(again.affine, volume.affine, `${label}, written`);
      }
    }
  }
});

t.test('64-bit integers that no number holds exactly are refused', async (t) => {
  for (const [datatype, value] of [
    [1024, 2n ** 53n + 1n],
    [1024, -(2n ** 62n)],
    [1280, 2n ** 64n - 1n],
  ] as const) {
    const bytes = niftiFile({ dim: [3, 1, 1, 1], datatype, voxels: [value] });
    t.throws(() => parseNifti(bytes), { code: 'UnsupportedFile' }, String(value));
  }
});

t.test('slope and intercept', async (t) => {
  const read = (slope: number, inter: number, datatype = 4, voxels = [0, 1024, 2000]) =>
    parseNifti(niftiFile({ dim: [3, voxels.length, 1, 1], datatype, slope, inter, voxels }));
  t.same([read(1, -1024).slope, read(1, -1024).inter], [1, -1024]);
  t.same(read(1, -1024).values(), Int16Array.of(-1024, 0, 976), 'integers stay Int16');
  t.same(read(0.5, 1).values(), Float32Array.of(1, 513, 1001), 'else Float32');
  t.same(read(2, 0).values(), Float32Array.of(0, 2048, 4000));
  for (const slope of [0, Number.NaN, Number.POSITIVE_INFINITY]) {
    const volume = read(slope, 7);
    t.same([volume.slope, volume.inter], [1, 0], `slope ${slope} means unscaled`);
  }
  t.throws(() => read(1, Number.NaN), { code: 'InvalidFile', message: /scl_inter is NaN/ });
  const plain = read(1, 0);
  t.equal(plain.values(), plain.data, 'nothing to do: no copy');
  t.same(read(1, 0, 8, [-5, 30000]).values(), Int16Array.of(-5, 30000), 'narrow int32 fits');
  t.same(read(1, 0, 8, [-5, 40000]).values(), Float32Array.of(-5, 40000), 'wide int32 does not');
  t.same(read(1, -40000, 512, [40000, 60000]).values(), Int16Array.of(0, 20000));
  const holes = parseNifti(
    niftiFile({ dim: [3, 3, 1, 1], datatype: 16, voxels: [Number.NaN, 5, -1 / 0] }),
  );
  t.same(holes.values({ missing: -1024 }), Float32Array.of(-1024, 5, -1024));
  t.equal(holes.values(), holes.data);
});

t.test('the affine: sform before qform before pixdim', async (t) => {
  const dim = [3, 4, 3, 2];
  const voxels = new Array<number>(24).fill(0);
  const srow = [0, -2, 0, 10, 3, 0, 0, 20, 0, 0, 4, 30];
  const quaternion = [0, 0, Math.SQRT1_2];
  const common = { dim, datatype: 2, voxels, srow, quaternion, qoffset: [1, 2, 3] };
  const both = parseNifti(
    niftiFile({ ...common, sformCode: 2, qformCode: 1, pixdim: [1, 3, 2, 4] }),
  );
  t.equal(both.affineSource, 'sform');
  t.same(both.affine, [...srow, 0, 0, 0, 1]);
  t.same(
    [both.spacing, both.fileSpacing],
    [
      [4, 2, 3],
      [3, 2, 4],
    ],
  );
  t.equal(both.orientation, 'ALS');

  // A quarter turn about the z axis: file axis 0 to +y, axis 1 to -x.
  const only = parseNifti(
    niftiFile({ ...common, sformCode: 0, qformCode: 1, pixdim: [-1, 3, 2, 4] }),
  );
  t.equal(only.affineSource, 'qform');
  const expected = [0, -2, 0, 1, 3, 0, 0, 2, 0, 0, -4, 3, 0, 0, 0, 1];
  t.ok(only.affine.every((value, k) => Math.abs(value - (expected[k] as number)) < 1e-6));
  t.equal(only.orientation, 'ALI', 'qfac -1 mirrors the third axis');

  const halfTurn = parseNifti(
    niftiFile({ ...common, quaternion: [1.00000012, 0, 0], sformCode: 0, qformCode: 1 }),
  );
  t.equal(halfTurn.orientation, 'RPI', 'a half turn, a rounding above 1');

  const none = parseNifti(niftiFile({ ...common, sformCode: 0, pixdim: [1, 3, 2, 4] }));
  t.equal(none.affineSource, 'pixdim');
  t.equal(none.orientation, 'LAS');
  t.same(none.affine, [-3, 0, 0, 4.5, 0, 2, 0, -2, 0, 0, 4, -2, 0, 0, 0, 1], 'centred');

  const metres = parseNifti(
    niftiFile({
      ...common,
      units: 1,
      srow: srow.map((v) => v / 1000),
      pixdim: [1, 0.003, 0.002, 0.004],
    }),
  );
  t.ok(Math.abs((metres.affine[4] as number) - 3) < 1e-6, 'metres become mm');
});

t.test('dimensions', async (t) => {
  const voxels = new Array<number>(6).fill(1);
  const oneFrame = parseNifti(niftiFile({ dim: [4, 3, 2, 1, 1], datatype: 2, voxels }));
  t.same(oneFrame.shape, [1, 2, 3], '4D with one frame');
  t.same(parseNifti(niftiFile({ dim: [2, 3, 2], datatype: 2, voxels })).shape, [1, 2, 3], '2D');
  t.throws(() => parseNifti(niftiFile({ dim: [4, 3, 1, 1, 2], datatype: 2, voxels })), {
    code: 'UnsupportedFile',
    message: /2 frames/,
  });
});

t.test('files: gzip by content, members, extensions, trailing bytes, hash', async (t) => {
  const bytes = niftiFile({ dim: [3, 2, 2, 2], datatype: 2, voxels: [1, 2, 3, 4, 5, 6, 7, 8] });
  const packed = gzipSync(bytes);
  const files: Record<string, Buffer> = {
    'plain.nii': bytes,
    'packed.nii.gz': packed,
    'plain-named.gz': bytes,
    'packed-named.nii': packed,
    'two-members.nii.gz': Buffer.concat([
      gzipSync(bytes.subarray(0, 100)),
      gzipSync(bytes.subarray(100)),
    ]),
    'trailing.nii': Buffer.concat([bytes, Buffer.alloc(5000, 7)]),
    'trailing-packed.nii.gz': gzipSync(Buffer.concat([bytes, Buffer.alloc(500000, 7)])),
    'zeros-after.nii.gz': Buffer.concat([packed, Buffer.alloc(500000)]),
  };
  const extended = niftiFile({ dim: [3, 2, 2, 2], datatype: 2, voxOffset: 400 });
  files['extension.nii'] = Buffer.concat([
    extended,
    Buffer.alloc(400 - extended.length, 9),
    bytes.subarray(352),
  ]);
  const folder = t.testdir(files);
  const { createHash } = await import('node:crypto');
  for (const [name, content] of Object.entries(files)) {
    const volume = await readVolume(join(folder, name));
    t.same([...volume.data], [1, 2, 3, 4, 5, 6, 7, 8], name);
    t.equal(volume.sha256, createHash('sha256').update(content).digest('hex'), `${name}: SHA-256`);
  }
});

t.test('files that are not there or not files', async (t) => {
  const folder = t.testdir({ sub: {} });
  const missing = { code: 'FileNotFound' };
  await t.rejects(readVolume(join(folder, 'none.nii')), missing);
  await t.rejects(readVolume(join(folder, 'sub')), { ...missing, message: /folder/ });
  await t.rejects(readVolume(join(folder, 'sub', 'x', 'y')), missing);
  await t.rejects(readVolume('a\0b'), { code: 'InvalidArgument' });
  await t.rejects(readVolume(5 as unknown as string), { code: 'InvalidArgument' });
});

t.test('reading stops on a signal', async (t) => {
  const path = join(t.testdir(), 'a.nii.gz');
  const voxels = new Uint8Array(8 << 20).map((_, k) => (k * k) >> 3);
  const header = niftiFile({ dim: [3, 2048, 2048, 2], datatype: 2 });
  writeFileSync(path, gzipSync(Buffer.concat([header, voxels]), { level: 1 }));
  await t.rejects(readVolume(path, { signal: AbortSignal.abort('why') }), {
    code: 'AbortError',
    cause: 'why',
  });
  const controller = new AbortController();
  const reading = readVolume(path, { signal: controller.signal });
  setImmediate(() => controller.abort());
  await t.rejects(reading, { code: 'AbortError' });
  t.equal((await readVolume(path)).data.length, 8 << 20, 'and the file can be read afterwards');
});
