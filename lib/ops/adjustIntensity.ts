import { invalidArgument } from '../errors.js';
import type { Tensor } from '../tensor.js';
import { checkNumber } from './check.js';
import { globalAveragePool } from './globalAveragePool.js';
import { reshape } from './reshape.js';
import { volumeAxes } from './volume-axes.js';

/** What {@link adjustIntensity} changes; what is left out stays. */
export interface IntensityChange {
  /** What intensities are multiplied by. */
  brightness?: number;
  /** What the distances from the mean of a sample's channel are multiplied by; the result is held within `range`. */
  contrast?: number;
  /** Power of the intensity, `range` as 0..1. */
  gamma?: number;
  /** Whether gamma bends the other end of the range: 1 - (1 - s)^gamma. */
  invert?: boolean;
  /** What contrast and gamma go by; by default [0, 1]. */
  range?: readonly [number, number];
}

/**
 * Brightness, then contrast, then gamma of a volume, as nnU-Net's augmentation (Isensee et al. 2021, doi 10.1038/s41592-020-01008-z) but on the scale of
 * a fixed range, the window's, instead of the sample's own extremes. It has no gradient.
 * @param x - f32 [N, D, H, W, C] or [N, D, H, W]
 * @throws RenvoxError ShapeMismatch, DtypeMismatch, InvalidArgument
 */
export function adjustIntensity(x: Tensor, change: IntensityChange): Tensor {
  const [n, d, h, w, c] = volumeAxes('adjustIntensity', 'x', x, 'f32');
  const { brightness = 1, contrast, gamma = 1, invert = false, range = [0, 1] } = change;
  const [low, high] = range;
  checkNumber('adjustIntensity', 'brightness', brightness);
  checkNumber('adjustIntensity', 'contrast', contrast ?? 1, 0);
  checkNumber('adjustIntensity', 'gamma', gamma, 0, 100);
  checkNumber('adjustIntensity', 'range', low);
  checkNumber('adjustIntensity', 'range', high);
  if (!(low < high)) throw invalidArgument('range of adjustIntensity', 'low below high', range);
  let mean: Tensor | undefined;
  if (contrast !== undefined) {
    const image = reshape(x, [n, d, h, w, c]);
    mean = globalAveragePool(image);
    image.dispose();
  }
  const fields = { x, mean, brightness, contrast: contrast ?? 1, gamma, low, high, invert };
  const [y] = x.device.run('adjustIntensity', fields) as [Tensor];
  mean?.dispose();
  return y;
}
