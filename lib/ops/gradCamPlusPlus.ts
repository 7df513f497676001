import type { Tensor } from '../tensor.js';
import { checkImage, checkShape, checkTensor } from './check.js';

/**
 * The channels' weights of Grad-CAM++: the sum over space of alpha relu(g), alpha = g^2 / (2 g^2 + S g^3), where g is the gradient of a class's
 * logit with respect to the activations and S their sum over space (Chattopadhay et al. 2018, doi 10.1109/WACV.2018.00097, eq. 19, whose
 * factor exp(logit), the same for all, is left out). It has no gradient.
 * @param activations - f32, [N, ..., C]
 * @param gradient - f32, the same shape
 * @returns f32, [N, C]
 * @throws RenvoxError ShapeMismatch, DtypeMismatch
 */
export function gradCamPlusPlus(activations: Tensor, gradient: Tensor): Tensor {
  checkImage('gradCamPlusPlus', activations);
  checkTensor('gradCamPlusPlus', 'gradient', gradient, { dtype: 'f32' });
  checkShape('gradCamPlusPlus', 'gradient', gradient, activations.shape);
  const fields = { activations, gradients: gradient };
  return activations.device.run('gradCamPlusPlus', fields)[0] as Tensor;
}
