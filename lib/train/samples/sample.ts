/** What all samples have in common: the network's grid and window, and the pair of image and target. */
import type { Tensor } from '../../tensor.js';

/** Voxels and mm along [D, H, W] of a network's input. */
export interface SampleGrid {
  readonly shape: readonly [number, number, number];
  readonly spacing: readonly [number, number, number];
}

/** HU of the window that networks see as -1..1. */
export const sampleWindow = { low: -160, high: 240 };

/** The caller disposes both tensors, or has a scope. */
export interface Sample {
  /** f32 [1, D, H, W, C], HU of {@link sampleWindow} as -1..1. */
  image: Tensor;
  /** u8 [1, D, H, W]. */
  target: Tensor;
}

/** Mean edge of a grid's voxels in mm. */
export const voxelOf = ({ spacing }: SampleGrid): number =>
  Math.cbrt(spacing[0] * spacing[1] * spacing[2]);
