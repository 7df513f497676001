/** What a classifier sees beside the CT where there is a second phase. */
import { add, concatChannels, scaleBy } from '../ops/index.js';
import type { Tensor } from '../tensor.js';
import type { SecondImage } from './networks.js';

/**
 * The windowed images as channels: the first, and the second one as it is or less the first.
 * @param images - one or two, f32 [1, D, H, W, 1]
 */
export function asChannels(images: readonly Tensor[], secondImage: SecondImage): Tensor {
  const [first, second] = images;
  if (!first || !second || secondImage === 'image') return concatChannels(images);
  return concatChannels([first, add(second, scaleBy(first, -1))]);
}
