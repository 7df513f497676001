/**
 * An interpreter of the pickles that `torch.save` writes. It executes nothing: it knows the opcodes of protocol 2 that plain data need,
 * and a few global names, each a case in this file that only builds a value. Everything else is refused by name.
 *
 * Memory is bounded: a pickle may have {@link PICKLE_OPERATIONS} operations, each makes at most one value, and a value that holds others holds
 * references, so nothing grows by being referred to twice. Strings and numbers are not longer than their bytes in the file.
 *
 * Opcodes: Lib/pickletools.py of CPython. What torch writes: torch/serialization.py, torch/_utils.py.
 */
import { RenvoxError } from '../errors.js';

/** The most operations of one pickle. A ResNet-10 with its optimiser's state has some 10,000. */
export const PICKLE_OPERATIONS = 200_000;
/** The longest integer, in bytes: torch's magic number has 10. */
const LONG_BYTES = 16;

/** Element types of torch's storages, and their bytes. */
export const STORAGE_TYPES = {
  FloatStorage: { dtype: 'f32', bytes: 4 },
  HalfStorage: { dtype: 'f16', bytes: 2 },
  BFloat16Storage: { dtype: 'bf16', bytes: 2 },
  DoubleStorage: { dtype: 'f64', bytes: 8 },
  LongStorage: { dtype: 'i64', bytes: 8 },
  IntStorage: { dtype: 'i32', bytes: 4 },
  ShortStorage: { dtype: 'i16', bytes: 2 },
  CharStorage: { dtype: 'i8', bytes: 1 },
  ByteStorage: { dtype: 'u8', bytes: 1 },
  BoolStorage: { dtype: 'bool', bytes: 1 },
} as const;
export type TorchDType = (typeof STORAGE_TYPES)[keyof typeof STORAGE_TYPES]['dtype'];

/** A piece of the file that holds values; `key` names it there. */
export interface StorageReference {
  readonly kind: 'storage';
  readonly key: string;
  readonly dtype: TorchDType;
  readonly bytesPerElement: number;
  readonly elements: number;
}

/** A tensor: a view of a storage. Sizes are checked against the storage's. */
export interface TensorReference {
  readonly kind: 'tensor';
  readonly storage: StorageReference;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly stride: readonly number[];
}

interface GlobalReference {
  readonly kind: 'global';
  readonly name: string;
}

/** A tuple; lists are arrays. */
export interface PickleTuple {
  readonly kind: 'tuple';
  readonly items: readonly PickleValue[];
}

export type PickleValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | PickleValue[]
  | PickleTuple
  | Map<PickleValue, PickleValue>
  | GlobalReference
  | StorageReference
  | TensorReference;

/** Where opening brackets stood on the stack. */
const MARK = Symbol('mark');
type Stacked = PickleValue | typeof MARK;

/** The names that may stand in a pickle, exactly. */
const GLOBALS: ReadonlySet<string> = new Set([
  'collections.OrderedDict',
  'torch._utils._rebuild_tensor',
  'torch._utils._rebuild_tensor_v2',
  'torch._utils._rebuild_parameter',
  ...Object.keys(STORAGE_TYPES).map((name) => `torch.${name}`),
]);

/**
 * Reads the pickle that begins at byte `begin`.
 * @returns its value and the byte behind it
 * @throws RenvoxError InvalidWeights for an opcode or name that is not on the list, for wrong types and sizes, for one that does not end
 */
export function readPickle(bytes: Uint8Array, begin = 0): { value: PickleValue; end: number } {
  const machine = new Machine(bytes, begin);
  const value = machine.run();
  return { value, end: machine.at };
}

export function invalidPickle(message: string, offset?: number): RenvoxError {
  const where = offset === undefined ? '' : ` at byte ${offset}`;
  return new RenvoxError('InvalidWeights', `Not a sound pickle of weights${where}: ${message}`, {
    offset,
  });
}

