// maxPool3d, globalAveragePool, linear and the joining of channels against PyTorch and naive references.
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
  torchCases,
  torchTensors,
} from './harness.js';

const references = new ReferenceCount(t);
const torch = torchTensors('ops');

function stored(name: string) {
  const reference = torch.get(name);
  if (!reference) throw new Error(`No tensor ${name} in the fixtures`);
  return reference as { shape: number[]; data: Float32Array };
}

function image(device: Device, name: string): Tensor {
  const { data, shape } = channelsLast(stored(name).data, stored(name).shape);
  return device.tensor(data, { shape });
}

onEveryDeviceAndSet(t, 'maxPool3d of PyTorch', async (t, device) => {
  for (const c of torchCases().filter((c) => c.op === 'max_pool3d')) {
    const x = image(device, `${c.name}/input`);
    const { kernel, stride, padding } = c as unknown as Record<string, number>;
    const { value, gradients: made } = gradients(
      () => ops.maxPool3d(x, { kernel, stride, padding } as ops.MaxPoolOptions),
      [x],
      image(device, `${c.name}/grad_output`),
    );
    const y = channelsFirst(await value.data(), value.shape);
    references.compare(t, y, stored(`${c.name}/output`).data, 0, `${c.name} output`);
    const dx = channelsFirst(await (made as [Tensor])[0].data(), x.shape);
    references.compare(t, dx, stored(`${c.name}/grad_input`).data, 1e-7, `${c.name} gradient`);
  }
});

/** Max pooling by the definition, with the gradient sent to the first maximum of each window. */
function naivePool(
  x: Float32Array,
  shape: readonly number[],
  dy: Float32Array,
  kernel: number,
  stride: number,
  padding: number,
) {
  const [n, d, h, w, c] = shape as [number, number, number, number, number];
  const size = (m: number) => Math.floor((m + 2 * padding - kernel) / stride) + 1;
  const y: number[] = [];
  const dx = new Float64Array(x.length);
  const range = (m: number) => Array.from({ length: m }, (_, i) => i);
  for (const b of range(n))
    for (const od of range(size(d)))
      for (const oh of range(size(h)))
        for (const ow of range(size(w)))
          for (const k of range(c)) {
            let at = -1;
            for (const kd of range(kernel))
              for (const kh of range(kernel))
                for (const kw of range(kernel)) {
                  const id = od * stride - padding + kd;
                  const ih = oh * stride - padding + kh;
                  const iw = ow * stride - padding + kw;
                  if (id < 0 || ih < 0 || iw < 0 || id >= d || ih >= h || iw >= w) continue;
                  const i = (((b * d + id) * h + ih) * w + iw) * c + k;
                  if (at < 0 || (x[i] as number) > (x[at] as number)) at = i;
                }
            dx[at] = (dx[at] as number) + (dy[y.length] as number);
            y.push(x[at] as number);
          }
  return { y, dx };
}

onEveryDeviceAndSet(t, 'maxPool3d of random shapes, with ties', async (t, device) => {
  const cases = [
    [[1, 2, 2, 2, 1], 2, 2, 0],
    [[2, 5, 7, 6, 3], 2, 2, 0],
    [[1, 6, 5, 9, 70], 3, 2, 1],
    [[1, 4, 5, 3, 17], 3, 1, 1],
    [[2, 7, 4, 5, 5], 2, 1, 1],
    [[1, 9, 8, 7, 2], 3, 4, 0],
  ] as const;
  for (const [seed, [shape, kernel, stride, padding]] of cases.entries()) {
    // Quarters only, so that windows have equal values.
    const x = randomArray(product(shape), seed).map((v) => Math.round(v * 4) / 4);
    const input = device.tensor(x, { shape });
    const options = { kernel, stride, padding };
    const plain = ops.maxPool3d(input, options);
    const dy = randomArray(plain.size, seed + 50);
    const expected = naivePool(x, shape, dy, kernel, stride, padding);
    const before = threads();
    for (const count of [1, 2, 3]) {
      threads(count);
      const again = device.tensor(x, { shape });
      const { value, gradients: made } = gradients(
        () => ops.maxPool3d(again, options),
        [again],
        device.tensor(dy, { shape: plain.shape }),
      );
      const what = `[${shape}] kernel ${kernel} stride ${stride} padding ${padding}, ${count} threads`;
      agrees(t, await value.data(), expected.y, 0, what);
      agrees(t, await (made as [Tensor])[0].data(), expected.dx, 1e-6, `gradient of ${what}`);
      sameBits(t, await plain.data(), await value.data(), 'without the tape');
    }
    threads(before);
  }
});

