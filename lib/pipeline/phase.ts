/** A second contrast phase of the same patient, brought onto the grid of the CT that is analysed. */
import { invalidArgument } from '../errors.js';
import { crop, resample } from '../ops/index.js';
import type { Tensor } from '../tensor.js';
import { apply } from '../volume/affine.js';
import { checkCt } from '../volume/ct.js';
import { gridOf, gridToVolume, sameGrid, type Triple, Volume } from '../volume/index.js';
import type { VoxelBox } from './crops-box.js';
import type { LoadedCt } from './stages.js';

/** Phases by the time after injection: without contrast, corticomedullary, nephrographic, excretory. */
export const PHASES = ['unenhanced', 'cmp', 'np', 'excretory'] as const;
export type PhaseName = (typeof PHASES)[number];

export interface SecondPhase {
  /**
   * Which phase the second CT is. Where that of the CT that is analysed is not said, `unenhanced` and `cmp` count as earlier than it, `np` and
   * `excretory` as later.
   */
  name: PhaseName;
  /** In HU, of the same patient in the same position; on another grid it is resampled by the affines. Nothing is registered. */
  ct: Volume;
}

/**
 * @param own - the phase of the CT that is analysed, where it is said
 * @throws RenvoxError InvalidArgument
 */
export function checkPhases(own: unknown, phase: unknown): void {
  if (own !== undefined && !PHASES.includes(own as PhaseName))
    throw invalidArgument('ownPhase', PHASES.join(' or '), own);
  if (phase === undefined) return;
  const { name, ct } = (phase ?? {}) as Partial<SecondPhase>;
  if (!PHASES.includes(name as PhaseName))
    throw invalidArgument('phase.name', PHASES.join(' or '), name);
  if (name === own) throw invalidArgument('phase.name', `another phase than ownPhase`, name);
  checkPhaseCt(ct);
}

/** @throws RenvoxError InvalidArgument for what is no CT in HU */
export function checkPhaseCt(ct: unknown): void {
  if (!(ct instanceof Volume)) throw invalidArgument('phase.ct', 'a Volume', ct);
  checkCt('phase.ct', ct);
}

/** Whether the second phase comes before the one that is analysed. */
export function isEarlier(name: PhaseName, own: PhaseName | undefined): boolean {
  if (own === undefined) return name === 'unenhanced' || name === 'cmp';
  return PHASES.indexOf(name) < PHASES.indexOf(own);
}

/** A phase in a box of the CT's grid: its own voxels where that is its grid, else trilinear. */
export function onCtGrid({ volume }: LoadedCt, phase: LoadedCt, { start, size }: VoxelBox): Tensor {
  if (sameGrid(phase.volume, volume)) return crop(phase.image, { start, size });
  const affine = [...gridToVolume(gridOf(volume), phase.volume)];
  const first = apply(affine, start);
  for (let axis = 0; axis < 3; axis++) affine[4 * axis + 3] = first[axis] as number;
  return resample(phase.image, { size: [...size], affine, outside: 'border' });
}

/** Whether a box of voxels [d, h, w], inclusive, lies in a phase's field of view as a whole. */
export function covers(volume: Volume, { ct }: SecondPhase, low: Triple, high: Triple): boolean {
  const affine = gridToVolume(gridOf(volume), ct);
  return [0, 1, 2, 3, 4, 5, 6, 7].every((corner) => {
    const at = [0, 1, 2].map((a) => ((corner >> a) & 1 ? high[a] : low[a]) as number);
    const place = apply(affine, at as unknown as Triple);
    return place.every((p, axis) => p >= -0.5 && p <= (ct.shape[axis] as number) - 0.5);
  });
}