class Machine {
  at: number;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #stack: Stacked[] = [];
  readonly #memo = new Map<number, PickleValue>();
  /** The byte of the opcode in work. */
  #opcodeAt = 0;

  constructor(bytes: Uint8Array, begin: number) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.at = begin;
  }

  run(): PickleValue {
    for (let count = 0; count < PICKLE_OPERATIONS; count++) {
      this.#opcodeAt = this.at;
      const opcode = this.#bytes[this.#take(1)] as number;
      if (count === 0 && opcode !== 0x80) throw this.#fault('it does not begin with its protocol');
      if (opcode === 0x2e) {
        const value = this.#pop();
        if (this.#stack.length > 0)
          throw this.#fault(`it ends with ${this.#stack.length + 1} values, expected 1`);
        return value;
      }
      this.#step(opcode);
    }
    throw this.#fault(`more than ${PICKLE_OPERATIONS} operations`);
  }

  #step(opcode: number): void {
    const value = this.#valueOf(opcode);
    if (value === undefined) this.#act(opcode);
    else this.#stack.push(value);
  }

  /** What the opcodes that push something push; undefined for the others. */
  #valueOf(opcode: number): PickleValue | undefined {
    const view = this.#view;
    switch (opcode) {
      case 0x4e: // NONE
        return null;
      case 0x88: // NEWTRUE
        return true;
      case 0x89: // NEWFALSE
        return false;
      case 0x4a: // BININT
        return view.getInt32(this.#take(4), true);
      case 0x4b: // BININT1
        return this.#bytes[this.#take(1)] as number;
      case 0x4d: // BININT2
        return view.getUint16(this.#take(2), true);
      case 0x8a: // LONG1
        return this.#long();
      case 0x47: // BINFLOAT
        return view.getFloat64(this.#take(8), false);
      case 0x58: // BINUNICODE
        return this.#text(view.getUint32(this.#take(4), true));
      case 0x55: // SHORT_BINSTRING, a str of Python 2
        return this.#text(this.#bytes[this.#take(1)] as number);
      case 0x7d: // EMPTY_DICT
        return new Map();
      case 0x5d: // EMPTY_LIST
        return [];
      case 0x29: // EMPTY_TUPLE
        return { kind: 'tuple', items: [] };
      case 0x74: // TUPLE
        return { kind: 'tuple', items: this.#popToMark() };
      case 0x85: // TUPLE1
      case 0x86: // TUPLE2
      case 0x87: // TUPLE3
        return { kind: 'tuple', items: this.#popMany(opcode - 0x84) };
      case 0x68: // BINGET
        return this.#get(this.#bytes[this.#take(1)] as number);
      case 0x6a: // LONG_BINGET
        return this.#get(view.getUint32(this.#take(4), true));
      case 0x63: // GLOBAL
        return this.#global();
      case 0x51: // BINPERSID
        return this.#storage(this.#pop());
      case 0x52: {
        // REDUCE
        const [callable, args] = this.#popMany(2);
        return this.#reduce(callable, args);
      }
      default:
        return undefined;
    }
  }

  /** The opcodes that change what is on the stack or in the memo. */
  #act(opcode: number): void {
    switch (opcode) {
      case 0x80: {
        const protocol = this.#bytes[this.#take(1)] as number;
        if (protocol !== 2)
          throw this.#fault(`protocol ${protocol}; torch.save writes 2 unless told otherwise`);
        break;
      }
      case 0x28: // MARK
        this.#stack.push(MARK);
        break;
      case 0x61: // APPEND
        this.#append([this.#pop()]);
        break;
      case 0x65: // APPENDS
        this.#append(this.#popToMark());
        break;
      case 0x73: // SETITEM
        this.#setItems(this.#popMany(2));
        break;
      case 0x75: // SETITEMS
        this.#setItems(this.#popToMark());
        break;
      case 0x71: // BINPUT
        this.#memo.set(this.#bytes[this.#take(1)] as number, this.#top());
        break;
      case 0x72: // LONG_BINPUT
        this.#memo.set(this.#view.getUint32(this.#take(4), true), this.#top());
        break;
      case 0x62: // BUILD
        this.#build();
        break;
      default:
        throw this.#fault(`the opcode 0x${opcode.toString(16).padStart(2, '0')} is not read`);
    }
  }

  /** The first of the next `count` bytes, which are then behind. */
  #take(count: number): number {
    const left = this.#bytes.byteLength - this.at;
    if (count > left) throw this.#fault(`it claims ${count} more bytes, the file has ${left}`);
    this.at += count;
    return this.at - count;
  }

  #pop(): PickleValue {
    const value = this.#stack.pop();
    if (value === undefined || value === MARK) throw this.#fault('a value is missing');
    return value;
  }

  #top(): PickleValue {
    const value = this.#stack[this.#stack.length - 1];
    if (value === undefined || value === MARK) throw this.#fault('a value is missing');
    return value;
  }

  #popToMark(): PickleValue[] {
    const from = this.#stack.lastIndexOf(MARK);
    if (from < 0) throw this.#fault('a mark is missing');
    const items = this.#stack.splice(from);
    items.shift();
    return items as PickleValue[];
  }

  /** The uppermost values, the lowest of them first. */
  #popMany(count: number): PickleValue[] {
    const items: PickleValue[] = [];
    for (let i = 0; i < count; i++) items.unshift(this.#pop());
    return items;
  }

  #append(items: PickleValue[]): void {
    const list = this.#top();
    if (!Array.isArray(list)) throw this.#fault('something is appended to what is no list');
    for (const item of items) list.push(item);
  }

  #setItems(items: PickleValue[]): void {
    const dict = this.#top();
    if (!(dict instanceof Map)) throw this.#fault('items are set of what is no dict');
    if (items.length % 2 !== 0) throw this.#fault('a key has no value');
    for (let i = 0; i < items.length; i += 2) {
      const key = items[i] as PickleValue;
      if (typeof key === 'object' && key !== null) throw this.#fault('a key is no plain value');
      if (dict.has(key)) throw this.#fault(`the key ${String(key)} stands twice`);
      dict.set(key, items[i + 1] as PickleValue);
    }
  }

  #get(index: number): PickleValue {
    const value = this.#memo.get(index);
    if (value === undefined) throw this.#fault(`there is no value ${index} to repeat`);
    return value;
  }

  #long(): number | bigint {
    const count = this.#bytes[this.#take(1)] as number;
    if (count > LONG_BYTES) throw this.#fault(`an integer of ${count} bytes`);
    const from = this.#take(count);
    let value = 0n;
    for (let i = count - 1; i >= 0; i--)
      value = (value << 8n) | BigInt(this.#bytes[from + i] as number);
    value = BigInt.asIntN(8 * count, value);
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : value;
  }

  #text(length: number): string {
    const from = this.#take(length);
    try {
      return utf8.decode(this.#bytes.subarray(from, from + length));
    } catch {
      throw this.#fault('a text is not UTF-8');
    }
  }

  #global(): GlobalReference {
    const line = () => {
      const end = this.#bytes.indexOf(0x0a, this.at);
      if (end < 0 || end - this.at > 200) throw this.#fault('a name without an end');
      const from = this.#take(end + 1 - this.at);
      return Buffer.from(this.#bytes.buffer, this.#bytes.byteOffset + from, end - from).toString(
        'latin1',
      );
    };
    const name = `${line()}.${line()}`;
    if (!GLOBALS.has(name))
      throw this.#fault(
        `it names ${JSON.stringify(name.slice(0, 120))}, which weights do not need; nothing was executed`,
      );
    return { kind: 'global', name };
  }

  /** ('storage', type, key, location, elements), and None in the older form of a file. */
  #storage(id: PickleValue): StorageReference {
    const [word, type, key, location, elements, view = null] = this.#itemsOf(id, 'a storage');
    const known =
      isKind(type, 'global') && type.name.startsWith('torch.')
        ? type.name.slice('torch.'.length)
        : '';
    if (word !== 'storage' || !Object.hasOwn(STORAGE_TYPES, known) || typeof key !== 'string')
      throw this.#fault('a reference that is no storage');
    if (typeof location !== 'string' || !isNatural(elements))
      throw this.#fault(`the storage ${key} does not say its size`);
    if (view !== null) throw this.#fault(`the storage ${key} is a view of another, as before 2017`);
    const { dtype, bytes } = STORAGE_TYPES[known as keyof typeof STORAGE_TYPES];
    return { kind: 'storage', key, dtype, bytesPerElement: bytes, elements };
  }

  #reduce(callable: PickleValue | undefined, argument: PickleValue | undefined): PickleValue {
    const args = this.#itemsOf(argument, 'the arguments');
    const name = isKind(callable, 'global') ? callable.name : '';
    switch (name) {
      case 'collections.OrderedDict':
        if (args.length > 0) throw this.#fault('an OrderedDict with arguments');
        return new Map();
      case 'torch._utils._rebuild_tensor':
      case 'torch._utils._rebuild_tensor_v2':
        return this.#tensor(args);
      case 'torch._utils._rebuild_parameter': {
        const [data] = args;
        if (!isKind(data, 'tensor')) throw this.#fault('a parameter of what is no tensor');
        return data;
      }
      default:
        throw this.#fault('it calls what is no function');
    }
  }

  /** (storage, offset, size, stride, …): gradients and hooks, which may follow, are no part of a weight. */
  #tensor([storage, offset, size, steps]: readonly PickleValue[]): TensorReference {
    if (!isKind(storage, 'storage') || !isNatural(offset))
      throw this.#fault('a tensor without a storage and an offset');
    const shape = this.#itemsOf(size, 'a size');
    const stride = this.#itemsOf(steps, 'a stride');
    if (shape.length > 8 || !shape.every(isNatural))
      throw this.#fault('a size that is not up to eight integers of at least 0');
    if (stride.length !== shape.length || !stride.every(isNatural))
      throw this.#fault('a stride that does not fit the size');
    const { key, elements } = storage;
    const count = shape.reduce((n, d) => n * BigInt(d), 1n);
    const last = shape.reduce(
      (n, d, i) => n + BigInt(Math.max(d - 1, 0)) * BigInt(stride[i] as number),
      BigInt(offset),
    );
    // A stride of 0 would make many values of one; torch.save writes what there is.
    if (count > BigInt(elements) || (count > 0n && last >= BigInt(elements)))
      throw this.#fault(
        `a tensor of size [${shape.join(', ')}] reaches beyond its storage ${key} of ${elements} values`,
      );
    return { kind: 'tensor', storage, offset, shape, stride };
  }

  /** Attributes: torch sets `_metadata` of a state dict, which says versions of layers. Read, checked, not kept. */
  #build(): void {
    const state = this.#pop();
    if (!(this.#top() instanceof Map) || !(state instanceof Map))
      throw this.#fault('attributes of what has none');
    if ([...state.keys()].some((key) => key !== '_metadata'))
      throw this.#fault('attributes other than _metadata');
  }

  #itemsOf(value: PickleValue | undefined, what: string): readonly PickleValue[] {
    if (!isKind(value, 'tuple')) throw this.#fault(`${what} that is no tuple`);
    return value.items;
  }

  #fault(message: string): RenvoxError {
    return invalidPickle(message, this.#opcodeAt);
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

function isNatural(value: PickleValue | undefined): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

/** Whether a value is one of the tagged kinds. */
export function isKind<K extends 'tuple' | 'global' | 'storage' | 'tensor'>(
  value: PickleValue | undefined,
  kind: K,
): value is Extract<PickleValue, { kind: K }> {
  return (
    typeof value === 'object' &&
    value !== null &&
    'kind' in value &&
    (value.kind as string) === kind
  );
}
