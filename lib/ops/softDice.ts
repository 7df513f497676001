import { differentiable } from '../gradient.js';
import type { Tensor } from '../tensor.js';
import { checkImage, checkNumber } from './check.js';
import { checkClassWeights, checkTarget } from './crossEntropy.js';

/** Settings of {@link softDice}. */
export interface SoftDiceOptions {
  /** Added above and below the fraction; 1e-5 by default. */
  smooth?: number;
  /** Whether class 0 counts; false by default. */
  includeBackground?: boolean;
  /** One weight a class in the mean, class 0 included; 1 each by default. */
  classWeights?: readonly number[];
  /** Whether classes without a voxel in a sample's target are left out of the mean; false by default. */
  skipAbsent?: boolean;
}

/**
 * Soft Dice loss: 1 - mean over samples and classes of (2 sum(p t) + smooth) / (sum p + sum t + smooth), sums over the voxels of a
 * sample, p = softmax(logits), t = 1 where the target is the class (Milletari et al. 2016, arXiv 1606.04797, in the form of
 * nnU-Net). Where no class counts the loss is 0.
 * @param logits - f32, [N, ..., C]
 * @param target - u8 or i32 labels from 0 to C - 1; the shape of logits without its last axis, or with 1 there
 * @returns f32, [1]
 * @throws RenvoxError ShapeMismatch, DtypeMismatch, InvalidArgument; a label that is no class rejects where the result is read
 */
export function softDice(logits: Tensor, target: Tensor, options: SoftDiceOptions = {}): Tensor {
  const { smooth = 1e-5, includeBackground = false, skipAbsent = false } = options;
  const classes = checkImage('softDice', logits);
  checkTarget('softDice', logits, target);
  checkNumber('softDice', 'smooth', smooth, 0);
  const classWeights = checkClassWeights('softDice', options.classWeights, classes);
  const fields = { logits, target, classWeights, smooth, includeBackground, skipAbsent };
  const [loss, sums] = logits.device.run('softDice', fields) as [Tensor, Tensor];
  differentiable(
    'softDice',
    [logits],
    [loss],
    ([dloss]) =>
      dloss ? (logits.device.run('softDiceGrad', { ...fields, sums, dloss }) as [Tensor]) : [],
    [sums],
  );
  return loss;
}
