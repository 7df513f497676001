/** Presets: everything that decides a training run, as plain data. They are written into every run and every weights file. */
import { isDeepStrictEqual } from 'node:util';
import { RenvoxError } from '../errors.js';
import type { Precision, ResNet3DConfig, UNet3DConfig, WeightsMetadata } from '../nn/index.js';
import type { Contour, SecondImage } from '../pipeline/networks.js';
import { type AugmentationSettings, checkAugmentation } from './augmentation.js';
import { LARGEST_SEED } from './sampler.js';

/** What a network learns. */
export type Task =
  /** Background and kidney (both kidneys with their masses) on a grid of fixed mm round the abdomen. */
  | 'kidney'
  /** Background, kidney and mass round one kidney, the kidney's mask as second channel. */
  | 'mass'
  /**
   * Kidneys and masses at once on a grid like that of `kidney`: background, kidney, mass, or, with four classes, background, left kidney,
   * right kidney, mass.
   */
  | 'one-stage'
  /** AML, cystic or solid: one mass, its contour given as `contour` says. */
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
  /**
   * How a classifier is told which mass is meant. `cut`, the default and the study's: everything outside of the contour becomes the window's
   * bottom. `channel`: the surroundings stay, and the mask is a last channel more, 0 or 1.
   */
  contour?: Contour;
  /** Of a classifier of two phases, on phantoms. Default image. */
  secondImage?: SecondImage;
  /**
   * Of a classifier's phantoms in training, not in validation: how often each kind of a class comes. Default usual, as in patients.
   */
  kinds?: 'usual' | 'even';
  /**
   * Of a classifier's phantoms: in this share of the samples, 0 to 1, the contour is what a mass network draws, which is then an input of the run
   * (`phantomSampler`'s `finder`, `--mass-weights`); the others err at random. Default 0.
   */
  foundContours?: number;
  /**
   * Of labelled CTs on disk, for the tasks `kidney` and `one-stage`: samples are patches of the grid's shape anywhere in the CT, this share of
   * them round a labelled voxel; validation looks at patches that cover all labelled voxels of a case. Without it a sample is the network's box
   * round the body.
   */
  sampling?: { kind: 'patches'; foreground: number };
  /** Of labelled CTs on disk; default the study's. Phantoms are drawn anew each time, which is their augmentation. */
  augmentation?: AugmentationSettings;
  /** 0 to 9,007,198: each run has a billion seeds below 2^53 for its samples. */
  seed: number;
  steps: number;
  /** Samples a step. */
  batch: number;
  /**
   * Samples that go through the network at once; gradients are added up over a batch. Default: the batch. Class weights and absent
   * classes then count within each part of the batch, and so does a batch norm.
   */
  microBatch?: number;
  /** Of the convolutions' products; weights, norms and sums stay f32. fp16 scales the loss. Default fp32. */
  precision?: Precision;
  loss: {
    /** Class weights of the cross entropy at the first and at the last step; linear in between. Default 1 each. */
    classWeights?: { first: number[]; last: number[] };
    /** Soft Dice beside the cross entropy, the background left out; a weight a class, default 1 each. */
    dice?: { classWeights?: number[] };
    /** Focus of the focal loss instead of the cross entropy, 1 to 10; default 0, the cross entropy. */
    focus?: number;
  };
  optimiser:
    | { kind: 'adam' | 'adamw'; learningRate: number; weightDecay?: number }
    | { kind: 'sgd'; learningRate: number; momentum: number; weightDecay?: number };
  /**
   * The rate stays until `constant` of the steps are done, then falls linearly to `end` of itself; or falls as (1 - share done)^poly.
   */
  schedule: { constant: number; end: number } | { poly: number };
  /** Largest norm of the whole gradient. */
  clip: number;
  /** Decay of the running average of the weights, which is what is evaluated and kept. */
  average: number;
  validation: { every: number; samples: number };
  /** Ends the run after this many validations in a row that were no better than the best by more than `least` (default 0). */
  stop?: { patience: number; least?: number };
  /** Steps between checkpoints. */
  checkpoint: number;
}

/** Input channels beside the images: masks. */
export function maskChannels({ task, contour }: Preset): number {
  return task === 'mass' || contour === 'channel' ? 1 : 0;
}

/** mm that a crop keeps free round what it shows. */
export function cropMargin(grid: Preset['grid']): number {
  return grid.margin ?? 0;
}

/**
 * Checks that a value, from a JSON file say, is a preset.
 * @throws RenvoxError InvalidArgument naming the first field that is wrong
 */
