/** Reading a volume from disk, gzipped or not, in bounded memory: the voxels and a few MiB beside them. */
import { createHash } from 'node:crypto';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { constants, createGunzip, gunzipSync } from 'node:zlib';
import { invalidArgument, RenvoxError } from '../errors.js';
import { NiftiDecoder, TRAILING_BYTES } from './nifti.js';
import { HEADER_BYTES, parseHeader } from './nifti-header.js';
import { Volume } from './volume.js';

/** Options of {@link readVolume}. */
export interface ReadOptions {
  /** Stops between pieces of at most 1 MiB. */
  signal?: AbortSignal | undefined;
  /** Most bytes of voxels to hold. Default 4 GiB. */
  maxBytes?: number;
}

const PIECE = 1 << 18;
const INFLATED_PIECE = 1 << 20;
/** deflate makes at most 1032 bytes of one (zlib's technical notes). */
const MOST_INFLATED_PER_BYTE = 1032;

/**
 * Reads a NIfTI-1 or NIfTI-2 file (.nii or .nii.gz; recognised by content, not by name) with its SHA-256.
 * 64-bit integers become Int32 or, where they do not fit, Float64. A file in metres or micrometres becomes mm.
 * @throws FileNotFound, InvalidFile for a damaged file, UnsupportedFile for more than one frame, complex or RGB voxels,
 * .hdr/.img pairs or more than `maxBytes`, AbortError, OutOfMemory
 */
export async function readVolume(path: string, options: ReadOptions = {}): Promise<Volume> {
  const { signal, maxBytes = 2 ** 32 } = options;
  if (typeof path !== 'string' || path.includes('\0'))
    throw invalidArgument('path', 'a path', path);
  if (!(maxBytes > 0)) throw invalidArgument('maxBytes', 'a positive number', maxBytes);
  const source = await Source.open(path, signal);
  try {
    const volume = await decode(source, maxBytes);
    return new Volume({ ...volume, sha256: await source.digest() });
  } catch (error) {
    throw named(path, error);
  } finally {
    await source.close();
  }
}

/** What a file's header says, without its voxels. */
export interface HeaderSummary {
  /** Voxels and mm along the file's axes. */
  fileShape: [number, number, number];
  fileSpacing: [number, number, number];
  /** Of the stored type. */
  bytesPerVoxel: number;
  /** Of {@link Volume.values}, at most: 0 where those are the stored array itself, 2 where they are int16 for sure, else 4 for floats. */
  bytesPerValue: 0 | 2 | 4;
}

/**
 * Reads a NIfTI file's header alone.
 * @throws FileNotFound, InvalidFile, UnsupportedFile
 */
export async function readHeader(path: string): Promise<HeaderSummary> {
  if (typeof path !== 'string' || path.includes('\0'))
    throw invalidArgument('path', 'a path', path);
  const source = await Source.open(path, undefined);
  try {
    let head: Uint8Array = (await source.next()) ?? new Uint8Array(0);
    // The beginning of a gzip stream inflates without its end.
    if (head[0] === 0x1f && head[1] === 0x8b)
      head = gunzipSync(head, {
        finishFlush: constants.Z_SYNC_FLUSH,
        maxOutputLength: PIECE * MOST_INFLATED_PER_BYTE,
      });
    const header = parseHeader(head.subarray(0, HEADER_BYTES));
    const { shape, spacing, bytesPerVoxel, type, slope, inter } = header;
    const whole = slope === 1 && Number.isInteger(inter) && !type.startsWith('float');
    return {
      fileShape: [shape[2], shape[1], shape[0]],
      fileSpacing: [spacing[2], spacing[1], spacing[0]],
      bytesPerVoxel,
      bytesPerValue:
        whole && type === 'int16' && inter === 0 ? 0 : whole && bytesPerVoxel === 1 ? 2 : 4,
    };
  } catch (error) {
    if (isZlibError(error) && !(error instanceof RenvoxError))
      throw named(
        path,
        new RenvoxError(
          'InvalidFile',
          `the gzip stream is damaged (${error.message})`,
          {},
          { cause: error },
        ),
      );
    throw named(path, error);
  } finally {
    await source.close();
  }
}

