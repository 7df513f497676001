/** What the metrics take for a label map: a volume, a tensor, or an array with a shape beside it. */
import { type Device, defaultDevice } from '../device.js';
import { invalidArgument, RenvoxError } from '../errors.js';
import { Tensor } from '../tensor.js';
import { sameGrid, type Triple, Volume, type VoxelArray } from '../volume/index.js';
import { gridDifference } from './grid-difference.js';

/** A label map with its geometry, as {@link Volume} is one. */
export interface LabelVolume {
  readonly data: VoxelArray;
  /** Voxels along [d, h, w]. */
  readonly shape: Triple;
  /** mm along [d, h, w]. */
  readonly spacing: Triple;
}

/**
 * Non-negative integers up to 255, 0 the background. A tensor: u8, i16 or i32. Arrays are not copied on the CPU: until the promise of a function that takes
 * them settles they must neither change nor be transferred to another thread.
 */
export type LabelSource = LabelVolume | Tensor | VoxelArray;

/** Where `source` lies: its shape [d, h, w] and spacing in mm, as far as it knows them. */
export function geometryOf(
  parameter: string,
  source: LabelSource,
): { shape?: Triple; spacing?: Triple } {
  if (isVoxels(source)) return {};
  if (source instanceof Tensor) {
    const { shape } = source;
    const space = shape.length === 3 ? shape : shape.slice(1, 4);
    const single = shape.length === 3 || shape.reduce((a, b) => a * b, 1) === product(space);
    if (space.length !== 3 || !single)
      throw new RenvoxError(
        'ShapeMismatch',
        `Expected [D, H, W], [1, D, H, W] or [1, D, H, W, 1] for parameter ${parameter} but received [${shape.join(', ')}]`,
        { parameter, shape },
      );
    return { shape: [space[0] as number, space[1] as number, space[2] as number] };
  }
  if (typeof source === 'object' && source !== null && 'data' in source && isVoxels(source.data)) {
    const { shape, spacing } = source;
    checkTriple(`shape of ${parameter}`, shape, true);
    checkTriple(`spacing of ${parameter}`, spacing, false);
    return { shape, spacing };
  }
  throw invalidArgument(parameter, 'a Volume, a Tensor or a typed array', source);
}

/** A typed array of numbers; no DataView, and none of bigints. */
function isVoxels(value: unknown): value is VoxelArray {
  return (
    ArrayBuffer.isView(value) &&
    !(value instanceof DataView) &&
    !(value instanceof BigInt64Array) &&
    !(value instanceof BigUint64Array)
  );
}

/** Checks three positive numbers along d, h, w. */
export function checkTriple(
  parameter: string,
  value: unknown,
  whole: boolean,
): asserts value is Triple {
  const good = (n: unknown) =>
    typeof n === 'number' && n > 0 && Number.isFinite(n) && (!whole || Number.isSafeInteger(n));
  if (!Array.isArray(value) || value.length !== 3 || !value.every(good))
    throw invalidArgument(
      parameter,
      whole ? 'three positive integers [d, h, w]' : 'three positive numbers [d, h, w] in mm',
      value,
    );
}

/**
 * Shape and spacing of one map, by itself and by the options, which must agree.
 * @throws RenvoxError ShapeMismatch with both figures, or for 2^31 voxels or more; InvalidArgument where nobody says
 */
export function oneGeometry(
  parameter: string,
  source: LabelSource,
  options: { shape?: Triple | undefined; spacing?: Triple | undefined },
): { shape: Triple; spacing: Triple } {
  const own = geometryOf(parameter, source);
  return agreedGeometry([own], options, `${parameter} and the options`);
}

/**
 * The one shape and spacing of two maps: what they say themselves must agree with each other and with the options.
 * @throws RenvoxError ShapeMismatch with both figures; InvalidArgument where nobody says
 */
export function commonGeometry(
  truth: LabelSource,
  prediction: LabelSource,
  options: { shape?: Triple | undefined; spacing?: Triple | undefined },
): { shape: Triple; spacing: Triple } {
  const own = [geometryOf('truth', truth), geometryOf('prediction', prediction)];
  const common = agreedGeometry(own, options, 'truth and prediction');
  if (truth instanceof Volume && prediction instanceof Volume && !sameGrid(truth, prediction))
    throw new RenvoxError(
      'ShapeMismatch',
      `Expected truth and prediction on one grid but their ${gridDifference(truth, prediction)}`,
      { truth: truth.affine, prediction: prediction.affine },
    );
  return common;
}

