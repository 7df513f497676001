import { RenvoxError } from '../errors.js';
import type { Tensor } from '../tensor.js';
import { checkTensor, type Triple, text, triple } from './check.js';
import { checkAlongAxes } from './volume-axes.js';

/** One kidney's crop after the second stage. */
export interface CropFinding {
  /** [1, d, h, w, 3] f32: background, kidney, mass. */
  logits: Tensor;
  /** u8, the crop's voxels: 1..capacity the mass component that a voxel belongs to, others none. */
  masses: Tensor;
  /** f64 [12], crop index to CT index; all zeros where the side has no kidney. */
  affine: Tensor;
}

/**
 * What was found, on the CT's own grid or a box of it: u8 [D, H, W] with 1 left kidney, 2 right kidney, 3.. the masses of the left kidney,
 * 3 + capacity.. those of the right. Logits are interpolated trilinearly and never stored at full size.
 * @param options.start - the box's first voxel in the CT along D, H, W; may be negative; by default the CT's first
 * @param options.size - voxels of the box along D, H, W
 * @param options.capacity - most masses a side
 * @throws RenvoxError InvalidArgument, ShapeMismatch, DtypeMismatch
 */
export function composeFindings(
  left: CropFinding,
  right: CropFinding,
  options: { start?: Triple; size: Triple; capacity: number },
): Tensor {
  for (const [side, crop] of [
    ['left', left],
    ['right', right],
  ] as const) {
    checkTensor('composeFindings', `${side}.logits`, crop.logits, { rank: 5, dtype: 'f32' });
    checkTensor('composeFindings', `${side}.masses`, crop.masses, { dtype: 'u8' });
    checkTensor('composeFindings', `${side}.affine`, crop.affine, { dtype: 'f64' });
    const { shape } = crop.logits;
    if (shape[0] !== 1 || shape.includes(0))
      throw new RenvoxError(
        'ShapeMismatch',
        `Expected [1, D, H, W, 3] of at least one voxel for parameter ${side}.logits of composeFindings but received ${text(shape)}`,
        { shape },
      );
  }
  const { start = [0, 0, 0] } = options;
  checkAlongAxes('composeFindings', 'start', start, { whole: true });
  const [instances] = left.logits.device.run('composeFindings', {
    leftLogits: left.logits,
    leftMasses: left.masses,
    leftAffine: left.affine,
    rightLogits: right.logits,
    rightMasses: right.masses,
    rightAffine: right.affine,
    start,
    size: triple('composeFindings', 'size', options.size, 1),
    capacity: options.capacity,
  }) as [Tensor];
  return instances;
}
