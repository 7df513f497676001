/**
 * A volume to a NIfTI file, little-endian, single file. A volume that came from a file keeps that file's version and the
 * bits of its geometry fields. Nothing else of the original header is carried over: its texts may name the patient.
 */

import { Readable } from 'node:stream';
import { createGzip } from 'node:zlib';
import { writeFileAtomic } from '../atomic-write.js';
import { RenvoxError } from '../errors.js';
import { datatypeCode, layoutOf, writeField } from './nifti-header.js';
import type { Volume } from './volume.js';

/** Options of writeVolume and Volume.write. */
export interface WriteOptions {
  /** Stops between pieces of 1 MiB; no file is left. */
  signal?: AbortSignal | undefined;
  /** zlib level for names that end in `.gz`, 1 (fast) to 9 (small). Default 4. */
  level?: number;
}

const PIECE = 1 << 20;

/**
 * Writes `volume` to `path`, gzipped where the name ends in `.gz`. The file appears whole or not at all, and the same
 * volume gives the same bytes.
 * @throws FileNotFound, WriteFailed, AbortError, UnsupportedFile where an axis is too long for the header's version
 */
export async function writeVolume(
  path: string,
  volume: Volume,
  options: WriteOptions = {},
): Promise<void> {
  const plain = Readable.from(pieces(volume), { objectMode: false, highWaterMark: PIECE });
  if (!path.toLowerCase().endsWith('.gz')) {
    await writeFileAtomic(path, plain, options);
    return;
  }
  const gzip = createGzip({ level: options.level ?? 4, chunkSize: 1 << 18 });
  plain.on('error', (error) => gzip.destroy(error));
  try {
    await writeFileAtomic(path, plain.pipe(gzip), options);
  } finally {
    plain.destroy();
    gzip.destroy();
  }
}

/** The whole file, not gzipped, in memory. */
export function niftiBytes(volume: Volume): Uint8Array {
  const header = encodeHeader(volume);
  const bytes = new Uint8Array(header.length + volume.data.byteLength);
  bytes.set(header);
  bytes.set(voxelBytes(volume), header.length);
  return bytes;
}

function* pieces(volume: Volume): Generator<Uint8Array> {
  yield encodeHeader(volume);
  const bytes = voxelBytes(volume);
  for (let start = 0; start < bytes.length; start += PIECE) {
    yield bytes.subarray(start, start + PIECE);
  }
}

function voxelBytes({ data }: Volume): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** The header with its four extension flags (none set): the voxels follow at once. */
function encodeHeader(volume: Volume): Uint8Array {
  const { template, fileShape, fileSpacing, affine } = volume;
  const long = fileShape.some((n) => n > 32767);
  const version = template?.version ?? (long ? 2 : 1);
  if (version === 1 && long) {
    throw new RenvoxError(
      'UnsupportedFile',
      `NIfTI-1 holds at most 32767 voxels an axis but the volume has ${fileShape.join('x')}`,
      { shape: volume.shape },
    );
  }
  const layout = layoutOf(version);
  const bytes = new Uint8Array(layout.dataStart);
  const view = new DataView(bytes.buffer);
  if (template !== undefined) {
    bytes.set(template.bytes);
  } else {
    // The sform alone holds any affine; a qform cannot hold shear, so none is claimed (code 0).
    writeField(view, layout.sformCode, 1);
    for (let k = 0; k < 12; k++) writeField(view, layout.srow, affine[k] as number, k);
    writeField(view, layout.pixdim, 1);
    for (const [axis, mm] of fileSpacing.entries()) writeField(view, layout.pixdim, mm, axis + 1);
    writeField(view, layout.units, 2);
  }
  view.setInt32(0, layout.length, true);
  const [magicStart, magic] = layout.magic;
  for (let k = 0; k < magic.length; k++) view.setUint8(magicStart + k, magic.charCodeAt(k));
  writeField(view, layout.dim, 3);
  for (let axis = 0; axis < 7; axis++) {
    writeField(view, layout.dim, fileShape[axis] ?? 1, axis + 1);
  }
  for (let axis = 4; axis < 8; axis++) writeField(view, layout.pixdim, 1, axis);
  const type = volume.data.constructor.name.replace('Array', '').toLowerCase();
  const code = datatypeCode(type);
  if (code === undefined) throw new RenvoxError('InternalError', `No NIfTI type for ${type}`);
  writeField(view, layout.datatype, code);
  writeField(view, layout.bitpix, volume.data.BYTES_PER_ELEMENT * 8);
  writeField(view, layout.voxOffset, layout.dataStart);
  writeField(view, layout.slope, volume.slope);
  writeField(view, layout.inter, volume.inter);
  return bytes;
}
