/**
 * A kidney: a bean of cortex, pyramids of medulla in it, the sinus with fat, calyces, pelvis and vessels, perirenal fat around. Its sizes
 * are those of BMC Urol 2009;9:19; the hilum faces some 42 degrees forward of sideways (Radiol Bras 2009;42:27).
 */
import type { Random } from '../random.js';
import { type Paint, Tissue, type TissueId } from '../scene.js';
import { type Axes, axesFrom, dot, inAxes, plus, unit, type Vector } from '../vector.js';
import { type Body, paintOf } from './body.js';
import type { RenalRoots } from './vessels.js';

/** One kidney's shape. Axes: first toward the hilum, second across, third from the lower to the upper pole. */
export interface Kidney {
  readonly side: 'left' | 'right';
  readonly centre: Vector;
  readonly axes: Axes;
  /** mm along the axes. */
  readonly radii: Vector;
  /** mm by which the poles bend toward the hilum's side. */
  readonly bend: number;
  readonly bump: { share: number; rate: number; phase: number };
  readonly cortex: number;
  /** Times the usual size of the sinus. */
  readonly sinus: number;
  /** 0 none, 1 severe. */
  readonly hydronephrosis: number;
}

/** Draws both kidneys' shapes; a missing one is left out. */
export function planKidneys(random: Random): Kidney[] {
  const r = random.stream('kidneys');
  const missing = r.chance(0.05) ? r.pick([1, -1]) : 0;
  const level = r.normal(3, 8);
  const drop = r.normal(9, 10, -18, 40);
  const apart = r.normal(64, 6, 54, 84);
  const size = r.normal(1, 0.05, 0.9, 1.12) * (missing ? 1.12 : 1);
  return [1, -1]
    .filter((side) => side !== missing)
    .map((side) => {
      const k = random.stream(`kidney ${side}`);
      const shrunken = k.chance(0.05) ? k.uniform(0.55, 0.8) : 1;
      const scale = size * shrunken;
      const radii: Vector = [
        k.normal(28.5, 2.2, 23, 34) * scale,
        k.normal(24.5, 2.2, 20, 30) * scale,
        (side > 0 ? 1.01 : 0.99) * k.normal(55, 4.5, 44, 68) * scale,
      ];
      const out = (k.normal(10, 7, -4, 26) * Math.PI) / 180;
      const forward = (k.normal(17, 7, 0, 38) * Math.PI) / 180;
      const facing = (k.normal(42, 10, 5, 75) * Math.PI) / 180;
      return {
        side: side > 0 ? 'left' : 'right',
        centre: [
          side * (apart + k.normal(0, 4)),
          k.normal(9, 6, -8, 24),
          level - (side < 0 ? drop : 0) - (k.chance(0.03) ? k.uniform(30, 80) : 0),
        ],
        axes: axesFrom(
          [-side * Math.cos(facing), -Math.sin(facing), 0],
          [-side * Math.tan(out), Math.tan(forward), 1],
        ),
        radii,
        bend: k.uniform(3, 12) * scale,
        bump: {
          share: k.chance(0.5) ? k.uniform(0.005, 0.02) : k.uniform(0.02, 0.045),
          rate: k.uniform(2, 4),
          phase: k.uniform(0, 20),
        },
        cortex: k.normal(6.6, 1.4, 4, 10) * Math.sqrt(scale),
        sinus: k.chance(0.18) ? k.uniform(1.15, 1.4) : k.normal(0.95, 0.12, 0.65, 1.2),
        hydronephrosis: k.chance(0.2) ? k.uniform(0.3, 1) : 0,
      } as const;
    });
}

/** mm from the kidney's centre to its capsule along a local direction. */
export function toCapsule(kidney: Kidney, direction: Vector): number {
  const [a, b, c] = kidney.radii;
  const d = unit(direction);
  let [low, high] = [0, 2 * c];
  for (let i = 0; i < 24; i++) {
    const t = (low + high) / 2;
    const w = (t * d[2]) / c;
    const u = (t * d[0] - kidney.bend * w * w) / a;
    const v = (t * d[1]) / b;
    if (u * u + v * v + w * w < 1) low = t;
    else high = t;
  }
  return low;
}

