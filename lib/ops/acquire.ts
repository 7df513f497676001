import { invalidArgument } from '../errors.js';
import type { Tensor } from '../tensor.js';
import { checkNumber, checkShape, checkTensor } from './check.js';

/** Three numbers along D, H, W. */
type Along = readonly [number, number, number];

/** What {@link acquire} does to an image. */
export interface AcquireOptions {
  /** SD in voxels of the Gaussian blur along D, H, W. */
  blur?: Along;
  /** SD of the noise in HU, and, in voxels along D, H, W, of the blur that correlates it. */
  noise?: number;
  noiseBlur?: Along;
  /** An integer in 0..2^32-1. */
  seed: number;
  /** HU clipped to low..high and scaled to -1..1; HU stay where undefined. */
  window?: { low: number; high: number } | undefined;
  /** u8 [1, D, H, W]: a second channel (0 or 1), or what is kept of the image. */
  mask?: { tensor: Tensor; use: 'channel' | 'keep' } | undefined;
}

/**
 * What a scanner and a network's input do to a drawn scene: blur, correlated noise, window, mask. Gaussians reach to three SD; the border
 * goes on outside. Outside of a mask that is kept the image is -1 (the window's bottom).
 * @param x - HU, f32 [1, D, H, W, 1]
 * @returns f32 [1, D, H, W, 1], or 2 channels with a mask as channel
 * @throws RenvoxError ShapeMismatch, DtypeMismatch, InvalidArgument
 */
export function acquire(x: Tensor, options: AcquireOptions): Tensor {
  checkTensor('acquire', 'x', x, { rank: 5, dtype: 'f32' });
  const { blur, noise = 0, noiseBlur, seed, window, mask } = options;
  checkNumber('acquire', 'noise', noise, 0, 1e4);
  checkNumber('acquire', 'seed', seed, 0, 4294967295);
  for (const sigma of [...(blur ?? []), ...(noiseBlur ?? [])])
    checkNumber('acquire', 'blur', sigma, 0, 100);
  if (window && !(window.low < window.high))
    throw invalidArgument('window of acquire', 'low below high', [window.low, window.high]);
  if (mask) {
    checkTensor('acquire', 'mask', mask.tensor, { rank: 4, dtype: 'u8' });
    checkShape('acquire', 'mask', mask.tensor, x.shape.slice(0, 4));
  }
  const [y] = x.device.run('acquire', {
    x,
    mask: mask?.tensor,
    blur,
    noiseBlur,
    noise,
    seed,
    low: window?.low ?? -1000,
    high: window?.high ?? -1000,
    outside: mask?.use === 'keep',
  }) as [Tensor];
  return y;
}
