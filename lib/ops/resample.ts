import { invalidArgument, RenvoxError } from '../errors.js';
import { differentiable } from '../gradient.js';
import { type DType, Tensor } from '../tensor.js';
import type { Affine } from './affine.js';
import { checkNumber, checkTensor, checkValue, text } from './check.js';
import {
  checkScale,
  checkWindow,
  type HounsfieldWindow,
  type StoredScale,
} from './hounsfieldWindow.js';
import { type AlongAxes, checkAlongAxes, volumeAxes } from './volume-axes.js';

export interface ResampleOptions extends StoredScale {
  /** Voxels of the result along D, H, W. */
  size: AlongAxes;
  /**
   * Output voxel index (d, h, w) to input voxel index: 3x4 row-major, index_in = A [d, h, w, 1]. Whole numbers are voxel centres. By
   * default the result covers the same box as the input (as PyTorch's align_corners = false). A tensor f64 or f32 [12] or [N, 12] stays on
   * the device; f32 places voxels to about 1e-4 voxel at 512 voxels.
   */
  affine?: Affine | Tensor;
  /** `trilinear` gives f32, `nearest` (voxel floor(p + 0.5)) the type of the input. By default trilinear. */
  mode?: 'trilinear' | 'nearest';
  /** What lies outside the input: 0, the nearest voxel (`border`) or this number, in units of the result. By default `zero`. */
  outside?: 'zero' | 'border' | number;
  /** Each stored value becomes HU and goes through this window before anything is interpolated. Not with `nearest`. */
  window?: HounsfieldWindow;
  /**
   * `box` averages all input voxels in the output voxel's footprint, along axes that shrink; plain trilinear interpolation reads only
   * two of them there and lets noise through. Needs an affine without rotation or shear. By default `none`.
   */
  prefilter?: 'none' | 'box';
}

/**
 * A volume on another grid: every output voxel reads the input at A [d, h, w, 1]. Always in this order: stored value to HU (slope,
 * intercept), window, interpolation. Has a gradient where x is f32.
 * @param x - f32, i16, i32 or u8, [N, D, H, W, C] or [N, D, H, W]
 * @throws RenvoxError ShapeMismatch, DtypeMismatch, InvalidArgument
 */
export function resample(x: Tensor, options: ResampleOptions): Tensor {
  const [n, d, h, w] = volumeAxes('resample', 'x', x, ['f32', 'i16', 'i32', 'u8']);
  const { size, mode = 'trilinear', prefilter = 'none', window } = options;
  checkAlongAxes('resample', 'size', size, { whole: true, least: 1 });
  checkAlongAxes('resample', 'extents of x', [d, h, w], { least: 1 });
  checkTables([d, h, w], size);
  if (mode !== 'trilinear' && mode !== 'nearest')
    throw invalidArgument('mode of resample', "'trilinear' or 'nearest'", mode);
  if (prefilter !== 'none' && prefilter !== 'box')
    throw invalidArgument('prefilter of resample', "'none' or 'box'", prefilter);
  const scale = checkScale('resample', options);
  if (mode === 'nearest' && (window || prefilter === 'box' || scale.slope !== 1 || scale.intercept))
    throw invalidArgument(
      'mode of resample',
      "'trilinear' where there is a window, a prefilter, a slope or an intercept",
      mode,
    );
  const sampling = {
    mode,
    prefilter,
    ...scale,
    ...checkOutside(options.outside ?? 'zero', mode === 'nearest' ? x.dtype : 'f32'),
    ...(window ? { windowed: true, ...checkWindow('resample', window) } : {}),
    ...checkAffine('resample', options.affine ?? coveringAffine([d, h, w], size), n),
  };
  const [y] = x.device.run('resample', { x, size, ...sampling }) as [Tensor];
  if (x.dtype === 'f32') {
    const plain = !window && scale.slope === 1;
    differentiable('resample', [x], [y], ([dy]) => {
      if (!dy) return [undefined];
      const fields = { dy, x: plain ? undefined : x, ...sampling, size: [d, h, w] };
      return x.device.run('resampleGrad', fields) as [Tensor];
    });
  }
  return y;
}

/** The affine by which an output of `to` voxels covers the same box as an input of `from` voxels. */
export function coveringAffine(from: AlongAxes, to: AlongAxes): number[] {
  return [0, 1, 2].flatMap((row) => {
    const ratio = (from[row] as number) / (to[row] as number);
    const numbers = [0, 0, 0, (ratio - 1) / 2];
    numbers[row] = ratio;
    return numbers;
  });
}

/** @internal The fields `affine` or `map` of an operation that samples. */
export function checkAffine(
  operation: string,
  affine: Affine | Tensor,
  samples: number,
): { affine: Affine } | { map: Tensor } {
  if (affine instanceof Tensor) {
    checkTensor(operation, 'affine', affine, { dtype: ['f32', 'f64'] });
    const { shape } = affine;
    const rows = shape.length === 2 ? shape[0] : undefined;
    if (shape.at(-1) !== 12 || shape.length > 2 || (rows !== undefined && rows !== samples))
      throw invalidArgument(
        `affine of ${operation}`,
        `a tensor of shape [12] or [${samples}, 12]`,
        shape,
      );
    return { map: affine };
  }
  if (!Array.isArray(affine) || affine.length !== 12)
    throw invalidArgument(`affine of ${operation}`, '12 numbers, 3x4 row-major', affine);
  for (const number of affine) checkNumber(operation, 'affine', number, -1e9, 1e9);
  return { affine };
}

/** Tables of taps have 32-bit places of voxels and weights: of an axis at most as many as it and twice the result's has. */
function checkTables(from: AlongAxes, to: AlongAxes): void {
  if (Math.max(...from) + 2 * Math.max(...to) >= 2 ** 31)
    throw new RenvoxError(
      'ShapeMismatch',
      `Expected fewer than 2^31 voxels along an axis of x and twice one of the result for resample but received ${text(from)} to ${text(to)}`,
      { operation: 'resample', shape: from, size: to },
    );
}

function checkOutside(outside: unknown, dtype: DType): { outside: string; fill: number } {
  if (outside === 'border') return { outside, fill: 0 };
  if (outside === 'zero') return { outside: 'fill', fill: 0 };
  if (typeof outside !== 'number')
    throw invalidArgument('outside of resample', "'zero', 'border' or a number", outside);
  checkValue('resample', 'outside', outside, dtype);
  return { outside: 'fill', fill: outside };
}
