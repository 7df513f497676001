import type { Tensor } from '../tensor.js';
import { checkInteger } from './check.js';
import { checkGrid, checkSpacing } from './label-map.js';

/** What {@link measureLabels} says of one label; places are voxel indices [d, h, w]. */
export interface LabelMeasure {
  readonly voxels: number;
  /** Mean voxel index. */
  readonly centroid: readonly [number, number, number];
  readonly low: readonly [number, number, number];
  /** Inclusive. */
  readonly high: readonly [number, number, number];
  /** Greatest (Feret) diameter in mm: the largest distance between two voxel centres, exact. */
  readonly greatestDiameter: number;
}

/**
 * Size, centroid, box and greatest diameter of labels 1..n: f64 [n, 11], row i - 1 for label i, read by {@link labelMeasures}.
 * @param map - u8, i16 or i32; [D, H, W], [1, D, H, W] or [1, D, H, W, 1]
 * @param options - `spacing`: mm along [d, h, w]; `labels`: n, 1 to 255
 * @throws RenvoxError DtypeMismatch, ShapeMismatch, InvalidArgument
 */
export function measureLabels(
  map: Tensor,
  options: { spacing: readonly [number, number, number]; labels: number },
): Tensor {
  checkGrid('measureLabels', 'map', map);
  const { spacing, labels } = options;
  checkSpacing('measureLabels', spacing);
  checkInteger('measureLabels', 'labels', labels, 1, 255);
  return (map.device.run('measureLabels', { map, spacing, labels }) as [Tensor])[0];
}

const columns = 11;

/** Reads the figures of {@link measureLabels}: element i - 1 is label i, null where it has no voxel. */
export function labelMeasures(values: ArrayLike<number>): (LabelMeasure | null)[] {
  return Array.from({ length: values.length / columns }, (_, row) => {
    const at = (i: number) => values[row * columns + i] as number;
    const place = (i: number) => [at(i), at(i + 1), at(i + 2)] as const;
    if (at(0) === 0) return null;
    return {
      voxels: at(0),
      centroid: place(1),
      low: place(4),
      high: place(7),
      greatestDiameter: at(10),
    };
  });
}
