/** The contour that a mass network draws round a mass of a phantom: a classifier of the cascade is given nothing better. */
import type { Device } from '../../device.js';
import type { UNet3D } from '../../nn/index.js';
import {
  add,
  cast,
  connectedComponents,
  keepComponents,
  maskEquals,
  resampleArgmax,
} from '../../ops/index.js';
import type { Abdomen } from '../../phantom/abdomen.js';
import type { PlannedMass } from '../../phantom/anatomy/masses.js';
import type { Random } from '../../phantom/random.js';
import { MASS_CRUMB } from '../../pipeline/stages.js';
import { scope } from '../../scope.js';
import type { Tensor } from '../../tensor.js';
import { type Grid, indexMap } from '../../volume/index.js';
import type { CropPlan } from './crop.js';
import { type Acquisition, kidneyView } from './kidney-view.js';

/** A mass network and how it sees. */
export interface MassFinder extends CropPlan {
  readonly network: UNet3D;
  readonly window: { readonly low: number; readonly high: number };
  /** Of the samples, 0 to 1. */
  readonly share: number;
}

/** Of what is found, the share that must lie in the mass for it to be a contour of the mass. */
const LEAST_OF_IT = 0.1;

/**
 * @param options.instances - u8 on `grid`
 * @param options.otherwise - the contour where the network finds nothing of the mass: u8 on `grid`
 * @returns u8 [1, D, H, W] on `grid`, 0 or 1: the largest component of what is found that lies in the mass by a tenth
 */
export function contourFound(
  device: Device,
  abdomen: Abdomen,
  mass: PlannedMass,
  options: {
    finder: MassFinder;
    grid: Grid;
    /** mm of the grid's voxels. */
    step: number;
    instances: Tensor;
    otherwise: () => Tensor;
    random: Random;
    hidden: readonly boolean[];
    acquisition: Acquisition;
  },
): Tensor {
  const { finder, grid, instances, random, hidden } = options;
  return scope(() => {
    const view = kidneyView(device, abdomen, mass.side, {
      ...{ random, crop: finder, window: finder.window, hidden },
      acquisition: () => options.acquisition,
    });
    const logits = finder.network.infer(view.image);
    const size = [...grid.shape] as [number, number, number];
    const here = { size, affine: indexMap(grid, view.grid) };
    const masses = maskEquals(resampleArgmax(logits, here), 2);
    const parts = connectedComponents(masses, { connectivity: 26 });
    const mask = maskEquals(instances, mass.instance);
    // What the cascade drops is never named.
    const minimumVoxels = Math.max(1, Math.round((1000 * MASS_CRUMB) / options.step ** 3));
    const { kept, voxels } = keepComponents(parts, {
      ...{ minimumVoxels, largest: 1, core: { mask, leastShare: LEAST_OF_IT } },
    });
    const nothing = cast(maskEquals(voxels, 0), 'i32');
    const other = device.under({ when: { counts: nothing, index: 0 } }, options.otherwise);
    return cast(add(cast(kept, 'f32'), cast(other, 'f32')), 'u8');
  });
}
