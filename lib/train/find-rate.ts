/** The learning-rate range test. */
import { type Device, defaultDevice } from '../device.js';
import { invalidArgument, RenvoxError } from '../errors.js';
import { keep } from '../scope.js';
import type { Preset } from './preset.js';
import type { Sampler } from './sampler.js';
import { TrainingState } from './state.js';
import { oneStep } from './step.js';

export interface FindRateOptions {
  sampler: Sampler;
  device?: Device;
  /** First and last rate; default 1e-6 and 1. */
  from?: number;
  to?: number;
  /** Steps from one to the other; default 100. */
  steps?: number;
  /** A weights file of the same architecture to begin with, as `train` takes it: trained weights bear another rate than fresh ones. */
  init?: string | undefined;
  signal?: AbortSignal | undefined;
  onProgress?: (progress: { done: number; total: number; rate: number; loss: number }) => void;
}

export interface RateCurve {
  /** Ascending; as many as there were steps before the loss ran away. */
  rates: number[];
  /** The loss at each, smoothed: a running mean with decay 0.9, corrected for its start. */
  losses: number[];
  /** A tenth of the rate at which the smoothed loss was least. */
  suggestion: number;
}

/** Once the smoothed loss is this many times the least one, the rest would say nothing new. */
const RUN_AWAY = 4;
const SMOOTH = 0.9;

/**
 * Trains a fresh network, or one from a file, for a few steps while the learning rate rises exponentially, and says which rate to begin with (Smith 2017, arXiv
 * 1506.01186). Nothing is kept of it.
 * @throws RenvoxError InvalidArgument, AbortError; FileNotFound, InvalidWeights of `init`; Diverged where not even the first rate gives a finite loss
 */
export async function findRate(preset: Preset, options: FindRateOptions): Promise<RateCurve> {
  const { sampler, device = defaultDevice(), from = 1e-6, to = 1, steps = 100 } = options;
  if (!(from > 0 && to > from && Number.isFinite(to)))
    throw invalidArgument('from and to of findRate', 'two rising rates above 0', [from, to]);
  if (!Number.isSafeInteger(steps) || steps < 2)
    throw invalidArgument('steps of findRate', 'an integer of at least 2', steps);
  const state = TrainingState.fresh({ ...preset, steps }, device);
  let alive = keep(device.tensor(Int32Array.of(1)));
  const curve = { rates: [] as number[], losses: [] as number[] };
  let mean = 0;
  try {
    if (options.init !== undefined) await state.begin(options.init);
    for (let k = 0; k < steps; k++) {
      if (options.signal?.aborted)
        throw new RenvoxError(
          'AbortError',
          `Stopped after ${k} of ${steps} steps`,
          { step: k },
          { cause: options.signal.reason },
        );
      const rate = from * (to / from) ** (k / (steps - 1));
      const step = oneStep(state, sampler, device, alive, rate);
      for (const t of [step.loss, step.norm, step.finite]) if (t) keep(t);
      alive.dispose();
      alive = keep(step.alive);
      const loss = await step.loss.item();
      for (const t of [step.loss, step.norm, step.finite]) t?.dispose();
      state.step++;
      if (!Number.isFinite(loss)) break;
      mean = SMOOTH * mean + (1 - SMOOTH) * loss;
      const smooth = mean / (1 - SMOOTH ** (k + 1));
      if (smooth > RUN_AWAY * Math.min(...curve.losses)) break;
      curve.rates.push(rate);
      curve.losses.push(smooth);
      options.onProgress?.({ done: k + 1, total: steps, rate, loss: smooth });
    }
  } finally {
    alive.dispose();
    state.dispose();
  }
  const least = curve.losses.indexOf(Math.min(...curve.losses));
  if (least < 0)
    throw new RenvoxError('Diverged', `The loss is not finite at the rate ${from}`, { from });
  return { ...curve, suggestion: (curve.rates[least] as number) / 10 };
}
