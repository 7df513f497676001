/** The two label maps of a case, whatever the truth is made of. */
import { RenvoxError } from '../errors.js';
import { readVolume, type Volume } from '../volume/index.js';
import { type CaseInput, joinedHash } from './case-input.js';
import { ReferenceScorer } from './kits.js';
import type { CaseSettings } from './measure-case.js';
import { pieceOf, readReferences } from './sampled-references.js';
import { kitsLabels } from './scheme.js';

/**
 * The two label maps; with kits21 the truth, where no label map of it is there, is the majority of the references.
 * @param options.score - with kits21, whether to score the prediction against each reference. Default true.
 * @throws RenvoxError as readVolume and readReferences; FileNotFound where kits21 has no references
 */
export async function readLabels(
  input: CaseInput,
  { protocol, scheme, predictionScheme, device, signal }: CaseSettings,
  { score = true }: { score?: boolean } = {},
): Promise<{
  truth: Volume;
  prediction: Volume;
  truthHash: string;
  kits?: ReferenceScorer;
}> {
  const read = (path: string) => readVolume(path, { signal });
  if (protocol !== 'kits21') {
    const [truth, prediction] = await Promise.all([
      read(input.truth as string),
      read(input.prediction),
    ]);
    return { truth, prediction, truthHash: truth.sha256 as string };
  }
  if (input.references === undefined)
    throw new RenvoxError(
      'FileNotFound',
      `Case ${input.case} has no references to sample: expected segmentation_samples/ or KIND_instance-I_annotation-A.nii.gz`,
      { case: input.case },
    );
  const prediction = await read(input.prediction);
  if (!score && input.truth !== undefined) {
    const truth = await read(input.truth);
    return { truth, prediction, truthHash: truth.sha256 as string };
  }
  const own = pieceOf(prediction, input.prediction, 255);
  const schemes = { truth: scheme, prediction: predictionScheme };
  const piece = { ...own, data: kitsLabels(own.data, schemes) };
  const kits = new ReferenceScorer([{ piece }], prediction.spacing, device);
  const { majority, sha256 } = await readReferences(
    input.case,
    input.references,
    prediction,
    async (reference) => {
      if (score) await kits.add(reference);
    },
    { signal },
  );
  const truth = input.truth === undefined ? majority : await read(input.truth);
  const truthHash = joinedHash(
    input.truth === undefined ? [sha256] : [truth.sha256 as string, sha256],
  );
  return { truth, prediction, truthHash, ...(score && { kits }) };
}
