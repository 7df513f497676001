/** Label maps that benches measure on, drawn by formulas so that they need no data. */

type Size = readonly [number, number, number];

/** Two kidneys (1) with a mass (2) each, as shares of the grid; `shift` voxels along each axis. */
export function kidneys(size: Size, shift = 0): Uint8Array {
  const map = new Uint8Array(size[0] * size[1] * size[2]);
  const paint = (label: number, at: readonly number[], radius: readonly number[]) => {
    const c = at.map((share, i) => share * (size[i] as number) + shift);
    const r = radius.map((share, i) => share * (size[i] as number));
    const range = [0, 1, 2].map((i) => {
      const [centre, reach] = [c[i] as number, r[i] as number];
      return [
        Math.max(0, Math.ceil(centre - reach)),
        Math.min((size[i] as number) - 1, Math.floor(centre + reach)),
      ] as const;
    });
    const [dr, hr, wr] = range as unknown as [Range, Range, Range];
    const part = (v: number, i: number) => ((v - (c[i] as number)) / (r[i] as number)) ** 2;
    for (let d = dr[0]; d <= dr[1]; d++)
      for (let h = hr[0]; h <= hr[1]; h++)
        for (let w = wr[0]; w <= wr[1]; w++)
          if (part(d, 0) + part(h, 1) + part(w, 2) <= 1)
            map[(d * size[1] + h) * size[2] + w] = label;
  };
  for (const w of [0.3, 0.7]) {
    paint(1, [0.5, 0.5, w], [0.18, 0.07, 0.07]);
    paint(2, [0.6, 0.56, w + 0.03], [0.08, 0.06, 0.06]);
  }
  return map;
}
type Range = readonly [number, number];

/** Independent voxels, 40 % of them set: the worst case of components. */
export function noise(size: Size): Uint8Array {
  let state = 1;
  return Uint8Array.from({ length: size[0] * size[1] * size[2] }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state < 0.4 * 2 ** 32 ? 1 : 0;
  });
}
