/** The part of label maps where any has something: all that figures need, and far smaller than a CT. */
import { invalidArgument } from '../errors.js';
import type { Triple, VoxelArray } from '../volume/index.js';
import { othersThanLabels } from './not-labels.js';

export interface LabelBox {
  /** Voxels along [d, h, w]; at least one, also where all maps are empty. */
  readonly shape: Triple;
  /** Its first voxel in the whole map. */
  readonly offset: Triple;
  /** Of each map the part in the box; labels that are not wanted are 0. */
  readonly maps: readonly Uint8Array[];
}

/** What a map's values are, by value: wanted, known and left out, or (all others, too) not expected. */
export const LEFT_OUT = 0;
export const WANTED = 1;
export const UNEXPECTED = 2;

/** A map with what its values are. */
export interface SortedLabels {
  readonly data: VoxelArray;
  /** {@link WANTED}, {@link LEFT_OUT} or {@link UNEXPECTED} for each value 0..255. */
  readonly values: Uint8Array;
  /** Told how many voxels have each unexpected value, where there are any; throws. */
  readonly refuse: (others: ReadonlyMap<number, number>) => never;
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
  const values = wantedLabels(labels);
  const sorted = Object.entries(maps).map(([name, data]): SortedLabels => {
    const refuse = (others: ReadonlyMap<number, number>): never => {
      throw othersThanLabels(name, others);
    };
    return { data, values, refuse };
  });
  return boxOf(sorted, shape);
}

/** The same of maps whose values each have their own meaning. @throws as `refuse` of the maps */
export function boxOf(maps: readonly SortedLabels[], shape: Triple): LabelBox {
  const low: [number, number, number] = [...shape];
  const high: [number, number, number] = [-1, -1, -1];
  for (const map of maps) widen(map, shape, low, high);
  if (high[0] < 0) for (const corner of [low, high]) corner.fill(0);
  const box: Triple = [high[0] - low[0] + 1, high[1] - low[1] + 1, high[2] - low[2] + 1];
  const offset: Triple = [low[0], low[1], low[2]];
  return { shape: box, offset, maps: maps.map((map) => cut(map, shape, box, offset)) };
}

/** 1 for each of these labels. */
function wantedLabels(labels: readonly number[] | undefined): Uint8Array {
  if (labels === undefined) return new Uint8Array(256).fill(WANTED, 1);
  const good = (v: number) => Number.isInteger(v) && v >= 1 && v < 256;
  if (!Array.isArray(labels) || labels.length === 0 || !labels.every(good))
    throw invalidArgument('labels', 'integers from 1 to 255, at least one', labels);
  const values = new Uint8Array(256).fill(LEFT_OUT);
  for (const label of labels) values[label] = WANTED;
  return values;
}

/** Widens the box by what is wanted of a map. */
function widen(
  { data, values, refuse }: SortedLabels,
  [depth, height, width]: Triple,
  low: [number, number, number],
  high: [number, number, number],
): void {
  const others = new Map<number, number>();
  for (let d = 0, at = 0; d < depth; d++)
    for (let h = 0; h < height; h++, at += width) {
      let first = -1;
      let last = -1;
      for (let w = 0; w < width; w++) {
        const value = data[at + w] as number;
        if (value === 0) continue;
        const is = values[value];
        if (is === WANTED) {
          if (first < 0) first = w;
          last = w;
        } else if (is !== LEFT_OUT) others.set(value, (others.get(value) ?? 0) + 1);
      }
      if (first < 0) continue;
      low[0] = Math.min(low[0], d);
      low[1] = Math.min(low[1], h);
      low[2] = Math.min(low[2], first);
      high[0] = Math.max(high[0], d);
      high[1] = Math.max(high[1], h);
      high[2] = Math.max(high[2], last);
    }
  if (others.size > 0) refuse(others);
}

function cut(
  { data, values }: SortedLabels,
  [, height, width]: Triple,
  box: Triple,
  offset: Triple,
): Uint8Array {
  const result = new Uint8Array(box[0] * box[1] * box[2]);
  for (let d = 0, to = 0; d < box[0]; d++)
    for (let h = 0; h < box[1]; h++) {
      const from = ((d + offset[0]) * height + h + offset[1]) * width + offset[2];
      for (let w = 0; w < box[2]; w++, to++) {
        const value = data[from + w] as number;
        if (values[value] === WANTED) result[to] = value;
      }
    }
  return result;
}
