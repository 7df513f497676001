/** The presets that come with the package. */
import type { ResNet3DConfig } from '../nn/index.js';
import { augmentations } from './augmentation.js';
import type { HounsfieldWindow, Preset } from './preset.js';

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
      channels: [16, 32, 64, 128],
      convolutions: { encoder: 2, decoder: 1 },
      convolutionBias: false,
    },
  },
  grid: { shape: [72, 48, 48], spacing: [2, 2, 2], margin: 8 },
  window: abdomen,
  seed: 2,
  steps: 16000,
  batch: 1,
  loss: { classWeights: { first: [1, 1, 10], last: [1, 1, 1] }, dice: { classWeights: [0, 1, 2] } },
  optimiser: { kind: 'adam', learningRate: 3e-3 },
  schedule: { constant: 0.5, end: 0.05 },
  clip: 2,
  average: 0.998,
  validation: { every: 2000, samples: 64 },
  checkpoint: 500,
};

const classifier: Preset = {
  version: 1,
  name: 'class',
  task: 'class',
  architecture: {
    kind: 'resnet3d',
    config: {
      inputChannels: 2,
      classes: 3,
      widths: [16, 32, 64, 128],
      geometry: 'strided',
      hidden: 64,
      dropout: 0.1,
    },
  },
  grid: { shape: [32, 32, 32], spacing: [1, 1, 1], margin: 4 },
  contour: 'channel',
  window: abdomen,
  seed: 3,
  steps: 6000,
  batch: 12,
  loss: {},
  optimiser: { kind: 'adam', learningRate: 2e-3 },
  schedule: { constant: 0.5, end: 0.05 },
  clip: 5,
  average: 0.998,
  validation: { every: 1000, samples: 240 },
  checkpoint: 500,
};

/**
 * The classifier where there is a second phase, which stands behind the first: any phase, before or after it, so that one network serves whatever a
 * patient has. What enhances is no cyst, which one phase alone cannot tell of a dense one.
 */
const twoPhaseClassifier: Preset = {
  ...classifier,
  name: 'class-two-phases',
  architecture: {
    kind: 'resnet3d',
    config: { ...classifier.architecture.config, inputChannels: 3 } as ResNet3DConfig,
  },
  secondImage: 'change',
  kinds: 'even',
  seed: 4,
  schedule: { constant: 0.4, end: 0.05 },
};

/** A minute's run, to see that all works: a coarse kidney network on phantoms. Dice about 0.5. */
const demo: Preset = {
  ...kidney,
  name: 'demo',
  architecture: {
    kind: 'unet3d',
    config: {
      inputChannels: 1,
      classes: 2,
      channels: [8, 16, 32],
      convolutions: { encoder: 1, decoder: 1 },
      convolutionBias: false,
    },
  },
  grid: { shape: [32, 32, 40], spacing: [9, 9, 9.6] },
  seed: 5,
  steps: 600,
  average: 0.99,
  validation: { every: 100, samples: 8 },
  checkpoint: 50,
};

/**
 * The renal study's own sizes (Front. Oncol. 2023, doi 10.3389/fonc.2023.1169922): 128^3, 16 initial filters, batch 4, learning rate 1e-4, Adam; its
 * 400 epochs of 487 series are 48,700 steps. What it does not say (norm, loss, schedule, normalisation, running average) is as in the presets above.
 * A sample at a time goes through the network, so that the four take the memory of one.
 */
const study = {
  version: 1,
  // "30 HU window width and 300 HU window level", read as level 30, width 300: -120..180 HU.
  window: { level: 30, width: 300, low: -1, high: 1 },
  steps: 48700,
  batch: 4,
  microBatch: 1,
  optimiser: { kind: 'adam', learningRate: 1e-4 },
  schedule: { constant: 1, end: 1 },
  clip: 12,
  average: 0.999,
  checkpoint: 500,
  augmentation: augmentations.study,
} as const satisfies Partial<Preset>;

const studyUNet = (inputChannels: number, classes: number): Preset['architecture'] => ({
  kind: 'unet3d',
  config: { inputChannels, classes, channels: [16, 32, 64, 128, 256] },
});

