/**
 * A scene: primitives that are painted one over the other, in mm (x to the patient's left, y to the back, z to the head). The rows that the
 * native drawScene reads are written here; native/math/shapes.h lists the fields in the same order.
 */
import { type Axes, identity, type Vector } from './vector.js';

/** What a point is made of; decides what later primitives may paint over it. */
export const Tissue = {
  air: 0,
  skin: 1,
  subcutaneousFat: 2,
  muscle: 3,
  bone: 4,
  lung: 5,
  /** Fat inside of the abdominal wall. */
  fat: 6,
  liver: 7,
  spleen: 8,
  bowel: 9,
  lumen: 10,
  pancreas: 11,
  vessel: 12,
  blob: 13,
  perirenalFat: 14,
  cortex: 15,
  medulla: 16,
  sinusFat: 17,
  urine: 18,
  mass: 19,
  stone: 20,
  outside: 21,
} as const;
export type TissueId = (typeof Tissue)[keyof typeof Tissue];

/** The labels of analyze. */
export const Label = { none: 0, leftKidney: 1, rightKidney: 2, aml: 3, cystic: 4, solid: 5 };

/** How a primitive paints. */
export interface Paint {
  tissue: TissueId;
  /** HU. */
  hu: number;
  /** SD in HU of texture of the scene's fine and coarse scale. */
  fine?: number;
  coarse?: number;
  /** Label and instance to write; left as they are where undefined. */
  label?: number | undefined;
  instance?: number | undefined;
  /** Paints only over these tissues; over all where undefined. */
  over?: readonly TissueId[] | undefined;
  /** Paints only where smooth noise with features of `size` mm exceeds `level` standard deviations. */
  patches?: { size: number; level: number; seed: number } | undefined;
  /** mm added to the width of the blended edge. */
  softness?: number;
  /** Not displaced by the deformation. */
  fixed?: boolean;
}

/** Only the points p with normal . (p - centre) < at. */
export interface Clip {
  normal: Vector;
  at: number;
}

export interface Ellipsoid {
  centre: Vector;
  /** mm along the axes. */
  radii: Vector;
  axes?: Axes;
  /** log2 of the exponent between the first two axes, and between these and the third: 1 is an ellipse, 2 a rounded box. */
  roundXy?: number;
  roundZ?: number;
  /** mm by which the ends of the third axis bend toward the first axis. */
  bend?: number;
  /** Undulation of the surface: share of the least radius, quarter-periods a radius, phase. */
  bump?: { share: number; rate: number; phase: number };
  clip?: Clip | undefined;
  /** Paints what is outside. */
  invert?: boolean;
}

/** Floats of a row: kPrimitiveSize of native/math/shapes.h. */
export const primitiveSize = 40;

/** Primitives in the order in which they are painted, as rows of floats for drawScene. */
export class Scene {
  #rows = new Float32Array(1280 * primitiveSize);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  ellipsoid(shape: Ellipsoid, paint: Paint): void {
    const { centre, radii, axes = identity, bump, clip } = shape;
    const at = this.#begin(0, paint, centre, clip);
    const rows = this.#rows;
    for (let i = 0; i < 3; i++) {
      const axis = axes[i] as Vector;
      rows[at + 15 + 3 * i] = axis[0];
      rows[at + 16 + 3 * i] = axis[1];
      rows[at + 17 + 3 * i] = axis[2];
    }
    rows[at + 24] = radii[0];
    rows[at + 25] = radii[1];
    rows[at + 26] = radii[2];
    rows[at + 27] = shape.roundXy ?? 1;
    rows[at + 28] = shape.roundZ ?? 1;
    rows[at + 29] = shape.bend ?? 0;
    if (bump) {
      rows[at + 30] = bump.share;
      rows[at + 31] = bump.rate;
      rows[at + 32] = bump.phase;
    }
    rows[at + 37] = shape.invert ? 1 : 0;
  }

  /** A round cone from one sphere to another. */
  cone(from: Vector, to: Vector, r0: number, r1: number, paint: Paint, clip?: Clip): void {
    const at = this.#begin(1, paint, from, clip);
    const rows = this.#rows;
    rows[at + 15] = to[0];
    rows[at + 16] = to[1];
    rows[at + 17] = to[2];
    rows[at + 24] = r0;
    rows[at + 25] = r1;
    rows[at + 27] = 1;
    rows[at + 28] = 1;
  }

  /** A tube along points, with a radius at each. A clip is relative to each piece's first point unless it is a level. */
  tube(points: readonly Vector[], radii: readonly number[] | number, paint: Paint): void {
    const radius = (i: number) => (typeof radii === 'number' ? radii : (radii[i] as number));
    for (let i = 0; i + 1 < points.length; i++)
      this.cone(points[i] as Vector, points[i + 1] as Vector, radius(i), radius(i + 1), paint);
  }

  /** The rows as one array, [size, primitiveSize]; to be read only. */
  rows(): Float32Array {
    return this.#rows.subarray(0, this.#size * primitiveSize);
  }

  /** A new row with what all shapes have; returns where it begins. What a shape does not write is 0. */
  #begin(kind: number, paint: Paint, centre: Vector, clip: Clip | undefined): number {
    const at = this.#size++ * primitiveSize;
    if (at === this.#rows.length) {
      const more = new Float32Array(2 * at);
      more.set(this.#rows);
      this.#rows = more;
    }
    const rows = this.#rows;
    const { patches } = paint;
    rows[at] = kind;
    rows[at + 1] = paint.tissue;
    rows[at + 2] = paint.label ?? -1;
    rows[at + 3] = paint.instance ?? -1;
    let over = 0;
    if (paint.over) for (const t of paint.over) over |= 1 << t;
    rows[at + 4] = over;
    rows[at + 5] = paint.hu;
    rows[at + 6] = paint.fine ?? 0;
    rows[at + 7] = paint.coarse ?? 0;
    rows[at + 10] = paint.softness ?? 0;
    rows[at + 11] = paint.fixed ? 1 : 0;
    rows[at + 12] = centre[0];
    rows[at + 13] = centre[1];
    rows[at + 14] = centre[2];
    if (clip) {
      rows[at + 33] = clip.normal[0];
      rows[at + 34] = clip.normal[1];
      rows[at + 35] = clip.normal[2];
      rows[at + 36] = clip.at;
    }
    if (patches) {
      rows[at + 8] = patches.size;
      rows[at + 9] = patches.level;
      rows[at + 38] = patches.seed;
    }
    return at;
  }
}