onEveryDeviceAndSet(t, 'maxPool3d with a norm on load; NaN', async (t, device) => {
  const shape = [2, 5, 4, 6, 19];
  const x = device.tensor(randomArray(product(shape), 3), { shape });
  const gamma = device.tensor(randomArray(19, 4));
  const beta = device.tensor(randomArray(19, 5));
  const values = (await x.data()) as Float32Array;
  const sums = new Float32Array(2 * 19 * 2);
  for (let n = 0; n < 2; n++)
    for (let c = 0; c < 19; c++) {
      const one = Array.from({ length: 120 }, (_, v) => values[(n * 120 + v) * 19 + c] as number);
      const mean = one.reduce((a, b) => a + b, 0) / 120;
      sums.set([mean, one.reduce((a, b) => a + (b - mean) ** 2, 0)], (n * 19 + c) * 2);
    }
  const slope = 0.01;
  const coefficients = ops.normCoefficients(
    device.tensor(sums, { shape: [2, 19, 2] }),
    120,
    gamma,
    beta,
  );
  const [scale, shift] = coefficients;
  const fused = ops.maxPool3d(x, { load: { scale, shift, slope } });
  const eager = ops.maxPool3d(ops.instanceNorm(x, gamma, beta, { slope }));
  agrees(t, await fused.data(), await eager.data(), 1e-6, 'fused and eager');

  const holed = device.tensor([1, 2, Number.NaN, 3, 0, 0, 9, 1], { shape: [1, 2, 2, 2, 1] });
  t.ok(Number.isNaN(await ops.maxPool3d(holed).item()), 'a NaN is a maximum');
});

onEveryDevice(t, 'maxPool3d of 16-bit values', async (t, device) => {
  const cases = [
    [[2, 5, 6, 7, 16], 2, 2, 0],
    [[2, 5, 4, 7, 16], 3, 2, 1],
    [[1, 4, 9, 5, 19], 2, 2, 0],
    [[2, 3, 5, 4, 3], 3, 1, 1],
    [[1, 2, 2, 2, 1], 2, 2, 0],
  ] as const;
  for (const [seed, [shape, kernel, stride, padding]] of cases.entries())
    for (const type of ['bf16', 'f16'] as const) {
      const x = ops.cast(device.tensor(randomArray(product(shape), seed), { shape }), type);
      const wide = ops.cast(x, 'f32');
      const coefficients = [shape[0], shape[4]];
      const [scale, shift] = [seed + 10, seed + 20].map((s) =>
        device.tensor(randomArray(product(coefficients), s), { shape: coefficients }),
      ) as [Tensor, Tensor];
      for (const load of [undefined, { scale, shift, slope: 0.01 }]) {
        const options = { kernel, stride, padding, load };
        const y = ops.maxPool3d(x, options);
        t.equal(y.dtype, type);
        const expected = ops.cast(ops.maxPool3d(wide, options), type);
        const what = `${type} [${shape}] kernel ${kernel}${load ? ', norm on load' : ''}`;
        sameBits(t, await y.data(), await expected.data(), what);
      }
      const window = { kernel, stride, padding };
      const chosen = device.run('maxPool3d', { x, ...window, wantIndices: true });
      const [y, indices] = chosen as [Tensor, Tensor];
      const dy = ops.cast(ops.randomNormal(device, { shape: y.shape, seed }), type);
      const back = (of: Tensor) => {
        const fields = { dy: of, indices, size: shape.slice(1, 4), ...window };
        return device.run('maxPool3dGrad', fields)[0] as Tensor;
      };
      const dx = back(dy);
      t.equal(dx.dtype, type);
      const expected = ops.cast(back(ops.cast(dy, 'f32')), type);
      sameBits(t, await dx.data(), await expected.data(), `${type} [${shape}]: gradient`);
    }
  const halves = ops.cast(device.tensor([1, 2, Number.NaN, 3, 0, 0, 9, 1]), 'f16');
  const holed = ops.maxPool3d(ops.reshape(halves, [1, 2, 2, 2, 1]));
  t.ok(Number.isNaN(await ops.cast(holed, 'f32').item()), 'a NaN is a maximum');
  const whole = device.full([1, 2, 2, 2, 1]);
  t.throws(
    () => gradients(() => ops.maxPool3d(ops.cast(whole, 'bf16')), [whole]),
    /no gradient for an x of type bf16/,
  );
});

