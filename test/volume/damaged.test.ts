import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { isRenvoxError, RenvoxError } from 'renvox';
import { parseNifti, readVolume, type Volume } from 'renvox/volume';
import t from 'tap';
import { IDENTITY_ROWS, type NiftiFile, niftiFile, random } from './nifti-file.js';

const SOUND = { dim: [3, 2, 2, 2], datatype: 2, voxels: [1, 2, 3, 4, 5, 6, 7, 8] };
const INVALID = 'InvalidFile';
const UNSUPPORTED = 'UnsupportedFile';

/** The code with which a file is refused, or 'read'. Errors must carry a message with a number or a name in it. */
function verdict(bytes: Uint8Array): string {
  try {
    parseNifti(bytes, 1 << 20);
    return 'read';
  } catch (error) {
    return isRenvoxError(error) && error.message.length > 10 ? error.code : String(error);
  }
}

t.test('headers that claim nonsense', async (t) => {
  t.equal(verdict(niftiFile(SOUND)), 'read');
  const damaged: [string, Partial<NiftiFile>, string][] = [
    ...[-1, 0, 8, 200].map((n): [string, object, string] => [
      `dim[0] ${n}`,
      { dim: [n, 2, 2, 2] },
      INVALID,
    ]),
    ['dims 32767^7', { dim: [7, 32767, 32767, 32767, 32767, 32767, 32767, 32767] }, INVALID],
    ['dims 32767^3', { dim: [3, 32767, 32767, 32767] }, INVALID],
    ['a dim of 0', { dim: [3, 2, 0, 2] }, INVALID],
    ['a dim of -2', { dim: [3, 2, -2, 2] }, INVALID],
    ['one more slice than there is', { dim: [3, 2, 2, 3] }, INVALID],
    ['1D', { dim: [1, 8] }, UNSUPPORTED],
    ['frames', { dim: [4, 2, 2, 1, 2] }, UNSUPPORTED],
    ['RGB', { datatype: 128 }, UNSUPPORTED],
    ['complex', { datatype: 32 }, UNSUPPORTED],
    ['float128', { datatype: 1536 }, UNSUPPORTED],
    ['RGBA', { datatype: 2304 }, UNSUPPORTED],
    ['bits', { datatype: 1 }, UNSUPPORTED],
    ['no datatype', { datatype: 0 }, INVALID],
    ['another datatype', { datatype: 77 }, INVALID],
    ['wrong magic', { magic: 'n+9\0' }, INVALID],
    ['no magic (ANALYZE)', { magic: '\0\0\0\0' }, INVALID],
    ['a pair', { magic: 'ni1\0' }, UNSUPPORTED],
    ['NaN affine', { srow: [Number.NaN, ...IDENTITY_ROWS.slice(1)] }, INVALID],
    ['infinite offset', { srow: [1, 0, 0, 1 / 0, ...IDENTITY_ROWS.slice(4)] }, INVALID],
    ['zero affine', { srow: IDENTITY_ROWS.map(() => 0) }, INVALID],
    ['singular affine', { srow: [1, 1, 0, 0, 1, 1, 0, 0, 0, 0, 1, 0] }, INVALID],
    ['huge affine', { srow: IDENTITY_ROWS.map((v) => v * 1e30) }, INVALID],
    ['long quaternion', { sformCode: 0, qformCode: 1, quaternion: [0.9, 0.9, 0] }, INVALID],
    ['NaN quaternion', { sformCode: 0, qformCode: 1, quaternion: [Number.NaN, 0, 0] }, INVALID],
    ['pixdim 0', { sformCode: 0, pixdim: [1, 0, 1, 1] }, INVALID],
    ['pixdim NaN', { sformCode: 0, qformCode: 1, pixdim: [1, Number.NaN, 1, 1] }, INVALID],
    ['scl_inter NaN', { slope: 1, inter: Number.NaN }, INVALID],
    ['scl_slope NaN', { slope: Number.NaN }, 'read'],
    ['scl_slope 0', { slope: 0 }, 'read'],
  ];
  for (const [name, fields, expected] of damaged) {
    t.equal(verdict(niftiFile({ ...SOUND, ...fields })), expected, name);
  }
  for (const voxOffset of [Number.NaN, 1 / 0, -1 / 0, -1, 0, 348, 351.5, 353.5, 1e30, 1e9]) {
    t.equal(verdict(niftiFile({ ...SOUND, voxOffset })), INVALID, `vox_offset ${voxOffset}`);
  }
  const two = niftiFile({ ...SOUND, version: 2 });
  for (const value of [2n ** 63n - 1n, -(2n ** 63n), 2n ** 53n, 0n, -1n]) {
    for (const at of [16, 24, 32, 40, 168]) {
      const file = Buffer.from(two);
      file.writeBigInt64LE(value, at);
      t.equal(verdict(file), INVALID, `NIfTI-2, ${value} at byte ${at}`);
    }
  }
});

t.test('truncated at every byte of the header and of the voxels', async (t) => {
  for (const version of [1, 2] as const) {
    const whole = niftiFile({ ...SOUND, version });
    let refused = 0;
    for (let bytes = 0; bytes < whole.length; bytes++) {
      if (verdict(whole.subarray(0, bytes)) === INVALID) refused++;
    }
    t.equal(refused, whole.length, `version ${version}`);
  }
  const folder = t.testdir();
  const path = join(folder, 'a.nii.gz');
  const packed = gzipSync(niftiFile(SOUND));
  for (let bytes = 0; bytes < packed.length; bytes += 3) {
    writeFileSync(path, packed.subarray(0, bytes));
    await t.rejects(
      readVolume(path),
      { code: INVALID },
      `gzip cut to ${bytes} of ${packed.length}`,
    );
  }
});

