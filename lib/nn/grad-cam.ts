/** Where a classifier looked: Grad-CAM of any of its layers. */
import { gradients } from '../autograd/index.js';
import { invalidArgument, RenvoxError } from '../errors.js';
import { conv3d, globalAveragePool, gradCamPlusPlus, relu, reshape } from '../ops/index.js';
import { scope } from '../scope.js';
import { Tensor } from '../tensor.js';
import { ResNet3D } from './resnet3d.js';

export type GradCamMethod = 'grad-cam' | 'grad-cam++';

export interface GradCamOptions {
  /** Whose logit is explained, from 0. */
  classIndex: number;
  /** One of {@link ResNet3D.LAYERS}. Default layer4, the last. */
  layer?: string;
  /** Default grad-cam. */
  method?: GradCamMethod;
}

/**
 * The class activation map of one image: relu(sum over channels of weight x activation), not scaled. With `grad-cam` a channel's weight is the
 * mean over space of the gradient of the class's logit (Selvaraju et al. 2017, arXiv 1610.02391); with `grad-cam++` see
 * {@link gradCamPlusPlus}. High values are evidence for the class. In f32, whatever the network's precision, and by direct convolutions: gradients
 * jump where a ReLU's input passes zero, and a little more rounding there moves maps by thousandths.
 * @param x - the network's input [1, D, H, W, C]
 * @returns f32, [1, d, h, w, 1] on the layer's grid: its voxel i lies at the input's voxel i * `network.layerStride(layer)`
 * @throws RenvoxError InvalidArgument, ShapeMismatch
 */
export function gradCam(network: ResNet3D, x: Tensor, options: GradCamOptions): Tensor {
  if (!(network instanceof ResNet3D)) throw invalidArgument('network', 'a ResNet3D', network);
  if (!(x instanceof Tensor)) throw invalidArgument('x', 'a Tensor', x);
  const { classIndex, layer = 'layer4', method = 'grad-cam' } = options;
  const { classes } = network.config;
  network.layerStride(layer);
  if (!Number.isInteger(classIndex) || classIndex < 0 || classIndex >= classes)
    throw invalidArgument('classIndex', `an integer from 0 to ${classes - 1}`, classIndex);
  if (method !== 'grad-cam' && method !== 'grad-cam++')
    throw invalidArgument('method', "'grad-cam' or 'grad-cam++'", method);
  if (x.shape[0] !== 1)
    throw new RenvoxError(
      'ShapeMismatch',
      `Expected one sample for parameter x of gradCam but received shape [${x.shape.join(', ')}]`,
      { shape: x.shape },
    );
  return scope(() => {
    const activations = activationsOf(network, x, layer);
    const chosen = Float32Array.from({ length: classes }, (_, i) => Number(i === classIndex));
    const seed = network.device.tensor(chosen, { shape: [1, classes] });
    // The layer's output is put into a second pass as something that does not depend on the first, so that the gradient ends there.
    const replaced = (name: string, output: Tensor) => (name === layer ? activations : output);
    const pass = () => network.forward(x, { tap: replaced, algorithm: 'direct' });
    const [gradient] = gradients(pass, [activations], seed).gradients as [Tensor];
    const weights =
      method === 'grad-cam' ? globalAveragePool(gradient) : gradCamPlusPlus(activations, gradient);
    const channels = activations.shape[4] as number;
    return relu(conv3d(activations, reshape(weights, [1, channels, 1, 1, 1])));
  });
}

function activationsOf(network: ResNet3D, x: Tensor, layer: string): Tensor {
  return scope(() => {
    let found: Tensor | undefined;
    network.features(x, {
      algorithm: 'direct',
      tap: (name, output) => {
        if (name === layer) found = output;
        return output;
      },
    });
    return found as Tensor;
  });
}
