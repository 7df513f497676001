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
  readonly #rows: number[][] = [];

  get size(): number {
    return this.#rows.length;
  }

  ellipsoid(shape: Ellipsoid, paint: Paint): void {
    const { centre, radii, axes = identity, roundXy = 1, roundZ = 1, bend = 0, bump } = shape;
    this.#rows.push([
      ...head(0, paint),
      ...[...centre, ...axes[0], ...axes[1], ...axes[2], ...radii, roundXy, roundZ, bend],
      ...[bump?.share ?? 0, bump?.rate ?? 0, bump?.phase ?? 0],
      ...tail(shape.clip, shape.invert ?? false, paint),
    ]);
  }

  /** A round cone from one sphere to another. */
  cone(from: Vector, to: Vector, r0: number, r1: number, paint: Paint, clip?: Clip): void {
    this.#rows.push([
      ...head(1, paint),
      ...[...from, ...to, 0, 0, 0, 0, 0, 0, r0, r1, 0, 1, 1, 0, 0, 0, 0],
      ...tail(clip, false, paint),
    ]);
  }

  /** A tube along points, with a radius at each. A clip is relative to each piece's first point unless it is a level. */
  tube(points: readonly Vector[], radii: readonly number[] | number, paint: Paint): void {
    const radius = (i: number) => (typeof radii === 'number' ? radii : (radii[i] as number));
    for (let i = 0; i + 1 < points.length; i++)
      this.cone(points[i] as Vector, points[i + 1] as Vector, radius(i), radius(i + 1), paint);
  }

  /** The rows as one array, [size, primitiveSize]. */
  rows(): Float32Array {
    const data = new Float32Array(this.#rows.length * primitiveSize);
    this.#rows.forEach((row, i) => {
      data.set(row, i * primitiveSize);
    });
    return data;
  }
}

function head(kind: number, paint: Paint): number[] {
  const over = paint.over?.reduce<number>((mask, t) => mask | (1 << t), 0) ?? 0;
  return [
    ...[kind, paint.tissue, paint.label ?? -1, paint.instance ?? -1, over, paint.hu],
    ...[paint.fine ?? 0, paint.coarse ?? 0, paint.patches?.size ?? 0, paint.patches?.level ?? 0],
    ...[paint.softness ?? 0, paint.fixed ? 1 : 0],
  ];
}

function tail(clip: Clip | undefined, invert: boolean, paint: Paint): number[] {
  return [...(clip?.normal ?? [0, 0, 0]), clip?.at ?? 0, +invert, paint.patches?.seed ?? 0, 0];
}
