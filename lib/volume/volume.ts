/** Volume: voxels and where they lie in the patient. */
import { invalidArgument, RenvoxError } from '../errors.js';
import { type Affine, affineFault, columnLengths, type Triple } from './affine.js';
import { axisCodes } from './axes.js';
import { type WriteOptions, writeVolume } from './nifti-write.js';

/** The element types that a volume may have. */
export type VoxelArray =
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | Float32Array
  | Float64Array;

/** The geometry fields of the NIfTI header that a volume came from, kept so that writing changes none of their bits. */
export interface NiftiTemplate {
  readonly version: 1 | 2;
  /** A header of 348 or 540 bytes, little-endian, empty but for affine, quaternion, spacing and unit fields. */
  readonly bytes: Uint8Array;
}

/** Where the affine came from. `pixdim`: the file has none, so sides are an assumption, not a fact. */
export type AffineSource = 'sform' | 'qform' | 'pixdim' | 'given';

/** What a {@link Volume} is made of. */
export interface VolumeInit {
  /** Stored values, x fastest: data[(d * H + h) * W + w]. Kept, not copied. */
  readonly data: VoxelArray;
  /** Voxels along [d, h, w], the slowest axis first. */
  readonly shape: Triple;
  /**
   * Voxel index to RAS mm (x to the patient's right, y front, z head), 4x4 or 3x4 row-major, columns in the order of
   * the file's axes, that is w, h, d, offset.
   */
  readonly affine: readonly number[];
  /** HU = slope * stored + inter. Defaults 1 and 0. */
  readonly slope?: number;
  readonly inter?: number;
  /** Spacing [d, h, w] in mm as a file states it; used where it agrees with the affine to 1e-4. */
  readonly spacing?: Triple;
  readonly affineSource?: AffineSource;
  readonly template?: NiftiTemplate | undefined;
  /** SHA-256 of the file that the volume was read from, in hex. */
  readonly sha256?: string | undefined;
}

/**
 * A three-dimensional image: voxels, their geometry and the scale of their values.
 *
 * Axes are [d, h, w], the slowest in memory first; NIfTI counts the other way, so file axis 0 is w. Names that begin
 * with `file` give the file's order. The patient's left is negative x in RAS.
 */
export class Volume {
  /** Stored values, before slope and inter. */
  readonly data: VoxelArray;
  /** [d, h, w]. */
  readonly shape: Triple;
  /** Voxel index (w, h, d) to RAS mm: 16 numbers, 4x4 row-major, as NIfTI and nibabel give it. */
  readonly affine: Affine;
  /** mm along [d, h, w]. */
  readonly spacing: Triple;
  readonly slope: number;
  readonly inter: number;
  readonly affineSource: AffineSource;
  readonly template: NiftiTemplate | undefined;
  readonly sha256: string | undefined;

  /** @throws InvalidArgument for a bad shape or affine, ShapeMismatch where data and shape disagree. */
  constructor(init: VolumeInit) {
    const { data, shape, affine, slope = 1, inter = 0 } = init;
    if (shape.length !== 3 || !shape.every((n) => Number.isSafeInteger(n) && n > 0)) {
      throw invalidArgument('shape', 'three positive integers [d, h, w]', shape);
    }
    if (data.length !== shape[0] * shape[1] * shape[2]) {
      throw new RenvoxError(
        'ShapeMismatch',
        `Expected ${shape.join('x')} = ${shape[0] * shape[1] * shape[2]} voxels for parameter data but received ${data.length} of type ${data.constructor.name}`,
        { shape, length: data.length },
      );
    }
    if (affine.length !== 12 && affine.length !== 16) {
      throw invalidArgument('affine', '16 or 12 numbers, row-major', affine);
    }
    const fault = affineFault(affine);
    if (fault !== undefined) {
      throw invalidArgument('affine', `an invertible affine in mm (${fault})`, affine);
    }
    if (!Number.isFinite(slope) || slope === 0) {
      throw invalidArgument('slope', 'a finite number other than 0', slope);
    }
    if (!Number.isFinite(inter)) throw invalidArgument('inter', 'a finite number', inter);
    this.data = data;
    this.shape = [shape[0], shape[1], shape[2]];
    this.affine = Object.freeze([...affine.slice(0, 12), 0, 0, 0, 1]);
    const [w, h, d] = columnLengths(this.affine);
    this.spacing = [
      stated(init.spacing?.[0], d),
      stated(init.spacing?.[1], h),
      stated(init.spacing?.[2], w),
    ];
    this.slope = slope;
    this.inter = inter;
    this.affineSource = init.affineSource ?? 'given';
    this.template = init.template;
    this.sha256 = init.sha256;
  }

