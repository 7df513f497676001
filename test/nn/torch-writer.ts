// Writes files as torch.save does, both forms, from opcodes: sound ones, and hostile ones that torch would never write.
import { crc32 } from 'node:zlib';

export type Bytes = Uint8Array | readonly number[];
export const join = (...parts: Bytes[]): Uint8Array =>
  new Uint8Array(Buffer.concat(parts.map((p) => Buffer.from(p))));
const ascii = (text: string) => Uint8Array.from(Buffer.from(text, 'latin1'));
const u16 = (n: number) => [n & 255, (n >>> 8) & 255];
const u32 = (n: number) => [...u16(n & 0xffff), ...u16(n >>> 16)];
const i64 = (n: bigint) => {
  const b = Buffer.alloc(8);
  b.writeBigInt64LE(n);
  return b;
};

/** Opcodes of protocol 2. */
export const op = {
  start: [0x80, 2],
  stop: [0x2e],
  mark: [0x28],
  none: [0x4e],
  yes: [0x88],
  no: [0x89],
  dict: [0x7d],
  list: [0x5d],
  emptyTuple: [0x29],
  tuple: [0x74],
  append: [0x61],
  setItem: [0x73],
  setItems: [0x75],
  reduce: [0x52],
  build: [0x62],
  persistent: [0x51],
  put: (n: number): Bytes => [0x72, ...u32(n)],
  get: (n: number): Bytes => [0x6a, ...u32(n)],
  int: (n: number): Bytes => [0x4a, ...u32(n)],
  /** Any size up to 255 bytes. */
  long: (n: bigint, bytes = 8): Bytes => [
    0x8a,
    bytes,
    ...Array.from({ length: bytes }, (_, i) => Number((n >> BigInt(8 * i)) & 255n)),
  ],
  text: (t: string): Bytes => join([0x58], u32(Buffer.byteLength(t)), Buffer.from(t)),
  name: (module: string, name: string): Bytes => ascii(`c${module}\n${name}\n`),
};

export interface Stored {
  key: string;
  type: string;
  elements: number;
  values: Uint8Array;
}

/** A tensor's opcodes: `_rebuild_tensor_v2(storage, offset, size, stride, False, OrderedDict())`. */
export function tensor(
  { key, type, elements }: Stored,
  size: readonly number[],
  options: { stride?: readonly number[]; offset?: number; legacy?: boolean } = {},
): Uint8Array {
  const contiguous = size.map((_, i) => size.slice(i + 1).reduce((a, b) => a * b, 1));
  const numbers = (list: readonly number[]) =>
    join(op.mark, ...list.map((n) => op.long(BigInt(n))), op.tuple);
  return join(
    op.name('torch._utils', '_rebuild_tensor_v2'),
    op.mark,
    join(op.mark, op.text('storage'), op.name('torch', type), op.text(key), op.text('cpu')),
    join(op.long(BigInt(elements)), options.legacy ? op.none : [], op.tuple, op.persistent),
    op.long(BigInt(options.offset ?? 0)),
    numbers(size),
    numbers(options.stride ?? contiguous),
    op.no,
    join(op.name('collections', 'OrderedDict'), op.emptyTuple, op.reduce),
    op.tuple,
    op.reduce,
  );
}

/** A pickle of `{'state_dict': OrderedDict(names and tensors), 'epoch': 3}`. */
export function stateDict(tensors: Readonly<Record<string, Bytes>>): Uint8Array {
  const items = Object.entries(tensors).flatMap(([name, t]) => [op.text(name), t]);
  const dict = join(op.name('collections', 'OrderedDict'), op.emptyTuple, op.reduce);
  const metadata = join(op.mark, op.text('_metadata'), op.dict, op.setItems);
  return join(
    ...[op.start, op.dict, op.mark, op.text('state_dict'), dict],
    ...[op.mark, ...items, op.setItems],
    ...[op.dict, metadata, op.build],
    ...[op.text('epoch'), op.int(3), op.setItems, op.stop],
  );
}

export interface ZipEntry {
  name: string;
  bytes: Bytes;
  /** What a sound archive would not have. */
  change?: { method?: number; flags?: number; size?: number; crc?: number; localName?: string };
}

/** A zip archive of stored entries. */
export function zip(entries: readonly ZipEntry[]): Uint8Array {
  const parts: Uint8Array[] = [];
  const directory: Uint8Array[] = [];
  let at = 0;
  for (const { name, bytes, change = {} } of entries) {
    const content = Uint8Array.from(bytes);
    const size = change.size ?? content.length;
    const head = [
      ...u16(change.flags ?? 0),
      ...u16(change.method ?? 0),
      ...[0, 0, 0, 0],
      ...u32(change.crc ?? crc32(content)),
      ...u32(content.length),
      ...u32(size),
    ];
    const lengths = (n: string) => [...u16(Buffer.byteLength(n)), 0, 0];
    const local = change.localName ?? name;
    const record = join(u32(0x04034b50), [20, 0], head, lengths(local), Buffer.from(local));
    directory.push(
      join(u32(0x02014b50), [20, 0, 20, 0], head, lengths(name), new Uint8Array(10), u32(at)),
      Buffer.from(name),
    );
    parts.push(record, content);
    at += record.length + content.length;
  }
  const central = join(...directory);
  const count = u16(entries.length);
  const end = join(
    u32(0x06054b50),
    [0, 0, 0, 0],
    count,
    count,
    u32(central.length),
    u32(at),
    [0, 0],
  );
  return join(...parts, central, end);
}

/** The zip form of a pickle and its storages. */
export function zipForm(pickle: Bytes, stored: readonly Stored[]): Uint8Array {
  return zip([
    { name: 'weights/data.pkl', bytes: pickle },
    ...stored.map(({ key, values }) => ({ name: `weights/data/${key}`, bytes: values })),
    { name: 'weights/version', bytes: ascii('3\n') },
  ]);
}

const MAGIC = 0x1950a86a20f9469cfc6cn;

/** The form before PyTorch 1.6. */
export function legacyForm(
  pickle: Bytes,
  stored: readonly Stored[],
  change: { littleEndian?: boolean; protocol?: number } = {},
): Uint8Array {
  const { littleEndian = true, protocol = 1001 } = change;
  const system = [op.text('little_endian'), littleEndian ? op.yes : op.no];
  return join(
    ...[op.start, op.long(MAGIC, 10), op.stop],
    ...[op.start, op.int(protocol), op.stop],
    ...[op.start, op.dict, op.mark, ...system, op.setItems, op.stop],
    pickle,
    ...[op.start, op.list, op.mark, ...stored.map(({ key }) => op.text(key)), [0x65], op.stop],
    ...stored.flatMap(({ elements, values }) => [i64(BigInt(elements)), values]),
  );
}
