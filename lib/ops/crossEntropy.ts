import { invalidArgument, RenvoxError } from '../errors.js';
import { differentiable } from '../gradient.js';
import type { Tensor } from '../tensor.js';
import { checkImage, checkNumber, checkTensor, text } from './check.js';

/** Settings of {@link crossEntropy}. */
export interface CrossEntropyOptions {
  /** One weight a class; 1 each by default. */
  classWeights?: readonly number[];
  /** Voxels with this label in the target count for nothing. */
  ignoreIndex?: number;
  /**
   * Focal loss (Lin et al. 2017, arXiv 1708.02002): a voxel's loss is multiplied by (1 - p)^focus, p the probability of its target. 0, the
   * default, is the cross entropy; else from 1 to 10; the paper uses 2.
   */
  focus?: number;
}

/**
 * Mean cross entropy of softmax(logits): sum over voxels of w_t (log sum over c of exp(x_c) - x_t) / sum of w_t, with t the voxel's target,
 * as PyTorch's weighted mean. Where no voxel has a weight the loss is 0 and so is its gradient (PyTorch gives NaN).
 * @param logits - f32, [..., C]
 * @param target - u8 or i32 labels from 0 to C - 1; the shape of logits without its last axis, or with 1 there
 * @returns f32, [1]
 * @throws RenvoxError ShapeMismatch, DtypeMismatch, InvalidArgument; a label that is no class rejects where the result is read
 */
export function crossEntropy(
  logits: Tensor,
  target: Tensor,
  options: CrossEntropyOptions = {},
): Tensor {
  const { ignoreIndex, focus = 0 } = options;
  const classes = checkImage('crossEntropy', logits, 1);
  checkTarget('crossEntropy', logits, target);
  const classWeights = checkClassWeights('crossEntropy', options.classWeights, classes);
  if (ignoreIndex !== undefined && !Number.isInteger(ignoreIndex))
    throw invalidArgument('ignoreIndex of crossEntropy', 'an integer', ignoreIndex);
  if (focus !== 0) checkNumber('crossEntropy', 'focus', focus, 1, 10);
  const fields = { logits, target, classWeights, ignoreIndex, focus };
  const [loss, weight] = logits.device.run('crossEntropy', fields) as [Tensor, Tensor];
  differentiable(
    'crossEntropy',
    [logits],
    [loss],
    ([dloss]) =>
      dloss
        ? (logits.device.run('crossEntropyGrad', { ...fields, weight, dloss }) as [Tensor])
        : [],
    [weight],
  );
  return loss;
}

/** Checks a label map that goes with logits [..., C]. */
export function checkTarget(operation: string, logits: Tensor, target: unknown): void {
  checkTensor(operation, 'target', target, { dtype: ['u8', 'i32'] });
  const wanted = logits.shape.slice(0, -1);
  const given = target.shape;
  const length = given.length === wanted.length + 1 && given[wanted.length] === 1 ? -1 : undefined;
  const space = given.slice(0, length);
  if (space.length !== wanted.length || wanted.some((n, i) => n !== space[i]))
    throw new RenvoxError(
      'ShapeMismatch',
      `Expected shape ${text(wanted)} for parameter target of ${operation} but received ${text(given)}`,
      { operation, parameter: 'target', expected: wanted, shape: given },
    );
}

/** Checks one finite weight of at least 0 for each class. */
export function checkClassWeights(
  operation: string,
  weights: readonly number[] | undefined,
  classes: number,
): readonly number[] | undefined {
  if (weights === undefined) return undefined;
  if (!Array.isArray(weights) || weights.length !== classes)
    throw invalidArgument(`classWeights of ${operation}`, `${classes} numbers`, weights);
  for (const [c, weight] of weights.entries())
    checkNumber(operation, `classWeights[${c}]`, weight, 0);
  return weights;
}
