/**
 * One piece of work for each operation of the engine and its gradient, of any size: what the checks repeat, run under compute-sanitizer
 * and look for leaks with. `cases()` enqueues nothing before a case's `prepare` is called.
 */
import { type Device, gradients, ops, type Tensor } from 'renvox';
import { ResNet3D, UNet3D } from 'renvox/nn';

export type Size = readonly [number, number, number];

export interface Case {
  name: string;
  /** Makes the inputs and returns what runs the work on them: each call gives new tensors from the same inputs. */
  prepare(): () => Tensor[];
}

const voxels = ([d, h, w]: Size): number => d * h * w;

/** Labels 0..3 in blocks of a few voxels, with single voxels between: many small components and a few large ones. */
export function blocks([d, h, w]: Size, shift = 0): Uint8Array {
  const map = new Uint8Array(d * h * w);
  let i = 0;
  for (let z = 0; z < d; z++)
    for (let y = 0; y < h; y++)
      for (let x = 0; x < w; x++, i++) {
        const cell = Math.imul(
          (z >> 2) * 73 + (y >> 2) * 179 + ((x + shift) >> 3) * 283,
          2654435761,
        );
        const single = Math.imul(i + 1, 2246822519) >>> 0;
        map[i] = cell >>> 30 > 1 ? (cell >>> 29) & 3 : single < 0.05 * 2 ** 32 ? 1 : 0;
      }
  return map;
}

/** Primitives of a scene as native/math/shapes.h lays them out: ellipsoids and cones with textures. */
function primitives(count: number): Float32Array {
  const rows = new Float32Array(count * 40);
  for (let p = 0; p < count; p++) {
    const row = rows.subarray(p * 40, (p + 1) * 40);
    row.set([p % 3 === 2 ? 1 : 0, 1 + (p % 20), p % 6, p, 0, 40 * p - 100, 5, 8], 0);
    row.set([3 * (p % 5) - 6, 2 * (p % 7) - 6, 4 * (p % 3) - 4, 1, 0, 0, 0, 1, 0, 0, 0, 1], 12);
    row.set([6, 5, 9, 1, 1], 24);
  }
  return rows;
}

