/** Cubes cut out round a kidney or a mass, as the cascade cuts them: voxels of a step, larger where the box would not fit. */
import type { Abdomen } from '../../phantom/abdomen.js';
import { placeInPatient } from '../../phantom/deformation.js';
import { type Axes, plus, type Vector } from '../../phantom/vector.js';
import type { Grid, Triple } from '../../volume/index.js';

/** A cut as `ops.boxAffine` makes it. */
export interface CropPlan {
  /** Voxels along [D, H, W]. */
  readonly shape: Triple;
  /** mm of the voxels, which are cubes. */
  readonly step: number;
  /** mm kept free round the box. */
  readonly margin: number;
}

/** A box in LPS mm. */
export interface Box {
  low: Vector;
  high: Vector;
}

/** The box in the patient of an ellipsoid in the scene: its middle displaced, its extents turned with the pose. */
export function boxOf(abdomen: Abdomen, centre: Vector, radii: Vector, axes?: Axes): Box {
  const low: [number, number, number] = [1e9, 1e9, 1e9];
  const high: [number, number, number] = [-1e9, -1e9, -1e9];
  // Points of the surface on a coarse net, each where the deformation takes it.
  for (const z of [-1, -0.6, 0, 0.6, 1])
    for (let i = 0; i < 8; i++) {
      const ring = Math.sqrt(1 - z * z);
      const [u, v, w] = [
        radii[0] * ring * Math.cos((i * Math.PI) / 4),
        radii[1] * ring * Math.sin((i * Math.PI) / 4),
        radii[2] * z,
      ];
      const point: Vector = axes
        ? plus(plus(plus(centre, axes[0], u), axes[1], v), axes[2], w)
        : [centre[0] + u, centre[1] + v, centre[2] + w];
      placeInPatient(abdomen.pose, abdomen.field, point).forEach((x, k) => {
        low[k] = Math.min(low[k] as number, x);
        high[k] = Math.max(high[k] as number, x);
      });
    }
  return { low, high };
}

export const joined = (a: Box, b: Box): Box => ({
  low: a.low.map((x, k) => Math.min(x, b.low[k] as number)) as unknown as Vector,
  high: a.high.map((x, k) => Math.max(x, b.high[k] as number)) as unknown as Vector,
});

/** The grid of the cut, its w axis toward the patient's left, or right where it is mirrored. */
export function cropGridOf(box: Box, plan: CropPlan, mirror = false): { grid: Grid; step: number } {
  let step = plan.step;
  // Axes d, h, w are z, y, x.
  for (const axis of [0, 1, 2] as const) {
    const extent = (box.high[2 - axis] as number) - (box.low[2 - axis] as number);
    step = Math.max(step, (extent + 2 * plan.margin) / plan.shape[axis]);
  }
  const middle = box.low.map((x, k) => (x + (box.high[k] as number)) / 2) as unknown as Vector;
  const [d, h, w] = plan.shape;
  const sign = mirror ? -1 : 1;
  return {
    step,
    grid: {
      shape: plan.shape,
      affine: [
        ...[0, 0, sign * step, middle[0] - sign * step * ((w - 1) / 2)],
        ...[0, step, 0, middle[1] - step * ((h - 1) / 2)],
        ...[step, 0, 0, middle[2] - step * ((d - 1) / 2)],
      ],
    },
  };
}
