import { invalidArgument } from '../errors.js';
import type { Tensor } from '../tensor.js';
import { checkNumber, checkTensor } from './check.js';

/** Where and how {@link drawScene} draws. */
export interface DrawSceneOptions {
  /** Voxels along [D, H, W]. */
  shape: readonly [number, number, number];
  /** Index (d, h, w) to mm (x, y, z) of the scene: 3x4 row-major. */
  affine: readonly number[];
  /** Displacement in mm (x, y, z), f32 [nz, ny, nx, 3]: a voxel at q sees the scene at q + displacement(q). Trilinear between nodes. */
  displacement?: Tensor | undefined;
  /** mm (x, y, z) of the field's first node, and from node to node. */
  fieldStart?: readonly [number, number, number];
  fieldStep?: readonly [number, number, number];
  /** mm over which edges are blended; the voxel's size. */
  voxel: number;
  /** mm of features of the two textures. */
  fineScale?: number;
  coarseScale?: number;
  /** Of the textures, an integer in 0..2^32-1. */
  seed: number;
  /** Slices outside of from..to-1 are air without labels. */
  slices?: readonly [number, number];
  /** Also makes the map of tissues. */
  tissues?: boolean;
}

/** The images of a scene. */
export interface DrawnScene {
  /** HU, f32 [1, D, H, W, 1]. */
  hu: Tensor;
  /** u8 [1, D, H, W]. */
  label: Tensor;
  instance: Tensor;
  tissue: Tensor | null;
}

/**
 * Paints primitives, one over the other, onto a grid: HU with blended edges and texture, labels and instances by the voxel's centre.
 * -1000 HU where nothing paints. The same bits for any number of threads.
 * @param primitives - f32 [P, 40], rows of native/math/shapes.h as `Scene.rows()` writes them
 * @throws RenvoxError ShapeMismatch, DtypeMismatch, InvalidArgument
 */
export function drawScene(primitives: Tensor, options: DrawSceneOptions): DrawnScene {
  checkTensor('drawScene', 'primitives', primitives, { rank: 2, dtype: 'f32' });
  const { shape, affine, displacement, slices } = options;
  if (shape.length !== 3 || !shape.every((n) => Number.isInteger(n) && n > 0))
    throw invalidArgument('shape of drawScene', 'three positive integers', shape);
  if (affine.length !== 12 || !affine.every(Number.isFinite))
    throw invalidArgument('affine of drawScene', '12 finite numbers', affine);
  if (displacement)
    checkTensor('drawScene', 'displacement', displacement, { rank: 4, dtype: 'f32' });
  checkNumber('drawScene', 'voxel', options.voxel, 1e-3, 1e3);
  checkNumber('drawScene', 'seed', options.seed, 0, 4294967295);
  const [hu, label, instance, tissue] = primitives.device.run('drawScene', {
    primitives,
    displacement,
    shape,
    affine,
    fieldStart: options.fieldStart,
    fieldStep: options.fieldStep,
    voxel: options.voxel,
    fineScale: options.fineScale,
    coarseScale: options.coarseScale,
    seed: options.seed,
    sliceFrom: slices?.[0],
    sliceTo: slices?.[1],
    tissues: options.tissues,
  });
  return {
    hu: hu as Tensor,
    label: label as Tensor,
    instance: instance as Tensor,
    tissue: tissue ?? null,
  };
}
