import { invalidArgument, isRenvoxError, RenvoxError } from './errors.js';
import {
  arrayTypes,
  call,
  type DeviceHandle,
  type DType,
  fieldsOf,
  type NativeConditions,
  type NativeDeviceInfo,
  type NativeMemory,
  type NativeTransfers,
  type TokenHandle,
  typed,
} from './native.js';
import { Tensor, type TensorData } from './tensor.js';

export type DeviceKind = 'cpu' | 'cuda';

export interface TensorOptions {
  /** Axes, slowest first; by default one axis of all elements. */
  shape?: readonly number[];
  /** By default the type that fits the array: Float32Array f32, Uint8Array u8, Int16Array i16, Int32Array i32, Float64Array f64. */
  dtype?: DType;
  /**
   * Do not copy the array: while the tensor lives it must neither change nor its buffer be transferred to another thread, whose collector may end it
   * under a running operation, and the process with it. On the CPU the tensor
   * is the array's own memory (an operation that would change the tensor in place copies it first) and keeps it until it is disposed: a WeakMap from
   * the array to its tensor would keep both for good. A GPU's thread reads it later, so that the event loop is spared the copy of a large volume. An
   * array on a resizable buffer is copied all the same.
   */
  borrow?: boolean;
}

/** @internal The fields of an operation: tensors, lists of them, and attributes. */
export type OperationFields = Readonly<
  Record<
    string,
    Tensor | readonly Tensor[] | number | boolean | string | readonly number[] | undefined
  >
>;

/** Under which conditions work is enqueued: see {@link Device.under}. */
export interface Conditions {
  /**
   * Work that has not begun when it fires is not done; its tensors reject with AbortError, whose `cause` is the signal's reason. A tensor
   * that such work would have changed in place stays as it was.
   */
  signal?: AbortSignal | undefined;
  /**
   * Work is done only if `counts[index]` (i32) is greater than zero when its turn comes; otherwise its results read as zeros, and what it
   * would have changed in place stays as it was. Decided by native code: the count never comes to JS.
   */
  when?: { counts: Tensor; index: number } | undefined;
}

/**
 * A device: memory and an in-order queue of its own. Operations return at once; nothing blocks the event loop. Make one with {@link device}.
 */
export class Device {
  readonly kind: DeviceKind;
  readonly #handle: DeviceHandle;
  #disposed = false;
  #conditions: NativeConditions | undefined;

  /** @internal */
  constructor(kind: DeviceKind) {
    if (!isKind(kind)) throw invalidArgument('kind', "'cpu' or 'cuda'", kind);
    this.kind = kind;
    this.#handle = call((addon) => addon.createDevice(kind));
  }

  get disposed(): boolean {
    return this.#disposed;
  }

