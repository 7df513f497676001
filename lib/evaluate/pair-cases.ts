/** Which files belong to which case, and which are missing. */
import { RenvoxError } from '../errors.js';
import type { CaseInput } from './case-input.js';
import type { Protocol } from './case-record.js';
import { findCases } from './find-cases.js';
import { findImages } from './find-images.js';
import type { ManifestEntry } from './manifest.js';
import { reportBeside } from './mass-report.js';
import { findReferences, type References } from './references.js';

/** A case that could not be measured. */
export interface FailedCase {
  readonly case: string;
  readonly status: 'failed' | 'no prediction' | 'no truth';
  readonly reason: string;
}

/** Something that looks wrong but stops nothing. */
export interface CaseWarning {
  /** null: of the whole cohort. */
  readonly case: string | null;
  readonly text: string;
}

export interface CohortFolders {
  readonly truth: string;
  readonly prediction: string;
  readonly onTruth?: string | undefined;
  readonly images?: string | undefined;
}

/**
 * Pairs true and predicted label maps by case id.
 * @param protocol - with kits21 references of several annotators are wanted beside the true label maps, or instead of them
 * @throws RenvoxError FileNotFound for a folder; InvalidFile where a case has two label maps or no case is in both folders
 */
export async function pairCases(
  folders: CohortFolders,
  protocol: Protocol,
  manifest: ReadonlyMap<string, ManifestEntry>,
): Promise<{ inputs: CaseInput[]; unpaired: FailedCase[]; warnings: CaseWarning[] }> {
  const sampled = protocol === 'kits21';
  const truths = await findCases(folders.truth);
  const predictions = await findCases(folders.prediction);
  const references = sampled ? await findReferences(folders.truth) : new Map<string, References>();
  const onTruth = folders.onTruth ? await findCases(folders.onTruth) : new Map<string, string>();
  const images = folders.images ? await findImages(folders.images) : new Map<string, string>();
  const known = [...new Set([...truths.keys(), ...references.keys()])].sort();
  const inputs: CaseInput[] = [];
  const unpaired: FailedCase[] = [];
  for (const id of known) {
    const prediction = predictions.get(id);
    if (prediction === undefined) {
      unpaired.push({ case: id, status: 'no prediction', reason: 'no predicted label map' });
      continue;
    }
    inputs.push({
      ...{ case: id, patient: manifest.get(id)?.patient ?? id, prediction },
      ...{ truth: truths.get(id), references: references.get(id) },
      report: await reportBeside(prediction, id),
      ...{ onTruth: onTruth.get(id), image: images.get(id) },
    });
  }
  for (const id of predictions.keys())
    if (!known.includes(id))
      unpaired.push({ case: id, status: 'no truth', reason: 'no true label map' });
  if (inputs.length === 0)
    throw new RenvoxError(
      'InvalidFile',
      `No case is in both folders: ${folders.truth} has ${sample(known)}, ${folders.prediction} has ${sample([...predictions.keys()])}${await annotationsAlone(folders.truth, known)}`,
      { truth: known.slice(0, 20), prediction: [...predictions.keys()].slice(0, 20) },
    );
  const warnings: CaseWarning[] = [];
  const without = (what: string, folder: string | undefined, key: 'onTruth' | 'image') => {
    const missing = inputs.filter((input) => input[key] === undefined).map((input) => input.case);
    if (folder !== undefined && missing.length > 0)
      warnings.push({
        case: null,
        text: `${missing.length} of ${inputs.length} cases have no ${what} in ${folder}: ${sample(missing)}`,
      });
  };
  without('label map on true contours', folders.onTruth, 'onTruth');
  without('CT', folders.images, 'image');
  return { inputs, unpaired, warnings };
}

/** A hint for folders of KiTS that have instances' annotations but no label maps. */
async function annotationsAlone(truth: string, known: readonly string[]): Promise<string> {
  if (known.length > 0) return '';
  const references = [...(await findReferences(truth)).keys()];
  if (references.length === 0) return '';
  return `, but annotations of instances alone: ${sample(references)}. --protocol kits21 is measured against those; kits23 needs a label map a case`;
}

function sample(names: readonly string[]): string {
  if (names.length === 0) return 'no label map';
  return `${names.slice(0, 3).join(', ')}${names.length > 3 ? `, … (${names.length})` : ''}`;
}