/** A point given along the kidney's axes in mm. */
export const inKidney = (kidney: Kidney, u: number, v: number, w: number): Vector =>
  inAxes(kidney.centre, kidney.axes, u, v, w);

export interface KidneyLabels {
  kidney: number;
  /** Sinus fat, pelvis and hilar vessels belong to the kidney, as in the renal study. */
  sinus: boolean;
  /** Label of calyces and pelvis; by default that which `sinus` gives them. */
  pelvis?: number | undefined;
}

/** All tissues but these. */
export const allBut = (...tissues: readonly TissueId[]): TissueId[] =>
  Object.values(Tissue).filter((t) => !tissues.includes(t));

const { bone, skin, subcutaneousFat, muscle, cortex, medulla, sinusFat, urine, perirenalFat } =
  Tissue;

/** Draws the fat round a kidney, in some patients stranded. */
export function drawPerirenalFat(body: Body, kidney: Kidney): void {
  const { scene, palette } = body;
  const r = body.random.stream(`perirenal ${kidney.side}`);
  const margin = r.logUniform(1.2, 16);
  const [a, b, c] = kidney.radii;
  const around = (m: number, over: TissueId[], more: Partial<Paint> = {}) =>
    scene.ellipsoid(
      {
        ...{ centre: kidney.centre, axes: kidney.axes, bend: kidney.bend },
        radii: [a + m, b + m, c + 1.4 * m],
      },
      paintOf(perirenalFat, palette.perirenalFat, { over, ...more }),
    );
  around(margin, allBut(bone, skin, subcutaneousFat, muscle));
  around(Math.min(margin, r.uniform(0.5, 2.5)), allBut(bone, skin, subcutaneousFat));
  if (r.chance(0.25))
    around(margin, [perirenalFat], {
      hu: r.uniform(-60, 10),
      patches: { size: r.uniform(3, 7), level: r.uniform(0.9, 1.8), seed: r.integer(1, 1e6) },
    });
}

/** Draws a kidney: parenchyma, sinus, pelvis and hilar vessels, with the labels given. */
export function drawKidney(
  body: Body,
  kidney: Kidney,
  labels: KidneyLabels,
  roots: RenalRoots,
): void {
  const { scene, palette } = body;
  const { centre, axes, radii, bend, bump } = kidney;
  scene.ellipsoid(
    { centre, axes, radii, bend, bump },
    paintOf(cortex, palette.cortex, {
      label: labels.kidney,
      instance: 0,
      over: allBut(bone, skin, subcutaneousFat),
    }),
  );
  const papillae = drawPyramids(body, kidney);
  drawSinus(body, kidney, papillae, labels);
  drawHilarVessels(body, kidney, labels, roots);
}

interface Papilla {
  tip: Vector;
  /** Local direction from the middle of the sinus, and mm to the edge of the sinus there. */
  direction: Vector;
}

/** Middle and radii of the sinus, along the kidney's axes. */
function sinusOf({ radii: [a, b, c], sinus }: Kidney): { middle: Vector; radii: Vector } {
  return { middle: [0.5 * a, 0, 0], radii: [0.6 * a * sinus, 0.38 * b * sinus, 0.5 * c * sinus] };
}

/**
 * The medulla. In most kidneys it fills all that the cortex of some 7 mm and its columns between the pyramids leave, as the corticomedullary phase
 * shows it; in the others pyramids lie apart in the cortex. Draws them unlike each other: while the cortex is bright they are taken for masses.
 */
