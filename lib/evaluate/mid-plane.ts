/** The plane between the patient's sides: the body's where a CT shows it, else the image's. */
import { isRenvoxError } from '../errors.js';
import { gridDifference } from '../metrics/grid-difference.js';
import { bodyCentre } from '../pipeline/body.js';
import {
  gridOf,
  readVolume,
  sameGrid,
  type Triple,
  toWorld,
  type Volume,
} from '../volume/index.js';
import { type CaseInput, sha256OfFile } from './case-input.js';
import type { LabelScheme } from './scheme.js';
import { leftOfMiddle } from './sides.js';

export interface MidPlane {
  /** How far to the patient's left of the plane a voxel index [d, h, w] lies, mm. */
  readonly left: (index: Triple) => number;
  /** labels: kidneys have sides of their own, and the image's plane is for what has none. */
  readonly of: 'body' | 'image' | 'labels';
  /** Of the CT, where one was asked. */
  readonly sha256?: string;
  /** Why a CT that was given did not decide. */
  readonly warning?: string;
}

/** Whether sides are decided by where kidneys lie: some label of a kidney names none. */
export function sidesByPlace(schemes: readonly LabelScheme[]): boolean {
  return schemes.some((scheme) =>
    [...scheme.values()].some(({ structure, side }) => structure === 'kidney' && !side),
  );
}

/**
 * The mid-plane of a case. A CT is looked at only where sides are decided by place; one that cannot be read, or lies on another grid, is none.
 * @throws RenvoxError AbortError
 */
export async function midPlane(
  { image }: CaseInput,
  truth: Volume,
  schemes: readonly LabelScheme[],
  options: { signal?: AbortSignal | undefined },
): Promise<MidPlane> {
  const plane: MidPlane = { left: leftOfMiddle(truth.affine, truth.shape), of: 'image' };
  if (!sidesByPlace(schemes)) return { ...plane, of: 'labels' };
  if (image === undefined) return plane;
  try {
    const ct = await readVolume(image, options);
    const sha256 = ct.sha256 as string;
    if (!sameGrid(ct, truth)) {
      const warning = `sides by the image's middle: of the CT ${image} and the truth ${gridDifference(ct, truth)}`;
      return { ...plane, sha256, warning };
    }
    const [middle] = bodyCentre(ct);
    const grid = gridOf(ct);
    return { left: (index) => toWorld(grid, index)[0] - middle, of: 'body', sha256 };
  } catch (error) {
    if (!isRenvoxError(error) || error.code === 'AbortError') throw error;
    const warning = `sides by the image's middle: ${error.message}`;
    return { ...plane, sha256: await sha256OfFile(image), warning };
  }
}
