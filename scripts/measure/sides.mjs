// Kidneys by side, in label maps of 1 left kidney, 2 right kidney, 3 and more masses.
import { gridOf, gridToVolume, toWorld } from '../../dist/volume/index.js';

export const SIDES = ['left', 'right'];

/** Calls `visit(index, d, h, w)` for each voxel. */
export function eachVoxel([depth, height, width], visit) {
  for (let d = 0, i = 0; d < depth; d++)
    for (let h = 0; h < height; h++) for (let w = 0; w < width; w++, i++) visit(i, d, h, w);
}

/** Kidney with its masses on one side: a mass's voxels belong to the kidney whose centroid (LPS mm) is nearer. */
export function sideMask({ data, shape }, side, centroids, grid) {
  const own = side === 'left' ? 1 : 2;
  const other = side === 'left' ? 'right' : 'left';
  const mask = new Uint8Array(data.length);
  eachVoxel(shape, (i, d, h, w) => {
    if (data[i] === own) mask[i] = 1;
    else if (data[i] >= 3) {
      const at = toWorld(grid, [d, h, w]);
      const far = (c) =>
        c ? c.reduce((sum, x, a) => sum + (x - at[a]) ** 2, 0) : Number.POSITIVE_INFINITY;
      if (far(centroids[side]) <= far(centroids[other])) mask[i] = 1;
    }
  });
  return mask;
}

/** Centroids (LPS mm) of both kidneys without their masses; null where one has no voxel. */
export function centroidsOf({ data, shape }, grid) {
  const sums = SIDES.map(() => [0, 0, 0, 0]);
  eachVoxel(shape, (i, d, h, w) => {
    const sum = sums[data[i] - 1];
    if (!sum) return;
    toWorld(grid, [d, h, w]).forEach((x, a) => {
      sum[a] += x;
    });
    sum[3]++;
  });
  return Object.fromEntries(
    SIDES.map((side, s) => {
      const [x, y, z, n] = sums[s];
      return [side, n > 0 ? [x / n, y / n, z / n] : null];
    }),
  );
}

/**
 * Labels of another grid on a CT's voxels, each of the nearest label, by both affines.
 * @param values - what each value of the label map becomes; all others are 0
 * @returns `data` u8, and `known`: 1 where the label map reaches
 */
export function ontoCt(labels, ct, values) {
  const map = gridToVolume(gridOf(ct), labels);
  const own = labels.values({ missing: 0 });
  const [depth, height, width] = labels.shape;
  const [data, known] = [new Uint8Array(ct.data.length), new Uint8Array(ct.data.length)];
  eachVoxel(ct.shape, (i, d, h, w) => {
    const along = (r) => Math.round(map[r] * d + map[r + 1] * h + map[r + 2] * w + map[r + 3]);
    const [z, y, x] = [along(0), along(4), along(8)];
    if (z < 0 || y < 0 || x < 0 || z >= depth || y >= height || x >= width) return;
    known[i] = 1;
    data[i] = values[own[(z * height + y) * width + x]] ?? 0;
  });
  return { data, known, shape: ct.shape };
}
