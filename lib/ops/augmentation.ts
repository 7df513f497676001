/** Rotation, translation, scaling and mirroring of a volume as one affine for `resample`. */
import { invalidArgument } from '../errors.js';
import { type Affine, composeAffine, identityAffine } from './affine.js';
import { checkNumber } from './check.js';
import type { Axis } from './flip.js';
import { type AlongAxes, checkAlongAxes } from './volume-axes.js';

/** How the content of a volume moves about the volume's centre: mirrored, scaled and rotated, then translated. */
export interface Augmentation {
  /**
   * Degrees about the D, the H and the W axis; about W first. Positive angles turn H towards W (about D), W towards D (about H) and D
   * towards H (about W).
   */
  rotation?: AlongAxes;
  /** Shift along D, H, W as a fraction of the extents. */
  translation?: AlongAxes;
  /** Above 1 the content grows. */
  scale?: number;
  /** Axes to mirror along. */
  flip?: readonly Axis[];
}

/** What {@link randomAugmentation} draws from; what is left out does not change. */
export interface AugmentationRanges {
  /** Largest angle, degrees: for all axes or about D, H, W. Drawn from -r..r. */
  rotation?: number | AlongAxes;
  /** Largest shift as a fraction of the extents: for all axes or along D, H, W. Drawn from -r..r. */
  translation?: number | AlongAxes;
  /** Smallest and largest scale; drawn so that halving and doubling are alike. */
  scale?: readonly [number, number];
  /** Probability of mirroring along D, H, W. */
  flip?: AlongAxes;
}

/**
 * The affine (output voxel index to input voxel index) that shows a volume augmented. For a volume on another grid compose it:
 * `composeAffine(gridMap, augmentationAffine({ size, ... }))`.
 * @param options.size - voxels of the output along D, H, W; the content moves about their centre
 * @param options.spacing - mm along D, H, W, so that rotations keep angles where voxels are not cubes; by default 1
 * @throws RenvoxError InvalidArgument
 */
export function augmentationAffine(
  options: Augmentation & { size: AlongAxes; spacing?: AlongAxes },
): number[] {
  const { size, spacing = [1, 1, 1], rotation = [0, 0, 0], translation = [0, 0, 0] } = options;
  const { scale = 1, flip = [] } = options;
  checkAlongAxes('augmentationAffine', 'size', size, { whole: true, least: 1 });
  checkAlongAxes('augmentationAffine', 'spacing', spacing);
  checkAlongAxes('augmentationAffine', 'rotation', rotation);
  checkAlongAxes('augmentationAffine', 'translation', translation);
  checkNumber('augmentationAffine', 'scale', scale);
  if (!(scale > 0)) throw invalidArgument('scale of augmentationAffine', 'a number above 0', scale);
  if (!spacing.every((mm) => mm > 0))
    throw invalidArgument('spacing of augmentationAffine', 'three numbers of mm above 0', spacing);

  const centre = size.map((n) => (n - 1) / 2) as [number, number, number];
  const target = centre.map((c, a) => c + (translation[a] as number) * (size[a] as number));
  // From the output back: undo the shift, the rotation (in mm), the scale and the mirror.
  const steps: Affine[] = [
    offset(target.map((v) => -v)),
    diagonal(spacing),
    turn(0, -rotation[0]),
    turn(1, -rotation[1]),
    turn(2, -rotation[2]),
    diagonal(spacing.map((mm) => 1 / (mm * scale))),
    diagonal((['d', 'h', 'w'] as const).map((a) => (flip.includes(a) ? -1 : 1))),
    offset(centre),
  ];
  return steps.reduce<number[]>((made, step) => composeAffine(step, made), [...identityAffine]);
}

/**
 * Draws an augmentation; the same seed and ranges give the same one.
 * @param seed - an integer from 0 to 2^53 - 1
 * @throws RenvoxError InvalidArgument
 */
export function randomAugmentation(
  seed: number,
  ranges: AugmentationRanges,
): Required<Augmentation> {
  if (!Number.isSafeInteger(seed) || seed < 0)
    throw invalidArgument('seed of randomAugmentation', 'an integer from 0 to 2^53 - 1', seed);
  const next = uniform(seed);
  const centred = (name: string, range: number | AlongAxes): [number, number, number] => {
    const most: AlongAxes = typeof range === 'number' ? [range, range, range] : range;
    checkAlongAxes('randomAugmentation', name, most, { least: 0 });
    const draw = (r: number): number => (2 * next() - 1) * r;
    return [draw(most[0]), draw(most[1]), draw(most[2])];
  };
  const rotation = centred('rotation', ranges.rotation ?? 0);
  const translation = centred('translation', ranges.translation ?? 0);
  const [small, large] = ranges.scale ?? [1, 1];
  checkNumber('randomAugmentation', 'scale', small, 1e-3);
  checkNumber('randomAugmentation', 'scale', large, small);
  const scale = small * (large / small) ** next();
  const chance = ranges.flip ?? [0, 0, 0];
  checkAlongAxes('randomAugmentation', 'flip', chance, { least: 0 });
  const flip = (['d', 'h', 'w'] as const).filter((_, a) => next() < (chance[a] as number));
  return { rotation, translation, scale, flip };
}

function offset(by: readonly number[]): Affine {
  const [d, h, w] = by as [number, number, number];
  return [1, 0, 0, d, 0, 1, 0, h, 0, 0, 1, w];
}

function diagonal(by: readonly number[]): Affine {
  const [d, h, w] = by as [number, number, number];
  return [d, 0, 0, 0, 0, h, 0, 0, 0, 0, w, 0];
}

/** Turns the next axis towards the one after it (D, H, W in a circle). */
function turn(about: 0 | 1 | 2, degrees: number): Affine {
  const angle = (degrees * Math.PI) / 180;
  const [c, s] = [Math.cos(angle), Math.sin(angle)];
  const [first, second] = [(about + 1) % 3, (about + 2) % 3];
  const m = [...identityAffine];
  m[4 * first + first] = c;
  m[4 * second + second] = c;
  m[4 * second + first] = s;
  m[4 * first + second] = -s;
  return m;
}

/** Uniform numbers in [0, 1) from both halves of the seed: a 32-bit finaliser (Wellons, lowbias32) of a counter. */
function uniform(seed: number): () => number {
  const mix = (x: number): number => {
    let v = Math.imul(x ^ (x >>> 16), 0x7feb352d);
    v = Math.imul(v ^ (v >>> 15), 0x846ca68b);
    return (v ^ (v >>> 16)) >>> 0;
  };
  let state = mix(mix(seed >>> 0) ^ Math.floor(seed / 2 ** 32));
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    return mix(state) / 2 ** 32;
  };
}
