/** What a classifier sees beside the CT where there is a second phase. */
import { add, concatChannels, scaleBy } from '../ops/index.js';
import type { Tensor } from '../tensor.js';
import type { SecondImage } from './networks.js';

/** 20 HU, the least that counts as enhancement, are a tenth of a usual window's half; a network hears more of it at four tenths. */
const CHANGE_SCALE = 4;

/**
 * The windowed images as channels: the first, and the second one as it is, or the change from the first to it, four times as large, in the mass alone.
 * @param images - one or two, f32 [1, D, H, W, 1]
 * @param inMass - makes an image 0 outside of the mass
 */
export function asChannels(
  images: readonly Tensor[],
  secondImage: SecondImage,
  inMass: (image: Tensor) => Tensor,
): Tensor {
  const [first, second] = images;
  if (!first || !second || secondImage === 'image') return concatChannels(images);
  const change = scaleBy(add(second, scaleBy(first, -1)), CHANGE_SCALE);
  return concatChannels([first, inMass(change)]);
}
