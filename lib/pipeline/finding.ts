/** What an analysis found: plain figures, the label map, and where they came from. */
import type { Device } from '../device.js';
import type { Precision } from '../nn/index.js';
import type { Volume } from '../volume/index.js';
import type { GradCamFinding, MassExplanation } from './explain.js';
import type { Enhancement, Intensities } from './intensities.js';
import type { PhaseName } from './phase.js';
import type { SecondOpinion } from './second-opinion.js';
import type { Side } from './stages.js';

/** The classes of masses, in the order of the networks' outputs and of the labels 3, 4, 5. */
export const MASS_CLASSES = ['aml', 'cystic', 'solid'] as const;
export type MassClass = (typeof MASS_CLASSES)[number];

/** Values of the label map: 1 left kidney, 2 right kidney, 3 AML, 4 cystic, 5 solid. */
export const LABELS = { left: 1, right: 2, aml: 3, cystic: 4, solid: 5 } as const;

export interface KidneyFinding {
  /** Voxels of the kidney on the CT's grid, its masses not among them. */
  voxels: number;
  volumeMl: number;
  /** LPS mm (x to the patient's left, y to the back, z to the head); null where there is no kidney. */
  centroidLpsMm: [number, number, number] | null;
}

export interface MassFinding {
  id: number;
  side: Side;
  class: MassClass;
  /** They sum to 1. */
  probabilities: Record<MassClass, number>;
  voxels: number;
  volumeMl: number;
  /** Diameter of the sphere of the same volume. */
  averageDiameterMm: number;
  /** Feret diameter: the greatest distance between two of its voxels' centres. */
  maxDiameterMm: number;
  centroidLpsMm: [number, number, number];
  /** HU of its voxels on the CT's grid. */
  intensities: Intensities;
  /** The same of what is left without its border: voxels whose six neighbours are of the mass. */
  coreIntensities: Intensities;
  /** HU in the second phase; null without one, or where the mass leaves its field of view. */
  phaseIntensities: Intensities | null;
  corePhaseIntensities: Intensities | null;
  /** How the second phase differs; null likewise. */
  enhancement: Enhancement | null;
  coreEnhancement: Enhancement | null;
  /** What a rule on these figures says, beside the network's class: see {@link SecondOpinion}. */
  secondOpinion: SecondOpinion;
  /** Where Grad-CAM was asked for. */
  gradCam?: MassExplanation;
}

/** Seconds of each part. */
export interface Timings {
  load: number;
  kidneys: number;
  masses: number;
  classes: number;
  compose: number;
  /** Grad-CAM, where it was asked for. */
  explain?: number;
  total: number;
}

/** Which files, device and precision made a finding. */
export interface Provenance {
  device: Device['kind'];
  precision: Precision;
  weights: { name: string; sha256: string }[];
}

/** The result of {@link analyze}. Research software: not a medical device. */
export interface Finding {
  kidneys: Record<Side, KidneyFinding>;
  /** The left kidney's first, the largest first. */
  masses: MassFinding[];
  /** Whether one side had more masses than are told apart; the smallest are then left out. */
  truncated: boolean;
  /** u8 on the CT's own grid: see {@link LABELS}. */
  labels: Volume;
  /** Where Grad-CAM was asked for. */
  gradCam?: GradCamFinding;
  /** Which phase the CT itself is, where that was said. */
  ownPhase: PhaseName | null;
  /** The second phase, where there was one. */
  phase: { name: PhaseName; sha256: string | null } | null;
  /**
   * What a reader should know before the figures: what is no CT, has no affine or is shorter than a kidney, masses that the second phase does not show.
   */
  warnings: string[];
  timings: Timings;
  provenance: Provenance;
}
