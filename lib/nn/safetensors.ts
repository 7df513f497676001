/**
 * The safetensors container: eight bytes with the length of a JSON header, the header, then the tensors' bytes without gaps. Pure functions
 * over bytes; every number of the header is checked before anything is made of it.
 */
import { RenvoxError } from '../errors.js';
import type { DType } from '../native.js';

export interface StoredTensor {
  dtype: DType;
  shape: number[];
  /** Little-endian values: a view into the file's bytes. */
  bytes: Uint8Array;
}

export interface SafetensorsFile {
  tensors: Map<string, StoredTensor>;
  metadata: Record<string, string>;
}

/** The longest header that is read. */
const HEADER_LIMIT = 8 * 1024 * 1024;

const dtypeOf: Record<string, DType> = {
  F32: 'f32',
  F16: 'f16',
  BF16: 'bf16',
  U8: 'u8',
  I16: 'i16',
  I32: 'i32',
};
const nameOf: Record<string, string> = {
  f32: 'F32',
  f16: 'F16',
  bf16: 'BF16',
  u8: 'U8',
  i16: 'I16',
  i32: 'I32',
};
const bytesOf: Record<string, number> = { f32: 4, f16: 2, bf16: 2, u8: 1, i16: 2, i32: 4 };

function invalid(message: string, details: Record<string, unknown> = {}): RenvoxError {
  return new RenvoxError('InvalidWeights', `Not a sound safetensors file: ${message}`, details);
}

/**
 * Reads a safetensors file.
 * @throws RenvoxError InvalidWeights for a header that is too long, not JSON, or has a name twice; for offsets that overlap, leave gaps,
 *   or leave the file; for sizes that do not fit shape and type; and for types other than F32, F16, BF16, U8, I16, I32
 */
export function parseSafetensors(file: Uint8Array): SafetensorsFile {
  if (file.byteLength < 8) throw invalid(`${file.byteLength} bytes are too few for a header`);
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const length = view.getBigUint64(0, true);
  if (length > BigInt(HEADER_LIMIT))
    throw invalid(`the header claims ${length} bytes, more than ${HEADER_LIMIT}`);
  const headerEnd = 8 + Number(length);
  if (headerEnd > file.byteLength)
    throw invalid(`the header claims ${length} bytes, the file has ${file.byteLength - 8}`);
  const text = new TextDecoder('utf-8', { fatal: true });
  let header: unknown;
  let source: string;
  try {
    source = text.decode(file.subarray(8, headerEnd));
    header = JSON.parse(source);
  } catch (error) {
    throw new RenvoxError(
      'InvalidWeights',
      'Not a sound safetensors file: the header is not JSON',
      {},
      { cause: error },
    );
  }
  if (!isRecord(header)) throw invalid('the header is not an object');
  rejectDuplicates(source);

  const tensors = new Map<string, StoredTensor>();
  const spans: { from: number; to: number; name: string }[] = [];
  const size = file.byteLength - headerEnd;
  for (const [name, entry] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    const { tensor, from, to } = readEntry(name, entry, size);
    spans.push({ from, to, name });
    tensors.set(name, { ...tensor, bytes: file.subarray(headerEnd + from, headerEnd + to) });
  }
  spans.sort((a, b) => a.from - b.from || a.to - b.to);
  let end = 0;
  for (const span of spans) {
    if (span.from !== end)
      throw invalid(`${span.name} begins at byte ${span.from}, expected ${end}`, {
        name: span.name,
      });
    end = span.to;
  }
  if (end !== size) throw invalid(`${size - end} bytes belong to no tensor`);
  return { tensors, metadata: readMetadata(header.__metadata__) };
}

function readEntry(name: string, entry: unknown, size: number) {
  if (!isRecord(entry)) throw invalid(`the entry of ${name} is not an object`, { name });
  const dtype = typeof entry.dtype === 'string' ? dtypeOf[entry.dtype] : undefined;
  if (!dtype)
    throw invalid(
      `${name} has type ${String(entry.dtype)}; F32, F16, BF16, U8, I16 and I32 are read`,
      { name },
    );
  const { shape, data_offsets: offsets } = entry;
  if (!isNaturals(shape) || shape.length > 6)
    throw invalid(`${name} has a shape that is not up to six sizes`, { name });
  if (!isNaturals(offsets) || offsets.length !== 2)
    throw invalid(`${name} has no two offsets`, { name });
  const [from, to] = offsets as [number, number];
  if (from > to || to > size)
    throw invalid(`${name} lies at bytes ${from} to ${to} of ${size}`, { name });
  const wanted = shape.reduce((n, d) => n * BigInt(d), BigInt(bytesOf[dtype] as number));
  if (wanted !== BigInt(to - from))
    throw invalid(
      `${name} of shape [${shape.join(', ')}] needs ${wanted} bytes, has ${to - from}`,
      { name },
    );
  return { tensor: { dtype, shape }, from, to };
}

function readMetadata(value: unknown): Record<string, string> {
  if (value === undefined || value === null) return {};
  if (!isRecord(value) || !Object.values(value).every((v) => typeof v === 'string'))
    throw invalid('__metadata__ is not an object of strings');
  return value as Record<string, string>;
}

/** JSON.parse keeps the last of two equal names silently; here that would hide a tensor. `source` is known to be sound JSON. */
function rejectDuplicates(source: string): void {
  // The names of each open object, null for an open array.
  const open: (Set<string> | null)[] = [];
  let expectsName = false;
  for (let i = 0; i < source.length; i++) {
    const c = source[i];
    if (c === '"') {
      const begin = i;
      for (i++; source[i] !== '"'; i++) if (source[i] === '\\') i++;
      const names = open[open.length - 1];
      if (!expectsName || !names) continue;
      const name = JSON.parse(source.slice(begin, i + 1)) as string;
      if (names.has(name)) throw invalid(`the name ${name} stands twice`, { name });
      names.add(name);
      expectsName = false;
    } else if (c === '{') {
      open.push(new Set());
      expectsName = true;
    } else if (c === '[') open.push(null);
    else if (c === '}' || c === ']') open.pop();
    else if (c === ',') expectsName = Boolean(open[open.length - 1]);
  }
}

/** The bytes of a safetensors file, tensors in the order of the map. The data begin at a multiple of eight bytes. */
export function formatSafetensors(
  tensors: ReadonlyMap<string, StoredTensor>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array[] {
  const header: Record<string, unknown> = { __metadata__: metadata };
  let at = 0;
  const pieces: Uint8Array[] = [];
  for (const [name, { dtype, shape, bytes }] of tensors) {
    header[name] = { dtype: nameOf[dtype], shape, data_offsets: [at, at + bytes.byteLength] };
    at += bytes.byteLength;
    pieces.push(bytes);
  }
  const json = new TextEncoder().encode(JSON.stringify(header));
  const padded = Math.ceil(json.byteLength / 8) * 8;
  const head = new Uint8Array(8 + padded).fill(0x20);
  new DataView(head.buffer).setBigUint64(0, BigInt(padded), true);
  head.set(json, 8);
  return [head, ...pieces];
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isNaturals(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && n >= 0);
}
