/** What is kept of a case beyond what the network sees, so that turning and shifting bring in tissue, not air. */
import { augmentationAffine } from '../../ops/index.js';
import { apply } from '../../volume/affine.js';
import type { Triple } from '../../volume/index.js';
import { type AugmentationSettings, augmentations } from '../augmentation.js';
import type { Preset } from '../preset.js';

/** Voxels kept at least, and where a case has nothing beyond: the ends of a CT. */
const LEAST = 4;
/** Share of the network's box up to which the rim on a side grows for the sake of turning and scaling; shifts are covered whole. */
const MOST = 1 / 8;

/** How a folder's samples are augmented: as the preset says, else the study's; a mass has no side, so it is mirrored too. */
export function augmentationOf({ task, augmentation }: Preset): AugmentationSettings {
  if (augmentation) return augmentation;
  return task === 'class'
    ? { ...augmentations.study, mirror: [0.5, 0.5, 0.5] }
    : augmentations.study;
}

/**
 * Voxels along D, H, W that an item has on each side beyond the network's box: as far as augmentation shifts, and as far as it turns and scales up to
 * an eighth of the box, so that memory stays below twice the box's where shifts do. What corners show beyond that is the window's bottom. Items that
 * are a whole CT, or as long as one, have nothing to keep beyond it.
 */
export function rimOf(preset: Preset): Triple {
  const { task, sampling, grid } = preset;
  const { shape, spacing } = grid;
  if (sampling) return [LEAST, LEAST, LEAST];
  const settings = augmentationOf(preset);
  const all = reach(settings, shape, spacing);
  const { translation } = settings;
  const shift = reach(translation ? { translation } : {}, shape, spacing);
  const along = task === 'kidney' || task === 'one-stage';
  return shape.map((n, axis) => {
    if (along && axis === 0) return LEAST;
    const most = Math.max(shift[axis] as number, Math.ceil(MOST * n));
    return Math.max(LEAST, Math.min(all[axis] as number, most));
  }) as unknown as Triple;
}

/** Voxels along each axis by which a sample of these settings may reach beyond its box. */
function reach(
  {
    rotation,
    translation,
    scale,
  }: Pick<AugmentationSettings, 'rotation' | 'translation' | 'scale'>,
  size: Triple,
  spacing: Triple,
): Triple {
  const ends = (range: readonly [number, number] | undefined, none: number) =>
    range ? [range[0], none, range[1]] : [none];
  const far: [number, number, number] = [0, 0, 0];
  for (const degrees of triples(ends(rotation?.range, 0)))
    for (const shares of triples(ends(translation?.range, 0)))
      for (const factor of ends(scale?.range, 1)) {
        const moved = { rotation: degrees, translation: shares, scale: factor };
        const affine = augmentationAffine({ size, spacing, ...moved });
        for (const corner of triples([0, 1])) {
          const at = corner.map((end, axis) => end * ((size[axis] as number) - 1));
          apply(affine, at as unknown as Triple).forEach((place, axis) => {
            const beyond = Math.max(-place, place - (size[axis] as number) + 1);
            // A hair beyond a whole voxel is rounding.
            far[axis] = Math.max(far[axis] as number, Math.ceil(beyond - 1e-6));
          });
        }
      }
  return far;
}

/** All threes of values. */
function triples(values: readonly number[]): Triple[] {
  return values.flatMap((a) => values.flatMap((b) => values.map((c): Triple => [a, b, c])));
}
