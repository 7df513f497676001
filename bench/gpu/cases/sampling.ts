/** Sampling and space. */
import { ops } from 'renvox';
import { blocks, type Workbench } from './workbench.js';

export function sampling({
  add,
  d,
  size,
  half,
  random,
  image,
  labels,
  both,
  affine,
}: Workbench): void {
  add('resample', () => {
    const x = random([1, ...size, 2], 1);
    return both([x], () => ops.resample(x, { size: half, affine, outside: 'border' }));
  });
  add('resample i16 window', () => {
    const x = ops.cast(ops.scaleBy(random([1, ...size, 1], 1), 300), 'i16');
    const window = { level: 30, width: 300 };
    return () => [
      ops.resample(x, { size: half, window, affine }),
      ops.resample(x, { size: half, window, prefilter: 'box' }),
    ];
  });
  add('resample nearest', () => {
    const x = labels();
    return () => [ops.resample(x, { size: half, mode: 'nearest', affine })];
  });
  add('resampleArgmax', () => {
    const logits = random([1, ...half, 3], 1);
    const back = ops.invertAffine(affine);
    const components = d.tensor(blocks(half), { shape: [1, ...half] });
    return () => {
      const into = d.full([1, ...size], 9, 'u8');
      ops.resampleArgmax(logits, { into, affine: back, labels: [0, 5, 6] });
      return [
        ops.resampleArgmax(logits, { size, affine: back }),
        ops.resampleArgmax(logits, { size, affine: back, components, labels: [0, 4, 2, 3] }),
        into,
      ];
    };
  });
  add('flip', () => {
    const x = image(3, 1);
    return both([x], () => ops.flip(x, ['d', 'w']));
  });
  add('crop', () => {
    const x = image(2, 1);
    return both([x], () => ops.crop(x, { start: [-1, 1, -2], size }));
  });
  add('adjustIntensity', () => {
    const x = image(2, 1);
    const change = { brightness: 1.1, contrast: 1.2, gamma: 0.8, range: [-1, 1] } as const;
    return () => [ops.adjustIntensity(x, change)];
  });
  add('gaussianBlur', () => {
    const x = image(2, 1);
    return () => [ops.gaussianBlur(x, [0.7, 1, 1.5])];
  });
  add('maskOutside', () => {
    const x = random([1, ...size, 3], 1);
    const mask = labels();
    return both([x], () => ops.maskOutside(x, mask, -1));
  });
  add('maskEquals', () => {
    const map = labels();
    return () => [ops.maskEquals(map, [1, 3])];
  });
}
