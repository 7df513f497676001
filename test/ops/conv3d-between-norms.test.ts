// Gradients of a convolution between two instance norms (conv3dGradInput and conv3dGradWeight with dyRaw, conv3dGradInput with below,
// instanceNormGrad with onLoad and sums): a dy that is formed on load has the bits of one that is stored, sums made on store are those of the
// two tensors in doubles, on ragged shapes and in every precision.
import type { Device, Tensor } from 'renvox';
import t, { type Test } from 'tap';
import { native } from '#lib/native.js';
import { convolveGradients, type Geometry, type Image, outputShape } from './convolution-naive.js';
import { agrees, generator, onEveryDevice, relativeRms, sameBits, sanitized } from './harness.js';
import {
  image,
  type Precision,
  productsOn,
  roundedImage,
  type Stored,
  storedAs,
  upload,
  values,
} from './sixteen-bits.js';

type Three = readonly [number, number, number];
const three = (n: number): Three => [n, n, n];

interface Case {
  /** Of x. */
  shape: number[];
  cout: number;
  kernel?: Three;
  stride?: Three;
  padding?: Three;
  dilation?: Three;
  /** Which channels of x are made. */
  first?: number;
  channels?: number;
}

const cases: Case[] = [
  { shape: [1, 3, 5, 17, 16], cout: 16 },
  { shape: [2, 2, 7, 9, 32], cout: 16, first: 16, channels: 16 },
  { shape: [2, 1, 1, 1, 8], cout: 8 },
  { shape: [3, 1, 6, 1, 24], cout: 40 },
  { shape: [1, 4, 3, 10, 5], cout: 16 },
  { shape: [1, 3, 6, 5, 16], cout: 3 },
  { shape: [2, 2, 3, 9, 7], cout: 9 },
  // Tiles of 64 channels; sums that are split over blocks.
  { shape: [1, 9, 9, 17, 64], cout: 16 },
  { shape: [1, 2, 5, 4, 72], cout: 136 },
  { shape: [2, 2, 3, 3, 16], cout: 8, kernel: three(1), padding: three(0) },
  { shape: [1, 5, 6, 7, 8], cout: 16, stride: three(2) },
  { shape: [1, 6, 7, 9, 8], cout: 24, dilation: [1, 2, 2], padding: [1, 2, 2] },
  { shape: [1, 4, 5, 6, 16], cout: 16, kernel: [2, 3, 5], padding: [1, 0, 2] },
];
const CHANNELS = [1, 5, 8, 12, 16, 24, 32, 48];

/** Some more, drawn. */
function drawn(count: number): Case[] {
  const next = generator(11);
  const pick = (least: number, most: number) => least + Math.floor(next() * (most - least + 1));
  const channels = () => CHANNELS[pick(0, CHANNELS.length - 1)] as number;
  return Array.from({ length: count }, () => ({
    shape: [pick(1, 3), pick(1, 5), pick(1, 7), pick(1, 19), channels()],
    cout: channels(),
  }));
}

const geometryOf = (c: Case): Geometry => ({
  stride: c.stride ?? three(1),
  padding: c.padding ?? three(1),
  dilation: c.dilation ?? three(1),
});
const title = (c: Case) => `${c.shape.join('x')} to ${c.cout}`;
const eachChannel = (of: Image) => {
  const channels = of.shape[4] as number;
  const perSample = of.data.length / (of.shape[0] as number);
  return (i: number) => Math.floor(i / perSample) * channels + (i % channels);
};

