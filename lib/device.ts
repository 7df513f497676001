import { invalidArgument, RenvoxError } from './errors.js';
import {
  call,
  type DeviceHandle,
  type DType,
  type NativeMemory,
  type NativeTransfers,
  type RunOptions,
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
   * Do not copy the array now but let the device's thread read it later: it must not change until a tensor that depends on it has been
   * read. Spares the event loop the copy of a large volume.
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
  /** Work that has not begun when it fires is not done; its tensors reject with AbortError. */
  signal?: AbortSignal | undefined;
  /**
   * Work is done only if `counts[index]` (i32) is greater than zero when its turn comes; otherwise its results read as zeros. Decided by native
   * code: the count never comes to JS.
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
  #options: RunOptions | undefined;

  /** @internal */
  constructor(kind: DeviceKind) {
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
   * Uploads an array.
   * @throws RenvoxError ShapeMismatch if the shape does not hold exactly the array's elements; InvalidArgument
   */
  tensor(data: TensorData | readonly number[], options: TensorOptions = {}): Tensor {
    const array = Array.isArray(data) ? Float32Array.from(data) : (data as TensorData);
    if (!ArrayBuffer.isView(array))
      throw invalidArgument('data', 'a typed array or an array of numbers', data);
    const dtype = options.dtype ?? dtypeOf(array);
    if (bytesOf[dtype] !== array.BYTES_PER_ELEMENT)
      throw invalidArgument(
        'dtype',
        `a type of ${array.BYTES_PER_ELEMENT} bytes, as the array's elements`,
        dtype,
      );
    const shape = options.shape ?? [array.length];
    checkShape(shape);
    const size = shape.reduce((a, b) => a * b, 1);
    if (size !== array.length)
      throw new RenvoxError(
        'ShapeMismatch',
        `Expected ${size} elements for shape [${shape.join(', ')}] but received ${array.length}`,
        { shape, length: array.length },
      );
    return new Tensor(
      this,
      call((addon) => addon.upload(this.handle, array, shape, dtype, options.borrow ?? false)),
    );
  }

  /** A tensor of zeros, or of another value. */
  full(shape: readonly number[], value = 0, dtype: DType = 'f32'): Tensor {
    checkShape(shape);
    return this.run('fill', { shape, value, dtype })[0] as Tensor;
  }

  /** @internal Enqueues an operation of native/ops/ops.h; null where an output is not made. */
  run(name: string, fields: OperationFields): (Tensor | null)[] {
    const outputs = call((addon) => addon.run(this.handle, name, handles(fields), this.#options));
    return outputs.map((o) => (o ? new Tensor(this, o) : null));
  }

  /** Runs `body`, which must be synchronous, so that all it enqueues on this device is subject to `conditions`. */
  under<T>(conditions: Conditions, body: () => T): T {
    const before = this.#options;
    const options: RunOptions = { ...before };
    const { signal, when } = conditions;
    if (signal) options.token = tokenOf(signal);
    if (when) {
      options.guard = when.counts.handle;
      options.index = when.index;
    }
    this.#options = options;
    try {
      return body();
    } finally {
      this.#options = before;
    }
  }

  /** Bytes of this device: in use, kept for reuse, the most ever in use, and the limit (Infinity if none). */
  get memory(): NativeMemory {
    return call((addon) => addon.memory(this.handle));
  }

  /** Makes `memory.peak` start again from what is in use now. */
  resetPeak(): void {
    call((addon) => addon.resetPeak(this.handle));
  }

  /** From now on, work that would take more bytes than this in all rejects with OutOfMemory. */
  setMemoryLimit(bytes: number): void {
    if (!(bytes > 0)) throw invalidArgument('bytes', 'a positive number', bytes);
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

  /** Stops the queue after the running operation; what has not run is dropped, its tensors reject with DisposedError. */
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
  if (kind === 'auto')
    return new Device(call((addon) => addon.cudaReason()) === '' ? 'cuda' : 'cpu');
  if (kind !== 'cpu' && kind !== 'cuda')
    throw invalidArgument('kind', "one of 'auto', 'cpu', 'cuda'", kind);
  return new Device(kind);
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

const tokens = new WeakMap<AbortSignal, ReturnType<typeof makeToken>>();

function makeToken(signal: AbortSignal) {
  const token = call((addon) => addon.createToken());
  const cancel = () => call((addon) => addon.cancel(token));
  if (signal.aborted) cancel();
  else signal.addEventListener('abort', cancel, { once: true });
  return token;
}

function tokenOf(signal: AbortSignal) {
  let token = tokens.get(signal);
  if (!token) {
    token = makeToken(signal);
    tokens.set(signal, token);
  }
  return token;
}

function handles(fields: OperationFields): Record<string, unknown> {
  const native: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(fields)) {
    if (value instanceof Tensor) native[name] = value.handle;
    else if (Array.isArray(value))
      native[name] = value.map((v: unknown) => (v instanceof Tensor ? v.handle : v));
    else native[name] = value;
  }
  return native;
}

const bytesOf: Record<DType, number> = {
  f32: 4,
  bf16: 2,
  f16: 2,
  u8: 1,
  i16: 2,
  i32: 4,
  f64: 8,
};

function dtypeOf(array: TensorData): DType {
  if (array instanceof Float32Array) return 'f32';
  if (array instanceof Uint8Array) return 'u8';
  if (array instanceof Int16Array) return 'i16';
  if (array instanceof Int32Array) return 'i32';
  if (array instanceof Float64Array) return 'f64';
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
