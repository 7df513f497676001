/** Which patient a series is of, and which patients are trained on. */
import { readFile } from 'node:fs/promises';
import { RenvoxError } from '../../errors.js';
import { Random } from '../../phantom/random.js';

/**
 * How patients are parted. `parts` are shares of training, validation and test, such as 8, 1, 1; each part that has a share gets a patient
 * at least. With `folds`, fold number `fold` (from 0) is validation, the others are training, and there is no test.
 */
export type Split =
  | { readonly parts: readonly [number, number, number] }
  | { readonly folds: number; readonly fold: number };

/** The study's. */
export const usualSplit: Split = { parts: [8, 1, 1] };

/** Patients below which `parts` hold nothing out; folds hold out whatever they are asked to. */
export const FEWEST_TO_SPLIT = 5;

export interface Parts {
  training: string[];
  validation: string[];
  test: string[];
}

/**
 * Parts patients at random: the same seed and names give the same parts, whatever the order of the names. With fewer than five
 * patients and no folds all are trained on and none is held out.
 * @throws RenvoxError InvalidArgument
 */
export function splitPatients(patients: Iterable<string>, split: Split, seed: number): Parts {
  const names = [...new Set(patients)].sort();
  checkSplit(split, names.length);
  if (!('folds' in split) && names.length < FEWEST_TO_SPLIT)
    return { training: names, validation: [], test: [] };
  const random = new Random(seed, 'held out');
  const order = names
    .map((name) => ({ name, key: random.bits() }))
    .sort((a, b) => a.key - b.key || (a.name < b.name ? -1 : 1))
    .map(({ name }) => name);
  if ('folds' in split) {
    const { folds, fold } = split;
    const held = (i: number) => i % folds === fold;
    return {
      training: order.filter((_, i) => !held(i)),
      validation: order.filter((_, i) => held(i)),
      test: [],
    };
  }
  const total = split.parts.reduce((a, b) => a + b, 0);
  const count = (share: number) =>
    share > 0 ? Math.max(1, Math.round((share / total) * order.length)) : 0;
  const validation = count(split.parts[1]);
  const test = count(split.parts[2]);
  return {
    validation: order.slice(0, validation),
    test: order.slice(validation, validation + test),
    training: order.slice(validation + test),
  };
}

function checkSplit(split: Split, patients: number): void {
  if ('folds' in split) {
    const { folds, fold } = split;
    const sound = Number.isInteger(folds) && folds >= 2 && folds <= patients;
    if (sound && Number.isInteger(fold) && fold >= 0 && fold < folds) return;
    const expected =
      patients < 2 ? 'at least two patients to part into folds' : `2 to ${patients} folds`;
    throw new RenvoxError(
      'InvalidArgument',
      `Expected ${expected} and a fold from 0 to the last but received fold ${fold} of ${folds}: the data set has ${patients} ${patients === 1 ? 'patient' : 'patients'}`,
      { folds, fold, patients },
    );
  }
  const { parts } = split;
  if (!parts.every((p) => p >= 0 && Number.isFinite(p)) || !(parts[0] > 0))
    throw new RenvoxError(
      'InvalidArgument',
      `Expected three shares of at least 0, the first above 0, for parameter parts but received ${parts.join(':')}`,
      { parts },
    );
}

/**
 * Reads a manifest: a CSV with the columns case and patient (others are ignored). Cases that it does not list are patients of their own.
 * @throws RenvoxError FileNotFound, InvalidFile
 */
export async function readPatients(file: string): Promise<Map<string, string>> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    throw new RenvoxError('FileNotFound', `Cannot read ${file}`, { file }, { cause: error });
  }
  const rows = text
    .replace(/^\ufeff/, '')
    .split(/\r?\n/)
    .map((line) => line.split(',').map((field) => field.trim().replace(/^"(.*)"$/, '$1')));
  const [header = []] = rows;
  const [at, of] = ['case', 'patient'].map((name) => header.indexOf(name)) as [number, number];
  if (at < 0 || of < 0)
    throw new RenvoxError(
      'InvalidFile',
      `${file}: expected the columns case and patient but found ${header.join(',')}`,
      { file, columns: header },
    );
  const patients = new Map<string, string>();
  const problems: string[] = [];
  rows.slice(1).forEach((row, i) => {
    if (row.length === 1 && row[0] === '') return;
    const [name = '', patient = ''] = [row[at], row[of]];
    if (row.length !== header.length)
      problems.push(`line ${i + 2} has ${row.length} fields, expected ${header.length}`);
    else if (name === '' || patient === '')
      problems.push(`line ${i + 2} lacks a case or a patient`);
    else if (patients.has(name)) problems.push(`line ${i + 2}: ${name} is there twice`);
    else patients.set(name, patient);
  });
  if (problems.length > 0)
    throw new RenvoxError('InvalidFile', `${file}: ${problems.join('; ')}`, { file, problems });
  return patients;
}
