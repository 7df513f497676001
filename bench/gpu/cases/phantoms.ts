/** What draws phantoms. */
import { ops } from 'renvox';
import type { Workbench } from './workbench.js';

/** Primitives of a scene as native/math/shapes.h lays them out: ellipsoids and cones with textures. */
function primitives(count: number): Float32Array {
  const rows = new Float32Array(count * 40);
  for (let p = 0; p < count; p++) {
    const row = rows.subarray(p * 40, (p + 1) * 40);
    row.set([p % 3 === 2 ? 1 : 0, 1 + (p % 20), p % 6, p, 0, 40 * p - 100, 5, 8], 0);
    row.set([3 * (p % 5) - 6, 2 * (p % 7) - 6, 4 * (p % 3) - 4, 1, 0, 0, 0, 1, 0, 0, 0, 1], 12);
    row.set([6, 5, 9, 1, 1], 24);
  }
  return rows;
}

export function phantoms({ add, d, size, random, labels }: Workbench): void {
  const [depth, height, width] = size;
  add('drawScene', () => {
    const rows = d.tensor(primitives(12), { shape: [12, 40] });
    const affine = [0, 0, 1, -width / 2, 0, 1, 0, -height / 2, 1, 0, 0, -depth / 2];
    return () => {
      const { hu, label, instance } = ops.drawScene(rows, {
        ...{ shape: size, affine, voxel: 1, seed: 5 },
      });
      return [hu, label, instance];
    };
  });
  add('acquire', () => {
    const x = ops.scaleBy(random([1, ...size, 1], 1), 200);
    const mask = { tensor: labels(), use: 'channel' as const };
    return () => [
      ops.acquire(x, {
        ...{ blur: [0.5, 0.8, 0.8], noise: 10, noiseBlur: [0.4, 0.7, 0.7], seed: 3 },
        ...{ window: { low: -150, high: 250 }, mask },
      }),
    ];
  });
  add('raggedMask', () => {
    const map = labels();
    return () => [ops.raggedMask(map, { shift: 0.3, ragged: 0.5, seed: 4 })];
  });
}
