import type { Tensor } from '../tensor.js';
import { checkInteger, checkNumber, checkShape, checkTensor } from './check.js';
import type { Components } from './connectedComponents.js';
import { checkGrid } from './label-map.js';

export interface KeepOptions {
  /** Components of fewer voxels are dropped. Default 1. */
  minimumVoxels?: number;
  /** At most this many are kept, the largest. Default 255. */
  largest?: number;
  /**
   * Drops components of which less than `leastShare` (0 to 1) of the voxels lie in a mask, u8 in the shape of the components: where a network is
   * sure, say.
   */
  core?: { mask: Tensor; leastShare: number } | undefined;
}

export interface KeptComponents {
  /** The shape of the components: 1 for the largest, 2 for the next (ties: raster order), 0 elsewhere. u8 where `largest` < 256, else i32. */
  readonly kept: Tensor;
  /** i32 [largest]: their voxels, falling; 0 where there is none. Fit for `under({ when: { counts: voxels, index } })`. */
  readonly voxels: Tensor;
}

/**
 * The largest components, renumbered by size.
 * @param found - what {@link connectedComponents} gave
 * @throws RenvoxError DtypeMismatch, ShapeMismatch, InvalidArgument
 */
export function keepComponents(found: Components, options: KeepOptions = {}): KeptComponents {
  const { components, count } = found;
  checkGrid('keepComponents', 'components', components, ['i32']);
  checkTensor('keepComponents', 'count', count, { dtype: 'i32' });
  checkShape('keepComponents', 'count', count, [1]);
  const { minimumVoxels = 1, largest = 255 } = options;
  checkInteger('keepComponents', 'minimumVoxels', minimumVoxels, 0, 2 ** 31 - 1);
  checkInteger('keepComponents', 'largest', largest, 1, 2 ** 24);
  const { core } = options;
  if (core) {
    checkTensor('keepComponents', 'core.mask', core.mask, { dtype: 'u8' });
    checkShape('keepComponents', 'core.mask', core.mask, components.shape);
    checkNumber('keepComponents', 'core.leastShare', core.leastShare, 0, 1);
  }
  const [kept, voxels] = components.device.run('keepComponents', {
    ...{ components, count, minimumVoxels, largest },
    ...(core ? { core: core.mask, leastShare: core.leastShare } : {}),
  }) as [Tensor, Tensor];
  return { kept, voxels };
}
