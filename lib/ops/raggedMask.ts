import type { Tensor } from '../tensor.js';
import { checkNumber, checkTensor } from './check.js';

/**
 * The region of a label map with its outline moved as another reader's, or a network's, would be.
 * @param map - u8 [1, D, H, W]
 * @param options.labels - first and last value that belong to the region; by default 1 and 255
 * @param options.shift - voxels by which the outline moves outward; meant for -blur..blur
 * @param options.ragged - SD in voxels of what it moves besides, from place to place
 * @param options.scale - voxels over which that changes
 * @param options.blur - voxels (SD) over which thin parts are rounded; by default 1
 * @param options.seed - an integer in 0..2^32-1
 * @returns u8 of the same shape, 0 or 1
 * @throws RenvoxError ShapeMismatch, DtypeMismatch, InvalidArgument
 */
export function raggedMask(
  map: Tensor,
  options: {
    labels?: readonly [number, number];
    shift?: number;
    ragged?: number;
    scale?: number;
    blur?: number;
    seed: number;
  },
): Tensor {
  checkTensor('raggedMask', 'map', map, { rank: 4, dtype: 'u8' });
  const { labels = [1, 255], shift = 0, ragged = 0, scale = 4, blur = 1, seed } = options;
  checkNumber('raggedMask', 'shift', shift, -10, 10);
  checkNumber('raggedMask', 'ragged', ragged, 0, 10);
  checkNumber('raggedMask', 'scale', scale, 0.1, 1e3);
  checkNumber('raggedMask', 'blur', blur, 0.1, 10);
  checkNumber('raggedMask', 'seed', seed, 0, 4294967295);
  const [first, last] = labels;
  const [mask] = map.device.run('raggedMask', {
    map,
    first,
    last,
    shift,
    ragged,
    scale,
    blur,
    seed,
  }) as [Tensor];
  return mask;
}
