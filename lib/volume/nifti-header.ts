/**
 * The NIfTI header, versions 1 and 2, single file: layout, checks, affine.
 * Sources: nifti1.h and nifti2.h of the NIfTI Data Format Working Group (nifti.nimh.nih.gov).
 */
import { RenvoxError } from '../errors.js';
import { affineFault, type Triple } from './affine.js';
import type { AffineSource, NiftiTemplate } from './volume.js';

/** Where a field lies and how wide it is: [byte offset, kind]. */
type Field = readonly [number, 'u8' | 'i16' | 'i32' | 'i64' | 'f32' | 'f64'];

/** Byte offsets of the fields that renvox reads or writes. */
interface Layout {
  readonly version: 1 | 2;
  /** Bytes of the header proper; the value of its first field. */
  readonly length: 348 | 540;
  /** First byte that may hold voxels: header plus the four extension flags. */
  readonly dataStart: 352 | 544;
  readonly magic: readonly [offset: number, single: string, pair: string];
  readonly dim: Field;
  readonly datatype: Field;
  readonly bitpix: Field;
  readonly pixdim: Field;
  readonly voxOffset: Field;
  readonly slope: Field;
  readonly inter: Field;
  readonly units: Field;
  readonly qformCode: Field;
  readonly sformCode: Field;
  readonly quaternion: Field;
  readonly qoffset: Field;
  readonly srow: Field;
}

const VERSION_1: Layout = {
  version: 1,
  length: 348,
  dataStart: 352,
  magic: [344, 'n+1\0', 'ni1\0'],
  dim: [40, 'i16'],
  datatype: [70, 'i16'],
  bitpix: [72, 'i16'],
  pixdim: [76, 'f32'],
  voxOffset: [108, 'f32'],
  slope: [112, 'f32'],
  inter: [116, 'f32'],
  units: [123, 'u8'],
  qformCode: [252, 'i16'],
  sformCode: [254, 'i16'],
  quaternion: [256, 'f32'],
  qoffset: [268, 'f32'],
  srow: [280, 'f32'],
};

const VERSION_2: Layout = {
  version: 2,
  length: 540,
  dataStart: 544,
  magic: [4, 'n+2\0\r\n\x1a\n', 'ni2\0\r\n\x1a\n'],
  dim: [16, 'i64'],
  datatype: [12, 'i16'],
  bitpix: [14, 'i16'],
  pixdim: [104, 'f64'],
  voxOffset: [168, 'i64'],
  slope: [176, 'f64'],
  inter: [184, 'f64'],
  units: [500, 'i32'],
  qformCode: [344, 'i32'],
  sformCode: [348, 'i32'],
  quaternion: [352, 'f64'],
  qoffset: [376, 'f64'],
  srow: [400, 'f64'],
};

/** The layout of a version. */
export function layoutOf(version: 1 | 2): Layout {
  return version === 1 ? VERSION_1 : VERSION_2;
}

/** Element types by NIfTI code. int64 and uint64 are read, and narrowed; see nifti.ts. */
export type StoredType =
  | 'int8'
  | 'uint8'
  | 'int16'
  | 'uint16'
  | 'int32'
  | 'uint32'
  | 'float32'
  | 'float64'
  | 'int64'
  | 'uint64';

const TYPES: ReadonlyMap<number, readonly [StoredType, number]> = new Map([
  [2, ['uint8', 1]],
  [4, ['int16', 2]],
  [8, ['int32', 4]],
  [16, ['float32', 4]],
  [64, ['float64', 8]],
  [256, ['int8', 1]],
  [512, ['uint16', 2]],
  [768, ['uint32', 4]],
  [1024, ['int64', 8]],
  [1280, ['uint64', 8]],
]);

const FOREIGN_TYPES: ReadonlyMap<number, string> = new Map([
  [1, '1-bit'],
  [32, 'complex64'],
  [128, 'RGB24'],
  [1536, 'float128'],
  [1792, 'complex128'],
  [2048, 'complex256'],
  [2304, 'RGBA32'],
]);

