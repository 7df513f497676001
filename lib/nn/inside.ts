/**
 * What a classifier is told of the inside of a mask: means of simple features over the mask, over its middle and over what lies round it. A class that
 * its attenuation tells is lost in the stages of a ResNet, which take maxima over noise and whose norms move with the batch; means over the right voxels
 * keep it. The features are a 3x3x3 convolution with ReLU whose units begin as steps along the scale of HU, so that their means are a histogram to
 * begin with; training moves them.
 */
import {
  concatChannels,
  conv3d,
  globalAveragePool,
  maskedAveragePool,
  relu,
  reshape,
  scaleBy,
  sliceChannels,
  weightedSum,
} from '../ops/index.js';
import type { Tensor } from '../tensor.js';
import type { Blueprint, Products } from './network.js';

/** The mask; its middle; its deep middle; a rim of a few voxels round it; one three times as wide. */
const REGIONS = 5;
/** A region is where the mask, blurred ever more widely, is above this; and where it is above the mask itself. */
export const MIDDLE = 0.6;
export const DEEP = 0.75;
/** Shares of the crop are small numbers. */
export const SHARE = 8;

/** Numbers that the branch adds to the pooled features. */
export const insideFeatures = (channels: number): number =>
  channels === 0 ? 0 : REGIONS * (channels + 1);

/** Declares the branch's weights. */
export function declareInside(b: Blueprint, inputs: number, channels: number): void {
  b.steps('inside.conv', inputs, channels);
  b.blur('inside.blur');
}

/**
 * @param x - [N, D, H, W, C], the mask as last channel
 * @returns [N, 5 (channels + 1)]: by region the features' means, then the regions' shares of the crop
 */
export function insideOf(
  x: Tensor,
  tensor: (name: string) => Tensor,
  { precision, algorithm }: Products,
): Tensor {
  const features = relu(
    conv3d(x, tensor('inside.conv.weight'), {
      ...{ bias: tensor('inside.conv.bias'), padding: 1, out: 'f32', precision, algorithm },
    }),
  );
  const regions = concatChannels(regionsOf(x, tensor('inside.blur.weight')));
  const means = maskedAveragePool(features, regions);
  const [samples, count, channels] = means.shape as [number, number, number];
  const shares = scaleBy(globalAveragePool(regions), SHARE);
  return concatChannels([reshape(means, [samples, count * channels]), shares]);
}

/** Weights [N, D, H, W, 1] of each region. The blurs follow one another with taps ever farther apart, so that five a side reach 14 voxels. */
function regionsOf(x: Tensor, kernel: Tensor): Tensor[] {
  const channels = x.shape[4] as number;
  const mask = sliceChannels(x, channels - 1, channels);
  const one = x.device.full(mask.shape, 1);
  const blur = (m: Tensor, dilation: number) =>
    conv3d(m, kernel, { padding: 2 * dilation, dilation, precision: 'fp32' });
  const close = blur(mask, 1);
  const wide = blur(close, 2);
  const wider = blur(wide, 4);
  const above = (m: Tensor, than: Tensor, factor: number) =>
    relu(weightedSum([m, than], [1, -factor]));
  return [
    mask,
    above(close, one, MIDDLE),
    above(wide, one, DEEP),
    above(wide, mask, 1),
    above(wider, mask, 1),
  ];
}
