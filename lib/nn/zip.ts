/**
 * The zip archives that `torch.save` writes: entries stored, never compressed. An entry is a view into the file's bytes, so an archive never
 * takes more memory than it has; entries are found by name in a map and never written anywhere.
 *
 * Format: APPNOTE.TXT 6.3.10, sections 4.3.7, 4.3.12 and 4.3.16. Only the central directory says what there is.
 */
import { crc32 } from 'node:zlib';
import { RenvoxError } from '../errors.js';

const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END = 0x06054b50;
/** Bytes of the fixed part of each record. */
const SIZE = { local: 30, central: 46, end: 22 };
const COMMENT_LIMIT = 0xffff;

function invalid(message: string): RenvoxError {
  return new RenvoxError('InvalidWeights', `Not a sound archive of torch.save: ${message}`);
}

/** Whether a file begins as a zip archive does. */
export function isZip(file: Uint8Array): boolean {
  return file.byteLength >= 4 && viewOf(file).getUint32(0, true) === LOCAL;
}

/**
 * Reads an archive's entries.
 * @throws RenvoxError InvalidWeights for entries that are compressed or encrypted, overlap, leave the file, have a name twice or another
 *   checksum than stated; for archives of more than 65,534 entries
 */
export function readStoredZip(file: Uint8Array): Map<string, Uint8Array> {
  const view = viewOf(file);
  const end = findEnd(view);
  const count = view.getUint16(end + 10, true);
  const size = view.getUint32(end + 12, true);
  const start = view.getUint32(end + 16, true);
  if (count === 0xffff || start === 0xffffffff)
    throw invalid('it has more entries, or is larger, than is read (65,534 entries, 4 GB)');
  if (start + size > end) throw invalid(`a directory at bytes ${start} to ${start + size}`);

  const entries = new Map<string, Entry>();
  let at = start;
  for (let i = 0; i < count; i++) {
    if (at + SIZE.central > start + size || view.getUint32(at, true) !== CENTRAL)
      throw invalid(`entry ${i} of ${count} is missing from its directory`);
    const nameLength = view.getUint16(at + 28, true);
    const extra = view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
    const next = at + SIZE.central + nameLength + extra;
    if (next > start + size) throw invalid(`entry ${i} of ${count} leaves its directory`);
    const name = textOf(file, at + SIZE.central, nameLength);
    if (entries.has(name)) throw invalid(`the entry ${name} stands twice`);
    const from = view.getUint32(at + 42, true);
    entries.set(name, entryOf(file, name, { at, from, directory: start }));
    at = next;
  }
  // Before any byte is summed up: entries that share bytes could make much work of a small file.
  const inOrder = [...entries.values()].sort((a, b) => a.from - b.from);
  inOrder.reduce((end, entry) => {
    if (entry.from < end) throw invalid('two entries overlap');
    return entry.from + entry.before + entry.bytes.byteLength;
  }, 0);
  return new Map(
    [...entries].map(([name, { bytes, checksum }]) => {
      if (crc32(bytes) !== checksum)
        throw invalid(`the entry ${name} is damaged: its checksum differs`);
      return [name, bytes];
    }),
  );
}

interface Entry {
  bytes: Uint8Array;
  checksum: number;
  /** Where its record begins, and how far before its bytes. */
  from: number;
  before: number;
}

function findEnd(view: DataView): number {
  const last = view.byteLength - SIZE.end;
  for (let at = last; at >= Math.max(0, last - COMMENT_LIMIT); at--)
    if (view.getUint32(at, true) === END && view.getUint16(at + 20, true) === last - at) return at;
  throw invalid('it has no end record; is it whole?');
}

/** The bytes of the entry whose directory record is at `at` and whose own record is at `from`. */
function entryOf(
  file: Uint8Array,
  name: string,
  { at, from, directory }: { at: number; from: number; directory: number },
): Entry {
  const view = viewOf(file);
  const flags = view.getUint16(at + 8, true);
  const method = view.getUint16(at + 10, true);
  const checksum = view.getUint32(at + 16, true);
  const packed = view.getUint32(at + 20, true);
  const length = view.getUint32(at + 24, true);
  if (flags & 1) throw invalid(`the entry ${name} is encrypted`);
  if (method !== 0 || packed !== length)
    throw invalid(`the entry ${name} is compressed; torch.save stores`);
  if (from + SIZE.local > directory || view.getUint32(from, true) !== LOCAL)
    throw invalid(`the entry ${name} is not where the directory says`);
  const nameLength = view.getUint16(from + 26, true);
  const begin = from + SIZE.local + nameLength + view.getUint16(from + 28, true);
  if (begin + length > directory)
    throw invalid(`the entry ${name} of ${length} bytes leaves the file`);
  if (textOf(file, from + SIZE.local, nameLength) !== name)
    throw invalid(`the entry ${name} has another name in the directory`);
  const bytes = file.subarray(begin, begin + length);
  return { bytes, checksum, from, before: begin - from };
}

function textOf(file: Uint8Array, from: number, length: number): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(file.subarray(from, from + length));
  } catch {
    throw invalid('a name is not UTF-8');
  }
}

function viewOf(file: Uint8Array): DataView {
  return new DataView(file.buffer, file.byteOffset, file.byteLength);
}
