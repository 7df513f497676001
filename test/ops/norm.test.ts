// instanceNorm and batchNorm against PyTorch, a naive double reference and themselves.
import { type Device, gradients, isRenvoxError, ops, type Tensor, threads } from 'renvox';
import t from 'tap';
import {
  agrees,
  channelsFirst,
  channelsLast,
  onEveryDevice,
  onEveryDeviceAndSet,
  product,
  ReferenceCount,
  randomArray,
  sameBits,
  torchTensors,
} from './harness.js';

const references = new ReferenceCount(t);
const torch = torchTensors('ops');

function stored(name: string) {
  const reference = torch.get(name);
  if (!reference) throw new Error(`No tensor ${name} in the fixtures`);
  return reference.data as Float32Array;
}

function image(device: Device, name: string): Tensor {
  const reference = torch.get(name);
  if (!reference) throw new Error(`No tensor ${name} in the fixtures`);
  const { data, shape } = channelsLast(reference.data as Float32Array, reference.shape);
  return device.tensor(data, { shape });
}

interface Naive {
  y: Float64Array;
  dx: Float64Array;
  dgamma: Float64Array;
  dbeta: Float64Array;
}

/** Norm over `groups` blocks of voxels, with its gradient, in double and by the definition. */
function naiveNorm(
  x: Float32Array,
  dy: Float32Array,
  gamma: Float32Array,
  beta: Float32Array,
  groups: number,
  slope: number,
): Naive {
  const channels = gamma.length;
  const voxels = x.length / groups / channels;
  const r: Naive = {
    y: new Float64Array(x.length),
    dx: new Float64Array(x.length),
    dgamma: new Float64Array(channels),
    dbeta: new Float64Array(channels),
  };
  for (let n = 0; n < groups; n++)
    for (let c = 0; c < channels; c++) {
      const at = (v: number) => (n * voxels + v) * channels + c;
      const value = (a: ArrayLike<number>, i: number) => a[i] as number;
      let mean = 0;
      for (let v = 0; v < voxels; v++) mean += value(x, at(v)) / voxels;
      let variance = 0;
      for (let v = 0; v < voxels; v++) variance += (value(x, at(v)) - mean) ** 2 / voxels;
      const rstd = 1 / Math.sqrt(variance + 1e-5);
      let m1 = 0;
      let m2 = 0;
      const g = new Float64Array(voxels);
      const xhat = new Float64Array(voxels);
      for (let v = 0; v < voxels; v++) {
        const h = (value(x, at(v)) - mean) * rstd;
        const z = value(gamma, c) * h + value(beta, c);
        r.y[at(v)] = z > 0 ? z : slope * z;
        xhat[v] = h;
        g[v] = value(dy, at(v)) * (z > 0 ? 1 : slope);
        m1 += value(g, v);
        m2 += value(g, v) * h;
      }
      r.dbeta[c] = value(r.dbeta, c) + m1;
      r.dgamma[c] = value(r.dgamma, c) + m2;
      for (let v = 0; v < voxels; v++)
        r.dx[at(v)] =
          value(gamma, c) * rstd * (value(g, v) - m1 / voxels - (value(xhat, v) * m2) / voxels);
    }
  return r;
}

const shapes = [
  [1, 1, 1, 3, 1],
  [2, 3, 5, 7, 3],
  [3, 4, 3, 5, 16],
  [1, 33, 17, 9, 5],
  [2, 6, 5, 7, 127],
  [1, 5, 4, 3, 130],
  [2, 2, 3, 3, 512],
  // Several blocks a sample whose values are not a multiple of four; more channels than a block is wide, aligned or not.
  [2, 13, 11, 31, 1],
  [1, 2, 1, 3, 257],
  [2, 2, 1, 3, 1028],
  [3, 1, 1, 5, 7],
];

