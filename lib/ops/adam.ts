import { invalidArgument } from '../errors.js';
import type { Tensor } from '../tensor.js';
import { checkList, checkNumber } from './check.js';

/** Settings of one step of {@link adam}. */
export interface AdamOptions {
  /** Learning rate of this step. */
  lr: number;
  /** Number of this step, from 1. */
  step: number;
  /** Decay of the two moments; [0.9, 0.999] by default. */
  betas?: readonly [number, number];
  /** Added to the root of the second moment; 1e-8 by default. */
  eps?: number;
  /** 0 by default. */
  weightDecay?: number;
  /** Whether the decay shrinks the parameters themselves (AdamW) instead of being added to the gradients; false by default. */
  decoupled?: boolean;
}

/**
 * One step of Adam (Kingma and Ba 2015, arXiv 1412.6980) or, with `decoupled`, AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101), in place
 * over all parameters at once, as PyTorch computes it. Not recorded by the tape.
 * @param parameters - f32, changed in place
 * @param gradients - f32, in the shapes of the parameters
 * @param first - first moments, changed in place; zeros before step 1
 * @param second - second moments, changed in place; zeros before step 1
 * @throws RenvoxError ShapeMismatch, DtypeMismatch, InvalidArgument
 */
export function adam(
  parameters: readonly Tensor[],
  gradients: readonly Tensor[],
  first: readonly Tensor[],
  second: readonly Tensor[],
  options: AdamOptions,
): void {
  const {
    lr,
    step,
    betas = [0.9, 0.999],
    eps = 1e-8,
    weightDecay = 0,
    decoupled = false,
  } = options;
  const lists = { gradients, first, second };
  for (const [name, list] of Object.entries(lists)) checkList('adam', name, parameters, list);
  checkNumber('adam', 'lr', lr, 0);
  checkNumber('adam', 'step', step, 1);
  if (!Number.isInteger(step)) throw invalidArgument('step of adam', 'an integer', step);
  const [beta1, beta2] = betas;
  for (const beta of betas) checkNumber('adam', 'betas', beta, 0, 1 - 2 ** -24);
  checkNumber('adam', 'eps', eps, 0);
  checkNumber('adam', 'weightDecay', weightDecay, 0);
  parameters[0]?.device.run('adam', {
    parameters,
    ...lists,
    lr,
    step,
    beta1,
    beta2,
    eps,
    weightDecay,
    decoupled,
  });
}
