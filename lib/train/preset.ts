/** Presets: everything that decides a training run, as plain data. They are written into every run and every weights file. */
import { RenvoxError } from '../errors.js';
import type { WeightsMetadata } from '../nn/index.js';

/** What a network learns. */
export type Task =
  /** Background and kidney (both kidneys with their masses) on a grid of fixed mm round the abdomen. */
  | 'kidney'
  /** Background, kidney and mass round one kidney, the kidney's mask as second channel. */
  | 'mass'
  /** AML, cystic or solid: one mass, everything outside its contour removed. */
  | 'class';

export interface HounsfieldWindow {
  /** HU in the middle of the window. */
  level: number;
  /** HU from its bottom to its top. */
  width: number;
  /** What the bottom and the top become. */
  low: number;
  high: number;
}

export interface Preset {
  version: 1;
  name: string;
  task: Task;
  architecture: WeightsMetadata['architecture'];
  /**
   * The network's grid: voxels along D, H, W, and their spacing in mm. A crop round a kidney or a mass keeps `margin` mm free on each side, and
   * its voxels grow where that would not fit.
   */
  grid: { shape: [number, number, number]; spacing: [number, number, number]; margin?: number };
  window: HounsfieldWindow;
  seed: number;
  steps: number;
  batch: number;
  loss: {
    /** Class weights of the cross entropy at the first and at the last step; linear in between. Default 1 each. */
    classWeights?: { first: number[]; last: number[] };
    /** Soft Dice beside the cross entropy, the background left out; a weight a class, default 1 each. */
    dice?: { classWeights?: number[] };
  };
  optimiser:
    | { kind: 'adam' | 'adamw'; learningRate: number; weightDecay?: number }
    | { kind: 'sgd'; learningRate: number; momentum: number; weightDecay?: number };
  /** The rate stays until `constant` of the steps are done, then falls linearly to `end` of itself. */
  schedule: { constant: number; end: number };
  /** Largest norm of the whole gradient. */
  clip: number;
  /** Decay of the running average of the weights, which is what is evaluated and kept. */
  average: number;
  validation: { every: number; samples: number };
  /** Steps between checkpoints. */
  checkpoint: number;
}

/** mm that a crop keeps free round what it shows. */
export function cropMargin(grid: Preset['grid']): number {
  return grid.margin ?? 0;
}

const abdomen: HounsfieldWindow = { level: 40, width: 400, low: -1, high: 1 };

const kidney: Preset = {
  version: 1,
  name: 'kidney',
  task: 'kidney',
  architecture: {
    kind: 'unet3d',
    config: {
      inputChannels: 1,
      classes: 2,
      channels: [8, 16, 32, 64, 64],
      convolutions: { encoder: 2, decoder: 1 },
      convolutionBias: false,
    },
  },
  grid: { shape: [48, 48, 64], spacing: [6, 6, 6] },
  window: abdomen,
  seed: 1,
  steps: 9000,
  batch: 1,
  loss: { classWeights: { first: [1, 4], last: [1, 1] }, dice: {} },
  optimiser: { kind: 'adam', learningRate: 3e-3 },
  schedule: { constant: 0.6, end: 0.05 },
  clip: 2,
  average: 0.995,
  validation: { every: 500, samples: 16 },
  checkpoint: 250,
};

const mass: Preset = {
  version: 1,
  name: 'mass',
  task: 'mass',
  architecture: {
    kind: 'unet3d',
    config: {
      inputChannels: 2,
      classes: 3,
      channels: [8, 16, 32, 64],
      convolutions: { encoder: 2, decoder: 1 },
      convolutionBias: false,
    },
  },
  grid: { shape: [56, 40, 40], spacing: [2.5, 2.5, 2.5], margin: 8 },
  window: abdomen,
  seed: 2,
  steps: 6500,
  batch: 1,
  loss: { classWeights: { first: [1, 1, 10], last: [1, 1, 1] }, dice: { classWeights: [0, 1, 2] } },
  optimiser: { kind: 'adam', learningRate: 3e-3 },
  schedule: { constant: 0.5, end: 0.05 },
  clip: 2,
  average: 0.995,
  validation: { every: 500, samples: 32 },
  checkpoint: 100,
};

const classifier: Preset = {
  version: 1,
  name: 'class',
  task: 'class',
  architecture: {
    kind: 'resnet3d',
    config: {
      classes: 3,
      widths: [16, 32, 64, 128],
      geometry: 'strided',
      hidden: 64,
      dropout: 0.1,
    },
  },
  grid: { shape: [32, 32, 32], spacing: [1, 1, 1], margin: 2 },
  window: abdomen,
  seed: 3,
  steps: 3000,
  batch: 12,
  loss: {},
  optimiser: { kind: 'adam', learningRate: 2e-3 },
  schedule: { constant: 0.5, end: 0.05 },
  clip: 5,
  average: 0.995,
  validation: { every: 250, samples: 240 },
  checkpoint: 100,
};