/** A norm of `raw` with scales of both signs, and its statistics as doubles hold them, rounded as ops/norms.h splits them. */
function normOf(raw: Image, seed: number) {
  const [n, channels] = [raw.shape[0] as number, raw.shape[4] as number];
  const gamma = image([channels], seed);
  const beta = image([channels], seed + 1);
  const voxels = raw.data.length / n / channels;
  const at = eachChannel(raw);
  const mean = new Float64Array(n * channels);
  const variance = new Float64Array(n * channels);
  for (let i = 0; i < raw.data.length; i++)
    mean[at(i)] = (mean[at(i)] as number) + (raw.data[i] as number) / voxels;
  for (let i = 0; i < raw.data.length; i++)
    variance[at(i)] =
      (variance[at(i)] as number) +
      ((raw.data[i] as number) - (mean[at(i)] as number)) ** 2 / voxels;
  const statistics = new Float32Array(3 * n * channels);
  for (const [k, m] of mean.entries()) {
    statistics[3 * k] = m;
    statistics[3 * k + 1] = m - (statistics[3 * k] as number);
    statistics[3 * k + 2] = 1 / Math.sqrt((variance[k] as number) + 1e-5);
  }
  const shape = [n, channels, 3];
  const xhat = (i: number) => {
    const k = at(i);
    return ((raw.data[i] as number) - (mean[k] as number)) * (statistics[3 * k + 2] as number);
  };
  const z = (i: number) => {
    const c = at(i) % channels;
    return (gamma.data[c] as number) * xhat(i) + (beta.data[c] as number);
  };
  return { gamma, beta, statistics: { shape, data: statistics }, xhat, z, voxels, at };
}
type Norm = ReturnType<typeof normOf>;

/** Sums of g = dx m(z) and g xhat; `mask` says where the slope applies. */
function sumsOf(norm: Norm, dx: ArrayLike<number>, slope: number, mask = (z: number) => z > 0) {
  const sums = new Float64Array((2 * norm.statistics.data.length) / 3);
  for (let i = 0; i < dx.length; i++) {
    const g = (dx[i] as number) * (mask(norm.z(i)) ? 1 : slope);
    const k = 2 * norm.at(i);
    sums[k] = (sums[k] as number) + g;
    sums[k + 1] = (sums[k + 1] as number) + g * norm.xhat(i);
  }
  return sums;
}

/** The gradient of the raw output from that of its activation. */
function formed(norm: Norm, dy: Image, slope: number): Image {
  const sums = sumsOf(norm, dy.data, slope);
  const channels = norm.gamma.data.length;
  const data = Float64Array.from(dy.data, (v, i) => {
    const k = norm.at(i);
    const scale =
      (norm.gamma.data[k % channels] as number) * (norm.statistics.data[3 * k + 2] as number);
    const g = v * (norm.z(i) > 0 ? 1 : slope);
    const [m1, m2] = [sums[2 * k] as number, sums[2 * k + 1] as number];
    return scale * (g - (m1 + norm.xhat(i) * m2) / norm.voxels);
  });
  return { shape: dy.shape, data };
}

/** A step through one convolution with everything stored, and what the fused forms take. */
function prepare(device: Device, c: Case, seed: number, stored: Stored, slope: number) {
  const g = geometryOf(c);
  const kernel = c.kernel ?? three(3);
  const cin = c.shape[4] as number;
  const x = image(c.shape, seed);
  const weight = image([c.cout, cin, ...kernel], seed + 1);
  const out = outputShape(x, weight, g);
  const raw = image(out, seed + 2);
  const dy = image(out, seed + 3);
  const made = { shape: [...c.shape.slice(0, 4), c.channels ?? cin] };
  const below = image(made.shape, seed + 4);
  const own = normOf(roundedImage(raw, stored), seed + 5);
  const under = normOf(roundedImage(below, stored), seed + 7);
  const up = (norm: Norm) => ({
    gamma: upload(device, norm.gamma),
    beta: upload(device, norm.beta),
    statistics: upload(device, norm.statistics),
  });
  const tensors = {
    x: upload(device, x, stored),
    weight: upload(device, weight),
    raw: upload(device, raw, stored),
    dy: upload(device, dy, stored),
    below: upload(device, below, stored),
  };
  return { g, kernel, x, weight, dy, own, under, up, tensors, slope };
}

