/** The part of the CT in which anything can have been found: what is composed, measured and read back is no more than that. */
import { apply } from '../volume/affine.js';
import type { Triple } from '../volume/index.js';

/** Voxels along D, H, W, by the first and how many. */
export interface VoxelBox {
  readonly start: Triple;
  readonly size: Triple;
}

/** A second stage's crop: its voxels, and from their index to the CT's; all zeros where the side has no kidney. */
interface Crop {
  readonly shape: Triple;
  /** 3x4, row-major. */
  readonly affine: ArrayLike<number>;
}

const CORNERS = [0, 1, 2, 3, 4, 5, 6, 7] as const;

/**
 * The least box of a CT that holds these crops and, where the CT goes on, one voxel round them, so that each voxel of a crop has in the box all the
 * neighbours that it has in the CT. One voxel where there is no crop.
 */
export function cropsBox(crops: readonly Crop[], ct: Triple): VoxelBox {
  const corners = crops
    .filter(({ affine }) => Array.from(affine).some((x) => x !== 0))
    .flatMap(({ shape, affine }) =>
      CORNERS.map((corner) => {
        const at = shape.map((n, axis) => ((corner >> axis) & 1 ? n - 1 : 0));
        return apply(Array.from(affine), at as unknown as Triple);
      }),
    );
  const axis = (a: number): [number, number] => {
    const last = (ct[a] as number) - 1;
    const within = (x: number) => Math.min(Math.max(x, 0), last);
    const places = corners.map((corner) => corner[a] as number);
    const low = within(Math.floor(Math.min(...places)) - 1);
    return [low, within(Math.ceil(Math.max(...places)) + 1) - low + 1];
  };
  if (corners.length === 0) return { start: [0, 0, 0], size: [1, 1, 1] };
  const [d, h, w] = [axis(0), axis(1), axis(2)];
  return { start: [d[0], h[0], w[0]], size: [d[1], h[1], w[1]] };
}

/** A label map of the whole CT of one that holds a box of it: 0 elsewhere. */
export function onWholeGrid(part: Uint8Array, { start, size }: VoxelBox, ct: Triple): Uint8Array {
  // Memory that is never written is never taken: most of the map.
  const whole = new Uint8Array(ct[0] * ct[1] * ct[2]);
  const [depth, height, width] = size;
  for (let d = 0; d < depth; d++)
    for (let h = 0; h < height; h++) {
      const row = (d * height + h) * width;
      const to = ((start[0] + d) * ct[1] + start[1] + h) * ct[2] + start[2];
      whole.set(part.subarray(row, row + width), to);
    }
  return whole;
}
