import { appendFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolder, writeFileAtomic } from '../atomic-write.js';
import { gradients } from '../autograd/index.js';
import { type Device, defaultDevice } from '../device.js';
import { RenvoxError } from '../errors.js';
import { saveNetwork } from '../nn/index.js';
import { adam, average, clipGradients, sgd, stack } from '../ops/index.js';
import { scope } from '../scope.js';
import { download, type Tensor } from '../tensor.js';
import { lossOf, rateOf } from './loss.js';
import type { Preset } from './preset.js';
import { type Sampler, trainingSeed } from './sampler.js';
import { TrainingState } from './state.js';
import { type ValidationResult, ValidationSet } from './validation.js';

export interface TrainProgress {
  stage: 'train' | 'validate';
  /** Steps done, of how many. */
  done: number;
  total: number;
  /** Mean loss since the last report. */
  loss: number;
  validation?: ValidationResult;
  stepsPerSecond: number;
  secondsLeft: number;
}

export interface TrainOptions {
  /** The run's folder: preset.json, log.jsonl, checkpoints, and at the end weights.safetensors. */
  out: string;
  sampler: Sampler;
  device?: Device;
  /** Go on from the folder's checkpoint, if there is one. */
  resume?: boolean;
  signal?: AbortSignal | undefined;
  onProgress?: (progress: TrainProgress) => void;
}

export interface TrainResult {
  /** The file of the averaged weights (16-bit floats). */
  weights: string;
  steps: number;
  loss: number;
  validation: ValidationResult;
}

/** Steps between two looks at the loss: rarely enough that the queue never runs dry. */
const REPORT = 10;

/**
 * Trains a network as a preset says. Interrupted and resumed, a run ends with the same bits as one that was not: a sample depends on
 * its seed alone, and a checkpoint holds all else.
 * @throws RenvoxError Diverged with the step when the loss is no longer finite (the last checkpoint stays); AbortError; WriteFailed
 */
export async function train(preset: Preset, options: TrainOptions): Promise<TrainResult> {
  const { out, sampler, device = defaultDevice(), signal, onProgress } = options;
  await makeFolder(out);
  if (!options.resume && (await TrainingState.exists(out)))
    throw new RenvoxError(
      'InvalidArgument',
      `The folder ${out} holds a run; resume it or choose another folder`,
      { out },
    );
  const resumed = options.resume ? await TrainingState.resume(preset, device, out) : undefined;
  const state = resumed ?? TrainingState.fresh(preset, device);
  try {
    await writeFileAtomic(join(out, 'preset.json'), [
      Buffer.from(`${JSON.stringify(preset, null, 2)}\n`),
    ]);
    const log = join(out, 'log.jsonl');
    if (resumed) await cutLog(log, state.step);
    else await writeFileAtomic(log, []);
    return await run(state, { out, log, sampler, device, signal, onProgress });
  } finally {
    state.dispose();
  }
}

interface Run {
  out: string;
  log: string;
  sampler: Sampler;
  device: Device;
  signal: AbortSignal | undefined;
  onProgress: ((progress: TrainProgress) => void) | undefined;
}

async function run(state: TrainingState, options: Run): Promise<TrainResult> {
  const { preset } = state;
  const { out, sampler, device, signal } = options;
  const held = new ValidationSet(preset, sampler, device);
  try {
    const begun = performance.now();
    const first = state.step;
    let pending: Step[] = [];
    let loss = Number.NaN;
    let validation: ValidationResult | undefined;
    while (state.step < preset.steps) {
      const stopped = signal?.aborted ?? false;
      if (!stopped) {
        pending.push(oneStep(state, sampler, device));
        state.step++;
      }
      const last = state.step === preset.steps;
      const keep = last || stopped || state.step % preset.checkpoint === 0;
      const look = last || (!stopped && state.step % preset.validation.every === 0);
      if (pending.length < REPORT && !keep && !look) continue;
      if (pending.length > 0) {
        const seen = await means(pending, state.step);
        pending = [];
        loss = seen.loss;
        validation = look ? await held.evaluate(state.averaged) : undefined;
        if (validation && !(state.best && state.best.score >= validation.score))
          state.best = { score: validation.score, step: state.step };
        const seconds = (performance.now() - begun) / 1000;
        const rate = rateOf(preset, state.step / preset.steps);
        const line = { step: state.step, ...seen, rate, ...validation, seconds };
        // The log goes first: what it says of steps after the checkpoint is cut when the run is resumed.
        await appendFile(options.log, `${JSON.stringify(line)}\n`);
        if (keep && !stopped) await state.save(out);
        const stepsPerSecond = (state.step - first) / seconds;
        options.onProgress?.({
          stage: validation ? 'validate' : 'train',
          done: state.step,
          total: preset.steps,
          loss,
          ...(validation ? { validation } : {}),
          stepsPerSecond,
          secondsLeft: (preset.steps - state.step) / stepsPerSecond,
        });
      }
      if (stopped) {
        // Whatever was logged or not: a run that is stopped keeps all it has done.
        if (state.step > 0) await state.save(out);
        throw new RenvoxError(
          'AbortError',
          `Training was stopped after step ${state.step} of ${preset.steps}; it can be resumed`,
          { step: state.step },
          { cause: signal?.reason },
        );
      }
    }
    validation ??= await held.evaluate(state.averaged);
    const weights = join(out, 'weights.safetensors');
    const { task, grid, window } = preset;
    const training = { preset, source: sampler.source, steps: state.step, validation };
    const preprocessing = { task, grid, window };
    await saveNetwork(weights, state.averaged, { preprocessing, training }, { dtype: 'f16' });
    return { weights, steps: state.step, loss, validation };
  } finally {
    held.dispose();
  }
}

