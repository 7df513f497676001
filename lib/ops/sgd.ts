import type { Tensor } from '../tensor.js';
import { checkList, checkNumber } from './check.js';

/** Settings of one step of {@link sgd}. */
export interface SgdOptions {
  /** Learning rate of this step. */
  lr: number;
  /** 0 by default; nnU-Net uses 0.99. */
  momentum?: number;
  /** Whether the step looks ahead along the momentum; false by default. */
  nesterov?: boolean;
  /** Added to the gradients, times the parameters; 0 by default. */
  weightDecay?: number;
}

/**
 * One step of stochastic gradient descent with (Nesterov) momentum, in place over all parameters at once, as PyTorch computes it.
 * @param parameters - f32, changed in place
 * @param gradients - f32, in the shapes of the parameters
 * @param momenta - changed in place; zeros before the first step
 * @throws RenvoxError ShapeMismatch, DtypeMismatch, InvalidArgument
 */
export function sgd(
  parameters: readonly Tensor[],
  gradients: readonly Tensor[],
  momenta: readonly Tensor[],
  options: SgdOptions,
): void {
  const { lr, momentum = 0, nesterov = false, weightDecay = 0 } = options;
  const lists = { gradients, momenta };
  for (const [name, list] of Object.entries(lists)) checkList('sgd', name, parameters, list);
  checkNumber('sgd', 'lr', lr, 0);
  checkNumber('sgd', 'momentum', momentum, 0, 1);
  checkNumber('sgd', 'weightDecay', weightDecay, 0);
  parameters[0]?.device.run('sgd', {
    parameters,
    ...lists,
    lr,
    momentum,
    nesterov,
    weightDecay,
  });
}
