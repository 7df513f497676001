/** Draws a kidney: the bean of cortex, medulla in it, the sinus with fat, calyces, pelvis and vessels; and the fat around. */
import { type Paint, Tissue, type TissueId } from '../scene.js';
import type { Vector } from '../vector.js';
import { allBut, type Body, paintOf } from './body.js';
import { inKidney, type Kidney, sinusOf } from './kidney-shape.js';
import { drawPyramids, type Papilla } from './medulla.js';
import type { RenalRoots } from './vessels.js';

const { bone, skin, subcutaneousFat, muscle, cortex, medulla, sinusFat, urine, perirenalFat } =
  Tissue;

export interface KidneyLabels {
  kidney: number;
  /** Sinus fat, pelvis and hilar vessels belong to the kidney, as in the renal study. */
  sinus: boolean;
  /** Label of calyces and pelvis; by default that which `sinus` gives them. */
  pelvis?: number | undefined;
}

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
