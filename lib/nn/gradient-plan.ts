/**
 * Which form the gradients of a convolution with an instance norm behind it take on a GPU: with the gradient dy of its raw output stored by an
 * operation of its own, or formed where the gradients with respect to its input and its weight load it (docs/kernels.md).
 */

/** Bytes a second, and multiplications and additions a second on tensor cores, of an H100 (both measured there with copies and matrix products). */
export const COPIED = 3.0e12;
export const MULTIPLIED = 800e12;

/** A convolution of 3x3x3 with stride 1 whose tensors are stored in the 16-bit type of its products. */
export interface NormedConvolution {
  /** Of its output, over all samples. */
  voxels: number;
  channels: number;
  /** Of each source that wants a gradient: one launch each, which all load dy. */
  gradients: readonly number[];
  /** Of all sources, whose bytes the gradient of the weight loads. */
  sources: number;
}

/**
 * Whether dy is formed on load: where the sum of the rooflines is smaller. A stored dy takes a pass that loads two tensors and stores one; formed
 * on load, each gradient loads two tensors where it loaded one.
 */
export function formsOnLoad({ voxels, channels, gradients, sources }: NormedConvolution): boolean {
  // The kernels take channels by eight, and more than eight.
  if (channels % 8 !== 0 || channels <= 8) return false;
  const unit = 2 * voxels;
  const time = (loads: number, made: number) =>
    Math.max(
      (unit * (loads * channels + made)) / COPIED,
      (2 * 27 * voxels * channels * made) / MULTIPLIED,
    );
  const all = (loads: number) =>
    [...gradients, sources].reduce((sum, made) => sum + time(loads, made), 0);
  return all(2) < all(1) + (3 * unit * channels) / COPIED;
}