async function check(t: Test, device: Device, c: Case, i: number, precision: Precision) {
  const stored = storedAs[precision];
  const slope = [0.01, 0, 1, 0.2][i % 4] as number;
  const what = `${precision} ${title(c)}, slope ${slope}`;
  const p = prepare(device, c, 20 * i, stored, slope);
  const { x, weight, raw, dy, below } = p.tensors;
  const norm = { x: raw, dy, ...p.up(p.own), slope };
  const [stored1, dgamma, dbeta] = device.run('instanceNormGrad', norm) as [Tensor, Tensor, Tensor];
  const [none, dgamma2, dbeta2, coefficients] = device.run('instanceNormGrad', {
    ...norm,
    onLoad: true,
  }) as [Tensor | null, Tensor, Tensor, Tensor];
  t.equal(none, null, `${what}: no dx on load`);
  sameBits(t, await dgamma2.data(), await dgamma.data(), `${what}: dgamma`);
  sameBits(t, await dbeta2.data(), await dbeta.data(), `${what}: dbeta`);

  const size = c.shape.slice(1, 4);
  const type = { precision, out: stored };
  const geometry = { size, ...p.g, first: c.first ?? 0, channels: c.channels ?? 0 };
  const onLoad = { dy, dyRaw: raw, dyCoefficients: coefficients, dySlope: slope };
  const under = p.up(p.under);
  const belowOf = {
    ...{ below, belowGamma: under.gamma, belowBeta: under.beta },
    ...{ belowStatistics: under.statistics, belowSlope: slope },
  };
  const gradInput = (fields: object) =>
    device.run('conv3dGradInput', { weight, ...geometry, ...type, ...fields }) as [
      Tensor,
      Tensor | null,
    ];
  const [dx, noSums] = gradInput({ dy: stored1 });
  t.equal(noSums, null, `${what}: no sums unless asked for`);
  const apart = await dx.data();
  const [loaded] = gradInput(onLoad);
  sameBits(t, await loaded.data(), apart, `${what}: dx, dy formed on load`);
  const [both, sums] = gradInput({ ...onLoad, ...belowOf }) as [Tensor, Tensor];
  sameBits(t, await both.data(), apart, `${what}: dx, formed and summed`);
  const [alone, sums2] = gradInput({ dy: stored1, ...belowOf }) as [Tensor, Tensor];
  sameBits(t, await alone.data(), apart, `${what}: dx, summed`);
  const found = await sums.data();
  sameBits(t, await sums2.data(), found, `${what}: sums`);

  // The sums are those of dx as stored. A rounded z beside 0 may take the other side: few values, small ones.
  const of = await values(dx);
  const expected = sumsOf(p.under, of, slope);
  agrees(t, found, expected, 1e-5, `${what}: sums below`);
  const wrong = sumsOf(p.under, of, slope, (z) => z <= 0);
  if (slope < 0.5 && of.length > 200 && Array.from(of).some((v) => v !== 0))
    t.ok(relativeRms(found, wrong) > 1e-2, `${what}: the other mask has other sums`);

  // And the whole against doubles; 16-bit dy are rounded to one side or the other.
  const made = formed(p.own, roundedImage(p.dy, stored), slope);
  const w = roundedImage(p.weight, stored);
  const truth = convolveGradients(roundedImage(p.x, stored), w, roundedImage(made, stored), p.g);
  const cin = c.shape[4] as number;
  const first = c.first ?? 0;
  const dxOf = truth.dx.filter((_, k) => {
    const channel = k % cin;
    return channel >= first && channel < first + (c.channels ?? cin);
  });
  const tolerance = precision === 'fp32' ? 2e-5 : precision === 'bf16' ? 4e-3 : 6e-4;
  // One voxel's norm is all cancellation.
  if (p.own.voxels > 1) agrees(t, of, dxOf, tolerance, `${what}: dx`);

  const weightFields = { kernel: p.kernel, ...p.g, precision };
  const gradWeight = (fields: object) =>
    device.run('conv3dGradWeight', { x, ...weightFields, ...fields }) as [Tensor, Tensor | null];
  const [dw] = gradWeight({ dy: stored1 });
  const [dw2, db] = gradWeight(onLoad);
  t.equal(db, null, `${what}: no db`);
  sameBits(t, await dw2.data(), await dw.data(), `${what}: dw, dy formed on load`);
  if (p.own.voxels > 1) agrees(t, await dw2.data(), truth.dw, tolerance, `${what}: dw`);

  // The sums in the place of a pass over both tensors.
  const asPass = device.run('instanceNormGrad', {
    ...{ x: below, dy: dx, ...under, slope },
  }) as Tensor[];
  const bySums = device.run('instanceNormGrad', {
    ...{ x: below, dy: dx, ...under, slope, sums },
  }) as Tensor[];
  for (const [k, name] of ['dx', 'dgamma', 'dbeta'].entries()) {
    const [a, b] = [bySums[k] as Tensor, asPass[k] as Tensor];
    if (p.under.voxels > 1)
      agrees(
        t,
        await values(a),
        await values(b),
        k > 0 ? 1e-5 : tolerance,
        `${what}: ${name} by sums`,
      );
  }
}

