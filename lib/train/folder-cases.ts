/** A folder of CTs with labels, as `renvox phantom` writes it: DIR/case_*\/{ct.nii.gz, labels.nii.gz}. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isRenvoxError, RenvoxError } from '../errors.js';
import { readVolume, reorient, sameGrid, type Volume } from '../volume/index.js';

/** Labels of `renvox analyze`: 1 left kidney, 2 right kidney, 3 AML, 4 cystic mass, 5 solid mass. */
export const LABELS = { left: 1, right: 2, aml: 3, solid: 5 } as const;

export interface Case {
  name: string;
  /** Both with axes [d, h, w] running to the head, the back and the left, as nearly as their voxels do. */
  ct: Volume;
  labels: Volume;
}

/**
 * Reads the cases one after the other and hands each to `use`. Goes through the whole folder before it complains, so that one run shows every
 * fault of a data set.
 * @throws RenvoxError FileNotFound where there is no case; InvalidFile listing all that is missing, damaged or does not fit; AbortError
 */
export async function forEachCase(
  folder: string,
  use: (one: Case) => Promise<void>,
  options: { signal?: AbortSignal | undefined } = {},
): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: unknown) => {
    throw new RenvoxError(
      'FileNotFound',
      `There is no folder ${folder}`,
      { folder },
      { cause: error },
    );
  });
  const names = entries.filter((e) => e.isDirectory() && e.name.startsWith('case_'));
  if (names.length === 0)
    throw new RenvoxError(
      'FileNotFound',
      `The folder ${folder} has no case_*/ with ct.nii.gz and labels.nii.gz`,
      { folder },
    );
  const problems: string[] = [];
  for (const name of names.map((e) => e.name).sort()) {
    try {
      const one = await readCase(folder, name, options.signal, problems);
      if (one) await use(one);
    } catch (error) {
      if (!isRenvoxError(error) || error.code === 'AbortError') throw error;
      problems.push(`${name}: ${error.message}`);
    }
  }
  if (problems.length > 0)
    throw new RenvoxError(
      'InvalidFile',
      `${problems.length} problems in ${folder}:\n  ${problems.join('\n  ')}`,
      { folder, problems },
    );
}

async function readCase(
  folder: string,
  name: string,
  signal: AbortSignal | undefined,
  problems: string[],
): Promise<Case | undefined> {
  const before = problems.length;
  const read = (file: string) =>
    readVolume(join(folder, name, file), { signal }).catch((error: unknown) => {
      if (!isRenvoxError(error) || error.code === 'AbortError') throw error;
      problems.push(`${name}: ${error.message}`);
      return undefined;
    });
  const ct = await read('ct.nii.gz');
  const labels = await read('labels.nii.gz');
  if (labels) {
    const strange = strangeLabel(labels);
    if (strange !== undefined)
      problems.push(`${name}: labels.nii.gz holds ${strange}, expected integers from 0 to 5`);
  }
  if (ct && labels && !sameGrid(ct, labels))
    problems.push(
      `${name}: ct.nii.gz (${ct.fileShape.join('x')}, ${ct.orientation}) and labels.nii.gz (${labels.fileShape.join('x')}, ${labels.orientation}) do not lie on the same grid`,
    );
  if (!ct || !labels || problems.length > before) return undefined;
  return { name, ct: reorient(ct, 'LPS'), labels: reorient(labels, 'LPS') };
}

function strangeLabel(labels: Volume): number | undefined {
  const { data, slope, inter } = labels;
  for (let i = 0; i < data.length; i++) {
    const value = (data[i] as number) * slope + inter;
    if (!(value >= 0 && value <= LABELS.solid && Number.isInteger(value))) return value;
  }
  return undefined;
}
