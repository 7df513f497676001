import { appendFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '../atomic-write.js';
import { type Device, defaultDevice } from '../device.js';
import { RenvoxError } from '../errors.js';
import { withFolder } from '../locked-folder.js';
import { saveNetwork } from '../nn/index.js';
import { keep } from '../scope.js';
import { download, type Tensor } from '../tensor.js';
import { diagnose } from './diagnosis.js';
import { rateOf } from './loss.js';
import type { Preset } from './preset.js';
import { provenanceOf } from './provenance.js';
import { cutLog, noteSession, type Software } from './run-folder.js';
import type { Sampler } from './sampler.js';
import { TrainingState } from './state.js';
import { oneStep, type Step } from './step.js';
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
  samplesPerSecond: number;
  secondsLeft: number;
}

export interface TrainOptions {
  /**
   * The run's folder: preset.json, run.json (software, device, data, sessions), log.jsonl, curves.svg, checkpoints, best.safetensors (weights of the best
   * validation), and at the end weights.safetensors.
   */
  out: string;
  sampler: Sampler;
  device?: Device;
  /** Go on from the folder's checkpoint, if there is one. */
  resume?: boolean;
  /**
   * A weights file of the same architecture that a fresh run begins with. A resumed one goes on from its checkpoint; that it began with another
   * file is an error.
   */
  init?: string | undefined;
  signal?: AbortSignal | undefined;
  onProgress?: (progress: TrainProgress) => void;
  /** Version and commit for run.json and the weights files. */
  software?: Software | undefined;
}

export interface TrainResult {
  /** The file of the averaged weights (16-bit floats). */
  weights: string;
  /** The file of the averaged weights as they were at the best validation. */
  best: string;
  steps: number;
  loss: number;
  validation: ValidationResult;
  /** Whether the run ended early, for want of improvement. */
  stoppedEarly: boolean;
}

/** Steps between two looks at the loss: rarely enough that the queue never runs dry. */
const REPORT = 10;
/** Voxels that may wait in the queue as samples: fewer steps between two looks where samples are large. */
const WAITING = 4e6;

/** Steps between two looks; they fall on its multiples, so that a stop in between changes nothing. */
function reportEvery({ grid, batch }: Preset): number {
  const voxels = grid.shape.reduce((a, b) => a * b, batch);
  return Math.min(REPORT, Math.max(1, Math.floor(WAITING / voxels)));
}

/**
 * Trains a network as a preset says. Interrupted and resumed, at whatever moment, a run ends with the same bits as one that was not: a sample depends
 * on its seed alone, and a checkpoint holds all else. The folder belongs to one run at a time.
 * @throws RenvoxError InvalidArgument where a checkpoint belongs to another preset or other data; Diverged with the step, the layer and the sample when the loss or the gradient is no longer finite (the last checkpoint
 *   stays, if there is one); AbortError; WriteFailed
 */
export async function train(preset: Preset, options: TrainOptions): Promise<TrainResult> {
  return withFolder(options.out, () => runIn(preset, options));
}

async function runIn(preset: Preset, options: TrainOptions): Promise<TrainResult> {
  const { out, sampler, device = defaultDevice(), signal, onProgress } = options;
  if (!options.resume && (await TrainingState.exists(out)))
    throw new RenvoxError(
      'InvalidArgument',
      `The folder ${out} holds a run; resume it or choose another folder`,
      { out },
    );
  const data = provenanceOf(sampler);
  const resumed = options.resume
    ? await TrainingState.resume(preset, device, out, data)
    : undefined;
  const state = resumed ?? TrainingState.fresh(preset, device);
  try {
    state.data = data;
    if (options.init !== undefined)
      await (resumed ? state.checkBegun(options.init) : state.begin(options.init));
    await writeFileAtomic(join(out, 'preset.json'), [
      Buffer.from(`${JSON.stringify(preset, null, 2)}\n`),
    ]);
    const { software } = options;
    await noteSession(out, { software, sampler, device, step: state.step, init: state.init });
    const log = join(out, 'log.jsonl');
    if (resumed) await cutLog(log, state.step);
    else await writeFileAtomic(log, []);
    return await run(state, { out, log, sampler, device, software, signal, onProgress });
  } finally {
    state.dispose();
  }
}