export function cases(d: Device, size: Size): Case[] {
  const list: Case[] = [];
  const add = (name: string, prepare: Case['prepare']) => list.push({ name, prepare });
  const [depth, height, width] = size;
  const half = size.map((n) => Math.max(1, n >> 1)) as unknown as Size;
  const random = (shape: readonly number[], stream: number): Tensor =>
    ops.randomNormal(d, { shape, seed: 7, stream });
  const image = (channels: number, stream: number) => random([2, ...size, channels], stream);
  const labels = (shift = 0) => d.tensor(blocks(size, shift), { shape: [1, ...size] });
  const copy = (x: Tensor): Tensor => ops.scaleBy(x, 1);
  /** Value and gradients with respect to `inputs`, of something whose shape is known from a first run. */
  const both = (inputs: readonly Tensor[], body: () => Tensor) => (): Tensor[] => {
    const shape = body();
    const dy = random(shape.shape, 99);
    const { value, gradients: made } = gradients(body, inputs, dy);
    return [value, ...made];
  };
  const affine = ops.composeAffine(
    ops.coveringAffine(size, half),
    ops.augmentationAffine({ size: half, rotation: [12, 5, 0], translation: [0.5, 1, -1] }),
  );

  // Elementwise and random.
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

  // Convolutions: exact and on tensor cores, of the networks' kinds.
  const convolution = (
    name: string,
    cin: number,
    cout: number,
    options: Omit<ops.Conv3dOptions, 'statistics'> & { kernel?: number } = {},
  ) =>
    add(name, () => {
      const { kernel = 3, ...rest } = options;
      const x = image(cin, 1);
      const weight = random([cout, cin, kernel, kernel, kernel], 2);
      const bias = random([cout], 3);
      const whole = { bias, padding: (kernel - 1) / 2, ...rest };
      if (whole.out && whole.out !== 'f32') return () => [ops.conv3d(x, weight, whole)];
      return both([x, weight, bias], () => ops.conv3d(x, weight, whole));
    });
  for (const precision of ['fp32', 'bf16', 'fp16'] as const) {
    convolution(`conv3d 1->16 ${precision}`, 1, 16, { precision });
    convolution(`conv3d 16->16 ${precision}`, 16, 16, { precision });
    convolution(`conv3d 24->20 ${precision}`, 24, 20, { precision });
    convolution(`conv3d 64->64 ${precision}`, 64, 64, { precision });
    convolution(`conv3d 1^3 16->3 ${precision}`, 16, 3, { precision, kernel: 1 });
    convolution(`conv3d stride 2 16->32 ${precision}`, 16, 32, { precision, stride: 2 });
    convolution(`conv3d dilation 2 32->32 ${precision}`, 32, 32, {
      ...{ precision, dilation: 2, padding: 2 },
    });
    convolution(`conv3d 7^3 stride 2 1->64 ${precision}`, 1, 64, {
      ...{ precision, kernel: 7, stride: 2 },
    });
  }
  for (const precision of ['bf16', 'fp16'] as const)
    add(`conv3d fused 16+16->16 ${precision}`, () => {
      const out = precision === 'bf16' ? 'bf16' : 'f16';
      const [x, second] = [ops.cast(image(16, 1), out), ops.cast(image(16, 2), out)];
      const weight = random([16, 32, 3, 3, 3], 3);
      const [scale, shift] = [random([2, 16], 4), random([2, 16], 5)];
      const norm = { scale, shift, secondScale: scale, secondShift: shift, slope: 0.01 };
      return () => {
        const fused = { second, padding: 1, precision, out, statistics: true, ...norm } as const;
        const { y, sums } = ops.conv3d(x, weight, fused);
        return [y, sums];
      };
    });
  // Of sums over 16 and over 64 channels: the store pools, and a kernel behind split sums.
  for (const precision of ['fp32', 'bf16', 'fp16'] as const)
    for (const channels of [16, 64])
      add(`conv3d pooled ${channels}->${channels} ${precision}`, () => {
        const x = image(channels, 1);
        const weight = random([channels, channels, 3, 3, 3], 2);
        const poolSign = random([channels], 3);
        return () => {
          const options = { padding: 1, precision, statistics: true, poolSign } as const;
          const { y, sums, pooled } = ops.conv3d(x, weight, options);
          return [y, sums, pooled];
        };
      });
  for (const precision of ['fp32', 'bf16', 'fp16'] as const)
    add(`conv3d up 32->16+16->16 ${precision}`, () => {
      const out = ({ fp32: 'f32', bf16: 'bf16', fp16: 'f16' } as const)[precision];
      const x = ops.cast(random([2, ...half, 32], 1), out);
      const second = ops.cast(random([2, ...half.map((n) => 2 * n), 16], 2), out);
      const [weight, upWeight] = [random([16, 32, 3, 3, 3], 3), random([32, 16, 2, 2, 2], 4)];
      const [scale, shift] = [random([2, 32], 5), random([2, 32], 6)];
      const fused = { upWeight, upBias: random([16], 7), second, scale, shift, slope: 0.01 };
      return () => {
        const options = { ...fused, padding: 1, precision, out, statistics: true } as const;
        const { y, sums } = ops.conv3d(x, weight, options);
        return [y, sums];
      };
    });
  for (const precision of ['fp32', 'bf16', 'fp16'] as const)
    add(`convTranspose3d 32->16 ${precision}`, () => {
      const x = random([2, ...half, 32], 1);
      const weight = random([32, 16, 2, 2, 2], 2);
      const bias = random([16], 3);
      return both([x, weight, bias], () => ops.convTranspose3d(x, weight, { bias, precision }));
    });

  // Norms, pooling, channels, classes.
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

  // Optimisers, on copies, since they change their operands in place.
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

  // Sampling and space.
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

  // Labels.
  for (const connectivity of [6, 18, 26] as const)
    add(`connectedComponents ${connectivity}`, () => {
      const map = labels();
      return () => {
        const found = ops.connectedComponents(map, { connectivity });
        const each = ops.connectedComponents(map, { connectivity, perLabel: true });
        return [found.components, found.count, each.components, each.count];
      };
    });
  add('componentTable', () => {
    const map = labels();
    return () => {
      const { components } = ops.connectedComponents(map);
      return [ops.componentTable(components, { capacity: 7 })];
    };
  });
  add('keepComponents', () => {
    const map = labels();
    return () => {
      const { kept, voxels } = ops.keepComponents(ops.connectedComponents(map), {
        ...{ minimumVoxels: 2, largest: 9 },
      });
      return [kept, voxels];
    };
  });
  add('kidneySides', () => {
    const map = labels();
    const body = random([1, ...size], 4);
    return () => {
      const found = ops.connectedComponents(map);
      const { sides, table } = ops.kidneySides(found, body, { bodyThreshold: -1 });
      return [sides, table];
    };
  });
  add('boxAffine', () => {
    const map = labels();
    return () => {
      const { components } = ops.connectedComponents(map);
      const table = ops.componentTable(components, { capacity: 3 });
      return [ops.boxAffine(table, { row: 1, size: 16, spacing: [3, 1, 1], step: 1, margin: 2 })];
    };
  });
  add('overlapCounts', () => {
    const [a, b] = [labels(), labels(2)];
    return () => {
      const { counts, outside } = ops.overlapCounts(a, b, { labels: 4 });
      return [counts, outside];
    };
  });
  add('measureLabels', () => {
    const map = labels();
    return () => [ops.measureLabels(map, { spacing: [3, 0.75, 0.75], labels: 3 })];
  });
  add('labelHistograms', () => {
    const map = labels();
    const [image, minus] = [random([1, ...size, 1], 1), random([1, ...size, 1], 2)];
    const options = { labels: 3, low: -8, bins: 16 };
    return () => [
      ops.labelHistograms(map, image, options),
      ops.labelHistograms(map, image, { ...options, minus, interior: true }),
    ];
  });
  add('distanceTransform', () => {
    const map = labels();
    const spacing = [3, 0.75, 0.8] as const;
    return () => [
      ops.distanceTransform(map, { spacing }),
      ops.distanceTransform(map, { spacing: [1, 1, 1], to: 'foreground', dtype: 'f64' }),
    ];
  });
  for (const surface of ['voxels', 'elements'] as const)
    add(surface === 'voxels' ? 'surfaceDistances' : 'surfaceDistances elements', () => {
      const [a, b] = [labels(), labels(1)];
      return () => {
        const options = { spacing: [3, 1, 1] as const, tolerances: [2], capacity: 64, surface };
        const { summary, distancesAB, distancesBA } = ops.surfaceDistances(a, b, options);
        return [summary, distancesAB as Tensor, distancesBA as Tensor];
      };
    });
  add('instanceClasses', () => {
    const map = labels();
    const classes = d.tensor(Uint8Array.of(2, 0, 1));
    return () => [ops.instanceClasses(map, classes, 1)];
  });
  add('composeFindings', () => {
    const crop = (stream: number, shift: number) => ({
      logits: random([1, ...half, 3], stream),
      masses: d.tensor(blocks(half, shift), { shape: [1, ...half] }),
      affine: d.tensor(Float64Array.of(1.5, 0, 0, shift, 0, 1.6, 0, 1, 0, 0, 1.4, 0)),
    });
    const [left, right] = [crop(1, 0), crop(2, 3)];
    return () => [ops.composeFindings(left, right, { size: [...size], capacity: 4 })];
  });

  // Phantoms.
  add('drawScene', () => {
    const rows = d.tensor(primitives(12), { shape: [12, 40] });
    const affine = [0, 0, 1, -width / 2, 0, 1, 0, -height / 2, 1, 0, 0, -depth / 2];
    return () => {
      const { hu, label, instance } = ops.drawScene(rows, {
        ...{ shape: size, affine, voxel: 1, seed: 5 },
      });
      return [hu, label, instance];
    };
  });
  add('acquire', () => {
    const x = ops.scaleBy(random([1, ...size, 1], 1), 200);
    const mask = { tensor: labels(), use: 'channel' as const };
    return () => [
      ops.acquire(x, {
        ...{ blur: [0.5, 0.8, 0.8], noise: 10, noiseBlur: [0.4, 0.7, 0.7], seed: 3 },
        ...{ window: { low: -150, high: 250 }, mask },
      }),
    ];
  });
  add('raggedMask', () => {
    const map = labels();
    return () => [ops.raggedMask(map, { shift: 0.3, ragged: 0.5, seed: 4 })];
  });

  // Whole networks on what a level's halving leaves of the size.
  const even = half.map((n) => Math.max(4, n & ~3)) as unknown as Size;
  const net = () =>
    new UNet3D({ inputChannels: 1, classes: 3, channels: [8, 16] }, { device: d, seed: 3 });
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
  add('UNet3D training step', () => {
    const network = net();
    const x = random([1, ...even, 1], 1);
    const target = d.tensor(
      blocks(even).map((v) => v % 3),
      { shape: [1, ...even] },
    );
    const parameters = [...network.parameters.values()];
    return () => {
      const { value, gradients: made } = gradients(() => {
        const logits = network.forward(x, { training: true });
        return ops.add(ops.crossEntropy(logits, target), ops.softDice(logits, target));
      }, parameters);
      return [value, ...made];
    };
  });
  return list;
}

/** Counts which native operations a device runs: their names are added to `seen`. */
export function watched(d: Device, seen: Set<string>): Device {
  const run = d.run.bind(d);
  d.run = (name, fields) => {
    seen.add(name);
    return run(name, fields);
  };
  return d;
}
