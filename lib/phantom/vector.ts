/** Vectors and rotations of three dimensions, as scenes need them. */

export type Vector = readonly [number, number, number];
/** Three orthonormal rows. */
export type Axes = readonly [Vector, Vector, Vector];

export const identity: Axes = [
  [1, 0, 0],
  [0, 1, 0],
  [0, 0, 1],
];

export const plus = (a: Vector, b: Vector, scale = 1): Vector => [
  a[0] + scale * b[0],
  a[1] + scale * b[1],
  a[2] + scale * b[2],
];

export const dot = (a: Vector, b: Vector): number => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];

export const cross = (a: Vector, b: Vector): Vector => [
  a[1] * b[2] - a[2] * b[1],
  a[2] * b[0] - a[0] * b[2],
  a[0] * b[1] - a[1] * b[0],
];

/** The direction of a vector, of length 1. */
export function unit(a: Vector): Vector {
  const length = Math.hypot(...a);
  return [a[0] / length, a[1] / length, a[2] / length];
}

/** Axes whose third is along `third` and whose first is as near to `first` as that allows. */
export function axesFrom(first: Vector, third: Vector): Axes {
  const c = unit(third);
  const a = unit(plus(first, c, -dot(first, c)));
  return [a, cross(c, a), c];
}

/** Axes turned by angles (radians) about x, then y, then z. */
export function turned(x: number, y: number, z: number): Axes {
  const [cx, sx, cy, sy, cz, sz] = [
    Math.cos(x),
    Math.sin(x),
    Math.cos(y),
    Math.sin(y),
    Math.cos(z),
    Math.sin(z),
  ] as const;
  return [
    [cz * cy, sz * cy, -sy],
    [cz * sy * sx - sz * cx, sz * sy * sx + cz * cx, cy * sx],
    [cz * sy * cx + sz * sx, sz * sy * cx - cz * sx, cy * cx],
  ];
}

/** The point with these coordinates along the axes, from `origin`. */
export const inAxes = (origin: Vector, axes: Axes, u: number, v: number, w: number): Vector => [
  origin[0] + u * axes[0][0] + v * axes[1][0] + w * axes[2][0],
  origin[1] + u * axes[0][1] + v * axes[1][1] + w * axes[2][1],
  origin[2] + u * axes[0][2] + v * axes[1][2] + w * axes[2][2],
];
