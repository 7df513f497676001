/** Optimisers, on copies, since they change their operands in place. */
import { ops, type Tensor } from 'renvox';
import { voxels, type Workbench } from './workbench.js';

export function optimisers({ add, size, random, copy }: Workbench): void {
  const lists = (count: number): Tensor[] =>
    [voxels(size), 17, 4097].map((n, k) => random([n], 10 * count + k));
  add('adam', () => {
    const [p, g] = [lists(1), lists(2)];
    return () => {
      const [parameters, first, second] = [p, g, g].map((list) => list.map(copy)) as [
        Tensor[],
        Tensor[],
        Tensor[],
      ];
      const squares = second.map((t) => ops.multiply(t, t));
      ops.adam(parameters, g, first, squares, { lr: 1e-3, step: 3, weightDecay: 0.01 });
      return [...parameters, ...first, ...squares];
    };
  });
  add('sgd', () => {
    const [p, g] = [lists(1), lists(2)];
    return () => {
      const [parameters, momenta] = [p.map(copy), g.map(copy)];
      ops.sgd(parameters, g, momenta, { lr: 1e-2, momentum: 0.9, nesterov: true });
      return [...parameters, ...momenta];
    };
  });
  add('clipGradients', () => {
    const g = lists(1);
    return () => {
      const clipped = g.map(copy);
      return [ops.gradientNorm(g), ops.clipGradients(clipped, 1), ...clipped, ops.allFinite(g)];
    };
  });
  add('average', () => {
    const [a, p] = [lists(1), lists(2)];
    return () => {
      const averages = a.map(copy);
      ops.average(averages, p, 0.99);
      return averages;
    };
  });
}
