/** How large a region is, all its parts together: what `measure` says with `sizes`. */
import type { Triple, VoxelArray } from '../volume/index.js';
import { type Axis, type ComponentShape, componentShapes } from './component-shapes.js';
import { labelBox } from './label-box.js';

/** Of one mask, in mm; null where it is empty. Definitions: {@link ComponentShape}. */
export type RegionSize = Pick<
  ComponentShape,
  'volumeMm3' | 'feretMm' | 'longAxisMm' | 'shortAxisMm' | 'averageDiameterMm'
> | null;

/** @param labels - the values that form the region */
export function regionSize(
  name: string,
  voxels: VoxelArray,
  shape: Triple,
  spacing: Triple,
  axialAxis: Axis,
  labels: readonly number[],
): RegionSize {
  const box = labelBox({ [name]: voxels }, shape, labels);
  const mask = (box.maps[0] as Uint8Array).map((value) => (value === 0 ? 0 : 1));
  const [found] = componentShapes(mask, box.shape, spacing, axialAxis, 1);
  if (found === undefined) return null;
  const { volumeMm3, feretMm, longAxisMm, shortAxisMm, averageDiameterMm } = found;
  return { volumeMm3, feretMm, longAxisMm, shortAxisMm, averageDiameterMm };
}