export function checkPreset(value: unknown): Preset {
  const p = value as Preset;
  check(typeof value === 'object' && value !== null, 'the whole', 'an object', value);
  checkFields(value as object);
  const count = (n: unknown) => Number.isSafeInteger(n) && (n as number) >= 1;
  const share = (n: unknown) => typeof n === 'number' && n >= 0 && n <= 1;
  const weights = (list: unknown, classes: number) =>
    Array.isArray(list) && list.length === classes && list.every((w) => w >= 0);
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
  const seeds = `an integer from 0 to ${LARGEST_SEED}`;
  check(p.seed === 0 || (count(p.seed) && p.seed <= LARGEST_SEED), 'seed', seeds, p.seed);
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
  if (schedule && 'poly' in schedule)
    check(schedule.poly > 0 && schedule.poly <= 10, 'schedule.poly', '0 to 10', schedule.poly);
  else {
    check(share(schedule?.constant), 'schedule.constant', 'a number from 0 to 1', schedule);
    check(share(schedule.end), 'schedule.end', 'a number from 0 to 1', schedule.end);
  }
  check(p.clip > 0, 'clip', 'a positive number', p.clip);
  check(share(p.average) && p.average < 1, 'average', 'a number from 0 to below 1', p.average);
  const { every, samples } = p.validation ?? {};
  check(count(every) && count(samples), 'validation', '{every, samples}', p.validation);
  checkOptional(p);
  return p;
}

function check(sound: boolean, field: string, expected: string, received: unknown): void {
  if (!sound)
    throw new RenvoxError(
      'InvalidArgument',
      `Expected ${expected} for ${field} of the preset but received ${JSON.stringify(received)}`,
      { field },
    );
}

/**
 * Mirroring along W makes a left kidney a right one where the two are classes, and only there: any other swap gives voxels a class that they are not of.
 * @throws RenvoxError InvalidArgument naming augmentation.swap
 */
export function checkSwap({ task, architecture, augmentation }: Preset): void {
  const { swap = [], mirror } = augmentation ?? {};
  const { classes } = architecture.config;
  if (task === 'one-stage' && classes === 4) {
    const sides = swap.length === 1 && isDeepStrictEqual([...(swap[0] ?? [])].sort(), [1, 2]);
    const mirrored = (mirror?.[2] ?? 0) > 0;
    const expected = `[[1,2]], the left and the right kidney${mirrored ? ', which mirroring along W exchanges' : ''},`;
    check(sides || (!mirrored && swap.length === 0), 'augmentation.swap', expected, swap);
  } else {
    const expected = `none (of the task ${task} with ${classes} classes none is a side: swap: [])`;
    check(swap.length === 0, 'augmentation.swap', expected, swap);
  }
}

/** Names of a network's classes but the background, or of all where it classifies. */
export function classNames({ task, architecture }: Preset): string[] {
  if (task === 'kidney') return ['kidney'];
  if (task === 'class') return ['aml', 'cystic', 'solid'];
  return architecture.config.classes === 4
    ? ['left kidney', 'right kidney', 'mass']
    : ['kidney', 'mass'];
}

const tasks: readonly Task[] = ['kidney', 'mass', 'one-stage', 'class'];

type Names<T> = Readonly<Record<keyof Required<T>, true>>;

/** All fields that there are, by the object that holds them; the types see to it that none is forgotten. */
const FIELDS = {
  '': {
    ...{ version: true, name: true, task: true, architecture: true, grid: true, window: true },
    ...{
      contour: true,
      secondImage: true,
      kinds: true,
      foundContours: true,
      sampling: true,
      augmentation: true,
      seed: true,
      steps: true,
      batch: true,
    },
    ...{ microBatch: true, precision: true, loss: true, optimiser: true, schedule: true },
    ...{ clip: true, average: true, validation: true, stop: true, checkpoint: true },
  } satisfies Names<Preset>,
  architecture: { kind: true, config: true } satisfies Names<Preset['architecture']>,
  grid: { shape: true, spacing: true, margin: true } satisfies Names<Preset['grid']>,
  window: { level: true, width: true, low: true, high: true } satisfies Names<HounsfieldWindow>,
  sampling: { kind: true, foreground: true } satisfies Names<NonNullable<Preset['sampling']>>,
  loss: { classWeights: true, dice: true, focus: true } satisfies Names<Preset['loss']>,
  'loss.classWeights': { first: true, last: true },
  'loss.dice': { classWeights: true },
  validation: { every: true, samples: true } satisfies Names<Preset['validation']>,
  stop: { patience: true, least: true } satisfies Names<NonNullable<Preset['stop']>>,
} as const;