const paperKidney: Preset = {
  ...study,
  name: 'paper-kidney',
  task: 'kidney',
  architecture: studyUNet(1, 2),
  grid: { shape: [128, 128, 128], spacing: [3, 3, 3] },
  seed: 11,
  loss: { dice: {} },
  validation: { every: 1000, samples: 58 },
};

/** The crop of one kidney, whose mask is a second channel: phantom-masses found that without it the mass class does not begin. */
const paperMass: Preset = {
  ...study,
  name: 'paper-mass',
  task: 'mass',
  architecture: studyUNet(2, 3),
  grid: { shape: [128, 128, 128], spacing: [1.25, 1.25, 1.25], margin: 8 },
  seed: 12,
  loss: { dice: { classWeights: [0, 1, 2] } },
  validation: { every: 1000, samples: 116 },
};

/** The same architecture for kidneys and masses at once, on the whole image. */
const paperOneStage: Preset = {
  ...study,
  name: 'paper-one-stage',
  task: 'one-stage',
  architecture: studyUNet(1, 3),
  grid: { shape: [128, 128, 128], spacing: [3, 3, 3] },
  seed: 13,
  loss: { dice: { classWeights: [0, 1, 2] } },
  validation: { every: 1000, samples: 58 },
};

/** 1,891 masses, batch 4, 400 epochs. */
const paperClassifier: Preset = {
  ...study,
  name: 'paper-classifier',
  task: 'class',
  architecture: {
    kind: 'resnet3d',
    config: {
      classes: 3,
      widths: [64, 128, 256, 512],
      geometry: 'dilated',
      hidden: 128,
      dropout: 0.1,
    },
  },
  grid: { shape: [128, 128, 128], spacing: [0.5, 0.5, 0.5], margin: 2 },
  seed: 14,
  steps: 189100,
  // A batch norm needs the whole batch at once.
  microBatch: 4,
  loss: {},
  validation: { every: 2000, samples: 230 },
};

/** The window as the study's text has it, 285..315 HU: almost certainly level and width swapped. */
function literal(preset: Preset): Preset {
  const window = { ...preset.window, level: 300, width: 30 };
  return { ...preset, name: `${preset.name}-literal`, window };
}

/**
 * nnU-Net v2's recipe (Isensee et al. 2021, doi 10.1038/s41592-020-01008-z): patches of 128^3 at 1.5 mm, batch 2, SGD with Nesterov momentum 0.99, rate 1e-2
 * falling as a polynomial of 0.9, 1000 epochs of 250 steps, deep supervision, its augmentation. Other than there: max pooling instead of strided
 * convolutions, one fixed window instead of percentiles, fixed spacing. Sides are classes, which mirroring swaps.
 */
const nnunet: Preset = {
  version: 1,
  name: 'nnunet',
  task: 'one-stage',
  architecture: {
    kind: 'unet3d',
    config: {
      inputChannels: 1,
      classes: 4,
      channels: [32, 64, 128, 256, 320, 320],
      deepSupervision: 4,
    },
  },
  grid: { shape: [128, 128, 128], spacing: [1.5, 1.5, 1.5] },
  sampling: { kind: 'patches', foreground: 0.33 },
  augmentation: augmentations.nnunet,
  window: { level: 40, width: 400, low: -1, high: 1 },
  seed: 15,
  steps: 250000,
  batch: 2,
  microBatch: 1,
  precision: 'fp16',
  loss: { dice: {} },
  optimiser: { kind: 'sgd', learningRate: 1e-2, momentum: 0.99, weightDecay: 3e-5 },
  schedule: { poly: 0.9 },
  clip: 12,
  average: 0.999,
  // A patient's kidneys and masses take about two patches.
  validation: { every: 2500, samples: 100 },
  checkpoint: 250,
};

const list: readonly Preset[] = [
  ...[kidney, mass, classifier, twoPhaseClassifier, demo],
  ...[paperKidney, paperMass, paperOneStage, paperClassifier],
  ...[paperKidney, paperMass, paperOneStage, paperClassifier].map(literal),
  nnunet,
];

/** The presets that come with the package, by name. */
export const presets: Readonly<Record<string, Preset>> = Object.freeze(
  Object.fromEntries(list.map((preset) => [preset.name, preset])),
);
