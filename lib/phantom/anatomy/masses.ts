/**
 * Renal masses by class and kind. Attenuation by phase: clear cell and oncocytoma doi 10.5301/uj.5000256, papillary AJR (114 cases), AML
 * Oncol Lett 2016;11:2327, cysts as in reference tables; sizes: cysts 15 mm, AML 11 mm (Abdom Imaging 2014;39:1009), RCC 51 mm (PMID 22528901).
 */
import { byPhase, type Palette } from '../palette.js';
import type { Random } from '../random.js';
import { Tissue } from '../scene.js';
import { inAxes, plus, turned, unit, type Vector } from '../vector.js';
import { allBut, type Body, paintOf } from './body.js';
import { inKidney, type Kidney, toCapsule } from './kidney-shape.js';

export type MassClass = 'aml' | 'cystic' | 'solid';
export const massClasses: readonly MassClass[] = ['aml', 'cystic', 'solid'];

export type MassKind =
  | 'aml'
  | 'fat-poor aml'
  | 'simple cyst'
  | 'hyperdense cyst'
  | 'septated cyst'
  | 'clear cell'
  | 'papillary'
  | 'oncocytoma'
  | 'chromophobe';

/** A mass as drawn; what of it lies in the image is counted there. */
export interface PlannedMass {
  /** 1, 2, ... over both kidneys. */
  readonly instance: number;
  readonly side: 'left' | 'right';
  readonly class: MassClass;
  readonly kind: MassKind;
  /** Scene mm. */
  readonly centre: Vector;
  readonly radii: Vector;
}

/** How many masses, and of which classes and sizes. */
export interface MassPlan {
  /** Probabilities of 0, 1, 2, ... masses a kidney. */
  readonly counts: readonly number[];
  /** Weights of aml, cystic, solid. */
  readonly classes: readonly [number, number, number];
  /** mm, least and most diameter. */
  readonly diameters: readonly [number, number];
  /** How often each kind of a class comes: as in patients, the default, or cysts and solid masses of each kind equally often, to learn the rare ones. */
  readonly kinds?: 'usual' | 'even';
}

export const usualMasses: MassPlan = {
  counts: [0.3, 0.32, 0.2, 0.12, 0.06],
  classes: [0.22, 0.43, 0.35],
  diameters: [3, 80],
};

/** Decides the masses of both kidneys: how many, which class, how large (mm) and where. */
export function planMasses(
  random: Random,
  kidneys: readonly Kidney[],
  plan: MassPlan,
): PlannedMass[] {
  const masses: PlannedMass[] = [];
  for (const kidney of kidneys) {
    const r = random.stream(`masses ${kidney.side}`);
    const mine: PlannedMass[] = [];
    for (let left = weighted(r, plan.counts); left > 0; left--) {
      const mass = place(r, kidney, mine, plan, masses.length + mine.length + 1);
      if (mass) mine.push(mass);
    }
    masses.push(...mine);
  }
  return masses;
}

function weighted(r: Random, weights: readonly number[]): number {
  let x = r.uniform(
    0,
    weights.reduce((a, b) => a + b, 0),
  );
  for (const [i, w] of weights.entries()) {
    x -= w;
    if (x < 0) return i;
  }
  return weights.length - 1;
}

function kindOf(r: Random, massClass: MassClass, kinds: MassPlan['kinds']): MassKind {
  // One in twenty is without macroscopic fat, as in patients: the one kind that its class's definition does not tell.
  if (massClass === 'aml') return r.chance(0.05) ? 'fat-poor aml' : 'aml';
  if (massClass === 'cystic')
    return (['simple cyst', 'hyperdense cyst', 'septated cyst'] as const)[
      weighted(r, kinds === 'even' ? [1, 1, 1] : [0.7, 0.16, 0.14])
    ] as MassKind;
  return (['clear cell', 'papillary', 'oncocytoma', 'chromophobe'] as const)[
    weighted(r, kinds === 'even' ? [1, 1, 1, 1] : [0.52, 0.2, 0.16, 0.12])
  ] as MassKind;
}

/** Half of the diameters as patients have them, half spread over the range, so that every size is learned. */
function diameterOf(
  r: Random,
  massClass: MassClass,
  [least, most]: readonly [number, number],
): number {
  if (r.chance(0.5)) return r.logUniform(Math.max(least, 4), Math.min(most, 60));
  const [median, spread] = { aml: [11, 0.55], cystic: [15, 0.6], solid: [42, 0.5] }[massClass] as [
    number,
    number,
  ];
  return Math.min(most, Math.max(least, median * Math.exp(r.normal(0, spread))));
}