t.test('messages have the numbers', async (t) => {
  const cut = niftiFile({ ...SOUND, dim: [3, 20, 20, 20] });
  t.throws(() => parseNifti(cut), {
    message: /20x20x20 voxels of 1 bytes from byte 352, 8352 bytes in all, .* 360/,
  });
  const path = join(t.testdir(), 'cut.nii');
  writeFileSync(path, cut);
  await t.rejects(readVolume(path), { code: INVALID, message: /cut\.nii: truncated/ });
  await t.rejects(readVolume(path, { maxBytes: 0 }), { code: 'InvalidArgument' });
  writeFileSync(path, niftiFile(SOUND));
  await t.rejects(readVolume(path, { maxBytes: 7 }), { code: UNSUPPORTED, message: /8 bytes.* 7/ });
});

t.test('gzip bombs stay small', async (t) => {
  const folder = t.testdir();
  const packed = gzipSync(Buffer.concat([niftiFile(SOUND), Buffer.alloc(1 << 27)]));
  const zeros = gzipSync(Buffer.alloc(1 << 26));
  const members = Buffer.concat([gzipSync(niftiFile(SOUND)), ...new Array<Buffer>(64).fill(zeros)]);
  t.ok(members.length < 5 << 20, `${members.length} bytes hold 4 GiB`);
  const dense = niftiFile({ ...SOUND, dim: [3, 1024, 1024, 2048] });
  const files: Record<string, [Buffer, string]> = {
    'more than the header claims': [packed, INVALID],
    'members one after the other': [members, INVALID],
    'a claim that the bytes cannot fill': [gzipSync(dense), INVALID],
    'a claim above the limit': [Buffer.concat([gzipSync(dense), members]), UNSUPPORTED],
    'no header at all': [gzipSync(Buffer.alloc(1 << 26)), INVALID],
    'something else behind the stream': [
      Buffer.concat([gzipSync(niftiFile(SOUND)), Buffer.alloc(9, 7)]),
      INVALID,
    ],
    'zeros without end': [
      Buffer.concat([gzipSync(niftiFile(SOUND)), Buffer.alloc(1 << 25)]),
      INVALID,
    ],
    'a packed packed file': [gzipSync(gzipSync(niftiFile(SOUND))), INVALID],
  };
  for (const [name, [bytes, code]] of Object.entries(files)) {
    const path = join(folder, 'bomb.nii.gz');
    writeFileSync(path, bytes);
    const before = process.memoryUsage().rss;
    await t.rejects(readVolume(path, { maxBytes: 1 << 30 }), { code }, name);
    const grown = process.memoryUsage().rss - before;
    t.ok(grown < 64 << 20, `${name}: ${(grown / 2 ** 20).toFixed(0)} MiB more`);
  }
});

/** Changes 1 to 8 bytes, mostly of the header, or cuts, or repeats a part. */
function mutate(bytes: Buffer, next: () => number): Buffer {
  const pick = (n: number) => Math.floor(next() * n);
  const copy = Buffer.from(bytes);
  for (let k = 1 + pick(8); k > 0; k--) {
    const at = pick(next() < 0.8 ? Math.min(copy.length, 352) : copy.length);
    const kind = pick(4);
    if (kind === 0) copy[at] = pick(256);
    else if (kind === 1) copy[at] = (copy[at] as number) ^ (1 << pick(8));
    else if (kind === 2) copy[at] = [0, 1, 0x7f, 0x80, 0xff][pick(5)] as number;
    else if (at + 4 <= copy.length)
      copy.writeFloatLE([Number.NaN, 1 / 0, -1, 1e30][pick(4)] as number, at);
  }
  const shape = pick(10);
  if (shape === 0) return copy.subarray(0, pick(copy.length));
  if (shape === 1) return Buffer.concat([copy, copy.subarray(pick(copy.length))]);
  return copy;
}

t.test('2,000 mutants: a volume or a typed error', async (t) => {
  const next = random(20);
  const path = join(t.testdir(), 'mutant.nii.gz');
  const seeds = ([1, 2] as const).flatMap((version) =>
    [true, false].flatMap((little) =>
      [2, 4, 16, 1024].map((datatype) =>
        niftiFile({ ...SOUND, version, little, datatype, qformCode: 1 }),
      ),
    ),
  );
  const verdicts = new Map<string, number>();
  const untyped: unknown[] = [];
  for (let round = 0; round < 2000; round++) {
    const seed = seeds[round % seeds.length] as Buffer;
    // Three ways in: voxels from memory, a gzipped sound stream, a damaged gzip stream.
    const way = round % 3;
    let outcome = 'read';
    try {
      let volume: Volume;
      if (way === 0) volume = parseNifti(mutate(seed, next), 1 << 24);
      else {
        const packed = way === 1 ? gzipSync(mutate(seed, next)) : mutate(gzipSync(seed), next);
        writeFileSync(path, packed);
        volume = await readVolume(path, { maxBytes: 1 << 24 });
      }
      if (!volume.affine.every(Number.isFinite)) untyped.push(volume.affine);
      volume.values();
    } catch (error) {
      if (!(error instanceof RenvoxError)) untyped.push(error);
      else outcome = error.code;
    }
    verdicts.set(outcome, (verdicts.get(outcome) ?? 0) + 1);
  }
  t.same(untyped, []);
  t.same([...verdicts.keys()].sort(), [INVALID, UNSUPPORTED, 'read']);
  t.comment(JSON.stringify(Object.fromEntries(verdicts)));
});
