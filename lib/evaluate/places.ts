/** Where truth and prediction differ most: the middle of a picture of a mass or a kidney. */
import { type Grid, type Triple, toWorld } from '../volume/index.js';

export interface Box {
  readonly shape: Triple;
  readonly offset: Triple;
}

/**
 * For each of `count` things a point in LPS mm: on the axial slice where most voxels are of one side alone, of equal ones the slice with most
 * of it; across, in the middle of what is there of it on that slice.
 * @param truth - per voxel of the box the thing that it is of in truth, 1.., 0 none
 * @param prediction - the same of the prediction
 */
export function placesOf(
  truth: ArrayLike<number>,
  prediction: ArrayLike<number>,
  count: number,
  box: Box,
  axis: 0 | 1 | 2,
  grid: Grid,
): ([number, number, number] | null)[] {
  const { shape, offset } = box;
  const slices = shape[axis];
  // Per thing and slice: voxels of one side alone, all voxels, sums of the three indices.
  const sums = new Float64Array(count * slices * 5);
  const note = (thing: number, index: Triple, differs: boolean) => {
    const at = ((thing - 1) * slices + index[axis]) * 5;
    sums[at] = (sums[at] as number) + (differs ? 1 : 0);
    sums[at + 1] = (sums[at + 1] as number) + 1;
    for (const k of [0, 1, 2] as const) sums[at + 2 + k] = (sums[at + 2 + k] as number) + index[k];
  };
  for (let d = 0, at = 0; d < shape[0]; d++)
    for (let h = 0; h < shape[1]; h++)
      for (let w = 0; w < shape[2]; w++, at++) {
        const a = truth[at] as number;
        const b = prediction[at] as number;
        if (a !== 0) note(a, [d, h, w], a !== b);
        if (b !== 0 && a !== b) note(b, [d, h, w], true);
      }
  return Array.from({ length: count }, (_, thing) => {
    let best = -1;
    for (let s = 0; s < slices; s++) {
      const at = (thing * slices + s) * 5;
      const [differs, all] = [sums[at] as number, sums[at + 1] as number];
      if (all === 0) continue;
      const [most, size] = best < 0 ? [-1, 0] : [sums[best] as number, sums[best + 1] as number];
      if (differs > most || (differs === most && all > size)) best = at;
    }
    if (best < 0) return null;
    const n = sums[best + 1] as number;
    const mean = (k: 0 | 1 | 2) => (sums[best + 2 + k] as number) / n + offset[k];
    return toWorld(grid, [mean(0), mean(1), mean(2)]);
  });
}
