/** Norms, pooling, channels, classes. */
import { gradients, ops } from 'renvox';
import { voxels, type Workbench } from './workbench.js';

export function layers({ add, d, size, random, image, labels, copy, both }: Workbench): void {
  add('instanceNorm', () => {
    const [x, gamma, beta] = [image(16, 1), random([16], 2), random([16], 3)];
    return both([x, gamma, beta], () => ops.instanceNorm(x, gamma, beta, { slope: 0.01 }));
  });
  add('batchNorm', () => {
    const [x, gamma, beta] = [image(16, 1), random([16], 2), random([16], 3)];
    const [mean, variance] = [d.full([16], 0.1), d.full([16], 1.2)];
    return () => {
      const running = [copy(mean), copy(variance)] as const;
      const dy = random(x.shape, 9);
      const { value, gradients: made } = gradients(
        () => ops.batchNorm(x, gamma, beta, ...running, { training: true }),
        [x, gamma, beta],
        dy,
      );
      return [value, ...made, ...running, ops.batchNorm(x, gamma, beta, mean, variance)];
    };
  });
  add('foldBatchNorm', () => {
    const weight = random([16, 8, 3, 3, 3], 1);
    const [gamma, beta, runningMean] = [random([16], 2), random([16], 3), random([16], 4)];
    const layer = { weight, gamma, beta, runningMean, runningVar: d.full([16], 1.3) };
    return () => [...ops.foldBatchNorm(layer)];
  });
  add('batchNormCoefficients', () => {
    const [gamma, beta, runningMean] = [random([16], 2), random([16], 3), random([16], 4)];
    const norm = { gamma, beta, runningMean, runningVar: d.full([16], 1.3) };
    return () => [...ops.batchNormCoefficients(norm, 3)];
  });
  add('normCoefficients', () => {
    const x = image(16, 1);
    const weight = random([16, 16, 1, 1, 1], 2);
    const [gamma, beta] = [random([16], 3), random([16], 4)];
    return () => {
      const { y, sums } = ops.conv3d(x, weight, { statistics: true });
      return [y, ...ops.normCoefficients(sums, voxels(size), gamma, beta)];
    };
  });
  add('maxPool3d', () => {
    const x = image(16, 1);
    return both([x], () => ops.maxPool3d(x));
  });
  add('maxPool3d 3 stride 2 on load', () => {
    const x = image(16, 1);
    const load = { scale: random([2, 16], 2), shift: random([2, 16], 3), slope: 0 };
    return () => [ops.maxPool3d(x, { kernel: 3, stride: 2, padding: 1, load })];
  });
  add('globalAveragePool', () => {
    const x = image(24, 1);
    return both([x], () => ops.globalAveragePool(x));
  });
  add('maskedAveragePool', () => {
    const [x, masks] = [image(24, 1), ops.relu(image(5, 2))];
    return both([x], () => ops.maskedAveragePool(x, masks));
  });
  add('gradCamPlusPlus', () => {
    const [activations, gradient] = [image(24, 1), image(24, 2)];
    return () => [ops.gradCamPlusPlus(activations, gradient)];
  });
  add('linear', () => {
    const [x, weight, bias] = [random([5, 96], 1), random([33, 96], 2), random([33], 3)];
    return both([x, weight, bias], () => ops.linear(x, weight, bias));
  });
  add('concatChannels', () => {
    const [a, b] = [image(3, 1), image(8, 2)];
    return both([a, b], () => ops.concatChannels([a, b]));
  });
  add('sliceChannels', () => {
    const x = image(7, 1);
    return both([x], () => ops.sliceChannels(x, 2, 5));
  });
  add('stack', () => {
    const [a, b] = [random([1, ...size, 3], 1), random([1, ...size, 3], 2)];
    return both([a, b], () => ops.stack([a, b]));
  });
  add('sliceBatch', () => {
    const x = image(3, 1);
    return () => [ops.sliceBatch(x, 1, 2)];
  });
  add('softmax', () => {
    const x = image(3, 1);
    return both([x], () => ops.softmax(x));
  });
  add('argmax', () => {
    const x = image(3, 1);
    return () => [ops.argmax(x)];
  });
  for (const loss of ['crossEntropy', 'softDice'] as const)
    add(loss, () => {
      const logits = random([1, ...size, 4], 1);
      const target = labels();
      return both([logits], () => ops[loss](logits, target, { classWeights: [1, 2, 3, 4] }));
    });
}
