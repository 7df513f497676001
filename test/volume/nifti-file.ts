/** NIfTI files made field by field, from the published headers and not from lib/volume, as the tests' own writer. */

export interface NiftiFile {
  version?: 1 | 2;
  little?: boolean;
  /** dim[0..7] */
  dim: readonly number[];
  datatype: number;
  pixdim?: readonly number[];
  voxOffset?: number;
  slope?: number;
  inter?: number;
  units?: number;
  qformCode?: number;
  sformCode?: number;
  quaternion?: readonly number[];
  qoffset?: readonly number[];
  srow?: readonly number[];
  magic?: string;
  descrip?: string;
  /** Element values in file order; left 0 for a datatype that renvox does not read. */
  voxels?: readonly (number | bigint)[];
}

const BYTES: Record<number, number> = {
  2: 1,
  4: 2,
  8: 4,
  16: 4,
  64: 8,
  256: 1,
  512: 2,
  768: 4,
  1024: 8,
  1280: 8,
};

export const IDENTITY_ROWS = [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0];

export function niftiFile(file: NiftiFile): Buffer {
  const { version = 1, little = true, dim, datatype, voxels = [] } = file;
  const headerBytes = version === 1 ? 348 : 540;
  const start = headerBytes + 4;
  const width = BYTES[datatype] ?? 4;
  const buffer = Buffer.alloc(start + voxels.length * width);
  const view = new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
  const i16 = (at: number, value: number) => view.setInt16(at, value, little);
  const i32 = (at: number, value: number) => view.setInt32(at, value, little);
  const i64 = (at: number, value: number) => view.setBigInt64(at, BigInt(value), little);
  const f32 = (at: number, value: number) => view.setFloat32(at, value, little);
  const f64 = (at: number, value: number) => view.setFloat64(at, value, little);
  const pixdim = file.pixdim ?? [1, 1, 1, 1, 1, 1, 1, 1];
  const dims = Array.from({ length: 8 }, (_, k) => dim[k] ?? 1);
  const quaternion = file.quaternion ?? [0, 0, 0];
  const qoffset = file.qoffset ?? [0, 0, 0];
  const srow = file.srow ?? IDENTITY_ROWS;
  const sformCode = file.sformCode ?? 1;
  const qformCode = file.qformCode ?? 0;
  i32(0, headerBytes);
  if (version === 1) {
    for (const [k, value] of dims.entries()) i16(40 + 2 * k, value);
    i16(70, datatype);
    i16(72, width * 8);
    for (const [k, value] of pixdim.entries()) f32(76 + 4 * k, value);
    f32(108, file.voxOffset ?? start);
    f32(112, file.slope ?? 1);
    f32(116, file.inter ?? 0);
    view.setUint8(123, file.units ?? 2);
    buffer.write(file.descrip ?? '', 148, 80, 'latin1');
    i16(252, qformCode);
    i16(254, sformCode);
    for (const [k, value] of quaternion.entries()) f32(256 + 4 * k, value);
    for (const [k, value] of qoffset.entries()) f32(268 + 4 * k, value);
    for (const [k, value] of srow.entries()) f32(280 + 4 * k, value);
    buffer.write(file.magic ?? 'n+1\0', 344, 'latin1');
  } else {
    buffer.write(file.magic ?? 'n+2\0\r\n\x1a\n', 4, 'latin1');
    i16(12, datatype);
    i16(14, width * 8);
    for (const [k, value] of dims.entries()) i64(16 + 8 * k, value);
    for (const [k, value] of pixdim.entries()) f64(104 + 8 * k, value);
    i64(168, file.voxOffset ?? start);
    f64(176, file.slope ?? 1);
    f64(184, file.inter ?? 0);
    buffer.write(file.descrip ?? '', 240, 80, 'latin1');
    i32(344, qformCode);
    i32(348, sformCode);
    for (const [k, value] of quaternion.entries()) f64(352 + 8 * k, value);
    for (const [k, value] of qoffset.entries()) f64(376 + 8 * k, value);
    for (const [k, value] of srow.entries()) f64(400 + 8 * k, value);
    i32(500, file.units ?? 2);
  }
  voxels.forEach((value, k) => {
    const at = start + k * width;
    const number = Number(value);
    if (datatype === 2) view.setUint8(at, number);
    else if (datatype === 256) view.setInt8(at, number);
    else if (datatype === 4) i16(at, number);
    else if (datatype === 512) view.setUint16(at, number, little);
    else if (datatype === 8) i32(at, number);
    else if (datatype === 768) view.setUint32(at, number, little);
    else if (datatype === 16) f32(at, number);
    else if (datatype === 64) f64(at, number);
    else if (datatype === 1024) view.setBigInt64(at, BigInt(value), little);
    else if (datatype === 1280) view.setBigUint64(at, BigInt(value), little);
  });
  return buffer;
}

/** mulberry32: a small seeded generator of numbers in [0, 1). */
export function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
