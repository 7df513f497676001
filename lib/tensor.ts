import type { Device } from './device.js';
import { invalidArgument, RenvoxError } from './errors.js';
import {
  arrayTypes,
  call,
  type DType,
  type NativeTensor,
  type TensorHandle,
  typed,
} from './native.js';
import { adopt } from './scope.js';

export type { DType } from './native.js';

/** What a tensor's values look like in JS. bf16 and f16 come as their 16-bit patterns. */
export interface ArrayOf {
  f32: Float32Array;
  bf16: Uint16Array;
  f16: Uint16Array;
  u8: Uint8Array;
  i16: Int16Array;
  i32: Int32Array;
  f64: Float64Array;
}

export type TensorData = ArrayOf[DType];

/**
 * A handle to an n-dimensional array on a device: contiguous, slowest axis first (images are [N, D, H, W, C]). Making one only enqueues
 * work; {@link data} waits for this tensor and no other. Native memory is freed by {@link dispose}, by `using`, by the end of the
 * {@link scope} it was made in, or, late, by the garbage collector.
 */
export class Tensor {
  readonly device: Device;
  readonly shape: readonly number[];
  readonly dtype: DType;
  readonly #handle: TensorHandle;
  #disposed = false;

  /** @internal Use `device.tensor()` or an operation. */
  constructor(device: Device, native: NativeTensor) {
    this.device = device;
    this.#handle = native[0];
    this.dtype = native[1];
    this.shape = Object.freeze(native.slice(2) as number[]);
    adopt(this);
  }

  /** Number of elements. */
  get size(): number {
    return this.shape.reduce((a, b) => a * b, 1);
  }

  get disposed(): boolean {
    return this.#disposed;
  }

  /** @internal The native handle. Throws DisposedError. */
  get handle(): TensorHandle {
    if (this.#disposed)
      throw new RenvoxError(
        'DisposedError',
        `The tensor of shape [${this.shape.join(', ')}] and type ${this.dtype} was used after its dispose()`,
        { shape: this.shape, dtype: this.dtype },
      );
    return this.#handle;
  }

  /**
   * The values. Rejects with the error of the operation that failed, here or upstream (its name, its shapes and the cause), and with
   * DisposedError if the device goes first.
   */
  async data(): Promise<TensorData> {
    return (await download([this]))[0] as TensorData;
  }

  /** The value of a tensor of one element. */
  async item(): Promise<number> {
    if (this.size !== 1)
      throw new RenvoxError(
        'ShapeMismatch',
        `Expected a tensor of one element for item() but this one has shape [${this.shape.join(', ')}]`,
        { shape: this.shape },
      );
    return (await this.data())[0] as number;
  }

  /** Frees the native memory once queued work that needs it is done. Idempotent. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    call((addon) => addon.dispose(this.#handle));
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

/**
 * Brings several tensors of one device to JS in one transfer.
 * @throws RenvoxError as {@link Tensor.data}
 */
export async function download<const T extends readonly Tensor[]>(
  tensors: T,
): Promise<{ -readonly [K in keyof T]: TensorData }> {
  if (!Array.isArray(tensors) || !tensors.every((t) => t instanceof Tensor))
    throw invalidArgument('tensors', 'an array of tensors', tensors);
  const first = tensors[0];
  if (!first) return [] as unknown as { -readonly [K in keyof T]: TensorData };
  const into = tensors.map((t) => new arrayTypes[t.dtype](t.size));
  const handles = tensors.map((t) => t.handle);
  try {
    await call((addon) => addon.download(first.device.handle, handles, into));
  } catch (error) {
    throw typed(error);
  }
  return into as unknown as { -readonly [K in keyof T]: TensorData };
}
