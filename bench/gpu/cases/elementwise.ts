/** Elementwise and random operations. */
import { ops } from 'renvox';
import type { Workbench } from './workbench.js';

export function elementwise({ add, d, size, random, image, both }: Workbench): void {
  add('add', () => {
    const [a, b] = [image(3, 1), image(3, 2)];
    return both([a, b], () => ops.add(a, b));
  });
  add('multiply', () => {
    const [a, b] = [image(3, 1), image(3, 2)];
    return both([a, b], () => ops.multiply(a, b));
  });
  add('leakyRelu', () => {
    const x = image(3, 1);
    return both([x], () => ops.leakyRelu(x, 0.01));
  });
  add('weightedSum', () => {
    const [a, b] = [image(3, 1), image(3, 2)];
    return both([a, b], () => ops.weightedSum([a, b], [0.25, -2]));
  });
  add('sum', () => {
    const x = image(5, 1);
    return both([x], () => ops.sum(x));
  });
  add('dropout', () => {
    const x = image(4, 1);
    return both([x], () => ops.dropout(x, 0.3, { seed: 3 }));
  });
  add('cast', () => {
    const x = image(3, 1);
    return () => [
      ops.cast(x, 'bf16'),
      ops.cast(ops.cast(x, 'f16'), 'f32'),
      ops.cast(ops.cast(x, 'i16'), 'f32'),
    ];
  });
  add('fill', () => () => [d.full([3, ...size], 1.5), d.full([3, ...size], 7, 'u8')]);
  add('randomNormal', () => () => [random([2, ...size], 5)]);
  add('randomUniform', () => () => [ops.randomUniform(d, { shape: [2, ...size], seed: 5 })]);
  add('hounsfieldWindow', () => {
    const x = ops.cast(ops.scaleBy(image(1, 1), 400), 'i16');
    return () => [ops.hounsfieldWindow(x, { level: 40, width: 400 })];
  });
}