onEveryDeviceAndSet(t, 'norms of PyTorch', async (t, device) => {
  const cases = [
    ['instance_norm', 2e-6],
    // Values near 10^4 with deviation 1: the input itself has 4 digits after the point.
    ['instance_norm_offset', 2e-6],
    ['batch_norm_eval', 2e-6],
    ['batch_norm_train', 2e-6],
  ] as const;
  for (const [name, tolerance] of cases) {
    const x = image(device, `${name}/input`);
    const gamma = device.tensor(stored(`${name}/weight`));
    const beta = device.tensor(stored(`${name}/bias`));
    const training = name === 'batch_norm_train';
    const suffix = training ? '_before' : '';
    const running = name.startsWith('batch')
      ? ['mean', 'var'].map((s) => device.tensor(stored(`${name}/running_${s}${suffix}`)))
      : [];
    const [mean, variance] = running as [Tensor, Tensor];
    const { value, gradients: made } = gradients(
      () =>
        running.length === 0
          ? ops.instanceNorm(x, gamma, beta)
          : ops.batchNorm(x, gamma, beta, mean, variance, { training }),
      [x, gamma, beta],
      image(device, `${name}/grad_output`),
    );
    const [dx, dgamma, dbeta] = made as [Tensor, Tensor, Tensor];
    const compare = (actual: ArrayLike<number>, what: string) =>
      references.compare(t, actual, stored(`${name}/${what}`), tolerance, `${name} ${what}`);
    compare(channelsFirst(await value.data(), x.shape), 'output');
    compare(channelsFirst(await dx.data(), x.shape), 'grad_input');
    compare(await dgamma.data(), 'grad_weight');
    compare(await dbeta.data(), 'grad_bias');
    if (training) {
      compare(await mean.data(), 'running_mean_after');
      compare(await variance.data(), 'running_var_after');
    }
  }
});

onEveryDeviceAndSet(t, 'norms of random shapes', async (t, device) => {
  for (const [seed, shape] of shapes.entries()) {
    const channels = shape[shape.length - 1] as number;
    const x = randomArray(product(shape), seed).map((v, i) => 3 * v + (i % channels));
    const dy = randomArray(product(shape), seed + 100);
    const gamma = randomArray(channels, seed + 200);
    const beta = randomArray(channels, seed + 300);
    for (const batch of [false, true]) {
      const slope = 0.01;
      const run = async () => {
        const tensors = [
          device.tensor(x, { shape }),
          device.tensor(gamma),
          device.tensor(beta),
        ] as const;
        const running = [device.full([channels]), device.full([channels], 1)] as const;
        const { value, gradients: made } = gradients(
          () =>
            batch
              ? ops.batchNorm(...tensors, ...running, { training: true, slope })
              : ops.instanceNorm(...tensors, { slope }),
          tensors,
          device.tensor(dy, { shape }),
        );
        return Promise.all([value, ...made].map((tensor) => tensor.data()));
      };
      const results = await run();
      const expected = naiveNorm(x, dy, gamma, beta, batch ? 1 : (shape[0] as number), slope);
      const what = `${batch ? 'batch' : 'instance'} norm of [${shape}]`;
      for (const [i, key] of (['y', 'dx', 'dgamma', 'dbeta'] as const).entries()) {
        agrees(t, results[i] as Float32Array, expected[key], 3e-6, `${what}: ${key}`);
      }
      const before = threads();
      for (const count of [1, 2, 3]) {
        threads(count);
        for (const [i, again] of (await run()).entries())
          sameBits(t, again, results[i] as Float32Array, `${what}, output ${i}, ${count} threads`);
      }
      threads(before);
    }
  }
});

onEveryDevice(t, 'the gradient of an instance norm of 16-bit values', async (t, device) => {
  for (const [seed, shape] of [
    [1, 2, 3, 5, 16],
    [2, 3, 4, 5, 7],
    [3, 1, 1, 9, 4],
    [1, 5, 6, 7, 33],
  ].entries())
    for (const type of ['bf16', 'f16'] as const) {
      const draw = (shape: readonly number[], stream: number) =>
        ops.randomNormal(device, { shape, seed, stream });
      const [n, c] = [shape[0] as number, shape.at(-1) as number];
      const [x, dy] = [ops.cast(draw(shape, 1), type), ops.cast(draw(shape, 2), type)];
      const given = { gamma: draw([c], 3), beta: draw([c], 4), slope: 0.1 };
      const statistics = device.run('instanceNorm', { x: ops.cast(x, 'f32'), ...given })[1];
      const run = (of: { x: Tensor; dy: Tensor }) => {
        const fields = { ...of, ...given, statistics: statistics as Tensor };
        return device.run('instanceNormGrad', fields) as Tensor[];
      };
      const own = run({ x, dy });
      const [dx, ...rest] = run({ x: ops.cast(x, 'f32'), dy: ops.cast(dy, 'f32') }) as [Tensor];
      t.equal((own[0] as Tensor).dtype, type);
      const expected = [ops.cast(dx, type), ...(rest as Tensor[])];
      for (const [i, name] of ['dx', 'dgamma', 'dbeta'].entries()) {
        const [a, b] = [own[i], expected[i]] as [Tensor, Tensor];
        sameBits(t, await a.data(), await b.data(), `${type} [${shape}] of ${n} samples: ${name}`);
      }
    }
});

