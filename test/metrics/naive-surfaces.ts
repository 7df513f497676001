// Surfaces and distances between them by loops over voxels.
import type { Triple } from './naive-components.js';

export const key = (v: Triple) => v.join();

/** Voxels with a face neighbour that is not among them. */
export function surface(voxels: readonly Triple[]): Triple[] {
  const all = new Set(voxels.map(key));
  const steps = [
    [1, 0, 0],
    [-1, 0, 0],
    [0, 1, 0],
    [0, -1, 0],
    [0, 0, 1],
    [0, 0, -1],
  ] as const;
  return voxels.filter(([d, h, w]) =>
    steps.some(([z, y, x]) => !all.has(key([d + z, h + y, w + x]))),
  );
}

/** From each voxel's centre to the nearest of the others, mm. */
export function directed(from: readonly Triple[], to: readonly Triple[], s: Triple): number[] {
  return from.map((p) =>
    Math.min(
      ...to.map((q) =>
        Math.hypot((p[0] - q[0]) * s[0], (p[1] - q[1]) * s[1], (p[2] - q[2]) * s[2]),
      ),
    ),
  );
}

/** Linear between order statistics. */
export function percentile(values: number[], p: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const at = ((sorted.length - 1) * p) / 100;
  const [low, high] = [sorted[Math.floor(at)] as number, sorted[Math.ceil(at)] as number];
  return low + (at - Math.floor(at)) * (high - low);
}