  /** @internal */
  get handle(): DeviceHandle {
    if (this.#disposed)
      throw new RenvoxError(
        'DisposedError',
        `The ${this.kind} device was used after its dispose()`,
      );
    return this.#handle;
  }

  /**
   * Uploads an array. Numbers become elements of `dtype`, by default f32; a typed array must be the one of `dtype` ({@link ArrayOf}).
   * @throws RenvoxError ShapeMismatch if the shape does not hold exactly the array's elements; InvalidArgument
   */
  tensor(data: TensorData | readonly number[], options: TensorOptions = {}): Tensor {
    if (typeof options !== 'object' || options === null)
      throw invalidArgument('options', 'an object', options);
    if (options.dtype !== undefined) checkType(options.dtype);
    const array = arrayOf(data, options.dtype);
    const dtype = options.dtype ?? dtypeOf(array);
    const { shape = [array.length], borrow = false } = options;
    if (typeof borrow !== 'boolean') throw invalidArgument('borrow', 'a boolean', borrow);
    checkShape(shape);
    const size = shape.reduce((a, b) => a * b, 1);
    if (size !== array.length)
      throw new RenvoxError(
        'ShapeMismatch',
        `Expected ${size} elements for shape [${shape.join(', ')}] but received ${array.length}`,
        { shape, length: array.length },
      );
    const { resizable = false } = array.buffer as ArrayBufferLike & { resizable?: boolean };
    const lent = borrow && !resizable;
    return new Tensor(
      this,
      call((addon) => addon.upload(this.handle, array, shape, dtype, lent, this.#conditions)),
    );
  }

  /**
   * A tensor of zeros, or of another value; bf16 and f16 take only zero.
   * @throws RenvoxError InvalidArgument if the type cannot hold the value; OutOfMemory if no machine could hold the shape
   */
  full(shape: readonly number[], value = 0, dtype: DType = 'f32'): Tensor {
    checkShape(shape);
    checkType(dtype);
    if (typeof value !== 'number') throw invalidArgument('value', 'a number', value);
    return this.run('fill', { shape, value, dtype })[0] as Tensor;
  }

  /** @internal Enqueues an operation of native/ops/ops.h; null where an output is not made. */
  run(name: string, fields: OperationFields): (Tensor | null)[] {
    const values = valuesOf(name, fields);
    const outputs = call((addon) => addon.run(this.handle, name, this.#conditions, ...values));
    return outputs.map((o) => (o ? new Tensor(this, o) : null));
  }

  /**
   * Runs `body`, which must be synchronous, so that all it enqueues on this device is subject to `conditions`. Calls nest: work is then
   * subject to the outer conditions as well, each of them by itself.
   * @throws RenvoxError InvalidArgument, also if `body` returns a promise; DeviceMismatch if the counts live on another device
   */
  under<T>(conditions: Conditions, body: () => T): T {
    if (typeof conditions !== 'object' || conditions === null)
      throw invalidArgument('conditions', 'an object', conditions);
    if (typeof body !== 'function') throw invalidArgument('body', 'a function', body);
    const before = this.#conditions;
    const { signal, when } = conditions;
    this.#conditions = {
      tokens: [...(before?.tokens ?? []), ...(signal ? [tokenOf(signal)] : [])],
      guards: [...(before?.guards ?? []), ...(when ? [guardOf(this, when)] : [])],
    };
    let result: T;
    try {
      result = body();
    } finally {
      this.#conditions = before;
    }
    if (result instanceof Promise) {
      // What came after its first await was not subject to anything; its own failure is no news then.
      result.catch(() => undefined);
      throw invalidArgument('body', 'a synchronous function', result);
    }
    return result;
  }

  /** Of a GPU its name, compute capability (90 for 9.0), multiprocessors and memory in bytes; of the CPU its threads as multiprocessors. */
  get info(): NativeDeviceInfo {
    return call((addon) => addon.deviceInfo(this.handle));
  }

  /** Bytes of this device, without those of borrowed arrays: in use, kept for reuse, the most ever in use, and the limit: the machine's memory unless one is set (Infinity: none). */
  get memory(): NativeMemory {
    return call((addon) => addon.memory(this.handle));
  }

  /** Makes `memory.peak` start again from what is in use now. */
  resetPeak(): void {
    call((addon) => addon.resetPeak(this.handle));
  }

  /** From now on, work that would take more bytes than this in all rejects with OutOfMemory. */
  setMemoryLimit(bytes: number): void {
    if (typeof bytes !== 'number' || !(bytes > 0))
      throw invalidArgument('bytes', 'a positive number', bytes);
    call((addon) => addon.setMemoryLimit(this.handle, bytes));
  }

  /** Gives cached memory back to the system. */
  releaseCache(): void {
    call((addon) => addon.releaseCache(this.handle));
  }

  /** How many transfers of voxel data there were each way, and the read-backs that native code alone saw. */
  get transfers(): NativeTransfers {
    return call((addon) => addon.transfers(this.handle));
  }

  /** Resolves when everything that is enqueued now has run. */
  async drain(): Promise<void> {
    try {
      await call((addon) => addon.drain(this.handle));
    } catch (error) {
      throw typed(error);
    }
  }

  /** Stops the queue, in the middle of an operation too; tensors that are not done reject with DisposedError. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    if (shared === this) shared = undefined;
    call((addon) => addon.closeDevice(this.#handle));
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** Waits for queued work, then disposes. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#disposed) return;
    await this.drain();
    this.dispose();
  }
}

/**
 * Opens a device with a queue of its own. `auto` is CUDA when one works, else the CPU.
 * @throws RenvoxError DeviceUnavailable, with the reason
 */
export function device(kind: DeviceKind | 'auto' = 'auto'): Device {
  if (kind !== 'auto' && !isKind(kind))
    throw invalidArgument('kind', "one of 'auto', 'cpu', 'cuda'", kind);
  if (kind !== 'auto') return new Device(kind);
  if (call((addon) => addon.cudaReason()) !== '') return new Device('cpu');
  try {
    return new Device('cuda');
  } catch (error) {
    if (isRenvoxError(error, 'DeviceUnavailable')) return new Device('cpu');
    throw error;
  }
}

/** Besides the two that programs know, a test build has a device whose CUDA kernels run on the CPU. */
function isKind(kind: string): kind is DeviceKind {
  return (
    kind === 'cpu' ||
    kind === 'cuda' ||
    (kind === 'cuda-sim' && call((addon) => addon.simulator !== undefined))
  );
}

let shared: Device | undefined;

/** The device that functions use when none is given: `device('auto')`, opened once. */
export function defaultDevice(): Device {
  shared ??= device('auto');
  return shared;
}

/** Bytes of native memory in use on all devices of the process. For leak tests. */
export function liveBytes(): number {
  return call((addon) => addon.liveBytes());
}

/** Threads of the work pool that all CPU devices of the process share; sets it when `count` is given. Results never depend on it. */
export function threads(count?: number): number {
  if (count !== undefined && !(Number.isInteger(count) && count >= 1 && count <= 256))
    throw invalidArgument('count', 'an integer from 1 to 256', count);
  return call((addon) => addon.threads(count));
}

const tokens = new WeakMap<AbortSignal, TokenHandle>();

/** The token that a signal cancels; one for each signal, so that a signal gets one listener however often it is used. */
function tokenOf(signal: AbortSignal): TokenHandle {
  if (!(signal instanceof AbortSignal)) throw invalidArgument('signal', 'an AbortSignal', signal);
  const known = tokens.get(signal);
  if (known) return known;
  const token = call((addon) => addon.createToken());
  const cancel = () => call((addon) => addon.cancel(token, { value: signal.reason }));
  if (signal.aborted) cancel();
  else signal.addEventListener('abort', cancel, { once: true });
  tokens.set(signal, token);
  return token;
}

function guardOf(device: Device, when: NonNullable<Conditions['when']>) {
  if (typeof when !== 'object' || !(when.counts instanceof Tensor))
    throw invalidArgument('when', 'an object with a Tensor as counts', when);
  const { counts, index } = when;
  if (counts.dtype !== 'i32')
    throw invalidArgument('when.counts', 'a tensor of type i32', counts.dtype);
  if (counts.device !== device)
    throw new RenvoxError('DeviceMismatch', 'The counts of a condition live on another device');
  if (!Number.isInteger(index) || index < 0 || index >= counts.size)
    throw invalidArgument('when.index', `an integer from 0 to ${counts.size - 1}`, index);
  return { counts: counts.handle, index };
}

/** The fields as the addon takes them: in its order, a handle for each tensor. */
function valuesOf(operation: string, fields: OperationFields): unknown[] {
  return fieldsOf(operation).map((name) => {
    const value = fields[name];
    if (value instanceof Tensor) return value.handle;
    if (Array.isArray(value) && value[0] instanceof Tensor)
      return value.map((v: unknown) => (v instanceof Tensor ? v.handle : v));
    return value;
  });
}

function checkType(dtype: DType): void {
  if (!Object.hasOwn(arrayTypes, dtype))
    throw invalidArgument('dtype', `one of ${Object.keys(arrayTypes).join(', ')}`, dtype);
}

function arrayOf(data: unknown, dtype: DType | undefined): TensorData {
  const bits = dtype === 'f16' || dtype === 'bf16';
  const type = arrayTypes[dtype ?? 'f32'];
  if (Array.isArray(data) && !bits) {
    if (!data.every((n) => typeof n === 'number'))
      throw invalidArgument('data', 'an array of numbers', data);
    return type.from(data);
  }
  if (dtype === undefined ? !ArrayBuffer.isView(data) : !(data instanceof type))
    throw invalidArgument(
      'data',
      dtype === undefined
        ? 'a typed array or an array of numbers'
        : `a ${type.name}${bits ? '' : ' or an array of numbers'} for type ${dtype}`,
      data,
    );
  return data as TensorData;
}

function dtypeOf(array: TensorData): DType {
  for (const dtype of ['f32', 'u8', 'i16', 'i32', 'f64'] as const)
    if (array instanceof arrayTypes[dtype]) return dtype;
  throw invalidArgument(
    'data',
    'a Float32Array, Float64Array, Uint8Array, Int16Array or Int32Array (or a dtype with a Uint16Array)',
    array,
  );
}

function checkShape(shape: readonly number[]): void {
  if (
    !Array.isArray(shape) ||
    shape.length > 6 ||
    !shape.every((n) => Number.isSafeInteger(n) && n >= 0)
  )
    throw invalidArgument('shape', 'up to six non-negative integers', shape);
}