interface Run {
  out: string;
  log: string;
  sampler: Sampler;
  device: Device;
  software: Software | undefined;
  signal: AbortSignal | undefined;
  onProgress: ((progress: TrainProgress) => void) | undefined;
}

async function run(state: TrainingState, options: Run): Promise<TrainResult> {
  const { preset } = state;
  const { out, sampler, device, signal } = options;
  const held = new ValidationSet(preset, sampler, device);
  const every = reportEvery(preset);
  let alive = keep(device.tensor(Int32Array.of(1)));
  const pending: Step[] = [];
  try {
    const begun = performance.now();
    const first = state.step;
    let loss = Number.NaN;
    let validation: ValidationResult | undefined;
    const judge = async (): Promise<ValidationResult | undefined> => {
      const seen = await held.evaluate(state.averaged, signal);
      state.unjudged = seen === undefined;
      if (seen && state.judge(seen.score)) await save16(state, join(out, BEST), options, seen);
      return seen;
    };
    const note = async (line: object): Promise<void> => {
      const seconds = (performance.now() - begun) / 1000;
      // The log goes first: what it says of steps after the checkpoint is cut when the run is resumed.
      await appendFile(options.log, `${JSON.stringify({ step: state.step, ...line, seconds })}\n`);
      if (validation) await drawCurves(preset, options);
    };
    const stop = async (): Promise<never> => {
      // Whatever was logged or not: a run that is stopped keeps all it has done.
      if (state.step > 0) await state.save(out);
      throw new RenvoxError(
        'AbortError',
        `Training was stopped after step ${state.step} of ${preset.steps}; it can be resumed`,
        { step: state.step },
        { cause: signal?.reason },
      );
    };
    if (state.unjudged) {
      validation = await judge();
      if (!validation) await stop();
      await note({ ...validation });
    }
    while (state.step < preset.steps && !state.exhausted) {
      const stopped = signal?.aborted ?? false;
      if (!stopped) {
        const step = oneStep(state, sampler, device, alive);
        for (const t of parts(step)) keep(t);
        // Those of pending steps are released with them.
        if (pending.length === 0) alive.dispose();
        pending.push(step);
        alive = step.alive;
        state.step++;
      }
      const last = state.step === preset.steps;
      const save = last || stopped || state.step % preset.checkpoint === 0;
      const look = last || (!stopped && state.step % preset.validation.every === 0);
      if (state.step % every !== 0 && !save && !look) continue;
      if (pending.length > 0) {
        const seen = await means(pending, state, sampler, device);
        // The last flag is needed for the next step.
        release(pending.splice(0), alive);
        loss = seen.loss;
        state.adjustScale(seen.overflows);
        validation = look ? await judge() : undefined;
        const rate = rateOf(preset, state.step / preset.steps);
        const scale = preset.precision === 'fp16' ? { scale: state.scaling.scale } : {};
        const { norm } = seen;
        await note({ loss, norm, rate, ...scale, ...validation });
        // Stopped in the middle of a validation: the run goes on with it.
        if (state.unjudged) await stop();
        if ((save || state.exhausted) && !stopped) await state.save(out);
        const stepsPerSecond = (1000 * (state.step - first)) / (performance.now() - begun);
        options.onProgress?.({
          stage: validation ? 'validate' : 'train',
          done: state.step,
          total: preset.steps,
          loss,
          ...(validation ? { validation } : {}),
          stepsPerSecond,
          samplesPerSecond: stepsPerSecond * preset.batch,
          secondsLeft: state.exhausted ? 0 : (preset.steps - state.step) / stepsPerSecond,
        });
      }
      if (stopped) await stop();
    }
    validation ??= (await held.evaluate(state.averaged, signal)) ?? (await stop());
    const weights = join(out, 'weights.safetensors');
    await save16(state, weights, options, validation);
    const stoppedEarly = state.step < preset.steps;
    return { weights, best: join(out, BEST), steps: state.step, loss, validation, stoppedEarly };
  } finally {
    release(pending, alive);
    alive.dispose();
    held.dispose();
  }
}

