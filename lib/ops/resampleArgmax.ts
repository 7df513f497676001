import { invalidArgument, RenvoxError } from '../errors.js';
import type { Tensor } from '../tensor.js';
import type { Affine } from './affine.js';
import { checkTensor, text } from './check.js';
import { checkAffine, coveringAffine } from './resample.js';
import { type AlongAxes, checkAlongAxes, volumeAxes } from './volume-axes.js';

export interface ResampleArgmaxOptions {
  /** Voxels of the label map along D, H, W; not with `into`. */
  size?: AlongAxes;
  /** Index (d, h, w) in the label map to index in the logits, as in resample; by default both cover the same box. */
  affine?: Affine | Tensor;
  /**
   * A label map u8 or i32 on the logits' grid, [1, D, H, W] or [1, D, H, W, 1]. A voxel of any class but 0 then gets, instead of its class,
   * the component of the nearest of the eight voxels round it that has one (0 if none has).
   */
  components?: Tensor;
  /** What is written for class (or component) k: labels[k], 0 beyond its end. A list, or a tensor u8 or i32 [K]. By default k itself. */
  labels?: readonly number[] | Tensor;
  /** An existing label map u8, [1, D, H, W] or [1, D, H, W, 1]: labels that are not 0 are written into it, the rest of it stays. */
  into?: Tensor;
}

/**
 * Brings logits to another grid and takes the class of the largest, never storing floats of the output's size: trilinear interpolation
 * of all C logits at each output voxel, then argmax (the lowest of equals). Voxels outside the logits' voxels are 0. Labels above 255 become 255.
 * @param logits - f32 [1, D, H, W, C], at most 256 classes; class 0 is background
 * @returns u8 [1, D, H, W], or `into`
 * @throws RenvoxError ShapeMismatch, DtypeMismatch, InvalidArgument
 */
export function resampleArgmax(logits: Tensor, options: ResampleArgmaxOptions): Tensor {
  const { components, labels, into } = options;
  checkTensor('resampleArgmax', 'logits', logits, { rank: 5, dtype: 'f32' });
  const [n, d, h, w, classes] = logits.shape as [number, number, number, number, number];
  if (n !== 1 || classes < 1 || classes > 256 || logits.size === 0)
    throw new RenvoxError(
      'ShapeMismatch',
      `Expected shape [1, D, H, W, C] with 1 to 256 classes for parameter logits of resampleArgmax but received ${text(logits.shape)}`,
      { operation: 'resampleArgmax', parameter: 'logits', shape: logits.shape },
    );
  const size = sizeOf(options);
  if (components) checkMap('components', components, ['u8', 'i32'], [d, h, w]);
  const isList = Array.isArray(labels);
  if (
    isList &&
    (labels.length === 0 || !labels.every((v) => Number.isInteger(v) && v >= 0 && v <= 255))
  )
    throw invalidArgument('labels of resampleArgmax', 'a list of integers from 0 to 255', labels);
  if (labels !== undefined && !isList)
    checkTensor('resampleArgmax', 'labels', labels, { rank: 1, dtype: ['u8', 'i32'] });
  const fields = {
    logits,
    components,
    ...(isList ? { labels: labels as readonly number[] } : { table: labels as Tensor | undefined }),
    ...checkAffine('resampleArgmax', options.affine ?? coveringAffine([d, h, w], size), 1),
  };
  if (!into) return logits.device.run('resampleArgmax', { ...fields, size })[0] as Tensor;
  logits.device.run('resampleArgmaxInto', { ...fields, into });
  return into;
}

function sizeOf({ size, into }: ResampleArgmaxOptions): AlongAxes {
  if (into) {
    if (size !== undefined)
      throw invalidArgument('size of resampleArgmax', 'nothing where `into` is given', size);
    return checkMap('into', into, ['u8']);
  }
  checkAlongAxes('resampleArgmax', 'size', size, { whole: true, least: 1 });
  return size;
}

function checkMap(
  parameter: string,
  map: Tensor,
  dtype: readonly ('u8' | 'i32')[],
  wanted?: AlongAxes,
): AlongAxes {
  const [n, d, h, w, c] = volumeAxes('resampleArgmax', parameter, map, dtype);
  const fits = !wanted || (d === wanted[0] && h === wanted[1] && w === wanted[2]);
  if (n !== 1 || c !== 1 || !fits)
    throw new RenvoxError(
      'ShapeMismatch',
      `Expected shape ${wanted ? text([1, ...wanted]) : '[1, D, H, W]'} for parameter ${parameter} of resampleArgmax but received ${text(map.shape)}`,
      { operation: 'resampleArgmax', parameter, shape: map.shape },
    );
  return [d, h, w];
}
