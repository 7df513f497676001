/** A CT on a coarse grid: each voxel the mean of what it covers, as the body's networks see it. */
import { resample } from '../ops/index.js';
import { scope } from '../scope.js';
import type { Tensor } from '../tensor.js';
import type { NetworkWindow } from './networks.js';

interface Wanted {
  /** Voxels along D, H, W. */
  readonly size: readonly [number, number, number];
  /** Voxel of the grid to voxel of the CT, 3x4 row-major. */
  readonly affine: readonly number[];
  /** Its bottom is what lies outside of the CT. */
  readonly window: NetworkWindow;
}

/**
 * Windowed, then averaged over each voxel of the grid along the CT's axes. An oblique CT, or one of a tilted gantry, whose axes are not the grid's, is
 * first averaged along its own axes, onto voxels at most half as wide as the grid's, and then interpolated.
 * @param image - [1, D, H, W, 1], HU
 */
export function averaged(image: Tensor, { size, affine, window }: Wanted): Tensor {
  const grid = { size: [...size] as [number, number, number], outside: window.low };
  if (alongAxes(affine, size))
    return resample(image, { ...grid, affine: [...affine], window, prefilter: 'box' });
  return scope(() => {
    const own = image.shape.slice(1, 4);
    const few = own.map((n, axis) => {
      const row = affine.slice(4 * axis, 4 * axis + 3);
      // CT voxels along this axis that the grid's step most along it takes.
      const step = Math.max(...row.map(Math.abs)) / 2;
      return Math.ceil(n / Math.max(1, step));
    }) as [number, number, number];
    const coarse = resample(image, { size: few, window, outside: 'border', prefilter: 'box' });
    const onCoarse = affine.map((x, i) => {
      const axis = Math.floor(i / 4);
      const ratio = (own[axis] as number) / (few[axis] as number);
      return i % 4 === 3 ? (x + 0.5) / ratio - 0.5 : x / ratio;
    });
    return resample(coarse, { ...grid, affine: onCoarse });
  });
}

/** Whether an affine has neither rotation nor shear, to a ten-millionth of a voxel over the whole grid. */
function alongAxes(affine: readonly number[], size: readonly number[]): boolean {
  return [0, 4, 8].every((row) => {
    const moves = size.filter((n, axis) => Math.abs((affine[row + axis] as number) * n) > 1e-7);
    return moves.length <= 1;
  });
}
