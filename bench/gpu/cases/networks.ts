/** Whole networks on what a level's halving leaves of the size. */
import { gradients, ops, type Tensor } from 'renvox';
import { ResNet3D, UNet3D } from 'renvox/nn';
import { blocks, type Size, type Workbench } from './workbench.js';

export function networks({ add, d, half, random }: Workbench): void {
  const even = half.map((n) => Math.max(4, n & ~3)) as unknown as Size;
  const net = (channels = [8, 16]) =>
    new UNet3D({ inputChannels: 1, classes: 3, channels }, { device: d, seed: 3 });
  add('UNet3D infer', () => {
    const network = net();
    const x = random([1, ...even, 1], 1);
    return () => [network.infer(x), network.infer(x, { precision: 'fp32' })];
  });
  // Norms of fixed statistics, far from zero, where 16 bits hold the difference from the mean but not the value.
  const MEAN = 300;
  for (const precision of ['bf16', 'fp16'] as const) {
    add(`UNet3D infer, batch norm ${precision}`, () => {
      const config = { inputChannels: 1, classes: 3, channels: [8, 16], norm: 'batch' } as const;
      const network = new UNet3D(config, { device: d, seed: 3 });
      // What a bias adds, its norm takes away.
      const tensors = [...network.tensors].map(([name, tensor]): [string, Tensor] => {
        const far = /conv\.bias|running_mean/.test(name);
        return [name, far ? d.full(tensor.shape, MEAN) : tensor];
      });
      network.load(new Map(tensors));
      const x = random([1, ...even, 1], 1);
      return () => [network.infer(x, { precision })];
    });
    add(`ResNet3D infer ${precision}`, () => {
      const config = { inputChannels: 2, classes: 3, widths: [8, 16, 16, 24], hidden: 8 };
      const network = new ResNet3D({ ...config, geometry: 'strided' }, { device: d, seed: 3 });
      // Convolutions have no bias: the stem's middle taps multiply a channel of ones.
      const { shape } = network.tensor('conv1.weight');
      const taps = shape.slice(2).reduce((a, b) => a * b, 1);
      const stem = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => {
        if (Math.floor(i / taps) % 2 === 0) return 0.1 * Math.sin(i);
        return i % taps === (taps - 1) / 2 ? MEAN : 0;
      });
      const mean = d.full(network.tensor('bn1.running_mean').shape, MEAN);
      network.load(
        new Map([
          ...network.tensors,
          ['conv1.weight', d.tensor(stem, { shape })],
          ['bn1.running_mean', mean],
        ]),
      );
      const x = ops.concatChannels([random([1, ...even, 1], 1), d.full([1, ...even, 1], 1)]);
      return () => [network.infer(x, { precision })];
    });
  }
  // Between norms of channels by eight, more than eight, the gradients have kernels of their own in 16 bits (docs/kernels.md).
  for (const precision of ['fp32', 'bf16', 'fp16'] as const)
    add(`UNet3D training step ${precision}`, () => {
      const channels = precision === 'fp32' ? [8, 16] : [16, 40];
      const network = net(channels);
      const x = random([2, ...even, 1], 1);
      const labels = blocks(even).map((v) => v % 3);
      const target = d.tensor(Uint8Array.from([...labels, ...labels]), { shape: [2, ...even] });
      const parameters = [...network.parameters.values()];
      return () => {
        const { value, gradients: made } = gradients(() => {
          const logits = network.forward(x, { training: true, precision });
          return ops.add(ops.crossEntropy(logits, target), ops.softDice(logits, target));
        }, parameters);
        return [value, ...made];
      };
    });
}