function drawPyramids(body: Body, kidney: Kidney): Papilla[] {
  const { scene, palette } = body;
  const r = body.random.stream(`pyramids ${kidney.side}`);
  const { middle, radii } = sinusOf(kidney);
  const whole = r.chance(0.75);
  const unlike = r.chance(0.6);
  if (whole) drawMedulla(body, kidney);
  const papillae: Papilla[] = [];
  const rows = r.integer(4, whole || unlike ? 8 : 6);
  // From the upper hilar lip round the lateral side to the lower one.
  const angleOf = (row: number) => ((row + 0.5) / rows - 0.5) * 4.4;
  for (let row = 0; row < rows; row++) {
    const angle = angleOf(row) + r.normal(0, unlike ? 0.16 : 0.08);
    const polar = Math.abs(angle) > 1.6;
    for (const lip of polar && r.chance(0.5) ? [0] : [-1, 1]) {
      const tilt = lip * r.uniform(0.45, 0.85) + (lip ? 0 : r.normal(0, 0.2));
      const direction = towards(kidney, angle, tilt);
      const edge =
        1 / Math.hypot(direction[0] / radii[0], direction[1] / radii[1], direction[2] / radii[2]);
      const capsule = fromMiddle(kidney, middle, direction);
      const depth = capsule - edge - kidney.cortex;
      if (depth < 4) continue;
      const widest = unlike ? r.logUniform(whole ? 6 : 3.5, 12) : r.uniform(6.5, 9.5);
      const base = Math.min(widest, depth * (whole ? 1 : 0.75));
      const at = (t: number) => alongDirection(kidney, middle, direction, t);
      const tip = at(edge * 0.93);
      const tone = { ...palette.medulla, hu: palette.medulla.hu + r.normal(0, unlike ? 12 : 3) };
      const paint = paintOf(medulla, tone, {
        ...{ label: undefined, over: [whole ? medulla : cortex] },
        softness: unlike ? r.uniform(0, 4) : 0,
      });
      scene.cone(tip, at(Math.max(edge, capsule - kidney.cortex - base)), 2.5, base, paint);
      papillae.push({ tip, direction: plus([0, 0, 0], direction, edge) });
    }
  }
  if (whole) drawColumns(body, kidney, r, rows, angleOf);
  return papillae;
}

/** Columns between most neighbours, along the kidney and across it. */
function drawColumns(
  body: Body,
  kidney: Kidney,
  r: Random,
  rows: number,
  angleOf: (row: number) => number,
) {
  for (let row = 0; row < rows; row++) {
    if (row > 0 && r.chance(0.8))
      drawColumn(body, kidney, r, { angle: angleOf(row - 0.5), tilt: 0, along: true });
    const tilts = r.pick([[], [0], [0], [-0.4, 0.4], [-0.4, 0.4]]);
    for (const tilt of tilts)
      drawColumn(body, kidney, r, { angle: angleOf(row), tilt, along: false });
  }
}

/** All that lies within the cortex. */
function drawMedulla({ scene, palette }: Body, { centre, axes, radii, bend, cortex: rim }: Kidney) {
  const inner = radii.map((x) => Math.max(4, x - rim)) as unknown as Vector;
  const paint = paintOf(medulla, palette.medulla, { label: undefined, over: [cortex] });
  scene.ellipsoid({ centre, axes, radii: inner, bend }, paint);
}

/**
 * A sheet of cortex from the sinus outward, between pyramids: in the direction that an angle along the kidney and a tilt across it give, thin along the
 * kidney, or across it where it parts the pyramids of a row.
 */
function drawColumn(
  { scene, palette }: Body,
  kidney: Kidney,
  r: Random,
  { angle, tilt, along }: { angle: number; tilt: number; along: boolean },
) {
  const { middle } = sinusOf(kidney);
  const direction = towards(kidney, angle + r.normal(0, 0.06), tilt + r.normal(0, 0.06));
  const local = axesFrom([-direction[2], 0, direction[0]], direction);
  const capsule = fromMiddle(kidney, middle, direction);
  const inward = capsule * r.uniform(0.25, 0.55);
  const thin = r.uniform(1, 4);
  const wide = along ? kidney.radii[1] * 1.1 : r.uniform(0.12, 0.2) * kidney.radii[2];
  const tone = { ...palette.cortex, hu: palette.cortex.hu + r.normal(0, 8) };
  scene.ellipsoid(
    {
      centre: alongDirection(kidney, middle, direction, (inward + capsule) / 2),
      axes: local.map((d) => inAxes([0, 0, 0], kidney.axes, ...d)) as unknown as Axes,
      radii: [along ? thin : wide, along ? wide : thin, (capsule - inward) * 0.6],
    },
    paintOf(cortex, tone, {
      ...{ label: undefined, over: [medulla] },
      softness: r.uniform(0, 2),
    }),
  );
}

