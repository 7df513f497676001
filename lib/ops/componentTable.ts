import type { Tensor } from '../tensor.js';
import { checkInteger } from './check.js';
import { checkGrid } from './label-map.js';

/** Columns of a component's row: voxels, box (inclusive, in voxels), raster index of the first voxel. */
export const tableColumns = [
  'voxels',
  'lowD',
  'lowH',
  'lowW',
  'highD',
  'highH',
  'highW',
  'first',
] as const;

/**
 * Size and bounding box of every component (or label): i32 [capacity + 1, 8], columns as {@link tableColumns}. Row 0 is the whole
 * foreground, row i the voxels of value i; without voxels 0, 0, 0, 0, -1, -1, -1, -1. Values above `capacity` count in row 0 alone.
 * The table stays on the device: `under({ when: { counts: table, index: 8 * i } })` guards work by the size of component i.
 * @param components - u8, i16 or i32; [D, H, W], [1, D, H, W] or [1, D, H, W, 1]
 * @throws RenvoxError DtypeMismatch, ShapeMismatch, InvalidArgument
 */
export function componentTable(components: Tensor, options: { capacity: number }): Tensor {
  checkGrid('componentTable', 'components', components);
  const { capacity } = options;
  checkInteger('componentTable', 'capacity', capacity, 0, 2 ** 24 - 1);
  return (components.device.run('componentTable', { components, capacity }) as [Tensor])[0];
}
