/** The files of a case, and what identifies their bytes. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type References, referenceFiles } from './references.js';

export interface CaseInput {
  readonly case: string;
  readonly patient: string;
  /** The true label map. Only where there are references may it be missing. */
  readonly truth?: string | undefined;
  readonly prediction: string;
  /** References of several annotators, for kits21. */
  readonly references?: References | undefined;
  /** The report of the analysis that made the prediction. */
  readonly report?: string | undefined;
  /** A label map of what the true masses are called on their true contours. */
  readonly onTruth?: string | undefined;
  /** The CT: for pictures, and for the body's mid-plane where labels name no sides. */
  readonly image?: string | undefined;
}

/** SHA-256 by role. Of several files it is that over their hashes, in order. */
export interface CaseHashes {
  readonly truth: string;
  readonly prediction: string;
  readonly report?: string;
  readonly on_truth?: string;
  /** The CT, where it decided what is left and right. */
  readonly image?: string;
}

export function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Of one hash itself; of several, the hash over their lines. */
export function joinedHash(hashes: readonly string[]): string {
  const [first, ...others] = hashes;
  if (first !== undefined && others.length === 0) return first;
  return sha256Of(Buffer.from(`${hashes.join('\n')}\n`));
}

export async function sha256OfFile(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const piece of createReadStream(file)) hash.update(piece as Buffer);
  return hash.digest('hex');
}

/**
 * Hashes as a record holds them, from the files as they are now.
 * @param image - whether the CT is one of them
 */
export async function hashesOf(input: CaseInput, image: boolean): Promise<CaseHashes> {
  const truth = input.truth === undefined ? [] : [await sha256OfFile(input.truth)];
  if (input.references) {
    const lines: string[] = [];
    for (const file of referenceFiles(input.references)) lines.push(await sha256OfFile(file));
    truth.push(sha256Of(Buffer.from(lines.map((line) => `${line}\n`).join(''))));
  }
  return {
    truth: joinedHash(truth),
    prediction: await sha256OfFile(input.prediction),
    ...(input.report && { report: await sha256OfFile(input.report) }),
    ...(input.onTruth && { on_truth: await sha256OfFile(input.onTruth) }),
    ...(input.image && image && { image: await sha256OfFile(input.image) }),
  };
}
