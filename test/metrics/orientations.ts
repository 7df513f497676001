// The 48 ways to lay the axes of an array: 6 permutations, 8 flips.
import type { Triple } from './naive-components.js';

export interface Laid {
  data: Uint8Array;
  shape: Triple;
  spacing: Triple;
}

export interface Orientation {
  /** Axis i of the result is axis `order[i]` of the source. */
  order: Triple;
  flips: readonly [boolean, boolean, boolean];
}

const orders: Triple[] = [
  [0, 1, 2],
  [0, 2, 1],
  [1, 0, 2],
  [1, 2, 0],
  [2, 0, 1],
  [2, 1, 0],
];

export const ORIENTATIONS: readonly Orientation[] = orders.flatMap((order) =>
  Array.from({ length: 8 }, (_, bits) => ({
    order,
    flips: [(bits & 1) > 0, (bits & 2) > 0, (bits & 4) > 0] as const,
  })),
);

/** The array with its axes permuted and flipped, shape and spacing with them. */
export function laid({ data, shape, spacing }: Laid, { order, flips }: Orientation): Laid {
  const turned = (t: Triple): Triple => [
    t[order[0] as 0] as number,
    t[order[1] as 0] as number,
    t[order[2] as 0] as number,
  ];
  const [D, H, W] = turned(shape);
  const result = new Uint8Array(data.length);
  for (let d = 0, to = 0; d < D; d++)
    for (let h = 0; h < H; h++)
      for (let w = 0; w < W; w++, to++) {
        const from = [0, 0, 0];
        [d, h, w].forEach((n, i) => {
          const axis = order[i] as number;
          from[axis] = flips[i] ? (shape[axis] as number) - 1 - n : n;
        });
        const [z, y, x] = from as [number, number, number];
        result[to] = data[(z * shape[1] + y) * shape[2] + x] as number;
      }
  return { data: result, shape: [D, H, W], spacing: turned(spacing) };
}

/** The array in a larger one, `before` voxels from its start along each axis and `after` from its end. */
export function padded({ data, shape, spacing }: Laid, before: Triple, after: Triple): Laid {
  const size = shape.map((n, i) => n + (before[i] as number) + (after[i] as number));
  const [D, H, W] = size as [number, number, number];
  const result = new Uint8Array(D * H * W);
  for (let d = 0; d < shape[0]; d++)
    for (let h = 0; h < shape[1]; h++) {
      const from = (d * shape[1] + h) * shape[2];
      const to = ((d + before[0]) * H + h + before[1]) * W + before[2];
      result.set(data.subarray(from, from + shape[2]), to);
    }
  return { data: result, shape: [D, H, W], spacing };
}