function place(
  r: Random,
  kidney: Kidney,
  others: readonly PlannedMass[],
  plan: MassPlan,
  instance: number,
): PlannedMass | undefined {
  const massClass = massClasses[weighted(r, plan.classes)] as MassClass;
  const kind = kindOf(r, massClass, plan.kinds);
  const radius = diameterOf(r, massClass, plan.diameters) / 2;
  const stretch = (): number => radius * r.uniform(0.86, 1.16);
  const radii: Vector = [stretch(), stretch(), stretch()];
  for (let attempt = 0; attempt < 8; attempt++) {
    const inSinus = massClass === 'cystic' && radius < 15 && r.chance(0.06);
    const d = r.direction();
    // Seldom through the hilum.
    const direction: Vector = unit([d[0] > 0.5 ? -d[0] : d[0], d[1], 1.3 * d[2]]);
    const depth = toCapsule(kidney, [0, 0, 0], direction, 24) + r.uniform(-1, 0.45) * radius;
    const t = Math.max(0.25 * kidney.radii[0], depth);
    const centre = inSinus
      ? inKidney(kidney, 0.5 * kidney.radii[0], r.uniform(-4, 4), r.uniform(-12, 12))
      : inKidney(kidney, t * direction[0], t * direction[1], t * direction[2]);
    const free = others.every(
      (o) => Math.hypot(...plus(centre, o.centre, -1)) > 0.9 * (radius + Math.max(...o.radii)),
    );
    if (free) return { instance, side: kidney.side, class: massClass, kind, centre, radii };
  }
  return undefined;
}

/** HU of the mass's main tissue. */
export function massHu(r: Random, kind: MassKind, palette: Palette): number {
  const { phase } = palette;
  if (palette.free && kind !== 'aml') {
    // Anything that can be seen beside the cortex.
    for (;;) {
      const hu = r.uniform(-10, 230);
      if (Math.abs(hu - palette.cortex.hu) >= 30) return hu;
    }
  }
  switch (kind) {
    case 'simple cyst':
    case 'septated cyst':
      return (
        r.uniform(0, 20) + byPhase(phase, [0, r.uniform(0, 3), r.uniform(0, 8), r.uniform(0, 8)])
      );
    case 'hyperdense cyst':
      return r.uniform(40, 100);
    case 'aml':
    case 'fat-poor aml': {
      const base = r.normal(36, 6, 20, 50);
      const peak = base + r.uniform(60, 120);
      const later = peak - r.normal(36, 25, 0, 80);
      return byPhase(phase, [base, peak, later, Math.max(base + 15, later - r.uniform(10, 40))]);
    }
    case 'clear cell':
      return byPhase(phase, [
        r.normal(34, 7, 20, 48),
        r.normal(173, 45, 85, 260),
        r.normal(149, 34, 80, 220),
        r.normal(98, 36, 55, 170),
      ]);
    case 'oncocytoma':
      return byPhase(phase, [
        r.normal(31, 8, 18, 46),
        r.normal(151, 36, 80, 230),
        r.normal(137, 34, 75, 210),
        r.normal(79, 22, 50, 130),
      ]);
    case 'papillary':
    case 'chromophobe': {
      const base = r.uniform(20, 46);
      const more = kind === 'papillary' ? 1 : 1.6;
      return byPhase(phase, [
        base,
        base + more * r.uniform(15, 50),
        base + more * r.uniform(22, 48),
        base + more * r.uniform(14, 30),
      ]);
    }
  }
}

