/** The medulla of a kidney: pyramids and the columns of cortex between them. */
import type { Random } from '../random.js';
import { Tissue } from '../scene.js';
import { type Axes, axesFrom, inAxes, plus, unit, type Vector } from '../vector.js';
import { type Body, paintOf } from './body.js';
import { inKidney, type Kidney, sinusOf, toCapsule } from './kidney-shape.js';

const { cortex, medulla } = Tissue;

export interface Papilla {
  tip: Vector;
  /** Local direction from the middle of the sinus, and mm to the edge of the sinus there. */
  direction: Vector;
}

/**
 * The medulla. In most kidneys it fills all that the cortex of some 7 mm and its columns between the pyramids leave, as the corticomedullary phase
 * shows it; in the others pyramids lie apart in the cortex. Draws them unlike each other: while the cortex is bright they are taken for masses.
 */
export function drawPyramids(body: Body, kidney: Kidney): Papilla[] {
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
      const capsule = toCapsule(kidney, middle, direction, 20);
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
  const capsule = toCapsule(kidney, middle, direction, 20);
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