onEveryDeviceAndSet(t, 'statistics far from zero', async (t, device) => {
  const shape = [1, 24, 25, 26, 2];
  const x = randomArray(product(shape), 5).map((v) => 1e4 + Math.sqrt(3) * v);
  const gamma = Float32Array.of(1, 2);
  const beta = Float32Array.of(0, 1);
  const y = ops.instanceNorm(
    device.tensor(x, { shape }),
    device.tensor(gamma),
    device.tensor(beta),
  );
  const expected = naiveNorm(x, new Float32Array(x.length), gamma, beta, 1, 1);
  agrees(t, await y.data(), expected.y, 2e-6, 'mean 10000, deviation 1');
});

onEveryDevice(
  t,
  'statistics where the first values are nothing like the rest',
  async (t, device) => {
    const shape = [2, 31, 17, 11, 3];
    const half = product(shape) / 2;
    const x = randomArray(2 * half, 6).map((v, i) => v + (i % half < 9 ? 3e4 : (i % 3) - 50));
    const dy = randomArray(2 * half, 7);
    const gamma = Float32Array.of(1, 2, -1);
    const beta = Float32Array.of(0, 1, 2);
    const tensors = [
      device.tensor(x, { shape }),
      device.tensor(gamma),
      device.tensor(beta),
    ] as const;
    const { value, gradients: made } = gradients(
      () => ops.instanceNorm(...tensors),
      tensors,
      device.tensor(dy, { shape }),
    );
    const expected = naiveNorm(x, dy, gamma, beta, 2, 1);
    agrees(t, await value.data(), expected.y, 2e-6, 'y');
    for (const [i, key] of (['dx', 'dgamma', 'dbeta'] as const).entries())
      agrees(t, await (made[i] as Tensor).data(), expected[key], 4e-6, key);
  },
);

onEveryDevice(t, 'instance norm of one voxel is its beta', async (t, device) => {
  const shape = [3, 1, 1, 1, 7];
  const beta = randomArray(7, 1);
  const tensors = [
    device.tensor(randomArray(21, 2), { shape }),
    device.tensor(randomArray(7, 3)),
    device.tensor(beta),
  ] as const;
  const { value, gradients: made } = gradients(
    () => ops.instanceNorm(...tensors),
    tensors,
    device.tensor(randomArray(21, 4), { shape }),
  );
  agrees(t, await value.data(), [...beta, ...beta, ...beta], 1e-6, 'y');
  // 1 / sqrt(eps) = 316 times the rounding of dy.
  agrees(t, await (made[0] as Tensor).data(), new Float32Array(21), 1e-4, 'no gradient');
});

onEveryDevice(t, 'normCoefficients and foldBatchNorm', async (t, device) => {
  const sums = device.tensor([2, 40, -1, 90, 0, 10, 3, 2.5], { shape: [2, 2, 2] });
  const gamma = device.tensor([1, 2]);
  const beta = device.tensor([0.5, -0.5]);
  const [scale, shift] = ops.normCoefficients(sums, 10, gamma, beta, { eps: 0 });
  agrees(t, await scale.data(), [0.5, 2 / 3, 1, 4], 1e-7, 'scale');
  agrees(t, await shift.data(), [-0.5, -0.5 + 2 / 3, 0.5, -12.5], 1e-7, 'shift');
  const wanted = { sums, gamma, beta, count: 10, eps: 0, wantStatistics: true };
  const statistics = device.run('normCoefficients', wanted)[2] as Tensor;
  const expected = [2, 0, 1 / 2, -1, 0, 1 / 3, 0, 0, 1, 3, 0, 2];
  agrees(t, await statistics.data(), expected, 1e-7, 'statistics: mean, its rest, 1 / deviation');

  const weight = randomArray(2 * 3 * 8, 1);
  const folded = ops.foldBatchNorm({
    weight: device.tensor(weight, { shape: [2, 3, 2, 2, 2] }),
    bias: device.tensor([1, 2]),
    gamma,
    beta,
    runningMean: device.tensor([0.25, -1]),
    runningVar: device.tensor([4, 0.25]),
  });
  const a = [1 / Math.sqrt(4 + 1e-5), 2 / Math.sqrt(0.25 + 1e-5)] as const;
  t.strictSame(folded[0].shape, [2, 3, 2, 2, 2]);
  agrees(
    t,
    await folded[0].data(),
    weight.map((w, i) => w * (i < 24 ? a[0] : a[1])),
    1e-6,
    'weight',
  );
  agrees(t, await folded[1].data(), [a[0] * 0.75 + 0.5, a[1] * 3 - 0.5], 1e-6, 'bias');

  // Filters longer than a block, no bias, and no filters at all.
  const wide = randomArray(2 * 3 * 125, 2);
  const none = ops.foldBatchNorm({
    weight: device.tensor(wide, { shape: [2, 3, 5, 5, 5] }),
    gamma,
    beta,
    runningMean: device.tensor([0.25, -1]),
    runningVar: device.tensor([4, 0.25]),
  });
  const products = wide.map((w, i) => w * (i < 375 ? a[0] : a[1]));
  agrees(t, await none[0].data(), products, 1e-6, 'long filters');
  agrees(t, await none[1].data(), [a[0] * -0.25 + 0.5, a[1] - 0.5], 1e-6, 'no bias');
  const nothing = device.full([0]);
  const empty = ops.foldBatchNorm({
    weight: device.full([0, 3, 1, 1, 1]),
    ...{ gamma: nothing, beta: nothing, runningMean: nothing, runningVar: nothing },
  });
  t.strictSame([empty[0].shape, empty[1].shape], [[0, 3, 1, 1, 1], [0]]);
  t.equal((await empty[1].data()).length, 0);
});