/** A local direction from the sinus by an angle along the kidney and a tilt across it: the sinus is longer than wide, so directions fan out along it. */
function towards(kidney: Kidney, angle: number, tilt: number): Vector {
  const { radii } = sinusOf(kidney);
  return unit([
    -Math.cos(angle) * Math.cos(tilt) * radii[0],
    Math.sin(tilt) * radii[1] * 1.4,
    Math.sin(angle) * Math.cos(tilt) * radii[2],
  ]);
}

/** The point t mm from the middle of the sinus along a local direction. */
const alongDirection = (kidney: Kidney, middle: Vector, d: Vector, t: number): Vector =>
  inKidney(kidney, middle[0] + t * d[0], middle[1] + t * d[1], middle[2] + t * d[2]);

/** mm from a point on the first axis to the capsule along a local direction. */
function fromMiddle(kidney: Kidney, middle: Vector, d: Vector): number {
  const [a, b, c] = kidney.radii;
  let [low, high] = [0, 2 * c];
  for (let i = 0; i < 20; i++) {
    const t = (low + high) / 2;
    const w = (middle[2] + t * d[2]) / c;
    const u = (middle[0] + t * d[0] - kidney.bend * w * w) / a;
    const v = (middle[1] + t * d[1]) / b;
    if (u * u + v * v + w * w < 1) low = t;
    else high = t;
  }
  return low;
}

function drawSinus(body: Body, kidney: Kidney, papillae: Papilla[], labels: KidneyLabels): void {
  const { scene, palette, voxel } = body;
  const r = body.random.stream(`sinus ${kidney.side}`);
  const { middle, radii } = sinusOf(kidney);
  const centre = inKidney(kidney, ...middle);
  const swollen = kidney.hydronephrosis;
  const label = labels.sinus ? undefined : 0;
  const fat = paintOf(sinusFat, palette.perirenalFat, { label, over: [cortex, medulla] });
  scene.ellipsoid(
    {
      ...{ centre, axes: kidney.axes, radii, bend: kidney.bend * 0.4 },
      bump: { share: 0.08, rate: 3, phase: r.uniform(0, 20) },
    },
    fat,
  );
  // Fat goes on between the pyramids and into the poles.
  for (const { direction } of papillae) {
    if (!r.chance(0.6)) continue;
    const turn: Vector = [
      direction[0],
      direction[1] + r.normal(0, 3),
      direction[2] + r.normal(0, 6),
    ];
    const reach = r.uniform(1.05, 1.35);
    scene.cone(
      centre,
      inKidney(kidney, middle[0] + reach * turn[0], reach * turn[1], reach * turn[2]),
      4,
      r.uniform(1.5, 3.2),
      fat,
    );
  }
  const over = [cortex, medulla, sinusFat, perirenalFat, urine];
  const wet = paintOf(urine, palette.urine, { label: labels.pelvis ?? label, over });
  const [a, b, c] = kidney.radii;
  const grow = 1 + 1.3 * swollen;
  const collapsed = r.uniform(0.5, 1.05);
  const pelvisRadii: Vector = [
    0.36 * a * (collapsed + swollen),
    0.18 * b * (collapsed + 2.2 * swollen),
    0.2 * c * (collapsed + swollen),
  ];
  const pelvis = inKidney(kidney, 0.85 * a, 0, -0.04 * c);
  scene.ellipsoid({ centre: pelvis, axes: kidney.axes, radii: pelvisRadii }, wet);
  if (swollen > 0.5 || r.chance(0.06)) {
    // An obstructed pelvis outside of the sinus holds up to some 150 mL.
    const wide = 1 + 2 * Math.max(0, swollen - 0.5) * r.uniform(0, 1);
    scene.ellipsoid(
      {
        centre: inKidney(kidney, a * r.uniform(1.05, 1.3) + 5 * (wide - 1), 0, -0.1 * c),
        radii: [r.uniform(8, 17) * wide, r.uniform(8, 15) * wide, r.uniform(10, 22) * wide],
      },
      { ...wet, over: [...over, Tissue.fat] },
    );
  }
  // Major calyces to three parts of the kidney, minor ones from there to the papillae.
  for (const part of [-1, 0, 1]) {
    const major = inKidney(kidney, 0.42 * a, 0, part * 0.3 * c);
    scene.cone(pelvis, major, 3.2 * collapsed * grow, 2.2 * collapsed * grow, wet);
    for (const { tip, direction } of papillae) {
      if (Math.round((direction[2] / radii[2]) * 1.4) !== part) continue;
      const cup = (voxel > 4 ? 0.8 : 1) * r.uniform(1.8, 3.4) * collapsed * grow;
      scene.cone(major, tip, 1.4 * collapsed * grow, cup, wet);
    }
  }
  ureter(body, kidney, pelvis, r.uniform(1.4, 2.2) * grow);
  stones(body, kidney, papillae);
}

