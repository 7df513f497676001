/**
 * Files of `torch.save` (.pth, .pt): both forms, read without Python and without executing anything.
 *
 * - From PyTorch 1.6 (2020) on: a zip archive with `NAME/data.pkl` and a storage's values in each `NAME/data/KEY`.
 * - Before: pickles of a magic number, a protocol and the system's sizes, the object's pickle, a pickle with the storages' keys, then for each
 *   its number of values (8 bytes) and the values.
 *
 * Source: torch/serialization.py, `_save` and `_legacy_save`.
 */
import { RenvoxError } from '../errors.js';
import {
  invalidPickle,
  isKind,
  type PickleValue,
  readPickle,
  type StorageReference,
  type TensorReference,
  type TorchDType,
} from './pickle.js';
import { isZip, readStoredZip } from './zip.js';

/** A tensor of a .pth file. */
export interface TorchTensor {
  dtype: TorchDType;
  shape: number[];
  /** Little-endian values in the order of the axes, the last the fastest: a view into the file, or a copy where the file has another order. */
  bytes: Uint8Array;
}

export interface TorchFile {
  /** `zip`: from PyTorch 1.6 on; `legacy`: before. */
  form: 'zip' | 'legacy';
  /** The state dict: tensors by their keys in the file, in its order. */
  tensors: Map<string, TorchTensor>;
  /** Where the state dict was: '' at the top, or the key that holds it, `state_dict` as a rule. */
  root: string;
  /** What lies beside the state dict, by key: `epoch` 20, say; null for what is no text, number or boolean. */
  beside: Map<string, string | number | boolean | null>;
}

/** From torch/serialization.py. */
const MAGIC = 0x1950a86a20f9469cfc6cn;
const PROTOCOL = 1001;
/** The keys under which checkpoints keep their state dict. */
const ROOTS = ['state_dict', 'model_state_dict', 'model', 'net'];

/** Whether a file begins as one of the two forms does: with a zip archive's first record, or with a pickle's protocol. */
export function isTorchFile(file: Uint8Array): boolean {
  return isZip(file) || file[0] === 0x80;
}

/**
 * Reads a .pth file of either form.
 * @throws RenvoxError InvalidWeights for damage, for anything that is no plain data, and where there is no dict of tensors
 */
export function parseTorchFile(file: Uint8Array): TorchFile {
  const zip = isZip(file);
  const { value, storageOf } = zip ? readZipForm(file) : readLegacyForm(file);
  const { dict, root, beside } = stateDict(value);
  const tensors = new Map<string, TorchTensor>();
  // What tensors need in all: those that share a storage must not make much of little.
  let total = 0;
  for (const [name, tensor] of dict) {
    const { dtype, bytesPerElement } = tensor.storage;
    total += tensor.shape.reduce((n, d) => n * d, bytesPerElement);
    if (total > 2 * file.byteLength)
      throw invalidPickle(
        `its tensors need more than twice the ${file.byteLength} bytes of the file`,
      );
    tensors.set(name, {
      dtype,
      shape: [...tensor.shape],
      bytes: valuesOf(tensor, storageOf(tensor.storage)),
    });
  }
  return { form: zip ? 'zip' : 'legacy', tensors, root, beside };
}

interface ReadForm {
  value: PickleValue;
  /** The bytes of a storage, as many as it says. */
  storageOf(storage: StorageReference): Uint8Array;
}

function readZipForm(file: Uint8Array): ReadForm {
  const entries = readStoredZip(file);
  const pickles = [...entries.keys()].filter((name) => /^[^/]+\/data\.pkl$/.test(name));
  const [name = ''] = pickles;
  if (pickles.length !== 1)
    throw invalidPickle(`the archive has ${pickles.length} files NAME/data.pkl, expected 1`);
  const folder = name.slice(0, -'data.pkl'.length);
  const order = entries.get(`${folder}byteorder`);
  if (order && Buffer.from(order).toString('latin1') !== 'little')
    throw invalidPickle('its byte order is not little');
  const pickle = entries.get(name) as Uint8Array;
  const { value, end } = readPickle(pickle);
  if (end !== pickle.byteLength)
    throw invalidPickle(`${pickle.byteLength - end} bytes follow its end`, end);
  return {
    value,
    storageOf({ key, elements, bytesPerElement }) {
      const bytes = entries.get(`${folder}data/${key}`);
      if (!bytes) throw invalidPickle(`the archive has no storage ${JSON.stringify(key)}`);
      if (bytes.byteLength !== elements * bytesPerElement)
        throw invalidPickle(
          `the storage ${key} has ${bytes.byteLength} bytes, expected ${elements * bytesPerElement}`,
        );
      return bytes;
    },
  };
}

