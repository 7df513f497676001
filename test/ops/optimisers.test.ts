// adam, sgd, average, clipping: against PyTorch's steps and a naive double reference.
import { gradients, isRenvoxError, ops, type Tensor, threads } from 'renvox';
import t from 'tap';
import {
  agrees,
  onEveryDevice,
  onEveryDeviceAndSet,
  ReferenceCount,
  randomArray,
  sameBits,
  torchCases,
  torchTensors,
} from './harness.js';

const references = new ReferenceCount(t);
const torch = torchTensors('ops');

function stored(name: string): Float32Array {
  const reference = torch.get(name);
  if (!reference) throw new Error(`No tensor ${name} in the fixtures`);
  return reference.data as Float32Array;
}

interface Settings {
  name: string;
  lr: number;
  betas?: [number, number];
  eps?: number;
  weight_decay?: number;
  momentum?: number;
  nesterov?: boolean;
}

onEveryDeviceAndSet(t, 'five steps of PyTorch', async (t, device) => {
  for (const c of torchCases().filter((c) => c.op === 'optimiser') as unknown as Settings[]) {
    const parameter = device.tensor(stored(`${c.name}/parameter`));
    const size = parameter.size;
    const all = stored(`${c.name}/gradients`);
    const [first, second] = [device.full([size]), device.full([size])];
    for (let step = 1; step <= 5; step++) {
      const gradient = device.tensor(all.slice((step - 1) * size, step * size));
      const weightDecay = c.weight_decay ?? 0;
      if (c.betas)
        ops.adam([parameter], [gradient], [first], [second], {
          lr: c.lr,
          betas: c.betas,
          eps: c.eps as number,
          step,
          weightDecay,
          decoupled: c.name === 'adamw',
        });
      else
        ops.sgd([parameter], [gradient], [first], {
          lr: c.lr,
          momentum: c.momentum as number,
          nesterov: c.nesterov as boolean,
          weightDecay,
        });
    }
    const after = await parameter.data();
    references.compare(t, after, stored(`${c.name}/after_5_steps`), 3e-7, c.name);
  }
});

onEveryDeviceAndSet(t, 'lists of ragged tensors', async (t, device) => {
  const sizes = [1, 16, 70001, 3, 432];
  const data = (seed: number) => sizes.map((n, i) => randomArray(n, seed + i));
  const upload = (arrays: Float32Array[]) => arrays.map((a) => device.tensor(a));
  const [p0, g0] = [data(1), data(2)];
  const before = threads();
  const results: Float32Array[][] = [];
  for (const count of [1, 2, 3]) {
    threads(count);
    const [p, g, averages] = [upload(p0), upload(g0), upload(g0)];
    const [m, v, momenta] = [0, 0, 0].map(() => sizes.map((n) => device.full([n])));
    const norm = ops.clipGradients(g, 2);
    for (const step of [1, 2])
      ops.adam(p, g, m as Tensor[], v as Tensor[], { lr: 0.1, step, weightDecay: 0.01 });
    ops.sgd(p, g, momenta as Tensor[], { lr: 0.1, momentum: 0.9 });
    ops.average(averages, p, 0.75);
    const tensors = [norm, ...p, ...averages, ops.gradientNorm(g), ops.allFinite(p)];
    results.push((await Promise.all(tensors.map((x) => x.data()))) as Float32Array[]);
  }
  threads(before);
  for (const [i, first] of (results[0] as Float32Array[]).entries())
    for (const other of results.slice(1)) sameBits(t, other[i] as Float32Array, first, `${i}`);

  const norm = Math.sqrt(g0.reduce((s, a) => s + a.reduce((q, x) => q + x * x, 0), 0));
  const values = results[0] as Float32Array[];
  agrees(t, values[0] as Float32Array, [norm], 1e-7, 'norm before clipping');
  agrees(t, values[11] as Float32Array, [2], 1e-6, 'norm after clipping');
  t.equal((values[12] as Float32Array)[0], 1, 'finite');
  const [all, averaged]: [number[], number[]] = [[], []];
  for (const [i, parameter] of p0.entries()) {
    const expected = Float64Array.from(parameter);
    const average = new Float64Array(parameter.length);
    for (const [k, raw] of (g0[i] as Float32Array).entries()) {
      const clipped = raw * (2 / (norm + 1e-6));
      let [m, v, p] = [0, 0, expected[k] as number];
      for (const step of [1, 2]) {
        const g = clipped + 0.01 * p;
        m = 0.9 * m + 0.1 * g;
        v = 0.999 * v + 0.001 * g * g;
        p -= (0.1 * (m / (1 - 0.9 ** step))) / (Math.sqrt(v / (1 - 0.999 ** step)) + 1e-8);
      }
      p -= 0.1 * clipped;
      expected[k] = p;
      average[k] = 0.75 * raw + 0.25 * p;
    }
    all.push(...expected);
    averaged.push(...average);
  }
  const joined = (arrays: Float32Array[]) => arrays.flatMap((a) => Array.from(a));
  agrees(t, joined(values.slice(1, 6)), all, 5e-7, 'parameters');
  agrees(t, joined(values.slice(6, 11)), averaged, 5e-7, 'averages');
});

