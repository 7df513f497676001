// Random label maps that look like something: blobs and crumbs, on ragged shapes.
import { generator, product } from './harness.js';

/** Shapes whose sizes are one, odd, and more than one vector of anything. */
export const raggedShapes: [number, number, number][] = [
  [1, 1, 1],
  [1, 1, 37],
  [5, 1, 3],
  [3, 7, 9],
  [17, 6, 23],
  [33, 19, 41],
];

/** Labels 0..labels-1; `density` of the voxels are not 0, each its own (grain 1) or in blocks of `grain` voxels along each axis. */
export function randomLabels(
  shape: readonly [number, number, number],
  seed: number,
  options: { labels?: number; density?: number; grain?: number } = {},
): Uint8Array {
  const { labels = 2, density = 0.4, grain = 1 } = options;
  const next = generator(seed);
  const coarse = shape.map((n) => Math.ceil(n / grain)) as [number, number, number];
  const blocks = Uint8Array.from({ length: product(coarse) }, () =>
    next() < density ? 1 + Math.floor(next() * (labels - 1)) : 0,
  );
  const out = new Uint8Array(product(shape));
  const [D, H, W] = shape;
  for (let d = 0, v = 0; d < D; d++)
    for (let h = 0; h < H; h++)
      for (let w = 0; w < W; w++, v++) {
        const block =
          (Math.floor(d / grain) * coarse[1] + Math.floor(h / grain)) * coarse[2] +
          Math.floor(w / grain);
        out[v] = blocks[block] as number;
      }
  return out;
}