function ureter(body: Body, kidney: Kidney, pelvis: Vector, radius: number): void {
  const side = kidney.side === 'left' ? 1 : -1;
  body.scene.tube(
    [
      pelvis,
      [side * 38, -14, kidney.centre[2] - 45],
      [side * 36, -20, -105],
      [side * 42, -26, -200],
    ],
    radius,
    paintOf(urine, body.palette.urine, {
      over: [perirenalFat, sinusFat, Tissue.fat, muscle],
      label: 0,
    }),
  );
}

function stones(body: Body, kidney: Kidney, papillae: Papilla[]): void {
  const r = body.random.stream(`stones ${kidney.side}`);
  if (!r.chance(0.18)) return;
  for (let i = r.integer(1, 4); i > 0 && papillae.length > 0; i--) {
    const { tip } = r.pick(papillae);
    const size = r.logUniform(1.2, r.chance(0.1) ? 11 : 5);
    body.scene.ellipsoid(
      { centre: tip, radii: [size, size * r.uniform(0.7, 1), size * r.uniform(0.7, 1.3)] },
      paintOf(
        Tissue.stone,
        { hu: r.uniform(350, 1500), fine: 0, coarse: 0 },
        { label: undefined, over: [urine, sinusFat, medulla] },
      ),
    );
  }
}

function drawHilarVessels(
  body: Body,
  kidney: Kidney,
  labels: KidneyLabels,
  roots: RenalRoots,
): void {
  const { scene, palette } = body;
  const r = body.random.stream(`hilum ${kidney.side}`);
  const left = kidney.side === 'left';
  const [a, b, c] = kidney.radii;
  const over = [Tissue.fat, perirenalFat, sinusFat, muscle, Tissue.bowel, Tissue.pancreas];
  // Outside of the kidney these write 0 where 0 is; inside of the sinus they keep or clear its label.
  const label = labels.sinus ? undefined : 0;
  const artery = paintOf(Tissue.vessel, palette.aorta, { over, label });
  const vein = paintOf(Tissue.vessel, palette.renalVein, { over, label });
  const hilum = (v: number, w: number) => inKidney(kidney, 1.15 * a, v * b, w * c);
  scene.tube(
    [
      roots.artery,
      [roots.artery[0] + (left ? 22 : -24), -14, roots.artery[2] - 6],
      hilum(0.05, 0.05),
    ],
    2.8,
    artery,
  );
  const before: Vector[] = left
    ? [roots.vein, [roots.artery[0], roots.artery[1] - 15, roots.vein[2]], [32, -26, roots.vein[2]]]
    : [roots.vein];
  scene.tube([...before, hilum(-0.2, 0)], r.uniform(4, 5.8), vein);
  for (let i = r.integer(4, 7); i > 0; i--) {
    const end = inKidney(
      kidney,
      r.uniform(0.1, 0.5) * a,
      r.uniform(-0.25, 0.25) * b,
      r.uniform(-0.5, 0.5) * c,
    );
    const isVein = i % 2 === 0;
    scene.cone(
      hilum(isVein ? -0.2 : 0.05, 0.02),
      end,
      isVein ? 3.4 : 2.2,
      isVein ? 1.8 : 1.2,
      isVein ? vein : artery,
    );
  }
}

/** Whether a point lies in the kidney's bean, undulation apart. */
export function insideKidney(kidney: Kidney, point: Vector): boolean {
  const d = plus(point, kidney.centre, -1);
  const [u, v, w] = kidney.axes.map((axis) => dot(axis, d)) as unknown as Vector;
  const t = w / kidney.radii[2];
  const x = (u - kidney.bend * t * t) / kidney.radii[0];
  return x * x + (v / kidney.radii[1]) ** 2 + t * t < 1;
}