onEveryDevice(t, 'more tensors than a block has threads', async (t, device) => {
  const data = (seed: number) =>
    Array.from({ length: 1100 }, (_, i) => randomArray((i % 5) + 1, seed + i));
  const upload = (arrays: Float32Array[]) => arrays.map((a) => device.tensor(a));
  const joined = async (tensors: readonly Tensor[]) =>
    (await Promise.all(tensors.map((x) => x.data()))).flatMap((x) => Array.from(x));
  const [p0, g0] = [data(1), data(5000)];
  const [p, g, momenta] = [upload(p0), upload(g0), p0.map((a) => device.full([a.length]))];
  const square = g0.flatMap((a) => Array.from(a)).reduce((sum, x) => sum + x * x, 0);
  agrees(t, await ops.clipGradients(g, 3).data(), [Math.sqrt(square)], 1e-7, 'norm');
  const clipped = g0.map((a) => a.map((x) => x * (3 / Math.sqrt(square))));
  agrees(
    t,
    await joined(g),
    clipped.flatMap((a) => Array.from(a)),
    3e-7,
    'clipped',
  );
  ops.sgd(p, g, momenta, { lr: 0.5, momentum: 0.9 });
  const stepped = p0.flatMap((a, i) =>
    Array.from(a, (x, k) => x - 0.5 * ((clipped[i] as Float32Array)[k] as number)),
  );
  agrees(t, await joined(p), stepped, 3e-7, 'stepped');
  t.equal(await ops.allFinite(p).item(), 1);
  const last = device.tensor([1, 2, 3, 4, Number.POSITIVE_INFINITY]);
  t.equal(await ops.allFinite([...p, last]).item(), 0, 'the very last value');
});

onEveryDevice(t, 'infinite gradients', async (t, device) => {
  const bad = [device.tensor([1, 2]), device.tensor([3, Number.NaN]), device.tensor([1])];
  const finite = ops.allFinite(bad);
  const parameter = device.tensor([1, 2]);
  const moments = [device.full([2]), device.full([2])] as const;
  device.under({ when: { counts: finite, index: 0 } }, () =>
    ops.adam([parameter], [bad[1] as Tensor], [moments[0]], [moments[1]], { lr: 1, step: 1 }),
  );
  t.equal(await finite.item(), 0);
  t.strictSame(Array.from(await parameter.data()), [1, 2], 'a guarded step is skipped');
  ops.clipGradients(bad, 1);
  t.strictSame(Array.from(await (bad[0] as Tensor).data()), [1, 2], 'nothing scaled by NaN');
  const infinite = ops.allFinite([device.tensor([Number.NEGATIVE_INFINITY])]);
  t.equal(await infinite.item(), 0);
});

onEveryDevice(t, 'a fit by gradients', async (t, device) => {
  const x = device.tensor(randomArray(64 * 3, 1), { shape: [64, 3] });
  const labels = ((await x.data()) as Float32Array)
    .filter((_, i) => i % 3 === 0)
    .map((v) => (v > 0 ? 1 : 0));
  const target = device.tensor(Uint8Array.from(labels), { shape: [64] });
  const parameters = [device.full([2, 3]), device.full([2])] as const;
  const moments = () => parameters.map((p) => device.full(p.shape));
  const [m, v] = [moments(), moments()];
  const losses: number[] = [];
  for (let step = 1; step <= 60; step++) {
    const { value, gradients: made } = gradients(
      () => ops.crossEntropy(ops.linear(x, ...parameters), target),
      parameters,
    );
    ops.adam(parameters, made, m, v, { lr: 0.1, step });
    losses.push(await value.item());
  }
  t.ok((losses[59] as number) < 0.2 * (losses[0] as number), `${losses[0]} to ${losses[59]}`);
});

onEveryDevice(t, 'optimisers refuse what does not fit', async (t, device) => {
  const [p, g] = [device.full([2]), device.full([3])];
  const code = (body: () => unknown) => {
    try {
      body();
    } catch (error) {
      return isRenvoxError(error) ? error.code : String(error);
    }
    return 'none';
  };
  t.equal(
    code(() => ops.adam([p], [g], [p], [p], { lr: 1, step: 1 })),
    'ShapeMismatch',
  );
  t.equal(
    code(() => ops.adam([p], [], [p], [p], { lr: 1, step: 1 })),
    'InvalidArgument',
  );
  t.equal(
    code(() => ops.adam([p], [p], [p], [p], { lr: 1, step: 0 })),
    'InvalidArgument',
  );
  t.equal(
    code(() => ops.clipGradients([], 1)),
    'InvalidArgument',
  );
});
