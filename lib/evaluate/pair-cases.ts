/** Which files belong to which case, and which are missing. */
import { RenvoxError } from '../errors.js';
import type { CaseInput } from './case-input.js';
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

export interface CohortFolders {
  readonly truth: string;
  readonly prediction: string;
  readonly onTruth?: string | undefined;
  readonly images?: string | undefined;
}

/**
 * Pairs true and predicted label maps by case id.
 * @param sampled - whether references of several annotators are wanted beside the true label maps, or instead of them
 * @throws RenvoxError FileNotFound for a folder; InvalidFile where a case has two label maps or no case is in both folders
 */
export async function pairCases(
  folders: CohortFolders,
  sampled: boolean,
  manifest: ReadonlyMap<string, ManifestEntry>,
): Promise<{ inputs: CaseInput[]; unpaired: FailedCase[] }> {
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
      `No case is in both folders: ${folders.truth} has ${sample(known)}, ${folders.prediction} has ${sample([...predictions.keys()])}`,
      { truth: known.slice(0, 20), prediction: [...predictions.keys()].slice(0, 20) },
    );
  return { inputs, unpaired };
}

function sample(names: readonly string[]): string {
  if (names.length === 0) return 'no label map';
  return `${names.slice(0, 3).join(', ')}${names.length > 3 ? `, … (${names.length})` : ''}`;
}
