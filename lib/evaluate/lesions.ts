/** Lesions: one row a mass that is there, was found, or both. What every table but those of whole kidneys is made of. */
import { RenvoxError } from '../errors.js';
import { MASS_CLASSES, type MassClass } from '../pipeline/finding.js';
import type { Side } from '../pipeline/stages.js';
import { formatCsv, parseCsv } from './csv.js';

export { MASS_CLASSES, type MassClass, type Side };
/** Found and there, found only, there only. */
export type LesionStatus = 'TP' | 'FP' | 'FN';

export interface Lesion {
  readonly case: string;
  /** Empty in a file: the case stands for the patient. */
  readonly patient: string;
  readonly side: Side | null;
  readonly status: LesionStatus;
  /** null for a FP, and where it is not known. */
  readonly truthClass: MassClass | null;
  /** null for a FN, and where nothing was called. */
  readonly predictedClass: MassClass | null;
  /** mm; of the truth for TP and FN, of the prediction for FP. */
  readonly averageDiameterMm: number | null;
  /** Of a TP. */
  readonly dice: number | null;
  /** Probabilities in the order of {@link MASS_CLASSES}, or null. */
  readonly probabilities: readonly [number, number, number] | null;
  /** What a true mass was called on its true contours: null nothing; undefined where nobody asked. */
  readonly classOnTruth?: MassClass | null | undefined;
  /** How sure a detector is of a predicted mass, on any scale; undefined where no detector says. */
  readonly score?: number | undefined;
}

export const LESION_COLUMNS = [
  ...['case', 'patient', 'side', 'status', 'truth_class', 'predicted_class'],
  ...['average_diameter_mm', 'dice', 'p_aml', 'p_cystic', 'p_solid'],
] as const;
/** One more column, where it is known: a class, or `none` for a mass that was called nothing on its true contours. */
export const ON_TRUTH_COLUMN = 'class_on_truth';
/** One more where detectors' scores are known. */
export const SCORE_COLUMN = 'score';

/** Whether probabilities of the classes with this sum are such: to 0.02, for files round them to two digits. */
export function sumsToOne(sum: number): boolean {
  return Math.abs(sum - 1) <= 0.02;
}

/**
 * Lesions of a CSV file's text.
 * @throws RenvoxError InvalidFile naming every row that is wrong, with its line and what was expected; also for what cannot be: a FN or FP with a
 * Dice, a FN with probabilities, probabilities that do not add up to 1, one case of two patients
 */
export function parseLesions(text: string, file: string): Lesion[] {
  const faults: string[] = [];
  const patients = new Map<string, string>();
  const lesions = parseCsv(text, file, LESION_COLUMNS).map(({ line, fields }) => {
    const fault = (name: string, expected: string) => {
      faults.push(`line ${line}: expected ${expected} for ${name} but found "${fields[name]}"`);
      return null;
    };
    const word = <T extends string>(name: string, words: readonly T[]): T | null => {
      const value = (fields[name] ?? '').trim();
      if (value === '') return null;
      return words.includes(value as T) ? (value as T) : fault(name, words.join(' or '));
    };
    const number = (name: string, low: number, high: number, what: string): number | null => {
      const value = (fields[name] ?? '').trim();
      if (value === '') return null;
      const n = Number(value);
      return n >= low && n <= high && Number.isFinite(n) ? n : fault(name, what);
    };
    const share = (name: string) => number(name, 0, 1, 'a number from 0 to 1');
    const status = word('status', ['TP', 'FP', 'FN'] as const);
    if (!status && !(fields.status ?? '').trim()) fault('status', 'TP or FP or FN');
    const name = (fields.case ?? '').trim();
    if (name === '') fault('case', 'a name');
    const p = ['p_aml', 'p_cystic', 'p_solid'].map(share);
    const known = p.filter((value) => value !== null);
    if (known.length !== 0 && known.length !== 3) fault('p_aml', 'all three probabilities or none');
    const truthClass = word('truth_class', MASS_CLASSES);
    const predictedClass = word('predicted_class', MASS_CLASSES);
    const onTruth = word(ON_TRUTH_COLUMN, [...MASS_CLASSES, 'none'] as const);
    const score = number(SCORE_COLUMN, -Number.MAX_VALUE, Number.MAX_VALUE, 'a number');
    if (status === 'FN' && score !== null) fault(SCORE_COLUMN, 'nothing (the row is a FN)');
    if (status === 'FP' && onTruth) fault(ON_TRUTH_COLUMN, 'nothing (the row is a FP)');
    if (status === 'FP' && truthClass) fault('truth_class', 'nothing (the row is a FP)');
    if (status === 'FN' && predictedClass) fault('predicted_class', 'nothing (the row is a FN)');
    const dice = share('dice');
    if (status !== 'TP' && status !== null && dice !== null)
      fault('dice', `nothing (the row is a ${status})`);
    if (known.length === 3) {
      if (status === 'FN') fault('p_aml', 'nothing (the row is a FN)');
      const sum = known.reduce((a, b) => a + b, 0);
      if (!sumsToOne(sum))
        faults.push(`line ${line}: expected probabilities that add up to 1 but found ${sum}`);
    }
    const patient = (fields.patient ?? '').trim() || name;
    const before = patients.get(name);
    if (before !== undefined && before !== patient)
      faults.push(`line ${line}: case ${name} is of patient ${patient} here and ${before} before`);
    patients.set(name, before ?? patient);
    return {
      case: name,
      patient,
      side: word('side', ['left', 'right'] as const),
      status: status ?? 'FN',
      truthClass,
      predictedClass,
      averageDiameterMm: number('average_diameter_mm', 0, Number.MAX_VALUE, 'a number of mm'),
      dice,
      probabilities: known.length === 3 ? (known as [number, number, number]) : null,
      ...(onTruth !== null && { classOnTruth: onTruth === 'none' ? null : onTruth }),
      ...(score !== null && { score }),
    };
  });
  if (faults.length > 0)
    throw new RenvoxError(
      'InvalidFile',
      `${faults.length} of the fields of ${file} are wrong: ${faults.slice(0, 10).join('; ')}${faults.length > 10 ? '; …' : ''}`,
      { file, faults },
    );
  return lesions;
}

/** The rows as a CSV file's text. */
export function formatLesions(lesions: readonly Lesion[]): string {
  const onTruth = lesions.some((l) => l.status !== 'FP' && l.classOnTruth !== undefined);
  const scores = lesions.some((l) => l.score !== undefined);
  return formatCsv(
    [...LESION_COLUMNS, ...(onTruth ? [ON_TRUTH_COLUMN] : []), ...(scores ? [SCORE_COLUMN] : [])],
    lesions.map((l) => ({
      case: l.case,
      patient: l.patient,
      side: l.side,
      status: l.status,
      truth_class: l.truthClass,
      predicted_class: l.predictedClass,
      average_diameter_mm: l.averageDiameterMm,
      dice: l.dice,
      p_aml: l.probabilities?.[0],
      p_cystic: l.probabilities?.[1],
      p_solid: l.probabilities?.[2],
      [ON_TRUTH_COLUMN]: l.classOnTruth === null ? 'none' : l.classOnTruth,
      [SCORE_COLUMN]: l.score,
    })),
  );
}
