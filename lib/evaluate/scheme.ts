/** What the values of a label map mean. */
import { invalidArgument } from '../errors.js';
import { LABELS } from '../pipeline/finding.js';
import { MASS_CLASSES, type MassClass, type Side } from './lesions.js';

export interface LabelMeaning {
  /** `ignore`: background, where a map has more than is asked about. */
  readonly structure: 'kidney' | 'mass' | 'ignore';
  /** Where the value stands for one side; without it sides come from where a voxel lies. */
  readonly side?: Side;
  /** Of a mass. */
  readonly class?: MassClass;
}

/** By label value, 1..255; 0 is the background. */
export type LabelScheme = ReadonlyMap<number, LabelMeaning>;

const scheme = (meanings: Readonly<Record<number, LabelMeaning>>): LabelScheme =>
  new Map(Object.entries(meanings).map(([value, meaning]) => [Number(value), meaning]));

export const SCHEMES: Readonly<Record<'renvox' | 'kits', LabelScheme>> = {
  /** What `analyze` writes. */
  renvox: scheme({
    [LABELS.left]: { structure: 'kidney', side: 'left' },
    [LABELS.right]: { structure: 'kidney', side: 'right' },
    [LABELS.aml]: { structure: 'mass', class: 'aml' },
    [LABELS.cystic]: { structure: 'mass', class: 'cystic' },
    [LABELS.solid]: { structure: 'mass', class: 'solid' },
  }),
  /** KiTS21 and KiTS23: kidney, tumour, cyst. */
  kits: scheme({
    1: { structure: 'kidney' },
    2: { structure: 'mass', class: 'solid' },
    3: { structure: 'mass', class: 'cystic' },
  }),
};

/**
 * Predicted labels as KiTS has them. Under the scheme of the truth they are; under one of their own a kidney is 1, a cystic mass 3 and any other
 * mass 2, for KiTS knows tumours and cysts alone.
 */
export function kitsLabels(
  labels: Uint8Array,
  schemes: { truth: LabelScheme; prediction: LabelScheme },
): Uint8Array {
  const scheme = schemes.prediction;
  const ignored = [...scheme].some(([, { structure }]) => structure === 'ignore');
  if (scheme === schemes.truth && !ignored) return labels;
  const values = new Uint8Array(256);
  for (const [value, { structure, class: name }] of scheme) {
    if (structure === 'ignore') continue;
    const code = structure === 'kidney' ? 1 : name === 'cystic' ? 3 : 2;
    values[value] = scheme === schemes.truth ? value : code;
  }
  return labels.map((value) => values[value] as number);
}

/**
 * A scheme from JSON: {"1": {"structure": "kidney", "side": "left"}, "4": {"structure": "mass", "class": "cystic"}, "9": {"structure": "ignore"}}.
 * @throws RenvoxError InvalidArgument naming what is wrong
 */
export function parseScheme(json: unknown): LabelScheme {
  if (typeof json !== 'object' || json === null || Array.isArray(json))
    throw invalidArgument('labels', 'an object {value: {structure, side?, class?}}', json);
  const found = new Map<number, LabelMeaning>();
  for (const [key, meaning] of Object.entries(json)) {
    const value = Number(key);
    if (!(Number.isInteger(value) && value >= 1 && value <= 255))
      throw invalidArgument('labels', 'values from 1 to 255', key);
    const where = `labels["${key}"]`;
    if (typeof meaning !== 'object' || meaning === null || Array.isArray(meaning))
      throw invalidArgument(where, 'an object {structure, side?, class?}', meaning);
    const { structure, side, class: name, ...others } = meaning as Record<string, unknown>;
    const unknown = Object.keys(others);
    if (unknown.length > 0)
      throw invalidArgument(where, 'structure, side and class alone', unknown.join(', '));
    if (structure !== 'kidney' && structure !== 'mass' && structure !== 'ignore')
      throw invalidArgument(`${where}.structure`, 'kidney or mass or ignore', structure);
    if (structure === 'ignore' && side !== undefined)
      throw invalidArgument(`${where}.side`, 'nothing: what is ignored has no side', side);
    if (side !== undefined && side !== 'left' && side !== 'right')
      throw invalidArgument(`${where}.side`, 'left or right', side);
    if (name !== undefined && !MASS_CLASSES.includes(name as MassClass))
      throw invalidArgument(`${where}.class`, MASS_CLASSES.join(' or '), name);
    if (name !== undefined && structure !== 'mass')
      throw invalidArgument(`${where}.class`, 'nothing: only a mass has a class', name);
    found.set(value, {
      structure,
      ...(side !== undefined && { side }),
      ...(name !== undefined && { class: name as MassClass }),
    });
  }
  if (found.size === 0) throw invalidArgument('labels', 'at least one value', json);
  return found;
}

/** A scheme that was made by a program. @throws RenvoxError InvalidArgument naming what is wrong */
export function checkScheme(parameter: string, scheme: unknown): asserts scheme is LabelScheme {
  if (!(scheme instanceof Map))
    throw invalidArgument(
      parameter,
      'a Map by label value, as SCHEMES.kits and parseScheme() are',
      scheme,
    );
  parseScheme(Object.fromEntries(scheme));
}
