/** One patient: anatomy, contrast, masses, pose and deformation, all from a seed; not yet on any grid. */
import { drawBody } from './anatomy/body.js';
import { drawBowel } from './anatomy/bowel.js';
import { drawChest } from './anatomy/chest.js';
import { drawKidney, drawPerirenalFat } from './anatomy/kidney.js';
import { type Kidney, planKidneys } from './anatomy/kidney-shape.js';
import {
  drawMass,
  type MassClass,
  type MassPlan,
  type PlannedMass,
  planMasses,
  usualMasses,
} from './anatomy/masses.js';
import { drawArms, drawBlobs, drawTable } from './anatomy/surroundings.js';
import { drawTrunk } from './anatomy/trunk.js';
import { drawVessels } from './anatomy/vessels.js';
import { drawViscera } from './anatomy/viscera.js';
import { drawField, type Field, type Pose, poseOf } from './deformation.js';
import { drawPalette, type Palette, type Phase, phases } from './palette.js';
import { Random } from './random.js';
import { Label, Scene } from './scene.js';

/** Labels to write for a kidney of this side and its masses. */
export interface SideLabels {
  kidney: number;
  /** Of calyces and pelvis; by default that of the sinus. */
  pelvis?: number;
  mass(massClass: MassClass): number;
}

export interface AbdomenOptions {
  /** mm: structures much finer than this are left out. */
  voxel: number;
  /** By default one of the four, equally often. */
  phase?: Phase | undefined;
  /** Soft tissues have any HU of -10..230. */
  free?: boolean;
  /** Up to this many distracting blobs. */
  blobs?: number;
  /** The sinus belongs to the kidney. */
  sinus?: boolean;
  masses?: MassPlan;
  /** How far pose and deformation go: 1 for training. */
  variation?: number;
  labels?: (side: 'left' | 'right') => SideLabels;
}

export interface Abdomen {
  readonly seed: number;
  readonly scene: Scene;
  readonly palette: Palette;
  readonly kidneys: readonly Kidney[];
  readonly masses: readonly PlannedMass[];
  readonly pose: Pose;
  readonly field: Field;
  /** y of the middle of the trunk, and half its width, in scene mm. */
  readonly middle: number;
  readonly halfWidth: number;
}

const massLabels: Record<MassClass, number> = {
  aml: Label.aml,
  cystic: Label.cystic,
  solid: Label.solid,
};

/** The labels of analyze. */
export const usualLabels = (side: 'left' | 'right'): SideLabels => ({
  kidney: side === 'left' ? Label.leftKidney : Label.rightKidney,
  mass: (massClass) => massLabels[massClass],
});

/** The phase that a seed has where none is asked for. */
export const ownPhase = (random: Random): Phase => random.stream('phase').pick(phases);

/** Draws a patient. Depends on the seed and the options alone. */
export function drawAbdomen(seed: number, options: AbdomenOptions): Abdomen {
  const { voxel, blobs = 0, sinus = false, variation = 1 } = options;
  const { labels = usualLabels, masses: plan = usualMasses, free = false } = options;
  const random = new Random(seed);
  const phase = options.phase ?? ownPhase(random);
  const palette = drawPalette(random, phase, free);
  const scene = new Scene();
  const body = drawBody(random, scene, palette, voxel);
  const kidneys = planKidneys(random);
  const masses = planMasses(random, kidneys, plan);

  drawTrunk(body);
  drawChest(body);
  drawViscera(body);
  drawBowel(body);
  const roots = drawVessels(body);
  if (blobs > 0) drawBlobs(body, blobs);
  for (const kidney of kidneys) drawPerirenalFat(body, kidney);
  for (const kidney of kidneys) drawKidney(body, kidney, { ...labels(kidney.side), sinus }, roots);
  for (const mass of masses) drawMass(body, mass, labels(mass.side).mass(mass.class));
  drawArms(body);
  drawTable(body);

  const r = random.stream('pose');
  const degree = (Math.PI / 180) * variation;
  const size = 1 + r.uniform(-0.13, 0.17) * variation;
  const stretch = (): number => size * (1 + r.normal(0, 0.03) * variation);
  const pose = poseOf(
    [r.normal(0, 6) * degree, r.normal(0, 6) * degree, r.normal(0, 8) * degree],
    [stretch(), stretch(), 1 + (size - 1) * 0.5],
  );
  const field = drawField(random, r.uniform(0, 14) * variation);
  const { middle, halfWidth } = body;
  return { seed, scene, palette, kidneys, masses, pose, field, middle, halfWidth };
}
