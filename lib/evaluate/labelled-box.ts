/** Two label maps with their schemes, cut to where either has something. */
import { RenvoxError } from '../errors.js';
import { gridDifference } from '../metrics/grid-difference.js';
import { boxOf, LEFT_OUT, type SortedLabels, UNEXPECTED, WANTED } from '../metrics/label-box.js';
import { sameGrid, type Triple, type Volume } from '../volume/index.js';
import type { LabelScheme } from './scheme.js';

export interface LabelledBox {
  /** Voxels along [d, h, w] of the box; at least one, also where both maps are empty. */
  readonly shape: Triple;
  /** Its first voxel in the whole map. */
  readonly offset: Triple;
  readonly truth: Uint8Array;
  readonly prediction: Uint8Array;
}

/**
 * Checks that two maps lie on one grid and hold labels of their schemes alone, and cuts both to their joint box.
 * @throws RenvoxError ShapeMismatch where shape, spacing or affine differ (0.01 mm at the corners); InvalidFile for other values
 */
export function jointBox(
  truth: Volume,
  prediction: Volume,
  schemes: { truth: LabelScheme; prediction: LabelScheme },
  files: { truth: string; prediction: string },
): LabelledBox {
  if (!sameGrid(truth, prediction)) throw differing(truth, prediction, files);
  const { shape, offset, maps } = boxOf(
    [
      sortedLabels(truth, schemes.truth, files.truth),
      sortedLabels(prediction, schemes.prediction, files.prediction),
    ],
    truth.shape,
  );
  return { shape, offset, truth: maps[0] as Uint8Array, prediction: maps[1] as Uint8Array };
}

function differing(
  truth: Volume,
  prediction: Volume,
  files: { truth: string; prediction: string },
): RenvoxError {
  return new RenvoxError(
    'ShapeMismatch',
    `${files.truth} and ${files.prediction} do not lie on one grid: their ${gridDifference(truth, prediction)}`,
    { files, shapes: [truth.shape, prediction.shape], affines: [truth.affine, prediction.affine] },
  );
}

/** @throws RenvoxError InvalidFile where the stored values are not the labels */
export function requireUnscaled({ slope, inter }: Volume, file: string): void {
  if (slope !== 1 || inter !== 0)
    throw new RenvoxError(
      'InvalidFile',
      `${file} is no label map: its values are scaled by ${slope} and shifted by ${inter}`,
      { file, slope, inter },
    );
}

/** A map whose labels are those of a scheme. */
function sortedLabels(volume: Volume, scheme: LabelScheme, file: string): SortedLabels {
  requireUnscaled(volume, file);
  const values = new Uint8Array(256).fill(UNEXPECTED);
  for (const [value, { structure }] of scheme)
    values[value] = structure === 'ignore' ? LEFT_OUT : WANTED;
  const refuse = (others: ReadonlyMap<number, number>): never => {
    const list = [...others].slice(0, 5).map(([value, n]) => `${value} (${n} voxels)`);
    throw new RenvoxError(
      'InvalidFile',
      `${file} has values that the label scheme does not name: ${list.join(', ')}${others.size > 5 ? ', …' : ''}; it names ${[...scheme.keys()].join(', ')}`,
      { file, values: [...others.keys()].slice(0, 100) },
    );
  };
  return { data: volume.data, values, refuse };
}
