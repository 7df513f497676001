import type { Tensor } from '../tensor.js';
import { checkInteger } from './check.js';
import { checkGrid, checkSameGrid } from './label-map.js';

export interface Overlap {
  /** f64 [labels, labels], exact: at (i, j) the number of voxels where `a` is i and `b` is j. */
  readonly counts: Tensor;
  /** f64 [1]: voxels where either map is negative or not below `labels`; `counts` leaves them out. */
  readonly outside: Tensor;
}

/**
 * How two label maps overlap, for all pairs of labels in one pass.
 * @param a - u8, i16 or i32; [D, H, W], [1, D, H, W] or [1, D, H, W, 1]
 * @param b - the same grid; the type may differ
 * @param options - `labels`: how many labels there are, with the background (0); 1 to 256
 * @throws RenvoxError DtypeMismatch, ShapeMismatch, InvalidArgument
 */
export function overlapCounts(a: Tensor, b: Tensor, options: { labels: number }): Overlap {
  const grid = checkGrid('overlapCounts', 'a', a);
  checkSameGrid('overlapCounts', 'b', checkGrid('overlapCounts', 'b', b), grid);
  const { labels } = options;
  checkInteger('overlapCounts', 'labels', labels, 1, 256);
  const [counts, outside] = a.device.run('overlapCounts', { a, b, labels }) as [Tensor, Tensor];
  return { counts, outside };
}
