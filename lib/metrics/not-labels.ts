/** What to say of maps whose values are no labels: which map, which values, how many voxels. */
import { type RenvoxError, unfitArgument } from '../errors.js';
import type { Triple } from '../volume/index.js';
import { hostLabels, type LabelSource } from './label-source.js';

/** The error for a map with such values. @param others - voxels by value */
export function othersThanLabels(
  parameter: string,
  others: ReadonlyMap<number, number>,
): RenvoxError {
  const list = [...others].slice(0, 5).map(([value, n]) => `${value} (${n} voxels)`);
  return unfitArgument(
    parameter,
    'labels from 0 to 255',
    `${list.join(', ')}${others.size > 5 ? ', …' : ''}`,
  );
}

/** The error for maps of which one, at least, is known to have such values; the first that has is named. */
export async function notLabels(
  maps: Readonly<Record<string, LabelSource>>,
  shape: Triple,
): Promise<RenvoxError> {
  for (const [name, source] of Object.entries(maps)) {
    const others = new Map<number, number>();
    for (const value of await hostLabels(name, source, shape))
      if (!(value >= 0 && value <= 255 && Number.isInteger(value)))
        others.set(value, (others.get(value) ?? 0) + 1);
    if (others.size > 0) return othersThanLabels(name, others);
  }
  return unfitArgument(Object.keys(maps).join(' and '), 'labels from 0 to 255', 'others');
}
