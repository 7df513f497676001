/** What is minimised, and how fast: both depend on the share of the run that is done. */
import { add, crossEntropy, softDice } from '../ops/index.js';
import type { Tensor } from '../tensor.js';
import type { Preset } from './preset.js';

/**
 * The preset's loss of a batch, [1], at a share 0..1 of the run: cross entropy with its class weights of the moment, plus soft Dice where
 * the preset has it.
 */
export function lossOf(preset: Preset, logits: Tensor, target: Tensor, share: number): Tensor {
  const { classWeights, dice } = preset.loss;
  const weights = classWeights?.first.map((first, i) => {
    const last = classWeights.last[i] ?? first;
    return first + (last - first) * share;
  });
  const entropy = crossEntropy(logits, target, weights ? { classWeights: weights } : {});
  if (!dice) return entropy;
  // A class that a sample lacks would pull its Dice to 0 for a single false voxel; it is left out of the mean.
  return add(entropy, softDice(logits, target, { skipAbsent: true, ...dice }));
}

/** The learning rate at a share 0..1 of the run. */
export function rateOf(preset: Preset, share: number): number {
  const { constant, end } = preset.schedule;
  const { learningRate } = preset.optimiser;
  if (share <= constant || constant >= 1) return learningRate;
  return learningRate * (1 + ((end - 1) * (share - constant)) / (1 - constant));
}