const BEST = 'best.safetensors';

/** Writes the averaged weights as 16-bit floats. */
async function save16(
  { preset, averaged, step, init }: TrainingState,
  path: string,
  { sampler, software }: Pick<Run, 'sampler' | 'software'>,
  validation: ValidationResult,
): Promise<void> {
  const { task, grid, window, contour, secondImage } = preset;
  const training = {
    preset,
    source: sampler.source,
    software: software ?? null,
    ...(init ? { init: { sha256: init } } : {}),
    steps: step,
    totalSteps: preset.steps,
    validation,
  };
  const { channels } = sampler;
  const preprocessing = {
    ...{ task, grid, window },
    ...(contour ? { contour } : {}),
    ...(secondImage ? { secondImage } : {}),
    ...(channels ? { channels } : {}),
  };
  await saveNetwork(path, averaged, { preprocessing, training }, { dtype: 'f16' });
}

async function drawCurves(preset: Preset, { out, log }: Run): Promise<void> {
  // What draws is loaded where there is something to draw.
  const { curvesOf } = await import('./curves.js');
  const svg = curvesOf(preset, await readFile(log, 'utf8'));
  if (svg) await writeFileAtomic(join(out, 'curves.svg'), [Buffer.from(svg)]);
}

function parts({ loss, norm, alive, finite }: Step): Tensor[] {
  return [loss, norm, alive, ...(finite ? [finite] : [])];
}

function release(steps: readonly Step[], but: Tensor): void {
  for (const t of steps.flatMap(parts)) if (t !== but) t.dispose();
}

/** The means over the steps that are enqueued; the last of them is number `state.step`. */
async function means(
  steps: readonly Step[],
  state: TrainingState,
  sampler: Sampler,
  device: Device,
): Promise<{ loss: number; norm: number; overflows: number }> {
  const values = await download(steps.flatMap(parts));
  const width = parts(steps[0] as Step).length;
  const numbers = steps.map((_, k) =>
    values.slice(k * width, (k + 1) * width).map((v) => v[0] as number),
  ) as [number, number, number, number?][];
  const bad = numbers.findIndex(([, , alive]) => alive === 0);
  if (bad >= 0) {
    const [loss, norm] = numbers[bad] as [number, number, number];
    const end = state.step;
    // The weights are those before this step: it, and all after it, changed nothing.
    state.step = end - steps.length + bad;
    const at = state.step + 1;
    const found = await diagnose(state, sampler, device);
    const { batch } = state.preset;
    const sample =
      found && found.sample !== null
        ? `, sample ${found.sample + 1} of ${batch} (seed ${found.seed})`
        : '';
    const where = found ? `: first in ${found.layer}${sample}` : '';
    const what = Number.isFinite(loss) ? 'norm of the gradient' : 'loss';
    throw new RenvoxError(
      'Diverged',
      `The ${what} became ${Number.isFinite(loss) ? norm : loss} in step ${at}${where}; ${state.lastCheckpoint}`,
      { step: at, ...found },
    );
  }
  const finite = numbers.filter(([, , , fits]) => fits !== 0);
  const mean = (of: readonly (readonly (number | undefined)[])[], column: number) =>
    of.reduce((sum, row) => sum + (row[column] as number), 0) / Math.max(1, of.length);
  return {
    loss: mean(numbers, 0),
    norm: mean(finite, 1),
    overflows: numbers.length - finite.length,
  };
}
