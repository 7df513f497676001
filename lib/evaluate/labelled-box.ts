/** The part of two label maps where either has something: all that figures need, and far smaller than a CT. */
import { RenvoxError } from '../errors.js';
import { sameGrid, type Triple, type Volume } from '../volume/index.js';
import type { LabelScheme } from './scheme.js';

export interface LabelledBox {
  /** Voxels along [d, h, w] of the box; at least one, also where both maps are empty. */
  readonly shape: Triple;
  /** Its first voxel in the whole map. */
  readonly offset: Triple;
  readonly truth: Uint8Array;
  readonly prediction: Uint8Array;
}

/**
 * Checks that two maps lie on one grid and hold labels of their schemes alone, and cuts both to their joint box.
 * @throws RenvoxError ShapeMismatch where shape, spacing or affine differ (0.01 mm at the corners); InvalidFile for other values
 */
export function jointBox(
  truth: Volume,
  prediction: Volume,
  schemes: { truth: LabelScheme; prediction: LabelScheme },
  files: { truth: string; prediction: string },
): LabelledBox {
  if (!sameGrid(truth, prediction)) throw differing(truth, prediction, files);
  const low: [number, number, number] = [...truth.shape];
  const high: [number, number, number] = [-1, -1, -1];
  scan(truth, schemes.truth, files.truth, low, high);
  scan(prediction, schemes.prediction, files.prediction, low, high);
  if (high[0] < 0) for (const corner of [low, high]) corner.fill(0);
  const shape: Triple = [high[0] - low[0] + 1, high[1] - low[1] + 1, high[2] - low[2] + 1];
  const offset: Triple = [low[0], low[1], low[2]];
  return {
    ...{ shape, offset },
    truth: cut(truth, shape, offset),
    prediction: cut(prediction, shape, offset),
  };
}

function differing(
  truth: Volume,
  prediction: Volume,
  files: { truth: string; prediction: string },
): RenvoxError {
  const text = (v: Volume) =>
    `shape ${v.shape.join('x')}, spacing ${v.spacing.map((s) => s.toFixed(4)).join('x')} mm, affine [${v.affine
      .slice(0, 12)
      .map((x) => Number(x.toFixed(4)))
      .join(', ')}]`;
  return new RenvoxError(
    'ShapeMismatch',
    `${files.truth} and ${files.prediction} do not lie on one grid: ${text(truth)} against ${text(prediction)}`,
    { files, shapes: [truth.shape, prediction.shape], affines: [truth.affine, prediction.affine] },
  );
}

/** Widens the box by the voxels that are not 0, and checks what they are. */
function scan(
  { data, shape, slope, inter }: Volume,
  scheme: LabelScheme,
  file: string,
  low: [number, number, number],
  high: [number, number, number],
): void {
  if (slope !== 1 || inter !== 0)
    throw new RenvoxError(
      'InvalidFile',
      `${file} is no label map: its values are scaled by ${slope} and shifted by ${inter}`,
      { file, slope, inter },
    );
  const known = new Uint8Array(256);
  for (const value of scheme.keys()) known[value] = 1;
  const others = new Map<number, number>();
  const [depth, height, width] = shape;
  for (let d = 0, at = 0; d < depth; d++)
    for (let h = 0; h < height; h++, at += width) {
      let first = -1;
      let last = -1;
      for (let w = 0; w < width; w++) {
        const value = data[at + w] as number;
        if (value === 0) continue;
        if (known[value] !== 1) others.set(value, (others.get(value) ?? 0) + 1);
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
  if (others.size === 0) return;
  const list = [...others].slice(0, 5).map(([value, n]) => `${value} (${n} voxels)`);
  throw new RenvoxError(
    'InvalidFile',
    `${file} has values that the label scheme does not name: ${list.join(', ')}${others.size > 5 ? ', …' : ''}; it names ${[...scheme.keys()].join(', ')}`,
    { file, values: [...others.keys()].slice(0, 100) },
  );
}

function cut({ data, shape }: Volume, box: Triple, offset: Triple): Uint8Array {
  const result = new Uint8Array(box[0] * box[1] * box[2]);
  for (let d = 0, to = 0; d < box[0]; d++)
    for (let h = 0; h < box[1]; h++, to += box[2]) {
      const from = ((d + offset[0]) * shape[1] + h + offset[1]) * shape[2] + offset[2];
      result.set(data.subarray(from, from + box[2]) as Uint8Array, to);
    }
  return result;
}
