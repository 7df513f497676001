/** How large a region is, all its parts together: what `measure` says with `sizes`. */
import type { Triple } from '../volume/index.js';
import { type Axis, type ComponentShape, componentShapes } from './component-shapes.js';

/** Of one mask, in mm; null where it is empty. Definitions: {@link ComponentShape}. */
export type RegionSize = Pick<
  ComponentShape,
  'volumeMm3' | 'feretMm' | 'longAxisMm' | 'shortAxisMm' | 'averageDiameterMm'
> | null;

/**
 * @param map - labels 0..255
 * @param labels - the values that form the region
 */
export function regionSize(
  map: Uint8Array,
  shape: Triple,
  spacing: Triple,
  axialAxis: Axis,
  labels: readonly number[],
): RegionSize {
  const member = new Uint8Array(256);
  for (const label of labels) member[label] = 1;
  const mask = map.map((value) => member[value] as number);
  const [found] = componentShapes(mask, shape, spacing, axialAxis, 1);
  if (found === undefined) return null;
  const { volumeMm3, feretMm, longAxisMm, shortAxisMm, averageDiameterMm } = found;
  return { volumeMm3, feretMm, longAxisMm, shortAxisMm, averageDiameterMm };
}