onEveryDevice(t, 'batchNormCoefficients', async (t, device) => {
  for (const [samples, channels] of [
    [1, 1],
    [3, 300],
  ] as const) {
    const values = (seed: number, base: number) =>
      randomArray(channels, seed).map((v) => base + v / 3);
    const [g, b, m, v] = [values(1, 1), values(2, 0), values(3, 0.5), values(4, 2)] as const;
    const [gamma, beta] = [device.tensor(g), device.tensor(b)];
    const [runningMean, runningVar] = [device.tensor(m), device.tensor(v)];
    const norm = { gamma, beta, runningMean, runningVar };
    const [scale, shift] = ops.batchNormCoefficients(norm, samples, { eps: 1e-3 });
    t.strictSame([scale.shape, shift.shape], Array(2).fill([samples, channels]));
    const a = Array.from(g, (x, c) => x / Math.sqrt((v[c] as number) + 1e-3));
    const many = (of: (c: number) => number) =>
      Array.from({ length: samples * channels }, (_, i) => of(i % channels));
    agrees(
      t,
      await scale.data(),
      many((c) => a[c] as number),
      1e-7,
      'scale',
    );
    const expected = many((c) => (b[c] as number) - (m[c] as number) * (a[c] as number));
    agrees(t, await shift.data(), expected, 1e-6, 'shift');
  }
  const [one, two] = [device.full([1]), device.full([2])];
  const norm = { gamma: one, beta: one, runningMean: one, runningVar: one };
  for (const [bad, samples] of [
    [{ ...norm, beta: two }, 1],
    [norm, 0],
    [norm, 1.5],
  ] as const)
    t.throws(() => ops.batchNormCoefficients(bad, samples));
});

onEveryDevice(
  t,
  'a folded convolution is the convolution and its norm in eval mode',
  async (t, device) => {
    const x = device.tensor(randomArray(2 * 5 * 4 * 3 * 3, 11), { shape: [2, 5, 4, 3, 3] });
    const weight = device.tensor(randomArray(4 * 3 * 27, 12), { shape: [4, 3, 3, 3, 3] });
    const of = (seed: number, base: number) =>
      device.tensor(randomArray(4, seed).map((v) => base + v / 2));
    const [bias, gamma, beta] = [of(13, 0), of(14, 1), of(15, 0)] as const;
    const [runningMean, runningVar] = [of(16, 0), of(17, 1)] as const;
    const plain = ops.batchNorm(
      ops.conv3d(x, weight, { bias, padding: 1 }),
      ...([gamma, beta, runningMean, runningVar] as const),
      { training: false },
    );
    const [w, b] = ops.foldBatchNorm({ weight, bias, gamma, beta, runningMean, runningVar });
    const folded = ops.conv3d(x, w, { bias: b, padding: 1 });
    agrees(t, await folded.data(), await plain.data(), 2e-6, 'folded');
  },
);

onEveryDevice(t, 'norms refuse what does not fit', async (t, device) => {
  const x = device.full([1, 2, 2, 2, 3]);
  const three = device.full([3], 1);
  const two = device.full([2], 1);
  const code = (body: () => unknown) => {
    try {
      body();
    } catch (error) {
      return isRenvoxError(error) ? error.code : String(error);
    }
    return 'none';
  };
  t.equal(
    code(() => ops.instanceNorm(x, two, three)),
    'ShapeMismatch',
  );
  t.equal(
    code(() => ops.instanceNorm(x, three, three, { eps: -1 })),
    'InvalidArgument',
  );
  t.equal(
    code(() => ops.instanceNorm(device.full([2, 3], 0, 'u8'), three, three)),
    'DtypeMismatch',
  );
  const one = device.full([1, 1, 1, 1, 3]);
  t.equal(
    code(() => ops.batchNorm(one, three, three, three, three, { training: true })),
    'ShapeMismatch',
  );
});
