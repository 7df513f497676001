/** The part of label maps where any has something: all that figures of components need, and far smaller than a CT. */
import { invalidArgument } from '../errors.js';
import type { Triple, VoxelArray } from '../volume/index.js';

export interface LabelBox {
  /** Voxels along [d, h, w]; at least one, also where all maps are empty. */
  readonly shape: Triple;
  /** Its first voxel in the whole map. */
  readonly offset: Triple;
  /** Of each map the part in the box; labels that are not wanted are 0. */
  readonly maps: readonly Uint8Array[];
}

/**
 * Cuts maps of one shape to their joint box.
 * @param labels - the values (1..255) wanted; undefined: all but 0
 * @throws RenvoxError InvalidArgument for labels outside 0..255
 */
export function labelBox(
  maps: Readonly<Record<string, VoxelArray>>,
  shape: Triple,
  labels: readonly number[] | undefined,
): LabelBox {
  const wanted = wantedLabels(labels);
  const low: [number, number, number] = [...shape];
  const high: [number, number, number] = [-1, -1, -1];
  for (const [name, data] of Object.entries(maps)) scan(name, data, shape, wanted, low, high);
  if (high[0] < 0) for (const corner of [low, high]) corner.fill(0);
  const box: Triple = [high[0] - low[0] + 1, high[1] - low[1] + 1, high[2] - low[2] + 1];
  const offset: Triple = [low[0], low[1], low[2]];
  const cut = (data: VoxelArray) => {
    const result = new Uint8Array(box[0] * box[1] * box[2]);
    for (let d = 0, to = 0; d < box[0]; d++)
      for (let h = 0; h < box[1]; h++) {
        const from = ((d + low[0]) * shape[1] + h + low[1]) * shape[2] + low[2];
        for (let w = 0; w < box[2]; w++, to++) {
          const value = data[from + w] as number;
          if (wanted[value] === 1) result[to] = value;
        }
      }
    return result;
  };
  return { shape: box, offset, maps: Object.values(maps).map(cut) };
}

/** 1 for each of these labels. */
function wantedLabels(labels: readonly number[] | undefined): Uint8Array {
  if (labels === undefined) return new Uint8Array(256).fill(1, 1);
  const good = (v: number) => Number.isInteger(v) && v >= 1 && v < 256;
  if (!Array.isArray(labels) || labels.length === 0 || !labels.every(good))
    throw invalidArgument('labels', 'integers from 1 to 255, at least one', labels);
  const wanted = new Uint8Array(256);
  for (const label of labels) wanted[label] = 1;
  return wanted;
}

/** Widens the box by what is wanted of a map. */
function scan(
  name: string,
  data: VoxelArray,
  [depth, height, width]: Triple,
  wanted: Uint8Array,
  low: [number, number, number],
  high: [number, number, number],
): void {
  let others = 0;
  for (let d = 0, at = 0; d < depth; d++)
    for (let h = 0; h < height; h++, at += width) {
      let first = -1;
      let last = -1;
      for (let w = 0; w < width; w++) {
        const value = data[at + w] as number;
        if (value === 0) continue;
        const known = wanted[value];
        if (known === undefined) others++;
        if (known !== 1) continue;
        if (first < 0) first = w;
        last = w;
      }
      if (first < 0) continue;
      low[0] = Math.min(low[0], d);
      low[1] = Math.min(low[1], h);
      low[2] = Math.min(low[2], first);
      high[0] = d;
      high[1] = Math.max(high[1], h);
      high[2] = Math.max(high[2], last);
    }
  if (others > 0)
    throw invalidArgument(name, 'labels from 0 to 255', `${others} voxels with others`);
}
