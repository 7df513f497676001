// The label maps of the data folder and their reference figures in oracles.json. No case is named here: the files say what there is.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readVolume } from 'renvox/volume';
import { dataFolder } from './data-folder.js';

export interface ComponentFigures {
  count: number;
  sizes: number[];
  first_voxels: number[][];
  boxes: [number[], number[]][];
  centroid_lps?: number[][];
}

export interface RegionFigures {
  voxels: number;
  box: [number[], number[]] | null;
  c6: ComponentFigures;
  c18: ComponentFigures;
  c26: ComponentFigures & {
    feret_mm?: number[];
    volume_mm3?: number[];
    sphere_diameter_mm?: number[];
  };
}

export interface MapFigures {
  /** By label. */
  voxels: Record<string, number>;
  volume_mm3: Record<string, number>;
  regions?: Record<string, RegionFigures>;
  laterality?: {
    by_component: { kidney: Record<string, number>; mass: Record<string, number> };
    higher_index_is: string;
    axis: number;
  };
}

export interface PairFigures {
  voxels_a: number;
  voxels_b: number;
  voxels_both: number;
  surface_a: number;
  surface_b: number;
  dice: number | null;
  iou: number | null;
  hausdorff: number | null;
  hd95: number | null;
  assd: number | null;
  mean_of_means: number | null;
  mean_ab: number | null;
  mean_ba: number | null;
  max_ab: number | null;
  max_ba: number | null;
  p95_ab: number | null;
  p95_ba: number | null;
  surface_dice_1mm: number | null;
  surface_dice_2mm: number | null;
}

export interface EdtFigures {
  to_background: { sum: number; max: number };
  to_foreground: { sum: number; max: number };
  at: { voxel: number[]; to_background: number; to_foreground: number }[];
}

export interface Oracles {
  label_maps: Record<string, MapFigures>;
  annotators: Record<
    string,
    {
      pairs?: Record<string, Record<string, PairFigures>>;
      majority?: { published_by_rebuilt: number[][] };
    }
  >;
  kits19_against_kits23: Record<string, Record<string, PairFigures | number>>;
  edt: Record<string, EdtFigures>;
}

/** The folder and its figures, or undefined where either is missing. */
export function oracles(): { folder: string; figures: Oracles } | undefined {
  const folder = dataFolder();
  const path = folder && join(folder, 'oracles.json');
  if (!folder || !path || !existsSync(path)) return undefined;
  return { folder, figures: JSON.parse(readFileSync(path, 'utf8')) };
}

/** Labels in the order of oracles.json: file axis 0 slowest. `origin` is the file index of the first voxel. */
export interface OracleMap {
  data: Uint8Array;
  shape: [number, number, number];
  origin: [number, number, number];
  spacing: [number, number, number];
  /** Voxels along the file's axes, uncut. */
  fileShape: [number, number, number];
  /** File index to RAS mm, 16 numbers row-major. */
  affine: readonly number[];
}

/**
 * Reads a label map and turns it to the order of oracles.json, cut to the box of what is not background, so that hundreds of runs
 * take seconds. Raster order and distances between surfaces are the same in the box.
 */
export async function readOracleMap(path: string, whole = false): Promise<OracleMap> {
  const volume = await readVolume(path);
  const { data } = volume;
  const [D, H, W] = volume.shape;
  const low = [W, H, D] as [number, number, number];
  const high = [-1, -1, -1];
  for (let d = 0, v = 0; d < D; d++)
    for (let h = 0; h < H; h++)
      for (let w = 0; w < W; w++, v++) {
        if (data[v] === 0 && !whole) continue;
        if (w < low[0]) low[0] = w;
        if (h < low[1]) low[1] = h;
        if (d < low[2]) low[2] = d;
        if (w > (high[0] as number)) high[0] = w;
        if (h > (high[1] as number)) high[1] = h;
        if (d > (high[2] as number)) high[2] = d;
      }
  const shape = high.map((n, i) => Math.max(1, n - (low[i] as number) + 1)) as [
    number,
    number,
    number,
  ];
  const origin = high[0] === -1 ? ([0, 0, 0] as [number, number, number]) : low;
  const turned = new Uint8Array(shape[0] * shape[1] * shape[2]);
  for (let d = 0; d < shape[2]; d++)
    for (let h = 0; h < shape[1]; h++) {
      const from = ((d + origin[2]) * H + h + origin[1]) * W + origin[0];
      for (let w = 0; w < shape[0]; w++)
        turned[(w * shape[1] + h) * shape[2] + d] = data[from + w] as number;
    }
  const { fileSpacing: spacing, fileShape, affine } = volume;
  return { data: turned, shape, origin, spacing, fileShape, affine };
}

/** The labels that a region of oracles.json is made of, by its definitions. */
export function regionLabels(region: string): number[] {
  const regions: Record<string, number[]> = {
    kidney_and_mass: [1, 2, 3],
    mass: [2, 3],
    tumor: [2],
    cyst: [3],
    kidney_right: [2],
    kidney_left: [3],
  };
  const labels = regions[region];
  if (!labels) throw new Error(`oracles.json has the unknown region ${region}`);
  return labels;
}

/** 1 where the label is one of these, 0 elsewhere. */
export function mask(data: Uint8Array, labels: readonly number[]): Uint8Array {
  const table = new Uint8Array(256);
  for (const label of labels) table[label] = 1;
  return data.map((v) => table[v] as number);
}