onEveryDevice(t, 'gradients of a convolution between norms', async (t, device) => {
  const all = [...cases, ...drawn(sanitized ? 4 : 16)];
  for (const [i, c] of all.entries())
    for (const wanted of ['fp32', 'bf16', 'fp16'] as const) {
      const precision = productsOn(device, wanted);
      if (precision === 'fp16' && wanted === 'fp16' && i % 3 === 2) continue;
      await check(t, device, c, i, precision);
    }
});

onEveryDevice(t, 'stored otherwise than the products', async (t, device) => {
  for (const [i, stored] of (['f32', 'f16', 'bf16'] as const).entries()) {
    const precision = productsOn(device, i === 1 ? 'bf16' : 'fp16');
    const c = { shape: [2, 3, 4, 9, 16], cout: 16 };
    const p = prepare(device, c, 31 * i, stored, 0.1);
    const { x, weight, raw, dy, below } = p.tensors;
    const norm = { x: raw, dy, ...p.up(p.own), slope: 0.1 };
    const [made] = device.run('instanceNormGrad', norm) as [Tensor];
    const all = device.run('instanceNormGrad', { ...norm, onLoad: true }) as Tensor[];
    const onLoad = { dy, dyRaw: raw, dyCoefficients: all[3] as Tensor, dySlope: 0.1 };
    const fields = { weight, size: [3, 4, 9], ...p.g, precision, out: stored };
    const under = p.up(p.under);
    const [plain] = device.run('conv3dGradInput', { dy: made, ...fields }) as [Tensor];
    const [dx, sums] = device.run('conv3dGradInput', {
      ...{ ...onLoad, ...fields, below, belowGamma: under.gamma, belowBeta: under.beta },
      ...{ belowStatistics: under.statistics, belowSlope: 0.1 },
    }) as [Tensor, Tensor];
    sameBits(t, await dx.data(), await plain.data(), `${precision} of ${stored}: dx`);
    const expected = sumsOf(p.under, await values(dx), 0.1);
    agrees(t, await sums.data(), expected, 1e-5, `${precision} of ${stored}: sums`);
    const weights = { x, kernel: three(3), ...p.g, precision };
    const [a] = device.run('conv3dGradWeight', { dy: made, ...weights }) as [Tensor];
    const [b] = device.run('conv3dGradWeight', { ...onLoad, ...weights }) as [Tensor];
    sameBits(t, await b.data(), await a.data(), `${precision} of ${stored}: dw`);
  }
});

onEveryDevice(t, 'the same bits in every order of threads, 100 times', async (t, device) => {
  const { simulator } = native();
  const repeats = simulator ? 4 : 100;
  try {
    for (const [k, c] of [cases[0], cases[4], cases[7], cases[8]].entries()) {
      const precision = productsOn(device, 'bf16');
      const p = prepare(device, c as Case, 40 * k, storedAs[precision], 0.01);
      const { x, weight, raw, dy, below } = p.tensors;
      const norm = { x: raw, dy, ...p.up(p.own), slope: 0.01 };
      const under = p.up(p.under);
      const run = async () => {
        const all = device.run('instanceNormGrad', { ...norm, onLoad: true }) as Tensor[];
        const onLoad = { dy, dyRaw: raw, dyCoefficients: all[3] as Tensor, dySlope: 0.01 };
        const [dx, sums] = device.run('conv3dGradInput', {
          ...{ weight, size: (c as Case).shape.slice(1, 4), ...p.g, precision },
          ...{ ...onLoad, below, belowGamma: under.gamma, belowBeta: under.beta },
          ...{ belowStatistics: under.statistics, belowSlope: 0.01 },
        }) as [Tensor, Tensor];
        const weights = { x, kernel: three(3), ...p.g, precision };
        const [dw] = device.run('conv3dGradWeight', { ...onLoad, ...weights }) as [Tensor];
        return Promise.all([dx.data(), sums.data(), dw.data()]);
      };
      const first = await run();
      for (let i = 0; i < repeats; i++) {
        simulator?.schedule(i % 2 ? 'roundRobin' : 'warpGreedy', i);
        for (const [j, again] of (await run()).entries())
          sameBits(t, again, first[j] as typeof again, `${title(c as Case)}, ${i}, ${j}`);
      }
    }
  } finally {
    simulator?.schedule('mixed', 1);
  }
});
