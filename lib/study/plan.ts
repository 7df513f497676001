/** What the study on phantoms is made of, at three sizes: cohorts and presets, as plain data. */
import { invalidArgument } from '../errors.js';
import type { MassPlan } from '../phantom/index.js';
import { type Preset, presets } from '../train/index.js';

/** Patients that are drawn. */
export interface CohortPlan {
  patients: number;
  /** Of the first patient; the next one's is one more. */
  seed: number;
  masses: MassPlan;
  /** Share of the patients with both phases; the others have one of the two. The study: 610 series of 490 patients. */
  both: number;
  /** How another scanner's images differ. */
  look?: ScannerLook;
  /** mm of the voxels, for a coarse and quick cohort; by default drawn as scanners make them. */
  voxel?: number;
}

/** What is done to an image: blur in voxels along D, H, W; HU scaled and shifted; noise of this SD in HU added. */
export interface ScannerLook {
  blur: [number, number, number];
  slope: number;
  intercept: number;
  noise: number;
}

/** The networks of both systems. */
export interface StudyPresets {
  kidney: Preset;
  mass: Preset;
  'one-stage': Preset;
  class: Preset;
}

export interface StudyPlan {
  size: StudySize;
  cohorts: { internal: CohortPlan; external: CohortPlan };
  presets: StudyPresets;
  /** Of the bootstrap. */
  replicates: number;
}

export const STUDY_SIZES = ['tiny', 'default', 'full'] as const;
/** `tiny` runs in seconds and shows nothing but that all works; `default` in hours on two cores; `full` has the study's own sizes. */
export type StudySize = (typeof STUDY_SIZES)[number];

/** 1,891 masses of 487 series: 3.9 a series, 1.95 a kidney; AML : cystic : solid = 198 : 1296 : 397; from 2 mm up. */
const internalMasses: MassPlan = {
  counts: [0.22, 0.24, 0.22, 0.14, 0.09, 0.05, 0.04],
  classes: [198, 1296, 397],
  diameters: [2, 80],
};
/** 427 masses of 81 patients: 5.3 a patient; 42 : 352 : 33. */
const externalMasses: MassPlan = {
  counts: [0.11, 0.19, 0.21, 0.18, 0.13, 0.1, 0.08],
  classes: [42, 352, 33],
  diameters: [2, 80],
};
/** A smoother kernel, noisier and a little out of calibration. */
const otherScanner: ScannerLook = {
  blur: [0.2, 0.7, 0.7],
  slope: 1.03,
  intercept: 6,
  noise: 18,
};
const BOTH = 120 / 490;

/** Seeds that no shipped network was trained or measured on. */
const SEEDS = { internal: 41_000_000, external: 42_000_000 };

const counted = { tiny: [6, 2], default: [120, 20], full: [490, 81] } as const;

/**
 * The plan of a size; `steps` overrides the presets' (for trials).
 * @throws RenvoxError InvalidArgument for an unknown size, and for steps that are no integer of at least 1
 */
export function studyPlan(size: StudySize, steps?: number): StudyPlan {
  if (!STUDY_SIZES.includes(size))
    throw invalidArgument('size', `one of ${STUDY_SIZES.join(', ')}`, size);
  if (steps !== undefined && !(Number.isSafeInteger(steps) && steps >= 1))
    throw invalidArgument('steps', 'an integer of at least 1', steps);
  const [internal, external] = counted[size];
  const coarse = size === 'tiny' ? { voxel: 10 } : {};
  const chosen = presetsOf(size);
  const shortened = (p: Preset): Preset => (steps === undefined ? p : { ...p, steps });
  return {
    size,
    cohorts: {
      internal: {
        ...{ patients: internal, seed: SEEDS.internal, masses: internalMasses, both: BOTH },
        ...coarse,
      },
      external: {
        ...{ patients: external, seed: SEEDS.external, masses: externalMasses, both: BOTH },
        ...{ look: otherScanner, ...coarse },
      },
    },
    presets: {
      kidney: shortened(chosen.kidney),
      mass: shortened(chosen.mass),
      'one-stage': shortened(chosen['one-stage']),
      class: shortened(chosen.class),
    },
    replicates: size === 'tiny' ? 20 : 2000,
  };
}

/** One seed for all, so that all part the patients alike. */
const SEED = 21;

function presetsOf(size: StudySize): StudyPresets {
  const paper: StudyPresets = {
    kidney: presets['paper-kidney'] as Preset,
    mass: presets['paper-mass'] as Preset,
    'one-stage': presets['paper-one-stage'] as Preset,
    class: presets['paper-classifier'] as Preset,
  };
  const made = Object.entries(paper).map(([name, preset]) => [
    name,
    { ...(size === 'full' ? preset : reduced(preset, size)), name: `study-${name}`, seed: SEED },
  ]);
  return Object.fromEntries(made) as unknown as StudyPresets;
}

/**
 * A preset of the study on a smaller grid with fewer filters. With a sixteenth of its steps the rate is ten times as high and falls, and masses
 * weigh more at first (phantoms: the mass class does not begin otherwise).
 */
function reduced(preset: Preset, size: 'tiny' | 'default'): Preset {
  const tiny = size === 'tiny';
  const edge = tiny ? 16 : 64;
  const spacing = preset.grid.spacing.map((mm) => (mm * preset.grid.shape[0]) / edge);
  const masses = { first: [1, 1, 10], last: [1, 1, 1] };
  const segments = preset.architecture.kind === 'unet3d';
  const config = preset.architecture.config;
  return {
    ...preset,
    architecture: segments
      ? {
          kind: 'unet3d',
          config: {
            inputChannels: config.inputChannels ?? 1,
            classes: config.classes,
            channels: tiny ? [4, 8] : [8, 16, 32, 64, 128],
          },
        }
      : {
          kind: 'resnet3d',
          config: {
            classes: 3,
            widths: tiny ? [2, 4, 4, 8] : [16, 32, 64, 128],
            geometry: 'strided',
            hidden: tiny ? 8 : 128,
            dropout: 0.1,
          },
        },
    grid: {
      ...preset.grid,
      shape: [edge, edge, edge],
      spacing: spacing as [number, number, number],
    },
    steps: tiny ? 6 : 3000,
    loss: {
      ...preset.loss,
      ...(segments && config.classes === 3 ? { classWeights: masses } : {}),
    },
    optimiser: { kind: 'adam', learningRate: 1e-3 },
    schedule: { constant: 0.5, end: 0.05 },
    average: tiny ? 0.5 : 0.995,
    validation: { every: tiny ? 3 : 250, samples: tiny ? 2 : 16 },
    checkpoint: tiny ? 3 : 50,
  };
}