/**
 * The renal study's own sizes (Front. Oncol. 2023, doi 10.3389/fonc.2023.1169922): the whole CT resized to 128^3, 16 initial filters, batch 4, 1e-4. The
 * study's 400 epochs of 487 series are 48,700 steps. What it does not say (norm, loss, schedule) is as in the presets above; its window is
 * read as level 30, width 300.
 */
const paper: Preset = {
  version: 1,
  name: 'paper',
  task: 'kidney',
  architecture: {
    kind: 'unet3d',
    config: { inputChannels: 1, classes: 2, channels: [16, 32, 64, 128, 256] },
  },
  grid: { shape: [128, 128, 128], spacing: [3, 3, 3] },
  window: { level: 30, width: 300, low: 0, high: 1 },
  seed: 4,
  steps: 48700,
  batch: 4,
  loss: { dice: {} },
  optimiser: { kind: 'adam', learningRate: 1e-4 },
  schedule: { constant: 1, end: 1 },
  clip: 12,
  average: 0.999,
  validation: { every: 1000, samples: 8 },
  checkpoint: 500,
};

/** The presets that come with the package, by name. */
export const presets: Readonly<Record<string, Preset>> = Object.freeze({
  kidney,
  mass,
  class: classifier,
  paper,
});

/**
 * Checks that a value, from a JSON file say, is a preset.
 * @throws RenvoxError InvalidArgument naming the first field that is wrong
 */
export function checkPreset(value: unknown): Preset {
  const p = value as Preset;
  const check = (sound: boolean, field: string, expected: string, received: unknown): void => {
    if (!sound)
      throw new RenvoxError(
        'InvalidArgument',
        `Expected ${expected} for ${field} of the preset but received ${JSON.stringify(received)}`,
        { field },
      );
  };
  const count = (n: unknown) => Number.isSafeInteger(n) && (n as number) >= 1;
  const share = (n: unknown) => typeof n === 'number' && n >= 0 && n <= 1;
  const weights = (list: unknown, classes: number) =>
    Array.isArray(list) && list.length === classes && list.every((w) => w >= 0);
  check(typeof value === 'object' && value !== null, 'the whole', 'an object', value);
  check(p.version === 1, 'version', '1', p.version);
  check(typeof p.name === 'string' && p.name !== '', 'name', 'a text', p.name);
  check(tasks.includes(p.task), 'task', `one of ${tasks.join(', ')}`, p.task);
  const { kind, config } = p.architecture ?? {};
  const known = (kind === 'unet3d' || kind === 'resnet3d') && typeof config === 'object';
  check(known, 'architecture', '{kind: unet3d or resnet3d, config}', p.architecture);
  const { shape, spacing } = p.grid ?? {};
  const three = (list: unknown): list is number[] => Array.isArray(list) && list.length === 3;
  check(three(shape) && shape.every(count), 'grid.shape', 'three positive integers', shape);
  const positive = three(spacing) && spacing.every((mm) => mm > 0 && Number.isFinite(mm));
  check(positive, 'grid.spacing', 'three positive numbers', spacing);
  const margin = cropMargin(p.grid);
  check(margin >= 0 && Number.isFinite(margin), 'grid.margin', 'a number of at least 0', margin);
  for (const field of ['level', 'width', 'low', 'high'] as const)
    check(Number.isFinite(p.window?.[field]), `window.${field}`, 'a number', p.window?.[field]);
  check(p.window.width > 0, 'window.width', 'a positive number', p.window.width);
  check(p.seed === 0 || count(p.seed), 'seed', 'an integer of at least 0', p.seed);
  for (const field of ['steps', 'batch', 'checkpoint'] as const)
    check(count(p[field]), field, 'a positive integer', p[field]);
  check(typeof p.loss === 'object' && p.loss !== null, 'loss', 'an object', p.loss);
  const { classWeights, dice } = p.loss;
  for (const field of ['first', 'last'] as const)
    check(
      !classWeights || weights(classWeights[field], config.classes),
      `loss.classWeights.${field}`,
      `${config.classes} numbers of at least 0`,
      classWeights?.[field],
    );
  check(
    !dice?.classWeights || weights(dice.classWeights, config.classes),
    'loss.dice.classWeights',
    `${config.classes} numbers of at least 0`,
    dice?.classWeights,
  );
  const { optimiser, schedule } = p;
  const optimisers = ['adam', 'adamw', 'sgd'];
  check(optimisers.includes(optimiser?.kind), 'optimiser.kind', optimisers.join(', '), optimiser);
  const rate = optimiser.learningRate;
  check(rate > 0 && Number.isFinite(rate), 'optimiser.learningRate', 'a positive number', rate);
  check(share(schedule?.constant), 'schedule.constant', 'a number from 0 to 1', schedule);
  check(share(schedule.end), 'schedule.end', 'a number from 0 to 1', schedule.end);
  check(p.clip > 0, 'clip', 'a positive number', p.clip);
  check(share(p.average) && p.average < 1, 'average', 'a number from 0 to below 1', p.average);
  const { every, samples } = p.validation ?? {};
  check(count(every) && count(samples), 'validation', '{every, samples}', p.validation);
  return p;
}

const tasks: readonly Task[] = ['kidney', 'mass', 'class'];
