/** Components of a label map with what is measured of each: on a device, in one pass each. */

import type { Device } from '../device.js';
import { type Axis, componentShapes } from '../metrics/component-shapes.js';
import { componentMap } from '../metrics/components.js';
import { type DiameterName, sphereDiameterMm } from '../metrics/diameter.js';
import type { Triple } from '../volume/index.js';

export interface Instances {
  /** 0 background, 1.. the instances in raster order. */
  readonly map: Int32Array;
  /** Instance i is element i - 1. */
  readonly list: readonly Instance[];
}

export interface Instance {
  /** The label that its voxels have. */
  readonly label: number;
  readonly voxels: number;
  /** Mean voxel index [d, h, w]. */
  readonly centroid: Triple;
}

/** Components (26 neighbours) of voxels with equal labels. */
export async function instancesOf(
  labels: Uint8Array,
  shape: Triple,
  device: Device,
): Promise<Instances> {
  const map = await componentMap(labels, shape, { device, perLabel: true, connectivity: 26 });
  const sums: { label: number; voxels: number; d: number; h: number; w: number }[] = [];
  const [depth, height, width] = shape;
  for (let d = 0, at = 0; d < depth; d++)
    for (let h = 0; h < height; h++)
      for (let w = 0; w < width; w++, at++) {
        const i = map[at] as number;
        if (i === 0) continue;
        sums[i - 1] ??= { label: labels[at] as number, voxels: 0, d: 0, h: 0, w: 0 };
        const sum = sums[i - 1] as (typeof sums)[0];
        sum.voxels++;
        sum.d += d;
        sum.h += h;
        sum.w += w;
      }
  return {
    map,
    list: sums.map(({ label, voxels, d, h, w }) => ({
      ...{ label, voxels },
      centroid: [d / voxels, h / voxels, w / voxels] as const,
    })),
  };
}

/**
 * What each voxel is by its number: of its instance, or of its label. A loop, for `Uint8Array.from` with a function makes a list of all voxels
 * first, at eight bytes each.
 * @param codes - by number, 0 (nothing) first
 */
export function codedVoxels(map: ArrayLike<number>, codes: ArrayLike<number>): Uint8Array {
  const result = new Uint8Array(map.length);
  for (let at = 0; at < result.length; at++) result[at] = codes[map[at] as number] as number;
  return result;
}

/** Average diameter of each instance by the definition of this name, mm. */
export function averageDiameters(
  { map, list }: Instances,
  diameter: DiameterName,
  { shape, spacing }: { shape: Triple; spacing: Triple },
  axialAxis: Axis,
): number[] {
  const voxelMl = (spacing[0] * spacing[1] * spacing[2]) / 1000;
  if (diameter === 'sphere') return list.map(({ voxels }) => sphereDiameterMm(voxels * voxelMl));
  return componentShapes(map, shape, spacing, axialAxis, list.length).map(
    (found) => found?.averageDiameterMm[diameter] as number,
  );
}