onEveryDevice(t, 'globalAveragePool of random shapes', async (t, device) => {
  for (const [seed, shape] of [
    [1, 1, 1, 1, 1],
    [2, 3, 5, 7, 3],
    [3, 31, 23, 11, 1],
    [2, 2, 1, 3, 257],
    [1, 3, 1, 2, 1028],
    // Blocks that go round more than eight times.
    [1, 129, 129, 128, 4],
  ].entries()) {
    const [n, c] = [shape[0] as number, shape[4] as number];
    const x = new Float32Array(product(shape));
    const values = randomArray(9973, seed);
    const means = new Float64Array(n * c);
    const voxels = x.length / n / c;
    for (let sample = 0, at = 0; sample < n; sample++)
      for (let v = 0; v < voxels; v++)
        for (let k = 0; k < c; k++, at++) {
          x[at] = 1 + k + (values[at % 9973] as number);
          (means[sample * c + k] as number) += (x[at] as number) / voxels;
        }
    const input = device.tensor(x, { shape });
    const large = x.length > 1e6;
    const value = ops.globalAveragePool(input);
    agrees(t, await value.data(), means, 1e-7, `mean of [${shape}]`);
    if (large) continue;
    const seedGradient = device.tensor(randomArray(n * c, seed + 10), { shape: [n, c] });
    const made = gradients(() => ops.globalAveragePool(input), [input], seedGradient);
    const dy = (await seedGradient.data()) as Float32Array;
    const expected = x.map(
      (_, i) => (dy[Math.floor(i / (voxels * c)) * c + (i % c)] as number) / voxels,
    );
    const [dx] = made.gradients as [Tensor];
    agrees(t, await dx.data(), expected, 1e-7, `gradient of [${shape}]`);
  }
});

onEveryDevice(t, 'globalAveragePool and linear of PyTorch', async (t, device) => {
  const x = image(device, 'global_average_pool/input');
  const dy = stored('global_average_pool/grad_output');
  const pooled = gradients(
    () => ops.globalAveragePool(x),
    [x],
    device.tensor(dy.data, { shape: dy.shape }),
  );
  const compare = (actual: ArrayLike<number>, name: string) =>
    references.compare(t, actual, stored(name).data, 1e-6, name);
  compare(await pooled.value.data(), 'global_average_pool/output');
  const [dx] = pooled.gradients as [Tensor];
  compare(channelsFirst(await dx.data(), x.shape), 'global_average_pool/grad_input');

  const [input, weight, bias, seed] = ['input', 'weight', 'bias', 'grad_output'].map((name) => {
    const { data, shape } = stored(`linear/${name}`);
    return device.tensor(data, { shape });
  }) as [Tensor, Tensor, Tensor, Tensor];
  const made = gradients(() => ops.linear(input, weight, bias), [input, weight, bias], seed);
  compare(await made.value.data(), 'linear/output');
  for (const [i, name] of ['input', 'weight', 'bias'].entries())
    compare(await (made.gradients[i] as Tensor).data(), `linear/grad_${name}`);
});

