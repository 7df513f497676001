import type { Tensor } from '../tensor.js';
import { checkInteger } from './check.js';
import { checkGrid, checkSameGrid } from './label-map.js';

export interface LabelHistogramsOptions {
  /** Labels 1..n are counted; 1 to 255. */
  labels: number;
  /** The value of the first column. Default -1024. */
  low?: number;
  /** Columns: values low, low + 1, … Default 4096. */
  bins?: number;
  /** Subtracted from the image, voxel by voxel. */
  minus?: Tensor | undefined;
  /** Whether only voxels count whose six neighbours have their label, so that no border does. Default false. */
  interior?: boolean;
}

const IMAGES = ['u8', 'i16', 'i32', 'f32'] as const;

/**
 * How often each whole value of an image occurs in each label: row i - 1, column k counts the voxels of label i whose value, rounded (halves
 * up), is low + k. The first and the last column also count what lies beyond; NaN is counted nowhere. Exact, so the same on every device.
 * @param map - u8, i16 or i32; [D, H, W], [1, D, H, W] or [1, D, H, W, 1]
 * @param image - u8, i16, i32 or f32, on the same grid
 * @returns i32, [labels, bins]
 * @throws RenvoxError DtypeMismatch, ShapeMismatch, InvalidArgument
 */
export function labelHistograms(
  map: Tensor,
  image: Tensor,
  options: LabelHistogramsOptions,
): Tensor {
  const { labels, low = -1024, bins = 4096, minus, interior = false } = options;
  const grid = checkGrid('labelHistograms', 'map', map);
  for (const [parameter, tensor] of Object.entries({ image, minus }))
    if (tensor !== undefined || parameter === 'image') {
      const own = checkGrid('labelHistograms', parameter, tensor as Tensor, IMAGES);
      checkSameGrid('labelHistograms', parameter, own, grid);
    }
  checkInteger('labelHistograms', 'labels', labels, 1, 255);
  checkInteger('labelHistograms', 'low', low, -1e6, 1e6);
  checkInteger('labelHistograms', 'bins', bins, 2, 65536);
  const fields = { map, image, minus, labels, low, bins, interior: interior === true };
  return map.device.run('labelHistograms', fields)[0] as Tensor;
}