/** The code that a NIfTI header stores for an element type. */
export function datatypeCode(type: string): number | undefined {
  for (const [code, [name]] of TYPES) if (name === type) return code;
  return undefined;
}

/** What a header says, checked. */
export interface NiftiHeader {
  readonly littleEndian: boolean;
  readonly type: StoredType;
  readonly bytesPerVoxel: number;
  /** [d, h, w]. */
  readonly shape: Triple;
  /** First byte of the voxels in the (inflated) file, and how many bytes they take. */
  readonly dataStart: number;
  readonly dataBytes: number;
  readonly slope: number;
  readonly inter: number;
  /** Voxel index (w, h, d) to RAS mm, 3x4 row-major. */
  readonly affine: number[];
  readonly affineSource: AffineSource;
  /** pixdim in mm, [d, h, w]. */
  readonly spacing: Triple;
  readonly template: NiftiTemplate;
}

/** Bytes that {@link parseHeader} wants at least, if the file has them. */
export const HEADER_BYTES = 540;

/**
 * Reads and checks a header.
 * @param head the first {@link HEADER_BYTES} bytes of the inflated file, or all of a shorter one
 * @throws InvalidFile, UnsupportedFile
 */
export function parseHeader(head: Uint8Array): NiftiHeader {
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  const { layout, littleEndian } = recognise(view);
  const read = (field: Field, index = 0): number => readField(view, field, index, littleEndian);

  const rank = read(layout.dim);
  if (!(rank >= 1 && rank <= 7)) throw invalid(`dim[0] is ${rank}, expected 1 to 7`, { rank });
  const dims = Array.from({ length: rank }, (_, axis) => read(layout.dim, axis + 1));
  const described = `${rank}-dimensional ${dims.join('x')}`;
  const bad = dims.findIndex((n) => n < 1);
  if (bad >= 0) {
    throw invalid(`dim[${bad + 1}] is ${dims[bad]}, expected at least 1 (${described})`, { dims });
  }
  if (rank < 2) throw unsupported(`the image is ${described}, expected a volume`, { dims });
  const [w, h, d] = [dims[0] ?? 1, dims[1] ?? 1, dims[2] ?? 1];
  const frames = dims.slice(3).reduce((product, n) => product * n, 1);

  const code = read(layout.datatype);
  const known = TYPES.get(code);
  if (known === undefined) {
    const foreign = FOREIGN_TYPES.get(code);
    if (foreign === undefined)
      throw invalid(`datatype ${code} is none of NIfTI`, { datatype: code });
    throw unsupported(
      `voxels are ${foreign} (datatype ${code}), expected an integer or float type`,
      {
        datatype: code,
      },
    );
  }
  const [type, bytesPerVoxel] = known;

  const dataStart = read(layout.voxOffset);
  if (!Number.isSafeInteger(dataStart) || dataStart < layout.dataStart) {
    throw invalid(
      `vox_offset is ${dataStart}, expected an integer of ${layout.dataStart} or more`,
      {
        voxOffset: dataStart,
      },
    );
  }
  // Four factors of at most 2^63 each: a double holds the product's size, and its exact value wherever it is sane.
  const dataBytes = w * h * d * bytesPerVoxel;
  if (!Number.isSafeInteger(dataStart + dataBytes * frames)) {
    throw invalid(`the header claims ${described} voxels of ${bytesPerVoxel} bytes`, { dims });
  }
  if (frames !== 1) {
    throw unsupported(`the image has ${frames} frames (${described}), expected one`, { dims });
  }

  const geometry = readGeometry(layout, read);
  return {
    littleEndian,
    type,
    bytesPerVoxel,
    shape: [d, h, w],
    dataStart,
    dataBytes,
    ...readScale(read(layout.slope), read(layout.inter)),
    ...geometry,
    template: { version: layout.version, bytes: template(head, layout, littleEndian) },
  };
}

