/** Who the cases are of: case,patient,sex,age,phase. */
import { RenvoxError } from '../errors.js';
import { parseCsv } from './csv.js';
import { readInput } from './read-input.js';

export interface ManifestEntry {
  readonly case: string;
  readonly patient: string;
  readonly sex: 'female' | 'male' | null;
  /** Years. */
  readonly age: number | null;
  /** Of the contrast medium, as the file says it. */
  readonly phase: string | null;
}

const SEXES: Record<string, 'female' | 'male'> = { f: 'female', m: 'male' };

/**
 * Reads a manifest; columns but `case` may be missing or empty, others are ignored. Sex: female, male, F or M.
 * @throws RenvoxError FileNotFound, InvalidFile with every wrong field, and for a patient of two sexes
 */
export async function readManifest(file: string): Promise<Map<string, ManifestEntry>> {
  const text = (await readInput(file)).toString('utf8');
  const entries = new Map<string, ManifestEntry>();
  const sexes = new Map<string, string>();
  const faults: string[] = [];
  for (const { line, fields } of parseCsv(text, file, ['case'])) {
    const field = (name: string) => (fields[name] ?? '').trim();
    const id = field('case');
    if (id === '') faults.push(`line ${line}: no case`);
    if (entries.has(id)) faults.push(`line ${line}: case ${id} is there twice`);
    const sexText = field('sex').toLowerCase();
    const sex = sexText === 'female' || sexText === 'male' ? sexText : (SEXES[sexText] ?? null);
    if (sexText !== '' && sex === null)
      faults.push(`line ${line}: expected female, male, F or M for sex but found "${sexText}"`);
    const ageText = field('age');
    const age = ageText === '' ? null : Number(ageText);
    if (age !== null && !(age >= 0 && age <= 150))
      faults.push(`line ${line}: expected years for age but found "${ageText}"`);
    const patient = field('patient') || id;
    const before = sexes.get(patient);
    if (sex !== null && before !== undefined && before !== sex)
      faults.push(`line ${line}: patient ${patient} is ${sex} here and ${before} before`);
    if (sex !== null) sexes.set(patient, sex);
    entries.set(id, { ...{ case: id, patient, sex, age }, phase: field('phase') || null });
  }
  if (faults.length > 0)
    throw new RenvoxError(
      'InvalidFile',
      `${faults.length} of the fields of ${file} are wrong: ${faults.slice(0, 10).join('; ')}`,
      { file, faults },
    );
  return entries;
}