/** What is looked at later of a step that is enqueued: tensors of one element. */
interface Step {
  loss: Tensor;
  /** The gradient's norm before clipping. */
  norm: Tensor;
}

/** Enqueues one step. */
function oneStep(state: TrainingState, sampler: Sampler, device: Device): Step {
  const { preset, network, averaged, moments, step } = state;
  const { batch, seed, optimiser } = preset;
  const share = step / preset.steps;
  return scope(() => {
    const samples = Array.from({ length: batch }, (_, i) =>
      sampler.training(device, trainingSeed(seed, step, i, batch)),
    );
    const image = together(samples.map((s) => s.image));
    const target = together(samples.map((s) => s.target));
    const parameters = [...network.parameters.values()];
    const { value: loss, gradients: made } = gradients(
      () => lossOf(preset, network.forward(image, { training: true, seed: step }), target, share),
      parameters,
    );
    const norm = clipGradients(made, preset.clip);
    const lr = rateOf(preset, share);
    const weightDecay = optimiser.weightDecay ?? 0;
    if (optimiser.kind === 'sgd')
      sgd(parameters, made, moments.first, {
        ...{ lr, weightDecay, momentum: optimiser.momentum, nesterov: true },
      });
    else
      adam(parameters, made, moments.first, moments.second, {
        ...{ lr, weightDecay, step: step + 1, decoupled: optimiser.kind === 'adamw' },
      });
    // A young average would remember the random start for long, so the decay grows to its value.
    const decay = Math.min(preset.average, (1 + step) / (10 + step));
    average([...averaged.tensors.values()], [...network.tensors.values()], decay);
    return { loss, norm };
  });
}

/** Samples [1, ...] as one batch. */
function together(tensors: Tensor[]): Tensor {
  return tensors.length === 1 ? (tensors[0] as Tensor) : stack(tensors);
}

/** The means over some steps, the last of which is number `step`. */
async function means(steps: Step[], step: number): Promise<{ loss: number; norm: number }> {
  const values = await download(steps.flatMap(({ loss, norm }) => [loss, norm]));
  const numbers = values.map((v) => v[0] as number);
  for (const { loss, norm } of steps) {
    loss.dispose();
    norm.dispose();
  }
  const bad = numbers.findIndex((v) => !Number.isFinite(v));
  if (bad >= 0) {
    const at = step - steps.length + Math.floor(bad / 2) + 1;
    throw new RenvoxError(
      'Diverged',
      `The ${bad % 2 === 0 ? 'loss' : 'norm of the gradient'} became ${numbers[bad]} in step ${at}; the last checkpoint is intact`,
      { step: at },
    );
  }
  const mean = (odd: number) =>
    numbers.reduce((sum, v, i) => sum + (i % 2 === odd ? v : 0), 0) / steps.length;
  return { loss: mean(0), norm: mean(1) };
}

/** Takes back what a run logged after the checkpoint that it is resumed from. */
async function cutLog(path: string, step: number): Promise<void> {
  const text = await readFile(path, 'utf8').catch(() => '');
  const lines = text.split('\n').filter((line) => {
    try {
      return (JSON.parse(line) as { step: number }).step <= step;
    } catch {
      return false;
    }
  });
  await writeFileAtomic(path, [Buffer.from(lines.map((l) => `${l}\n`).join(''))]);
}