/** Paints a mass with this label, over all but bone and other masses. */
export function drawMass(body: Body, mass: PlannedMass, label: number): void {
  const { scene, palette } = body;
  const r = body.random.stream(`mass ${mass.instance}`);
  const { centre, radii, kind } = mass;
  const radius = (radii[0] * radii[1] * radii[2]) ** (1 / 3);
  const axes = turned(r.uniform(0, 3), r.uniform(0, 3), r.uniform(0, 3));
  const round = mass.class === 'cystic';
  const bump = {
    share: round ? r.uniform(0, 0.015) : r.uniform(0.01, 0.07),
    rate: r.uniform(1.5, 3.2),
    phase: r.uniform(0, 20),
  };
  const shape = { centre, radii, axes, bump };
  // A rim of fat keeps it apart from the organs that it touches.
  const rim = r.uniform(0, 3);
  scene.ellipsoid(
    { ...shape, radii: [radii[0] + rim, radii[1] + rim, radii[2] + rim] },
    paintOf(Tissue.perirenalFat, palette.perirenalFat, {
      over: [Tissue.liver, Tissue.spleen, Tissue.bowel, Tissue.lumen, Tissue.pancreas, Tissue.blob],
    }),
  );
  const hu = massHu(r, kind, palette);
  const uneven = (share: number): number => (hu > 60 ? share * hu : 4);
  const texture = round
    ? { fine: r.uniform(0, 3), coarse: r.uniform(0, 3) }
    : kind === 'clear cell'
      ? { fine: r.uniform(2, 10), coarse: uneven(r.uniform(0.03, 0.16)) }
      : { fine: r.uniform(1, 6), coarse: uneven(r.uniform(0.01, 0.05)) };
  scene.ellipsoid(
    shape,
    paintOf(
      Tissue.mass,
      { hu, ...texture },
      { label, instance: mass.instance, over: allBut(Tissue.bone, Tissue.mass, Tissue.skin) },
    ),
  );
  const within = (tone: number, more: { size: number; level: number }, softness = 0) =>
    scene.ellipsoid(shape, {
      ...{ tissue: Tissue.mass, hu: tone, fine: texture.fine, coarse: 0, softness },
      over: [Tissue.mass],
      patches: { ...more, seed: r.integer(1, 1e6) },
    });
  switch (kind) {
    case 'aml':
      within(r.uniform(-105, -55), {
        size: Math.max(2.5, radius * r.uniform(0.25, 0.7)),
        level: r.uniform(-1.6, 0.7),
      });
      break;
    case 'clear cell':
      // Necrosis, the more the larger.
      if (r.chance(0.8))
        within(Math.min(hu, r.uniform(10, 40)), {
          size: Math.max(3, radius * r.uniform(0.3, 0.6)),
          level: r.uniform(0.3, 1.8) - Math.min(0.5, radius / 80),
        });
      break;
    case 'oncocytoma':
      if (radius > 10 && r.chance(0.5))
        scene.ellipsoid(
          {
            centre,
            radii: [0.35 * radii[0], 0.14 * radii[1], 0.35 * radii[2]],
            axes,
            bump: { share: 0.2, rate: 5, phase: 3 },
          },
          { tissue: Tissue.mass, hu: Math.min(hu, r.uniform(25, 60)), over: [Tissue.mass] },
        );
      break;
    case 'septated cyst':
      septa(body, r, mass, axes);
      break;
    default:
  }
  const calcium = {
    aml: 0,
    'fat-poor aml': 0,
    'simple cyst': 0.03,
    'septated cyst': 0.3,
  } as Partial<Record<MassKind, number>>;
  if (radius > 6 && r.chance(calcium[kind] ?? 0.12))
    for (let i = r.integer(1, 4); i > 0; i--) {
      const d = r.direction();
      const t = r.uniform(0.2, 0.9);
      scene.ellipsoid(
        {
          centre: inAxes(
            centre,
            axes,
            ...(d.map((x, k) => t * x * (radii[k] as number)) as unknown as Vector),
          ),
          radii: [r.uniform(0.8, 2.5), r.uniform(0.8, 2.5), r.uniform(0.8, 2.5)],
        },
        { tissue: Tissue.mass, hu: r.uniform(200, 800), over: [Tissue.mass] },
      );
    }
}

/** Thin walls through a cyst, and perhaps a thicker rim: less than a quarter of it enhances. */
function septa(body: Body, r: Random, mass: PlannedMass, axes: ReturnType<typeof turned>): void {
  const { palette, scene } = body;
  const hu = byPhase(palette.phase, [
    r.uniform(20, 40),
    r.uniform(40, 90),
    r.uniform(45, 100),
    r.uniform(40, 80),
  ]);
  const paint = { tissue: Tissue.mass, hu, over: [Tissue.mass] };
  const { centre, radii } = mass;
  for (let i = r.integer(1, 3); i > 0; i--) {
    const shift = r.uniform(-0.4, 0.4);
    const tilted = turned(r.uniform(0, 3), r.uniform(0, 3), 0);
    scene.ellipsoid(
      {
        centre: plus(centre, tilted[0], shift * radii[0]),
        radii: [r.uniform(0.6, 1.3), 0.97 * radii[1], 0.97 * radii[2]],
        axes: tilted,
      },
      paint,
    );
  }
  if (r.chance(0.4)) {
    const [x, y, z] = radii;
    const wall = Math.min(r.uniform(0.8, 2), 0.08 * x);
    scene.ellipsoid({ centre, radii, axes }, paint);
    scene.ellipsoid(
      { centre, radii: [x - wall, y - wall, z - wall], axes },
      { ...paint, hu: r.uniform(5, 25) },
    );
  }
}
