/**
 * The shape of a kidney: a bean whose hilum faces some 42 degrees forward of sideways (Radiol Bras 2009;42:27), of the sizes of BMC Urol
 * 2009;9:19.
 */
import type { Random } from '../random.js';
import { type Axes, axesFrom, inAxes, type Vector } from '../vector.js';

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

/** A point given along the kidney's axes in mm. */
export const inKidney = (kidney: Kidney, u: number, v: number, w: number): Vector =>
  inAxes(kidney.centre, kidney.axes, u, v, w);

/**
 * mm from a point inside, given along the kidney's axes, to the capsule in a local direction of length 1: the lower end of what halving twice the longest
 * radius leaves. 20 halvings leave 0.1 µm; how many is part of what a seed draws.
 */
export function toCapsule(kidney: Kidney, from: Vector, d: Vector, halvings: number): number {
  const [a, b, c] = kidney.radii;
  let [low, high] = [0, 2 * c];
  for (let i = 0; i < halvings; i++) {
    const t = (low + high) / 2;
    const w = (from[2] + t * d[2]) / c;
    const u = (from[0] + t * d[0] - kidney.bend * w * w) / a;
    const v = (from[1] + t * d[1]) / b;
    if (u * u + v * v + w * w < 1) low = t;
    else high = t;
  }
  return low;
}

/** Middle and radii of the sinus, along the kidney's axes. */
export function sinusOf({ radii: [a, b, c], sinus }: Kidney): { middle: Vector; radii: Vector } {
  return { middle: [0.5 * a, 0, 0], radii: [0.6 * a * sinus, 0.38 * b * sinus, 0.5 * c * sinus] };
}
