/** The main job, as users call it: its modules, a third of all, are read at the first call and not by every program that imports renvox. */

import type { Volume } from '../volume/index.js';
import type { AnalyzeOptions, Finding } from './index.js';

/**
 * Finds the kidneys and their masses on an abdominal CT and names each mass AML, cystic or solid.
 *
 * The CT goes to the device once, label map and figures come back from the part round the kidneys; the decisions in between are taken on the device. Left
 * and right are the patient's, from the CT's affine. A CT without kidneys gives kidneys of 0 voxels and no masses.
 *
 * Research software, not a medical device: not for clinical use.
 *
 * @param ct - in HU after its slope and intercept, any orientation and spacing. Its voxels are not copied on the CPU: until the promise settles they
 * must neither change nor be transferred to another thread (what is read then may be gone, and the process with it); so those of a second phase
 * @throws RenvoxError AbortError with the signal's reason as cause; OutOfMemory; InvalidWeights, FileNotFound for the weights
 */
export async function analyze(ct: Volume, options: AnalyzeOptions = {}): Promise<Finding> {
  const pipeline = await import('./analyze.js');
  return pipeline.analyze(ct, options);
}