/** Of the objects whose kind decides. */
const KINDS: Readonly<Record<string, Readonly<Record<string, Readonly<Record<string, true>>>>>> = {
  'architecture.config': {
    unet3d: {
      ...{ inputChannels: true, classes: true, channels: true, convolutions: true, norm: true },
      ...{ slope: true, convolutionBias: true, deepSupervision: true },
    } satisfies Names<UNet3DConfig>,
    resnet3d: {
      ...{ inputChannels: true, classes: true, widths: true, geometry: true },
      ...{ hidden: true, dropout: true, inside: true },
    } satisfies Names<ResNet3DConfig>,
  },
  optimiser: {
    adam: { kind: true, learningRate: true, weightDecay: true },
    adamw: { kind: true, learningRate: true, weightDecay: true },
    sgd: { kind: true, learningRate: true, momentum: true, weightDecay: true },
  },
};

/**
 * A field that nothing reads is a slip of the pen, which would leave a default in force.
 * @throws RenvoxError InvalidArgument naming it
 */
function checkFields(preset: object): void {
  const at = (path: string): unknown =>
    path
      .split('.')
      .reduce<unknown>(
        (v, key) => (v as Record<string, unknown> | null | undefined)?.[key],
        preset,
      );
  const check = (path: string, object: unknown, known: Readonly<Record<string, true>>) => {
    if (typeof object !== 'object' || object === null) return;
    const odd = Object.keys(object).find((name) => !Object.hasOwn(known, name));
    if (odd === undefined) return;
    const field = path === '' ? odd : `${path}.${odd}`;
    throw new RenvoxError(
      'InvalidArgument',
      `There is no field ${field} in a preset; ${path === '' ? 'it' : path} has ${Object.keys(known).join(', ')}`,
      { field },
    );
  };
  for (const [path, known] of Object.entries(FIELDS))
    check(path, path === '' ? preset : at(path), known);
  const { architecture, optimiser, schedule } = preset as Partial<Preset>;
  for (const [path, kind] of [
    ['architecture.config', architecture?.kind],
    ['optimiser', optimiser?.kind],
  ] as const) {
    const known = kind === undefined ? undefined : KINDS[path]?.[kind];
    if (known) check(path, at(path), known);
  }
  const poly = typeof schedule === 'object' && schedule !== null && 'poly' in schedule;
  check('schedule', schedule, poly ? { poly: true } : { constant: true, end: true });
}

/** The fields that a preset need not have. */
function checkOptional(preset: Preset): void {
  const { microBatch = 1, batch, precision = 'fp32', loss, stop, sampling, augmentation } = preset;
  const { task, contour = 'cut' } = preset;
  const told = contour === 'cut' || (contour === 'channel' && task === 'class');
  check(told, 'contour', 'cut, or channel for the task class', contour);
  const { kind, config } = preset.architecture;
  const inside = kind === 'resnet3d' ? (config.inside ?? 0) : 0;
  check(
    inside === 0 || contour === 'channel',
    'architecture.config.inside',
    '0, or the contour channel',
    inside,
  );
  const { foundContours = 0, secondImage = 'image', kinds = 'usual' } = preset;
  const shown = secondImage === 'image' || (secondImage === 'change' && task === 'class');
  check(shown, 'secondImage', 'image, or change for the task class', secondImage);
  const drawn = kinds === 'usual' || (kinds === 'even' && task === 'class');
  check(drawn, 'kinds', 'usual, or even for the task class', kinds);
  const possible = foundContours === 0 || (task === 'class' && foundContours <= 1);
  check(
    possible && foundContours >= 0,
    'foundContours',
    '0, or up to 1 for the task class',
    foundContours,
  );
  const whole = Number.isSafeInteger(microBatch) && microBatch >= 1 && batch % microBatch === 0;
  check(whole, 'microBatch', `a divisor of the batch ${batch}`, microBatch);
  const precisions = ['fp32', 'bf16', 'fp16'];
  check(precisions.includes(precision), 'precision', precisions.join(', '), precision);
  const { focus = 0 } = loss;
  check(focus === 0 || (focus >= 1 && focus <= 10), 'loss.focus', '0, or 1 to 10', focus);
  const patience = stop?.patience ?? 1;
  check(
    Number.isSafeInteger(patience) && patience >= 1,
    'stop.patience',
    'an integer of at least 1',
    stop,
  );
  check((stop?.least ?? 0) >= 0, 'stop.least', 'a number of at least 0', stop);
  if (sampling) {
    check(sampling.kind === 'patches', 'sampling.kind', 'patches', sampling.kind);
    const { foreground } = sampling;
    check(
      foreground >= 0 && foreground <= 1,
      'sampling.foreground',
      'a number from 0 to 1',
      foreground,
    );
    const body = task === 'kidney' || task === 'one-stage';
    check(body, 'sampling', `none with the task ${task}`, sampling);
  }
  if (augmentation === undefined) return;
  checkAugmentation(augmentation);
  checkSwap(preset);
}
