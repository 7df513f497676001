// Components by flood fill and their diameters by trying every pair of voxels: what the quick ways are compared with.
export type Triple = readonly [number, number, number];

/** Components of equal labels (of all labels where `perLabel` is false), each its voxels, in raster order of the first. */
export function naiveComponents(
  map: ArrayLike<number>,
  [D, H, W]: Triple,
  connectivity: number,
  perLabel = true,
): Triple[][] {
  const seen = new Set<number>();
  const found: Triple[][] = [];
  for (let start = 0; start < map.length; start++) {
    if (map[start] === 0 || seen.has(start)) continue;
    const voxels: Triple[] = [];
    const open = [start];
    seen.add(start);
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      const [d, h, w] = [Math.floor(at / (H * W)), Math.floor(at / W) % H, at % W];
      voxels.push([d, h, w]);
      for (let z = -1; z <= 1; z++)
        for (let y = -1; y <= 1; y++)
          for (let x = -1; x <= 1; x++) {
            const steps = Math.abs(z) + Math.abs(y) + Math.abs(x);
            if (steps === 0 || steps > { 6: 1, 18: 2, 26: 3 }[connectivity as 6]) continue;
            const [i, j, k] = [d + z, h + y, w + x];
            if (i < 0 || j < 0 || k < 0 || i >= D || j >= H || k >= W) continue;
            const to = (i * H + j) * W + k;
            if (map[to] === 0 || seen.has(to) || (perLabel && map[to] !== map[at])) continue;
            seen.add(to);
            open.push(to);
          }
    }
    found.push(voxels);
  }
  return found;
}

/** The largest distance between two voxel centres. */
export function naiveFeret(voxels: readonly Triple[], [a, b, c]: Triple): number {
  let best = 0;
  for (const p of voxels)
    for (const q of voxels)
      best = Math.max(
        best,
        Math.sqrt(((p[0] - q[0]) * a) ** 2 + ((p[1] - q[1]) * b) ** 2 + ((p[2] - q[2]) * c) ** 2),
      );
  return best;
}

/** Long and short axis of the slice where the long one is longest, from all corners of all pixels of each slice. */
export function naiveAxes(
  voxels: readonly Triple[],
  spacing: Triple,
  axis: 0 | 1 | 2,
): { long: number; short: number } {
  const [r, c] = ([0, 1, 2] as const).filter((i) => i !== axis) as [0 | 1 | 2, 0 | 1 | 2];
  let best = { long: 0, short: 0 };
  for (const slice of new Set(voxels.map((v) => v[axis]))) {
    const corners = new Map<string, readonly [number, number]>();
    for (const v of voxels)
      if (v[axis] === slice)
        for (const [i, j] of [
          [0, 0],
          [0, 1],
          [1, 0],
          [1, 1],
        ] as const)
          corners.set(`${v[r] + i},${v[c] + j}`, [
            (v[r] + i) * spacing[r],
            (v[c] + j) * spacing[c],
          ]);
    const points = [...corners.values()];
    const pairs = points.flatMap((p) => points.map((q) => [q[0] - p[0], q[1] - p[1]] as const));
    const long = pairs.reduce((most, [x, y]) => Math.max(most, Math.hypot(x, y)), 0);
    let short = 0;
    for (const [x, y] of pairs) {
      if (Math.hypot(x, y) < long * (1 - 1e-9)) continue;
      const across = points.map((p) => (p[1] * x - p[0] * y) / long);
      short = Math.max(short, Math.max(...across) - Math.min(...across));
    }
    const same = Math.abs(long - best.long) < 1e-9 * long;
    if ((same && short > best.short) || (!same && long > best.long)) best = { long, short };
  }
  return best;
}

/** 1 + the difference of the outermost voxels, along an axis. */
export function naiveExtent(voxels: readonly Triple[], axis: 0 | 1 | 2): number {
  const along = voxels.map((v) => v[axis]);
  return 1 + Math.max(...along) - Math.min(...along);
}