/** Version and byte order by the header's own length field, confirmed by the magic. */
function recognise(view: DataView): { layout: Layout; littleEndian: boolean } {
  if (view.byteLength < 4) {
    throw invalid(`the file has ${view.byteLength} bytes, a NIfTI header has 348 or 540`, {});
  }
  const first = view.getInt32(0, true);
  for (const layout of [VERSION_1, VERSION_2]) {
    for (const littleEndian of [true, false]) {
      if (view.getInt32(0, littleEndian) !== layout.length) continue;
      if (view.byteLength < layout.length) {
        throw invalid(
          `truncated: the file has ${view.byteLength} bytes, the header alone takes ${layout.length}`,
          { bytes: view.byteLength },
        );
      }
      const [offset, single, pair] = layout.magic;
      const bytes = new Uint8Array(view.buffer, view.byteOffset + offset, single.length);
      const magic = String.fromCharCode(...bytes);
      if (magic === single) return { layout, littleEndian };
      if (magic === pair) {
        throw unsupported(
          'the header belongs to a .hdr/.img pair, expected a single file (.nii)',
          {},
        );
      }
      throw invalid(
        `wrong magic ${JSON.stringify(magic)}, expected ${JSON.stringify(single)} (ANALYZE 7.5 is not read)`,
        { magic },
      );
    }
  }
  throw invalid(
    `no NIfTI file (.nii, .nii.gz): its header begins with the number ${first}, expected 348 or 540`,
    {
      first,
    },
  );
}

/** Slope 0 and slopes that are not finite mean unscaled data, as in nibabel. */
function readScale(slope: number, inter: number): { slope: number; inter: number } {
  if (slope === 0 || !Number.isFinite(slope)) return { slope: 1, inter: 0 };
  if (!Number.isFinite(inter)) {
    throw invalid(`scl_inter is ${inter} with scl_slope ${slope}`, { slope, inter });
  }
  return { slope, inter };
}

/**
 * sform where its code is above 0, else qform, else, as nibabel does for such files, the pixdim with the first axis to
 * the patient's left, the second to the front, the third to the head, and the origin in the middle of the volume.
 */
function readGeometry(
  layout: Layout,
  read: (field: Field, index?: number) => number,
): { affine: number[]; affineSource: AffineSource; spacing: Triple } {
  // Spatial units are the low three bits: 1 metre, 2 mm, 3 micrometre, 0 unknown, taken as mm.
  const mm = [1, 1000, 1, 0.001][read(layout.units) & 7] ?? 1;
  const pixdim = [1, 2, 3].map((axis) => Math.abs(read(layout.pixdim, axis)) * mm) as [
    number,
    number,
    number,
  ];
  let affine: number[];
  let affineSource: AffineSource;
  if (read(layout.sformCode) > 0) {
    affineSource = 'sform';
    affine = Array.from({ length: 12 }, (_, k) => read(layout.srow, k) * mm);
  } else if (read(layout.qformCode) > 0) {
    affineSource = 'qform';
    const rotation = rotationOf([0, 1, 2].map((k) => read(layout.quaternion, k)) as Mutable);
    // pixdim[0] is qfac: below 0 the third axis is mirrored.
    const mirror = read(layout.pixdim) < 0 ? -1 : 1;
    affine = [0, 1, 2].flatMap((row) => [
      (rotation[3 * row] as number) * pixdim[0],
      (rotation[3 * row + 1] as number) * pixdim[1],
      (rotation[3 * row + 2] as number) * pixdim[2] * mirror,
      read(layout.qoffset, row) * mm,
    ]);
  } else {
    affineSource = 'pixdim';
    affine = [0, 1, 2].flatMap((row) => {
      const line = [0, 0, 0, 0];
      line[row] = (pixdim[row] as number) * (row === 0 ? -1 : 1);
      const extent = read(layout.dim) > row ? read(layout.dim, row + 1) : 1;
      line[3] = (-(line[row] as number) * (extent - 1)) / 2;
      return line;
    });
  }
  const fault = affineFault(affine);
  if (fault !== undefined) throw invalid(`${fault} (from the ${affineSource})`, { affine });
  return { affine, affineSource, spacing: [pixdim[2], pixdim[1], pixdim[0]] };
}

