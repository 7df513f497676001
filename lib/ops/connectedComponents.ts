import { invalidArgument } from '../errors.js';
import type { Tensor } from '../tensor.js';
import { checkGrid } from './label-map.js';

/** Neighbours of a voxel: over faces (6), and edges (18), and corners (26). */
export type Connectivity = 6 | 18 | 26;

export interface ComponentOptions {
  /** Default 26. */
  connectivity?: Connectivity;
  /** Whether neighbouring voxels of different nonzero labels are apart. Default false: all that is not 0 is one foreground. */
  perLabel?: boolean;
}

export interface Components {
  /** i32, the shape of the labels: 0 background, 1.. the components in raster order (w fastest) of their first voxel. */
  readonly components: Tensor;
  /** i32 [1]: how many there are. */
  readonly count: Tensor;
}

/**
 * Connected components of a label map.
 * @param labels - u8, i16 or i32; [D, H, W], [1, D, H, W] or [1, D, H, W, 1]
 * @throws RenvoxError DtypeMismatch, ShapeMismatch, InvalidArgument
 */
export function connectedComponents(labels: Tensor, options: ComponentOptions = {}): Components {
  checkGrid('connectedComponents', 'labels', labels);
  const { connectivity = 26, perLabel = false } = options;
  if (connectivity !== 6 && connectivity !== 18 && connectivity !== 26)
    throw invalidArgument('connectivity of connectedComponents', '6, 18 or 26', connectivity);
  const [components, count] = labels.device.run('connectedComponents', {
    labels,
    connectivity,
    perLabel,
  }) as [Tensor, Tensor];
  return { components, count };
}