async function decode(source: Source, limit: number): Promise<Volume> {
  const { size } = source;
  const first = await source.next();
  if (first === undefined) throw new RenvoxError('InvalidFile', 'the file is empty', { size });
  const zipped = first[0] === 0x1f && first[1] === 0x8b;
  const available = zipped ? size * MOST_INFLATED_PER_BYTE : size;
  const decoder = new NiftiDecoder({ available, limit });
  if (!zipped) {
    for (let piece: Buffer | undefined = first; piece; piece = await source.next()) {
      decoder.push(piece);
    }
    return decoder.finish();
  }
  const gunzip = createGunzip({ chunkSize: INFLATED_PIECE });
  const packed = Readable.from(source.rest(first), { objectMode: false, highWaterMark: PIECE });
  packed.on('error', (error) => gunzip.destroy(error));
  packed.pipe(gunzip);
  try {
    for await (const piece of gunzip) decoder.push(piece as Buffer);
  } catch (error) {
    if (error instanceof RenvoxError || !isZlibError(error)) throw error;
    throw new RenvoxError(
      'InvalidFile',
      `the gzip stream of ${size} bytes is damaged or truncated (${error.message}) after ${decoder.received} inflated bytes`,
      { size, inflated: decoder.received },
      { cause: error },
    );
  } finally {
    packed.destroy();
    gunzip.destroy();
  }
  return decoder.finish();
}

/** A file's bytes in order, hashed on the way. */
class Source {
  readonly #file: FileHandle;
  readonly #signal: AbortSignal | undefined;
  readonly #hash = createHash('sha256');
  readonly size: number;
  #position = 0;
  /** The read in flight: a stream that was given up may still wait for one. */
  #reading: Promise<Buffer | undefined> = Promise.resolve(undefined);

  static async open(path: string, signal: AbortSignal | undefined): Promise<Source> {
    try {
      // Asked before opening: opening a pipe would wait for its other end.
      const status = await stat(path);
      if (!status.isFile()) {
        throw new RenvoxError(
          'FileNotFound',
          `${path} is ${status.isDirectory() ? 'a folder' : 'not a regular file'}, expected a NIfTI file`,
          { path },
        );
      }
      return new Source(await open(path, 'r'), status.size, signal);
    } catch (error) {
      throw named(path, error);
    }
  }

  private constructor(file: FileHandle, size: number, signal: AbortSignal | undefined) {
    this.#file = file;
    this.size = size;
    this.#signal = signal;
  }

  /** The next piece, or undefined at the end. */
  next(): Promise<Buffer | undefined> {
    this.#reading = this.#reading.then(() => this.#read());
    return this.#reading;
  }

  async #read(): Promise<Buffer | undefined> {
    if (this.#signal?.aborted) {
      throw new RenvoxError(
        'AbortError',
        'Reading was aborted',
        {},
        { cause: this.#signal.reason },
      );
    }
    const piece = Buffer.allocUnsafeSlow(PIECE);
    const { bytesRead } = await this.#file.read(piece, 0, PIECE, this.#position);
    if (bytesRead === 0) return undefined;
    this.#position += bytesRead;
    const bytes = piece.subarray(0, bytesRead);
    this.#hash.update(bytes);
    return bytes;
  }

  /** `first`, which {@link next} gave, and all that follows. */
  async *rest(first: Buffer): AsyncGenerator<Buffer> {
    for (let piece: Buffer | undefined = first; piece; piece = await this.next()) yield piece;
  }

  /** SHA-256 of the whole file. Bytes after the end of the gzip stream are read for it, within reason. */
  async digest(): Promise<string> {
    await this.#reading;
    const left = this.size - this.#position;
    if (left > TRAILING_BYTES) {
      throw new RenvoxError('InvalidFile', `${left} bytes follow the end of the gzip stream`, {
        size: this.size,
        left,
      });
    }
    while ((await this.next()) !== undefined);
    return this.#hash.digest('hex');
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}

function isZlibError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && ((error as NodeJS.ErrnoException).code ?? '').startsWith('Z_');
}

/** The error with the path in front; a system error as FileNotFound. */
function named(path: string, error: unknown): unknown {
  if (error instanceof RenvoxError) {
    if (error.details.path !== undefined || error.code === 'AbortError') return error;
    const details = { ...error.details, path };
    return new RenvoxError(error.code, `${path}: ${error.message}`, details, { cause: error });
  }
  if (!(error instanceof Error) || (error as NodeJS.ErrnoException).syscall === undefined) {
    return error;
  }
  const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
  const message = missing ? `There is no file ${path}` : `Cannot read ${path}: ${error.message}`;
  return new RenvoxError('FileNotFound', message, { path }, { cause: error });
}
