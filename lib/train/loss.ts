/** What is minimised, and how fast: both depend on the share of the run that is done. */
import {
  add,
  coveringAffine,
  crossEntropy,
  resample,
  softDice,
  weightedSum,
} from '../ops/index.js';
import type { Tensor } from '../tensor.js';
import type { Preset } from './preset.js';

/**
 * The preset's loss of a batch, [1], at a share 0..1 of the run: cross entropy with its class weights of the moment, plus soft Dice where
 * the preset has it.
 */
export function lossOf(preset: Preset, logits: Tensor, target: Tensor, share: number): Tensor {
  const { classWeights, dice, focus } = preset.loss;
  const weights = classWeights?.first.map((first, i) => {
    const last = classWeights.last[i] ?? first;
    return first + (last - first) * share;
  });
  const entropy = crossEntropy(logits, target, {
    ...(weights ? { classWeights: weights } : {}),
    ...(focus ? { focus } : {}),
  });
  if (!dice) return entropy;
  // A class that a sample lacks would pull its Dice to 0 for a single false voxel; it is left out of the mean.
  return add(entropy, softDice(logits, target, { skipAbsent: true, ...dice }));
}

/**
 * Deep supervision (nnU-Net): the losses of all levels, finest first, weighted 1, 1/2, 1/4, ... over their sum; each coarser level's target is
 * the label of the nearest voxel.
 */
export function deepLossOf(
  preset: Preset,
  levels: readonly Tensor[],
  target: Tensor,
  share: number,
): Tensor {
  const [, ...size] = target.shape as [number, number, number, number];
  const factors = levels.map((_, k) => 2 ** -k);
  const sum = factors.reduce((a, b) => a + b, 0);
  const losses = levels.map((logits, k) => {
    const coarse = logits.shape.slice(1, 4) as [number, number, number];
    const affine = coveringAffine(size as [number, number, number], coarse);
    const seen = k === 0 ? target : resample(target, { size: coarse, affine, mode: 'nearest' });
    return lossOf(preset, logits, seen, share);
  });
  return weightedSum(
    losses,
    factors.map((factor) => factor / sum),
  );
}

/** The learning rate at a share 0..1 of the run. */
export function rateOf(preset: Preset, share: number): number {
  const { learningRate } = preset.optimiser;
  if ('poly' in preset.schedule) return learningRate * (1 - share) ** preset.schedule.poly;
  const { constant, end } = preset.schedule;
  if (share <= constant || constant >= 1) return learningRate;
  return learningRate * (1 + ((end - 1) * (share - constant)) / (1 - constant));
}
