/**
 * HU of the tissues by phase of contrast. Means and ranges: normal values of the literature (cortex and medulla: Eur J Radiol 2007;63:420;
 * liver and steatosis: ACR, Pickhardt 2024; vessels: PLoS ONE 0091774; marrow: Radiology 2019;291:360); where there are none, design choices.
 */
import type { Random } from './random.js';

/** Contrast: none, 30-35 s, 60-100 s, minutes after the injection. */
export type Phase = 'unenhanced' | 'corticomedullary' | 'nephrographic' | 'excretory';
export const phases: readonly Phase[] = [
  'unenhanced',
  'corticomedullary',
  'nephrographic',
  'excretory',
];

/** HU, with the SD of fine and coarse texture. */
export interface Tone {
  hu: number;
  fine: number;
  coarse: number;
}

/** Organs whose HU a phantom draws. */
export type Organ =
  | 'cortex'
  | 'medulla'
  | 'urine'
  | 'liver'
  | 'spleen'
  | 'pancreas'
  | 'aorta'
  | 'cava'
  | 'renalVein'
  | 'portalVein'
  | 'muscle'
  | 'wall'
  | 'gallbladder'
  | 'bowelWall'
  | 'bowelContent'
  | 'skin'
  | 'disc'
  | 'heart'
  | 'fat'
  | 'perirenalFat'
  | 'marrow'
  | 'bone'
  | 'lung';

export interface Palette extends Readonly<Record<Organ, Tone>> {
  readonly phase: Phase;
  /** Soft tissues have HU of their own choosing: for training, not for looks. */
  readonly free: boolean;
}

/** Picks the phase's value. */
export const byPhase = <T>(phase: Phase, values: readonly [T, T, T, T]): T =>
  values[phases.indexOf(phase)] as T;

/** What free HU leaves alone: fat, air and bone look alike on every scan. */
const kept: readonly Organ[] = ['fat', 'perirenalFat', 'marrow', 'bone', 'lung'];

/** HU of every organ for a phase; with `free`, of soft tissues any HU at all. */
export function drawPalette(random: Random, phase: Phase, free: boolean): Palette {
  const r = random.stream('palette');
  const between = (low: number, high: number) => r.uniform(low, high);
  const enhanced = (base: number, ...more: [number, number, number]) =>
    base + byPhase(phase, [0, ...more]);

  const kidney = between(14, 46);
  const cortex = byPhase(phase, [
    kidney,
    kidney + between(100, 215),
    between(120, 205),
    between(90, 155),
  ]);
  const medulla = byPhase(phase, [
    kidney,
    Math.max(kidney + 10, cortex - between(60, 140)),
    cortex - between(0, 30),
    cortex + between(-12, 12),
  ]);
  const fatty = r.chance(0.25);
  const liverBase = fatty ? between(5, 45) : r.normal(58, 7, 40, 75);
  const uptake = r.normal(fatty ? 36 : 47, 9, 20, 70);
  const liver = enhanced(liverBase, between(4, 22), uptake, uptake * 0.65);
  const spleenBase = r.normal(47, 5, 35, 58);
  const spleen = byPhase(phase, [
    spleenBase,
    between(80, 160),
    Math.max(90, liver) + between(5, 30),
    Math.max(75, liver) + between(-8, 12),
  ]);
  const blood = between(36, 50);
  const late = between(110, 185);
  const washed = between(98, 132);
  const aorta = byPhase(phase, [blood, between(200, 430), late, washed]);
  const renalVein = byPhase(phase, [blood, between(110, 270), late + between(-10, 15), washed]);
  const muscle = r.normal(46, 9, 20, 65);
  const fat = between(-118, -88);
  const bone = between(300, 900);
  const means: Record<Organ, number> = {
    cortex,
    medulla,
    urine: byPhase(phase, [
      between(0, 15),
      between(0, 15),
      between(0, 20),
      r.chance(0.85) ? r.logUniform(150, 1200) : between(5, 60),
    ]),
    liver,
    spleen,
    pancreas: byPhase(phase, [
      between(22, 45),
      between(80, 120),
      between(70, 110),
      between(60, 90),
    ]),
    aorta,
    cava: byPhase(phase, [blood, between(40, 110), late - between(0, 35), washed]),
    renalVein,
    portalVein: byPhase(phase, [blood, between(45, 130), late + between(-5, 25), washed + 5]),
    muscle: enhanced(muscle, 5, 15, 15),
    wall: enhanced(muscle, 5, 15, 15) - between(0, 15),
    gallbladder: r.chance(0.08) ? between(60, 350) : between(-2, 22),
    bowelWall:
      between(20, 45) + byPhase(phase, [0, between(20, 70), between(30, 70), between(20, 50)]),
    bowelContent: r.chance(0.2) ? between(120, 380) : between(-10, 40),
    skin: between(-30, 45),
    disc: between(60, 115),
    heart: byPhase(phase, [blood, between(120, 330), late - 10, washed]),
    fat,
    perirenalFat: fat + between(-5, 12),
    marrow: between(85, 230),
    bone,
    lung: between(-900, -700),
  };
  if (free) {
    for (const organ of Object.keys(means) as Organ[])
      if (!kept.includes(organ)) means[organ] = between(-10, 230);
    // The kidney stays one organ: its two layers differ at most as an arterial phase makes them.
    means.medulla = r.chance(0.5)
      ? means.cortex + between(-25, 25)
      : means.cortex - between(-60, 140);
    if (r.chance(0.25)) means.urine = r.logUniform(150, 1200);
  }

  // Texture of its own for each tissue, 0..14 HU, shared out between the two scales.
  const most = between(1, 14);
  const tones = Object.fromEntries(
    (Object.keys(means) as Organ[]).map((organ) => {
      const sd = r.uniform(0, most);
      const share = r.uniform(0.2, 0.8);
      return [organ, { hu: means[organ], fine: sd * share, coarse: sd * (1 - share) }];
    }),
  ) as unknown as Record<Organ, Tone>;
  if (phase === 'corticomedullary' && !free) tones.spleen.coarse += between(5, 30);
  tones.muscle.fine += between(2, 10);
  tones.muscle.coarse += between(2, 10);
  tones.lung.fine += between(20, 60);
  tones.lung.coarse += between(20, 60);
  tones.marrow.fine += between(10, 40);
  tones.bone.fine += 30;
  return { ...tones, phase, free };
}