function agreedGeometry(
  sources: readonly { shape?: Triple; spacing?: Triple }[],
  options: { shape?: Triple | undefined; spacing?: Triple | undefined },
  of: string,
): { shape: Triple; spacing: Triple } {
  if (options.shape !== undefined) checkTriple('shape', options.shape, true);
  if (options.spacing !== undefined) checkTriple('spacing', options.spacing, false);
  const all = [...sources, options];
  const shapes = all.map((s) => s.shape);
  const shape = agreed('shape', of, shapes, (x, y) => x === y);
  if (product(shape) >= 2 ** 31)
    throw new RenvoxError(
      'ShapeMismatch',
      `Expected fewer than 2^31 voxels for ${of} but received ${product(shape)} (shape [${shape.join(', ')}])`,
      { shape },
    );
  // Headers keep spacing as 32-bit floats, and tools derive it from an affine now and then.
  const near = (x: number, y: number) => Math.abs(x - y) <= 1e-3 * y;
  const spacings = all.map((s) => s.spacing);
  return { shape, spacing: agreed('spacing', of, spacings, near) };
}

function agreed(
  name: 'shape' | 'spacing',
  of: string,
  candidates: readonly (Triple | undefined)[],
  same: (x: number, y: number) => boolean,
): Triple {
  const known = candidates.filter((c) => c !== undefined);
  const [first] = known;
  if (first === undefined)
    throw invalidArgument(name, `[d, h, w]${name === 'spacing' ? ' in mm' : ''}`, undefined);
  for (const other of known)
    if (first.some((n, axis) => !same(n, other[axis] as number)))
      throw new RenvoxError(
        'ShapeMismatch',
        `Expected one ${name} [d, h, w] for ${of} but received [${first.join(', ')}] and [${other.join(', ')}]`,
        { [name]: first, other },
      );
  return first;
}

/** The device asked for; else that of a tensor among the maps; else the default one. */
export function deviceFor(asked: Device | undefined, ...maps: readonly LabelSource[]): Device {
  return asked ?? maps.find((map) => map instanceof Tensor)?.device ?? defaultDevice();
}

/** The map as a tensor on `device`; a tensor that is one already comes back itself. */
export function labelTensor(
  parameter: string,
  source: LabelSource,
  shape: Triple,
  device: Device,
): Tensor {
  if (source instanceof Tensor) {
    checkDtype(parameter, source);
    if (source.device !== device)
      throw new RenvoxError(
        'DeviceMismatch',
        `Expected ${parameter} on the ${device.kind} device of the comparison but it lives on another (${source.device.kind})`,
        { parameter },
      );
    return source;
  }
  return device.tensor(integers(parameter, voxelsOf(parameter, source, shape)), {
    shape,
    borrow: true,
  });
}

/**
 * The map's voxels on the host; those of a tensor are downloaded.
 * @throws RenvoxError ShapeMismatch, DtypeMismatch
 */
export async function hostLabels(
  parameter: string,
  source: LabelSource,
  shape: Triple,
): Promise<VoxelArray> {
  if (!(source instanceof Tensor)) return voxelsOf(parameter, source, shape);
  checkDtype(parameter, source);
  return (await source.data()) as Uint8Array | Int16Array | Int32Array;
}

function checkDtype(parameter: string, { dtype }: Tensor): void {
  if (!['u8', 'i16', 'i32'].includes(dtype))
    throw new RenvoxError(
      'DtypeMismatch',
      `Expected u8, i16 or i32 for parameter ${parameter} but received ${dtype}`,
      { parameter, dtype },
    );
}

function voxelsOf(
  parameter: string,
  source: Exclude<LabelSource, Tensor>,
  shape: Triple,
): VoxelArray {
  const voxels =
    source instanceof Volume
      ? storedLabels(source)
      : ArrayBuffer.isView(source)
        ? source
        : source.data;
  if (voxels.length !== product(shape))
    throw new RenvoxError(
      'ShapeMismatch',
      `Expected ${product(shape)} voxels (shape [${shape.join(', ')}]) for parameter ${parameter} but received ${voxels.length}`,
      { parameter, shape, length: voxels.length },
    );
  return voxels;
}

/** A volume's values: mostly the stored ones; those of a file with a slope are scaled. */
function storedLabels(volume: Volume): VoxelArray {
  return volume.slope === 1 && volume.inter === 0 ? volume.data : volume.values();
}

/** The array in a type that the label operations take. */
function integers(parameter: string, data: VoxelArray): Uint8Array | Int16Array | Int32Array {
  if (data instanceof Uint8Array || data instanceof Int16Array || data instanceof Int32Array)
    return data;
  if (data instanceof Int8Array || data instanceof Uint16Array) return Int32Array.from(data);
  const result = new Int32Array(data.length);
  for (let i = 0; i < data.length; i++) {
    result[i] = data[i] as number;
    if (result[i] !== data[i])
      throw invalidArgument(parameter, 'integers (labels) as voxels', data[i]);
  }
  return result;
}

function product(shape: readonly number[]): number {
  return shape.reduce((a, b) => a * b, 1);
}
