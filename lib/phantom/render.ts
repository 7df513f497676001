/** Draws a patient on a grid. */
import type { Device } from '../device.js';
import { type DrawnScene, drawScene } from '../ops/drawScene.js';
import type { Grid } from '../volume/index.js';
import type { Abdomen } from './abdomen.js';
import { intoScene } from './deformation.js';
import { Random } from './random.js';
import { primitiveSize } from './scene.js';

/**
 * HU, labels and instances of a patient on a grid in LPS mm, before noise.
 * @param slices - from, to: slices outside are air
 */
export function renderAbdomen(
  device: Device,
  abdomen: Abdomen,
  grid: Grid,
  slices?: readonly [number, number],
): DrawnScene {
  const { scene, pose, field, seed } = abdomen;
  const r = new Random(seed, 'texture');
  const affine = intoScene(pose, grid.affine);
  const column = (c: number): number =>
    Math.hypot(affine[c] as number, affine[4 + c] as number, affine[8 + c] as number);
  const primitives = device.tensor(scene.rows(), { shape: [scene.size, primitiveSize] });
  const displacement = device.tensor(field.data, { shape: [...field.nodes, 3] });
  const drawn = drawScene(primitives, {
    ...{ shape: grid.shape, affine, displacement },
    ...{ fieldStart: field.start, fieldStep: field.step },
    voxel: Math.cbrt(column(0) * column(1) * column(2)),
    fineScale: r.uniform(2.5, 5),
    coarseScale: r.uniform(8, 18),
    seed: r.bits(),
    ...(slices ? { slices } : {}),
  });
  primitives.dispose();
  displacement.dispose();
  return drawn;
}