onEveryDevice(t, 'linear of random shapes', async (t, device) => {
  for (const [n, inputs, outputs] of [
    [1, 1, 1],
    [3, 517, 130],
    [2, 33, 300],
    [9, 40, 5],
  ] as const) {
    const [x, w, dy] = [n * inputs, outputs * inputs, n * outputs].map((m, i) =>
      randomArray(m, m + i),
    ) as [Float32Array, Float32Array, Float32Array];
    const y = new Float64Array(n * outputs);
    const dx = new Float64Array(n * inputs);
    const dw = new Float64Array(outputs * inputs);
    for (let b = 0; b < n; b++)
      for (let o = 0; o < outputs; o++)
        for (let i = 0; i < inputs; i++) {
          const g = dy[b * outputs + o] as number;
          (y[b * outputs + o] as number) +=
            (x[b * inputs + i] as number) * (w[o * inputs + i] as number);
          (dx[b * inputs + i] as number) += g * (w[o * inputs + i] as number);
          (dw[o * inputs + i] as number) += g * (x[b * inputs + i] as number);
        }
    const before = threads();
    for (const count of [1, 2, 3]) {
      threads(count);
      const input = device.tensor(x, { shape: [n, inputs] });
      const weight = device.tensor(w, { shape: [outputs, inputs] });
      const { value, gradients: made } = gradients(
        () => ops.linear(input, weight),
        [input, weight],
        device.tensor(dy, { shape: [n, outputs] }),
      );
      agrees(t, await value.data(), y, 2e-7, `${n}x${inputs} to ${outputs}`);
      agrees(t, await (made[0] as Tensor).data(), dx, 2e-7, 'dx');
      agrees(t, await (made[1] as Tensor).data(), dw, 2e-7, 'dweight');
    }
    threads(before);
  }
});

onEveryDevice(t, 'concatChannels and sliceChannels', async (t, device) => {
  const space = [2, 3, 5, 7];
  const voxels = product(space);
  const many = Array.from({ length: 35 }, (_, i) => (i % 3) + 1);
  for (const counts of [[1, 2], [16, 16], [3, 1, 5], [4], [8, 3, 12], many, [260, 4]]) {
    const arrays = counts.map((c, i) => randomArray(voxels * c, c + i));
    const tensors = arrays.map((a, i) =>
      device.tensor(a, { shape: [...space, counts[i] as number] }),
    );
    const total = counts.reduce((a, b) => a + b, 0);
    const expected = new Float32Array(voxels * total);
    let from = 0;
    for (const [i, count] of counts.entries()) {
      for (let v = 0; v < voxels; v++)
        expected.set(
          (arrays[i] as Float32Array).subarray(v * count, (v + 1) * count),
          v * total + from,
        );
      from += count;
    }
    const seed = device.tensor(expected, { shape: [...space, total] });
    const { value, gradients: made } = gradients(() => ops.concatChannels(tensors), tensors, seed);
    sameBits(t, await value.data(), expected, `join ${counts}`);
    for (const [i, g] of made.entries())
      sameBits(t, await g.data(), arrays[i] as Float32Array, `gradient ${i} of ${counts}`);
    const last = counts[counts.length - 1] as number;
    const slice = gradients(
      () => ops.sliceChannels(seed, total - last, total),
      [seed],
      tensors[tensors.length - 1] as Tensor,
    );
    sameBits(t, await slice.value.data(), arrays[arrays.length - 1] as Float32Array, 'slice');
    const back = expected.map((v, i) => (i % total >= total - last ? v : 0));
    sameBits(t, await (slice.gradients as [Tensor])[0].data(), back, 'gradient of the slice');
  }
  t.throws(
    () => ops.concatChannels([device.full([1, 2, 3]), device.full([1, 3, 3])]),
    /Expected shape \[1, 2, 3\] but for the last axis/,
  );
  for (const body of [
    () => ops.concatChannels([]),
    () => ops.sliceChannels(device.full([1, 3]), 2, 2),
    () => ops.sliceChannels(device.full([1, 3]), 0, 4),
    () => ops.maxPool3d(device.full([1, 3, 3, 3, 1]), { padding: 2 }),
  ]) {
    try {
      body();
      t.fail('no error');
    } catch (error) {
      t.ok(isRenvoxError(error, 'InvalidArgument'));
    }
  }
});
