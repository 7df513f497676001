/** How a network is told what is meant: a mask as one channel more. */
import { cast, concatChannels, reshape } from '../ops/index.js';
import type { Tensor } from '../tensor.js';

/**
 * An image, and a mask of it as a last channel, 0 or 1.
 * @param image - f32 [1, D, H, W, C]
 * @param mask - u8 [1, D, H, W] of zeros and ones, or f32
 */
export function besideMask(image: Tensor, mask: Tensor): Tensor {
  const channel = mask.dtype === 'f32' ? mask : cast(mask, 'f32');
  return concatChannels([image, reshape(channel, [...image.shape.slice(0, 4), 1])]);
}