type Mutable = [number, number, number];

/** Rotation matrix, row-major, of the quaternion [sqrt(1 - b^2 - c^2 - d^2), b, c, d] (nifti1.h, method 2). */
function rotationOf([b, c, d]: Mutable): number[] {
  const square = b * b + c * c + d * d;
  if (!(square <= 1.0001)) {
    throw invalid(`the quaternion (${b}, ${c}, ${d}) is longer than 1`, { quaternion: [b, c, d] });
  }
  // Half a turn: rounding may leave a squared real part of about 1e-7 of either sign, which is zero.
  const half = 1 - square < 1e-7;
  const a = half ? 0 : Math.sqrt(1 - square);
  const scale = half ? 1 / Math.sqrt(square) : 1;
  [b, c, d] = [b * scale, c * scale, d * scale];
  return [
    a * a + b * b - c * c - d * d,
    2 * (b * c - a * d),
    2 * (b * d + a * c),
    2 * (b * c + a * d),
    a * a + c * c - b * b - d * d,
    2 * (c * d - a * b),
    2 * (b * d - a * c),
    2 * (c * d + a * b),
    a * a + d * d - b * b - c * c,
  ];
}

/** An empty header with the geometry fields of `head`, turned to little-endian without reading them as numbers. */
function template(head: Uint8Array, layout: Layout, littleEndian: boolean): Uint8Array {
  const bytes = new Uint8Array(layout.length);
  const kept: readonly (readonly [Field, number])[] = [
    [layout.pixdim, 4],
    [layout.units, 1],
    [layout.qformCode, 1],
    [layout.sformCode, 1],
    [layout.quaternion, 3],
    [layout.qoffset, 3],
    [layout.srow, 12],
  ];
  for (const [[offset, kind], count] of kept) {
    const width = WIDTH[kind];
    for (let element = 0; element < count; element++) {
      const start = offset + element * width;
      const value = head.slice(start, start + width);
      bytes.set(littleEndian ? value : value.reverse(), start);
    }
  }
  return bytes;
}

const WIDTH = { u8: 1, i16: 2, i32: 4, i64: 8, f32: 4, f64: 8 } as const;

function readField(view: DataView, [start, kind]: Field, index: number, little: boolean): number {
  const at = start + index * WIDTH[kind];
  switch (kind) {
    case 'u8':
      return view.getUint8(at);
    case 'i16':
      return view.getInt16(at, little);
    case 'i32':
      return view.getInt32(at, little);
    case 'i64':
      return Number(view.getBigInt64(at, little));
    case 'f32':
      return view.getFloat32(at, little);
    case 'f64':
      return view.getFloat64(at, little);
  }
}

/** Writes one element of a little-endian header. */
export function writeField(view: DataView, [start, kind]: Field, value: number, index = 0): void {
  const at = start + index * WIDTH[kind];
  switch (kind) {
    case 'u8':
      view.setUint8(at, value);
      break;
    case 'i16':
      view.setInt16(at, value, true);
      break;
    case 'i32':
      view.setInt32(at, value, true);
      break;
    case 'i64':
      view.setBigInt64(at, BigInt(value), true);
      break;
    case 'f32':
      view.setFloat32(at, value, true);
      break;
    case 'f64':
      view.setFloat64(at, value, true);
      break;
  }
}

function invalid(message: string, details: Record<string, unknown>): RenvoxError {
  return new RenvoxError('InvalidFile', message, details);
}

function unsupported(message: string, details: Record<string, unknown>): RenvoxError {
  return new RenvoxError('UnsupportedFile', message, details);
}
