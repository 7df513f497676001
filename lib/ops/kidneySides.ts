import type { Tensor } from '../tensor.js';
import { checkInteger, checkNumber, checkShape, checkTensor } from './check.js';
import type { Components } from './connectedComponents.js';
import { checkGrid, checkSameGrid } from './label-map.js';

export interface SideOptions {
  /** What is above it in `image` is body; in the image's own unit (HU, or the windowed value that HU -200 or so becomes). */
  bodyThreshold: number;
  /** Parts of fewer voxels are dropped. Default 1. */
  minimumVoxels?: number;
  /** A component with more than this share of its voxels on each side of the midline is split there. Default 0.2. */
  splitShare?: number;
  /** Parts smaller than this share of the largest of their side are dropped. Default 0.1. */
  keepShare?: number;
}

export interface Sides {
  /** u8, the shape of the components: 1 left kidney, 2 right kidney, 0 neither. */
  readonly sides: Tensor;
  /** i32 [2, 8]: row 0 left, row 1 right, columns as {@link tableColumns}; voxels at index 0 and 8, fit for guards. */
  readonly table: Tensor;
}

/**
 * Tells the left kidney from the right by position. The midline is the mean w of the body's voxels (the middle of the grid if there is
 * no body); a component goes to the side of its centroid, or is split at the midline if it lies on both sides.
 * @param found - components of the kidney mask, on a grid whose w axis rises to the patient's left
 * @param image - f32 or i16 on the same grid, for the body's outline
 * @throws RenvoxError DtypeMismatch, ShapeMismatch, InvalidArgument
 */
export function kidneySides(found: Components, image: Tensor, options: SideOptions): Sides {
  const { components, count } = found;
  const grid = checkGrid('kidneySides', 'components', components, ['i32']);
  checkTensor('kidneySides', 'count', count, { dtype: 'i32' });
  checkShape('kidneySides', 'count', count, [1]);
  checkSameGrid('kidneySides', 'image', checkGrid('kidneySides', 'image', image, imageTypes), grid);
  const { bodyThreshold, minimumVoxels = 1, splitShare = 0.2, keepShare = 0.1 } = options;
  checkNumber('kidneySides', 'bodyThreshold', bodyThreshold);
  checkInteger('kidneySides', 'minimumVoxels', minimumVoxels, 0, 2 ** 31 - 1);
  checkNumber('kidneySides', 'splitShare', splitShare, 0, 1);
  checkNumber('kidneySides', 'keepShare', keepShare, 0, 1);
  const [sides, table] = components.device.run('kidneySides', {
    components,
    count,
    image,
    bodyThreshold,
    minimumVoxels,
    splitShare,
    keepShare,
  }) as [Tensor, Tensor];
  return { sides, table };
}

const imageTypes = ['f32', 'i16'] as const;