  /** Voxels along the file's axes: [w, h, d]. */
  get fileShape(): [number, number, number] {
    return [this.shape[2], this.shape[1], this.shape[0]];
  }

  /** mm along the file's axes. */
  get fileSpacing(): [number, number, number] {
    return [this.spacing[2], this.spacing[1], this.spacing[0]];
  }

  /** Volume of one voxel in mm^3. */
  get voxelVolume(): number {
    return this.spacing[0] * this.spacing[1] * this.spacing[2];
  }

  /** The letters toward which each axis of the file increases, in the file's order ('LPS'), as nibabel's aff2axcodes. */
  get orientation(): string {
    return axisCodes(this.affine);
  }

  /**
   * slope * stored + inter, HU for a CT: Int16Array where slope is 1 and every value is an integer that fits, else
   * Float32Array. The volume's own array where that is already it, so do not write to the result.
   * `missing` is put in place of NaN and infinities, which some writers store outside of the scan circle; without it
   * they stay.
   */
  values(options: { missing?: number } = {}): Int16Array | Float32Array {
    const { data, slope, inter } = this;
    const { missing } = options;
    if (slope === 1 && Number.isInteger(inter) && !isFloat(data)) {
      if (data instanceof Int16Array && inter === 0) return data;
      if (fitsInt16(data, inter)) {
        const result = new Int16Array(data.length);
        if (inter === 0) result.set(data);
        else for (let i = 0; i < result.length; i++) result[i] = (data[i] as number) + inter;
        return result;
      }
    }
    const plain = slope === 1 && inter === 0;
    if (plain && missing === undefined && data instanceof Float32Array) return data;
    const result = new Float32Array(data.length);
    for (let i = 0; i < result.length; i++) result[i] = (data[i] as number) * slope + inter;
    if (missing !== undefined) {
      for (let i = 0; i < result.length; i++) {
        if (!Number.isFinite(result[i] as number)) result[i] = missing;
      }
    }
    return result;
  }

  /**
   * Other voxels (a label map, say) on this very grid. A volume that was read from a file passes its geometry fields on,
   * so that both files agree bit for bit. Values of the new volume are as stored (slope 1, inter 0).
   * @throws ShapeMismatch where `data` has another number of voxels.
   */
  like(data: VoxelArray): Volume {
    return new Volume({
      data,
      shape: this.shape,
      affine: this.affine,
      spacing: this.spacing,
      affineSource: this.affineSource,
      template: this.template,
    });
  }

  /**
   * Writes a NIfTI file, gzipped where the name ends in `.gz`. It appears whole or not at all.
   * @throws FileNotFound, WriteFailed, AbortError.
   */
  async write(path: string, options: WriteOptions = {}): Promise<void> {
    await writeVolume(path, this, options);
  }
}

/** What the file says, where the affine agrees: 3 rather than 2.9999999 for a tilted volume. */
function stated(spacing: number | undefined, derived: number): number {
  return spacing !== undefined && Math.abs(spacing - derived) <= 1e-4 * derived ? spacing : derived;
}

function isFloat(data: VoxelArray): data is Float32Array | Float64Array {
  return data instanceof Float32Array || data instanceof Float64Array;
}

function fitsInt16(data: VoxelArray, inter: number): boolean {
  let low = data[0] as number;
  let high = low;
  for (let i = 0; i < data.length; i++) {
    const value = data[i] as number;
    if (value < low) low = value;
    else if (value > high) high = value;
  }
  return low + inter >= -32768 && high + inter <= 32767;
}
