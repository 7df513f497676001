// Values rounded to 16 bits as the library rounds them, and tensors of every float type.
import { type Device, isRenvoxError, type Tensor } from 'renvox';
import type { Image } from './convolution-naive.js';
import { product, randomArray } from './harness.js';

export type Precision = 'fp32' | 'bf16' | 'fp16';
export type Stored = 'f32' | 'bf16' | 'f16';

export const storedAs = { fp32: 'f32', bf16: 'bf16', fp16: 'f16' } as const;

/** The precision, or fp16 where a GPU has no products of bf16 (compute capability below 8.0): there every test runs in fp16 instead. */
export const productsOn = <P extends Precision>(device: Device, precision: P): P | 'fp16' =>
  precision === 'bf16' && device.kind !== 'cpu' && device.info.capability < 80 ? 'fp16' : precision;

/** A double rounded to f32 and then to a 16-bit float, to nearest even, as native/math/convert.h does; within the normal range. */
export function rounded(value: number, type: Stored): number {
  const f = Math.fround(value);
  if (type === 'f32' || f === 0 || !Number.isFinite(f)) return f;
  const bits = type === 'bf16' ? 8 : 11;
  let exponent = Math.floor(Math.log2(Math.abs(f)));
  if (2 ** exponent > Math.abs(f)) exponent--;
  if (type === 'f16') exponent = Math.max(exponent, -14);
  const unit = 2 ** (exponent - bits + 1);
  const q = f / unit;
  const low = Math.floor(q);
  const up = q - low > 0.5 || (q - low === 0.5 && low % 2 !== 0);
  return (up ? low + 1 : low) * unit;
}

export function roundedImage(image: Image, type: Stored): Image {
  return { shape: image.shape, data: Float64Array.from(image.data, (v) => rounded(v, type)) };
}

/** leaky(x * scale + shift) with the roundings of f32, then rounded to `type`. */
export function loaded(
  x: Image,
  type: Stored,
  norm?: { scale: ArrayLike<number>; shift: ArrayLike<number>; slope: number },
): Image {
  if (!norm) return roundedImage(x, type);
  const c = x.shape[4] as number;
  const perSample = x.data.length / (x.shape[0] as number);
  const data = Float64Array.from(x.data, (v, i) => {
    const k = Math.floor(i / perSample) * c + (i % c);
    const scaled = Math.fround(v * (norm.scale[k] as number));
    const z = Math.fround(scaled + (norm.shift[k] as number));
    return rounded(z > 0 ? z : Math.fround(Math.fround(norm.slope) * z), type);
  });
  return { shape: x.shape, data };
}

export const image = (shape: readonly number[], seed: number): Image & { data: Float32Array } => ({
  shape,
  data: randomArray(product(shape), seed),
});

export function upload(
  device: Device,
  i: { shape: readonly number[]; data: Float32Array },
  type: Stored = 'f32',
): Tensor {
  if (type === 'f32') return device.tensor(i.data, { shape: i.shape });
  const bits = Uint16Array.from(i.data, (v) => bitsOf(rounded(v, type), type));
  return device.tensor(bits, { shape: i.shape, dtype: type });
}

/** The 16 bits of a value that the type can hold. */
function bitsOf(value: number, type: 'bf16' | 'f16'): number {
  if (type === 'bf16') return (new Uint32Array(Float32Array.of(value).buffer)[0] as number) >>> 16;
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const magnitude = Math.abs(value);
  if (magnitude < 2 ** -14) return sign | (magnitude * 2 ** 24);
  let exponent = Math.floor(Math.log2(magnitude));
  if (2 ** exponent > magnitude) exponent--;
  return sign | (((exponent + 15) << 10) + (magnitude / 2 ** exponent - 1) * 1024);
}

/** The values of a tensor of any type. */
export async function values(tensor: Tensor): Promise<ArrayLike<number>> {
  const data = await tensor.data();
  if (tensor.dtype !== 'bf16' && tensor.dtype !== 'f16') return data;
  const bits = data as Uint16Array;
  if (tensor.dtype === 'bf16') {
    const wide = Uint32Array.from(bits, (b) => b << 16);
    return new Float32Array(wide.buffer);
  }
  return Float32Array.from(bits, (b) => {
    const exponent = (b >> 10) & 31;
    const mantissa = b & 1023;
    const sign = b & 0x8000 ? -1 : 1;
    if (exponent === 31) return mantissa ? Number.NaN : sign * Number.POSITIVE_INFINITY;
    return sign * (exponent ? (1024 + mantissa) * 2 ** (exponent - 25) : mantissa * 2 ** -24);
  });
}

/** Relative RMS error of rounding to a type, at most: half a unit in the last place of each value. */
export const roundingOf = { f32: 0, bf16: 2 ** -9, f16: 2 ** -12 };

/** The code of the error that `body` throws, 'none' where it throws none of ours. */
export function codeOf(body: () => unknown): string {
  try {
    body();
  } catch (error) {
    if (isRenvoxError(error)) return error.code;
  }
  return 'none';
}
