/** Turning a volume to another order and direction of its axes, without touching a value. 48 ways, all lossless. */
import { invalidArgument, RenvoxError } from '../errors.js';
import { apply, type Triple } from './affine.js';
import { type AxisDirection, axisDirections, parseAxisCodes } from './axes.js';
import { Volume, type VoxelArray } from './volume.js';

/**
 * The volume with its axes permuted and flipped so that `volume.orientation` equals `code`. An oblique volume stays
 * oblique: its axes come as near to the code as they can without resampling. Where nothing is to do, `volume` itself.
 * @param code letters toward which the file's axes shall increase, w first: 'LPS', 'RAS' or another of the 48
 * @throws InvalidArgument
 */
export function reorient(volume: Volume, code: string): Volume {
  const wanted = typeof code === 'string' ? parseAxisCodes(code) : undefined;
  if (wanted === undefined) {
    throw invalidArgument(
      'code',
      "three letters, one of each pair L/R, A/P and I/S, as in 'LPS'",
      code,
    );
  }
  if (volume.orientation === code) return volume;
  const present = axisDirections(volume.affine);
  // For each axis of the result, in file order: the source axis that it shows, and whether backwards.
  const axes = wanted.map(({ patient, sign }) => {
    const source = present.findIndex((axis) => axis.patient === patient) as 0 | 1 | 2;
    return { source, backwards: (present[source] as AxisDirection).sign !== sign };
  });
  const fileShape = axes.map(({ source }) => volume.fileShape[source]) as [number, number, number];
  const affine = turnedAffine(volume, axes);
  const spacing = axes.map(({ source }) => volume.fileSpacing[source]) as [number, number, number];
  return new Volume({
    data: turnedVoxels(volume, axes, fileShape),
    shape: [fileShape[2], fileShape[1], fileShape[0]],
    affine,
    slope: volume.slope,
    inter: volume.inter,
    spacing: [spacing[2], spacing[1], spacing[0]],
    affineSource: volume.affineSource,
    sha256: volume.sha256,
  });
}

/**
 * `volume`, turned so that its axes run as those of `reference`, which must show the same voxels. The result has the
 * very geometry of `reference`: the way back after {@link reorient}, and the way to compare two files of one scan.
 * @throws ShapeMismatch where the grids differ by more than the order and direction of their axes
 */
export function reorientLike(volume: Volume, reference: Volume): Volume {
  const turned = reorient(volume, reference.orientation);
  if (!sameGrid(turned, reference)) {
    throw new RenvoxError(
      'ShapeMismatch',
      `The volumes do not show the same voxels: ${describeGrid(turned)} and ${describeGrid(reference)}`,
      { shape: turned.shape, expected: reference.shape },
    );
  }
  const { data, slope, inter, sha256 } = turned;
  const { shape, affine, spacing, affineSource, template } = reference;
  return new Volume({
    ...{ data, slope, inter, sha256 },
    ...{ shape, affine, spacing, affineSource, template },
  });
}

/** Whether two volumes have the same shape and no corner of one lies `toleranceMm` or more from the other's. */
export function sameGrid(a: Volume, b: Volume, toleranceMm = 0.01): boolean {
  if (a.shape.some((n, axis) => n !== b.shape[axis])) return false;
  const [w, h, d] = a.fileShape;
  for (let corner = 0; corner < 8; corner++) {
    const index: Triple = [corner & 1 ? w - 1 : 0, corner & 2 ? h - 1 : 0, corner & 4 ? d - 1 : 0];
    const [p, q] = [apply(a.affine, index), apply(b.affine, index)];
    if (!(Math.hypot(p[0] - q[0], p[1] - q[1], p[2] - q[2]) < toleranceMm)) return false;
  }
  return true;
}

/**
 * The array axis (0 d, 1 h, 2 w) that runs between the patient's sides, and whether a higher index lies further to the
 * patient's left. Decided by the affine; where `volume.affineSource` is 'pixdim' the file does not say and this is an
 * assumption.
 */
export function leftRightAxis(volume: Volume): { axis: 0 | 1 | 2; higherIsLeft: boolean } {
  const directions = axisDirections(volume.affine);
  const fileAxis = directions.findIndex(({ patient }) => patient === 0) as 0 | 1 | 2;
  return {
    axis: (2 - fileAxis) as 0 | 1 | 2,
    higherIsLeft: (directions[fileAxis] as AxisDirection).sign < 0,
  };
}

interface Turn {
  readonly source: 0 | 1 | 2;
  readonly backwards: boolean;
}

function turnedAffine({ affine, fileShape }: Volume, axes: readonly Turn[]): number[] {
  return [0, 1, 2].flatMap((row) => {
    let offset = affine[4 * row + 3] as number;
    const columns = axes.map(({ source, backwards }) => {
      const column = affine[4 * row + source] as number;
      if (!backwards) return column;
      offset += column * (fileShape[source] - 1);
      return -column;
    });
    return [...columns, offset];
  });
}

function turnedVoxels(
  { data, fileShape }: Volume,
  axes: readonly Turn[],
  shape: readonly [number, number, number],
): VoxelArray {
  const steps = [1, fileShape[0], fileShape[0] * fileShape[1]];
  let start = 0;
  const step = axes.map(({ source, backwards }) => {
    const along = steps[source] as number;
    if (backwards) start += along * (fileShape[source] - 1);
    return backwards ? -along : along;
  }) as [number, number, number];
  const result = new (data.constructor as new (length: number) => VoxelArray)(data.length);
  let to = 0;
  for (let d = 0; d < shape[2]; d++) {
    for (let h = 0; h < shape[1]; h++) {
      let from = start + d * step[2] + h * step[1];
      if (step[0] === 1) {
        result.set(data.subarray(from, from + shape[0]), to);
        to += shape[0];
        continue;
      }
      for (let w = 0; w < shape[0]; w++) {
        result[to++] = data[from] as number;
        from += step[0];
      }
    }
  }
  return result;
}

function describeGrid({ fileShape, affine, orientation }: Volume): string {
  const origin = [3, 7, 11].map((k) => (affine[k] as number).toFixed(2));
  return `${fileShape.join('x')} ${orientation} from (${origin.join(', ')}) mm`;
}
