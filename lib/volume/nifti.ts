/**
 * NIfTI bytes to a {@link Volume}. A pure function of the bytes: no file, no clock, so it can be fuzzed.
 *
 * The decoder takes the inflated file in pieces and copies voxels straight to where they stay. Nothing is allocated
 * before the header's claim was held against the bytes that can really be there and against the caller's limit.
 */
import { RenvoxError } from '../errors.js';
import { HEADER_BYTES, type NiftiHeader, parseHeader } from './nifti-header.js';
import { Volume, type VoxelArray } from './volume.js';

/** Bytes after the voxels that are passed over. More means that file and header do not belong together. */
export const TRAILING_BYTES = 1 << 20;

/** Bounds that hold before anything is allocated. */
export interface DecodeBounds {
  /** Bytes that the inflated file can have at most. */
  readonly available: number;
  /** Bytes of voxels that the caller is willing to hold. */
  readonly limit: number;
}

/** Takes the inflated file piece by piece: {@link push} each, then {@link finish}. */
export class NiftiDecoder {
  readonly #bounds: DecodeBounds;
  readonly #head = new Uint8Array(HEADER_BYTES);
  #header: NiftiHeader | undefined;
  #voxels = new Uint8Array(0);
  #received = 0;

  constructor(bounds: DecodeBounds) {
    this.#bounds = bounds;
  }

  /** @throws InvalidFile, UnsupportedFile, OutOfMemory */
  push(piece: Uint8Array): void {
    const start = this.#received;
    this.#received += piece.length;
    if (this.#header === undefined) {
      if (start < HEADER_BYTES) this.#head.set(piece.subarray(0, HEADER_BYTES - start), start);
      if (this.#received < HEADER_BYTES) return;
      this.#begin();
    }
    this.#place(piece, start);
  }

  /** The volume. @throws InvalidFile where bytes are missing, UnsupportedFile, OutOfMemory */
  finish(): Volume {
    const header = this.#header ?? this.#begin();
    const expected = header.dataStart + header.dataBytes;
    if (this.#received < expected) throw truncated(header, this.#received);
    return new Volume({
      data: toVoxels(this.#voxels.buffer, header),
      shape: header.shape,
      affine: header.affine,
      slope: header.slope,
      inter: header.inter,
      spacing: header.spacing,
      affineSource: header.affineSource,
      template: header.template,
    });
  }

  /** Bytes taken so far, for messages about a stream that broke off. */
  get received(): number {
    return this.#received;
  }

  #begin(): NiftiHeader {
    const present = Math.min(this.#received, HEADER_BYTES);
    const header = parseHeader(this.#head.subarray(0, present));
    const { available, limit } = this.#bounds;
    if (header.dataStart + header.dataBytes > available) throw truncated(header, available);
    if (header.dataBytes > limit) {
      throw new RenvoxError(
        'UnsupportedFile',
        `the voxels take ${header.dataBytes} bytes, the limit is ${limit}`,
        { bytes: header.dataBytes, limit },
      );
    }
    try {
      this.#voxels = new Uint8Array(header.dataBytes);
    } catch (cause) {
      throw new RenvoxError(
        'OutOfMemory',
        `no memory for ${header.dataBytes} bytes of voxels`,
        { bytes: header.dataBytes },
        { cause },
      );
    }
    this.#header = header;
    this.#place(this.#head.subarray(0, present), 0);
    return header;
  }

  /** Copies what of `piece`, which begins at byte `start` of the file, are voxels. */
  #place(piece: Uint8Array, start: number): void {
    const { dataStart, dataBytes } = this.#header as NiftiHeader;
    const from = Math.max(0, dataStart - start);
    const to = Math.min(piece.length, dataStart + dataBytes - start);
    if (from < to) this.#voxels.set(piece.subarray(from, to), start + from - dataStart);
    const excess = start + piece.length - dataStart - dataBytes;
    if (excess > TRAILING_BYTES) {
      throw new RenvoxError(
        'InvalidFile',
        `more than ${TRAILING_BYTES} bytes follow the ${dataBytes} bytes of voxels that the header claims`,
        { bytes: dataBytes, excess },
      );
    }
  }
}

/**
 * Reads a NIfTI file that lies, inflated, in memory.
 * @param limit most bytes of voxels
 * @throws InvalidFile, UnsupportedFile, OutOfMemory
 */
export function parseNifti(bytes: Uint8Array, limit = 2 ** 32): Volume {
  const decoder = new NiftiDecoder({ available: bytes.length, limit });
  decoder.push(bytes);
  return decoder.finish();
}

function truncated(header: NiftiHeader, present: number): RenvoxError {
  const expected = header.dataStart + header.dataBytes;
  const [d, h, w] = header.shape;
  return new RenvoxError(
    'InvalidFile',
    `truncated: the header claims ${w}x${h}x${d} voxels of ${header.bytesPerVoxel} bytes from byte ${header.dataStart}, ${expected} bytes in all, but there are at most ${present}`,
    { expected, present, shape: header.shape },
  );
}

function toVoxels(buffer: ArrayBuffer, header: NiftiHeader): VoxelArray {
  if (!header.littleEndian) swap(buffer, header.bytesPerVoxel);
  switch (header.type) {
    case 'int8':
      return new Int8Array(buffer);
    case 'uint8':
      return new Uint8Array(buffer);
    case 'int16':
      return new Int16Array(buffer);
    case 'uint16':
      return new Uint16Array(buffer);
    case 'int32':
      return new Int32Array(buffer);
    case 'uint32':
      return new Uint32Array(buffer);
    case 'float32':
      return new Float32Array(buffer);
    case 'float64':
      return new Float64Array(buffer);
    case 'int64':
    case 'uint64':
      return narrow(buffer, header.type);
  }
}

function swap(buffer: ArrayBuffer, width: number): void {
  const bytes = Buffer.from(buffer);
  if (width === 2) bytes.swap16();
  else if (width === 4) bytes.swap32();
  else if (width === 8) bytes.swap64();
}

/**
 * 64-bit integers, which numpy writes for label maps unasked, as Int32 where all fit, else as Float64 where all are
 * exact. Works in place: element i is written at or before the place where it was read.
 */
function narrow(buffer: ArrayBuffer, type: 'int64' | 'uint64'): Int32Array | Float64Array {
  const words = new Int32Array(buffer);
  const count = words.length / 2;
  let fitsInt32 = true;
  for (let i = 0; i < count; i++) {
    const low = words[2 * i] as number;
    const high = words[2 * i + 1] as number;
    if (high === low >> 31 && (type === 'int64' || low >= 0)) continue;
    fitsInt32 = false;
    const upper = type === 'int64' ? high : high >>> 0;
    if (upper >= 2 ** 21 || upper < -(2 ** 21)) {
      throw new RenvoxError(
        'UnsupportedFile',
        `voxel ${i} of type ${type} lies outside of -2^53..2^53, so no number holds it exactly`,
        { voxel: i },
      );
    }
  }
  if (fitsInt32) {
    for (let i = 0; i < count; i++) words[i] = words[2 * i] as number;
    return new Int32Array(buffer.slice(0, 4 * count));
  }
  const result = new Float64Array(buffer);
  for (let i = 0; i < count; i++) {
    const low = (words[2 * i] as number) >>> 0;
    const high = words[2 * i + 1] as number;
    result[i] = (type === 'int64' ? high : high >>> 0) * 2 ** 32 + low;
  }
  return result;
}
