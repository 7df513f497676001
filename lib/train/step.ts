/** One training step: samples, gradients, clipping, the optimiser, the running average. Only enqueues. */
import { gradients } from '../autograd/index.js';
import type { Device } from '../device.js';
import { UNet3D } from '../nn/index.js';
import {
  adam,
  add,
  allFinite,
  average,
  clipGradients,
  scaleBy,
  sgd,
  stack,
  weightedSum,
} from '../ops/index.js';
import { scope } from '../scope.js';
import type { Tensor } from '../tensor.js';
import { deepLossOf, lossOf, rateOf } from './loss.js';
import type { Preset } from './preset.js';
import { type Sample, type Sampler, trainingSeed } from './sampler.js';
import type { TrainingState } from './state.js';

/** What is looked at later of a step that is enqueued: tensors of one element. */
export interface Step {
  /** Mean over the batch. */
  loss: Tensor;
  /** The gradient's norm before clipping. */
  norm: Tensor;
  /** i32: 1 while no step before this one, nor this one, has diverged; weights then stay as they were before the step that did. */
  alive: Tensor;
  /** i32, for fp16: whether the scaled gradients were finite. Where not, the step changed nothing. */
  finite: Tensor | undefined;
}

/** The samples of a step that go through the network together. */
export function samplesOf(
  { seed, batch }: Preset,
  sampler: Sampler,
  device: Device,
  step: number,
  indices: readonly number[],
): { image: Tensor; target: Tensor } {
  const samples = indices.map((i) => sampler.training(device, trainingSeed(seed, step, i, batch)));
  return together(samples);
}

/** Which samples of the batch go through the network together: [[0, 1], [2, 3]] of a batch of 4 with micro batches of 2. */
export function microBatches({ batch, microBatch = batch }: Preset): number[][] {
  return Array.from({ length: batch / microBatch }, (_, k) =>
    Array.from({ length: microBatch }, (_, i) => k * microBatch + i),
  );
}

/** The loss of a micro batch under the network as it is. */
export function forwardLoss(
  { preset, network, step }: TrainingState,
  { image, target }: Sample,
): Tensor {
  const share = step / preset.steps;
  const options = { training: true, seed: step, precision: preset.precision };
  if (network instanceof UNet3D && (network.config.deepSupervision ?? 0) > 0)
    return deepLossOf(preset, network.forwardDeep(image, options), target, share);
  return lossOf(preset, network.forward(image, options), target, share);
}

/**
 * Enqueues a step.
 * @param alive - of the step before
 * @param rate - instead of the preset's
 */
export function oneStep(
  state: TrainingState,
  sampler: Sampler,
  device: Device,
  alive: Tensor,
  rate?: number,
): Step {
  const { preset, network, averaged, moments, step } = state;
  return scope(() => {
    const parameters = [...network.parameters.values()];
    const groups = microBatches(preset);
    const scale = preset.precision === 'fp16' ? state.scaling.scale : 1;
    let sum: Tensor[] | undefined;
    const losses: Tensor[] = [];
    for (const indices of groups) {
      const part = scope(() => {
        const samples = samplesOf(preset, sampler, device, step, indices);
        const factor = scale / groups.length;
        const seed = factor === 1 ? undefined : device.full([1], factor);
        const made = gradients(() => forwardLoss(state, samples), parameters, seed);
        const before = sum;
        return {
          loss: made.value,
          sum: before ? made.gradients.map((g, i) => add(before[i] as Tensor, g)) : made.gradients,
        };
      });
      for (const t of sum ?? []) t.dispose();
      sum = part.sum;
      losses.push(part.loss);
    }
    const scaled = sum as Tensor[];
    const made = scale === 1 ? scaled : scaled.map((g) => scaleBy(g, 1 / scale));
    const loss =
      losses.length === 1
        ? (losses[0] as Tensor)
        : weightedSum(
            losses,
            losses.map(() => 1 / losses.length),
          );
    const norm = clipGradients(made, preset.clip);
    const finite = preset.precision === 'fp16' ? allFinite([norm]) : undefined;
    // Once it is 0 it stays 0: what is skipped reads as zeros.
    const now = device.under({ when: { counts: alive, index: 0 } }, () =>
      allFinite(finite ? [loss] : [loss, norm]),
    );
    const update = () => {
      const lr = rate ?? rateOf(preset, step / preset.steps);
      optimise(preset, parameters, made, moments, lr, step);
      // A young average would remember the random start for long, so the decay grows to its value.
      const decay = Math.min(preset.average, (1 + step) / (10 + step));
      average([...averaged.tensors.values()], [...network.tensors.values()], decay);
    };
    device.under({ when: { counts: now, index: 0 } }, () => {
      if (finite) device.under({ when: { counts: finite, index: 0 } }, update);
      else update();
    });
    return { loss, norm, alive: now, finite };
  });
}

function optimise(
  { optimiser }: Preset,
  parameters: Tensor[],
  made: Tensor[],
  moments: TrainingState['moments'],
  lr: number,
  step: number,
): void {
  const weightDecay = optimiser.weightDecay ?? 0;
  if (optimiser.kind === 'sgd') {
    const { momentum } = optimiser;
    sgd(parameters, made, moments.first, { lr, weightDecay, momentum, nesterov: true });
  } else
    adam(parameters, made, moments.first, moments.second, {
      ...{ lr, weightDecay, step: step + 1, decoupled: optimiser.kind === 'adamw' },
    });
}

/** Samples [1, ...] as one batch. */
function together(samples: readonly Sample[]): Sample {
  const [first] = samples as [Sample];
  if (samples.length === 1) return first;
  return {
    image: stack(samples.map((s) => s.image)),
    target: stack(samples.map((s) => s.target)),
  };
}
