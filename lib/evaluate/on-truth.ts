/** What a classifier calls the true masses when it is given their true contours. */
import { RenvoxError } from '../errors.js';
import { gridDifference } from '../metrics/grid-difference.js';
import { readVolume, sameGrid, type Volume } from '../volume/index.js';
import type { Instances } from './instances.js';
import type { LabelledBox } from './labelled-box.js';
import type { MassClass } from './lesions.js';
import type { LabelScheme } from './scheme.js';

/**
 * The class of each true mass in a label map that was painted on true contours: the one that most of the mass's voxels have; null where none
 * of them has one.
 * @throws RenvoxError as readVolume; ShapeMismatch where it does not lie on the grid of the truth
 */
export async function classesOnTruth(
  path: string,
  truth: Volume,
  masses: Instances,
  { shape, offset }: LabelledBox,
  scheme: LabelScheme,
  options: { signal?: AbortSignal | undefined },
): Promise<{ classes: (MassClass | null)[]; sha256: string }> {
  const volume = await readVolume(path, options);
  if (!sameGrid(volume, truth))
    throw new RenvoxError(
      'ShapeMismatch',
      `${path} does not lie on the grid of the truth: their ${gridDifference(volume, truth)}`,
      { path, shapes: [volume.shape, truth.shape], affines: [volume.affine, truth.affine] },
    );
  const votes = masses.list.map(() => new Map<MassClass, number>());
  for (let d = 0, at = 0; d < shape[0]; d++)
    for (let h = 0; h < shape[1]; h++) {
      const row = ((d + offset[0]) * truth.shape[1] + h + offset[1]) * truth.shape[2] + offset[2];
      for (let w = 0; w < shape[2]; w++, at++) {
        const i = masses.map[at] as number;
        if (i === 0) continue;
        const name = scheme.get(volume.data[row + w] as number)?.class;
        const own = votes[i - 1];
        if (name !== undefined) own?.set(name, (own.get(name) ?? 0) + 1);
      }
    }
  return {
    classes: votes.map((own) => [...own].sort((a, b) => b[1] - a[1])[0]?.[0] ?? null),
    sha256: volume.sha256 as string,
  };
}