function readLegacyForm(file: Uint8Array): ReadForm {
  let at = 0;
  const next = () => {
    const { value, end } = readPickle(file, at);
    at = end;
    return value;
  };
  if (!isTorchFile(file) || next() !== MAGIC)
    throw new RenvoxError(
      'InvalidWeights',
      'Not a file of torch.save: neither a zip archive nor the magic number of the form before PyTorch 1.6',
    );
  if (next() !== PROTOCOL) throw invalidPickle(`the protocol of the file is not ${PROTOCOL}`, at);
  const system = next();
  if (!(system instanceof Map) || system.get('little_endian') !== true)
    throw invalidPickle('its byte order is not little', at);
  const value = next();
  const keys = next();
  if (!Array.isArray(keys)) throw invalidPickle('it has no list of storages', at);
  const sizes = storagesOf(value);
  const storages = new Map<string, Uint8Array>();
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  for (const key of keys) {
    const storage = typeof key === 'string' ? sizes.get(key) : undefined;
    if (!storage || storages.has(storage.key))
      throw invalidPickle(`the list of storages has ${String(key)}, which no tensor has or twice`);
    const left = file.byteLength - at - 8;
    const claimed = left >= 0 ? view.getBigInt64(at, true) : 0n;
    const bytes = storage.elements * storage.bytesPerElement;
    if (left < bytes || claimed !== BigInt(storage.elements))
      throw invalidPickle(
        `the storage ${storage.key} has ${claimed} values and ${Math.max(left, 0)} bytes, expected ${storage.elements} values and ${bytes} bytes`,
        at,
      );
    at += 8;
    storages.set(storage.key, file.subarray(at, at + bytes));
    at += bytes;
  }
  if (at !== file.byteLength)
    throw invalidPickle(`${file.byteLength - at} bytes belong to no storage`, at);
  return {
    value,
    storageOf({ key }) {
      const bytes = storages.get(key);
      if (!bytes) throw invalidPickle(`the file has no storage ${JSON.stringify(key)}`);
      return bytes;
    },
  };
}

/** Every storage that a value refers to. Each part is looked at once, however often it is referred to. */
function storagesOf(value: PickleValue): Map<string, StorageReference> {
  const found = new Map<string, StorageReference>();
  const seen = new Set<PickleValue>();
  const waiting: PickleValue[] = [value];
  for (let part = waiting.pop(); part !== undefined; part = waiting.pop()) {
    if (typeof part !== 'object' || part === null || seen.has(part)) continue;
    seen.add(part);
    if (Array.isArray(part)) for (const item of part) waiting.push(item);
    else if (part instanceof Map) for (const item of part.values()) waiting.push(item);
    else if (part.kind === 'tuple') for (const item of part.items) waiting.push(item);
    else if (part.kind === 'tensor') waiting.push(part.storage);
    else if (part.kind === 'storage') {
      const same = found.get(part.key);
      if (same && (same.elements !== part.elements || same.dtype !== part.dtype))
        throw invalidPickle(`the storage ${part.key} has two sizes or types`);
      found.set(part.key, part);
    }
  }
  return found;
}

/** The dict of tensors: the whole, or what a checkpoint has under one of the usual keys. */
function stateDict(value: PickleValue): {
  dict: [string, TensorReference][];
  root: string;
  beside: TorchFile['beside'];
} {
  const at = (root: string, held: PickleValue | undefined, rest: Map<PickleValue, PickleValue>) => {
    if (!(held instanceof Map) || held.size === 0) return undefined;
    const dict: [string, TensorReference][] = [];
    for (const [key, tensor] of held) {
      if (typeof key !== 'string' || !isKind(tensor, 'tensor')) return undefined;
      dict.push([key, tensor]);
    }
    const beside: TorchFile['beside'] = new Map();
    for (const [key, other] of rest)
      if (key !== root && typeof key === 'string')
        beside.set(key, typeof other === 'object' || typeof other === 'bigint' ? null : other);
    return { dict, root, beside };
  };
  if (value instanceof Map) {
    const found =
      at('', value, new Map()) ??
      ROOTS.map((root) => at(root, value.get(root), value)).find((dict) => dict !== undefined);
    if (found) return found;
  }
  throw new RenvoxError(
    'InvalidWeights',
    `The file holds no state dict: expected tensors by name, at the top or under ${ROOTS.join(', ')}`,
  );
}

/** A tensor's values in the order of its axes. */
function valuesOf(tensor: TensorReference, storage: Uint8Array): Uint8Array {
  const { shape, stride, offset } = tensor;
  const size = tensor.storage.bytesPerElement;
  const count = shape.reduce((n, d) => n * d, 1);
  let step = 1;
  let contiguous = true;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const extent = shape[axis] as number;
    if (extent > 1 && stride[axis] !== step) contiguous = false;
    step *= extent;
  }
  if (contiguous || count === 0)
    return count === 0
      ? new Uint8Array(0)
      : storage.subarray(offset * size, (offset + count) * size);
  // Channels-last weights, say.
  const values = new Uint8Array(count * size);
  const index = new Array<number>(shape.length).fill(0);
  let from = offset;
  for (let i = 0; i < count; i++) {
    values.set(storage.subarray(from * size, (from + 1) * size), i * size);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      index[axis] = (index[axis] as number) + 1;
      from += stride[axis] as number;
      if ((index[axis] as number) < (shape[axis] as number)) break;
      from -= (index[axis] as number) * (stride[axis] as number);
      index[axis] = 0;
    }
  }
  return values;
}
