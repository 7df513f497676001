// Small label maps made of boxes, for cohorts whose figures can be counted by hand.
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Volume } from 'renvox/volume';

/** From and to (not with it) along d, h and w. */
export type Box = [number, number, number, number, number, number];
export const SHAPE = [16, 20, 40] as const;
// RAS: x falls with w, so that a higher w is further to the patient's left. Voxels of 3 x 2 x 2 mm.
export const AFFINE = [-2, 0, 0, 40, 0, 2, 0, 0, 0, 0, 3, 0];

export function labelMap(boxes: readonly [number, Box][], affine = AFFINE): Volume {
  const data = new Uint8Array(SHAPE[0] * SHAPE[1] * SHAPE[2]);
  for (const [label, [d0, d1, h0, h1, w0, w1]] of boxes)
    for (let d = d0; d < d1; d++)
      for (let h = h0; h < h1; h++)
        for (let w = w0; w < w1; w++) data[(d * SHAPE[1] + h) * SHAPE[2] + w] = label;
  return new Volume({ data, shape: SHAPE, affine });
}

export const RIGHT: Box = [2, 12, 4, 14, 3, 13];
export const LEFT: Box = [2, 12, 4, 14, 27, 37];

/** A folder with `truth` and `prediction` in it, gone afterwards. */
export async function folders(body: (root: string) => Promise<void>): Promise<void> {
  const root = await mkdtemp(join(tmpdir(), 'renvox-cohort-'));
  try {
    await mkdir(join(root, 'truth'));
    await mkdir(join(root, 'prediction'));
    await body(root);
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}
