import { isRenvoxError, ops } from 'renvox';
import t from 'tap';
import { noteError } from './errors.js';
import { onEveryDevice, sameBits } from './harness.js';
import { sameForThreads } from './same-threads.js';

// Philox4x32-10 in JS, from the paper, to check the device's words.
function philox(key: [bigint, bigint], counter: bigint[]): number[] {
  const mask = 0xffffffffn;
  let [k0, k1] = key;
  let [a, b, c, d] = counter as [bigint, bigint, bigint, bigint];
  for (let round = 0; round < 10; round++) {
    const p = 0xd2511f53n * a;
    const q = 0xcd9e8d57n * c;
    [a, b, c, d] = [(q >> 32n) ^ b ^ k0, q & mask, (p >> 32n) ^ d ^ k1, p & mask];
    k0 = (k0 + 0x9e3779b9n) & mask;
    k1 = (k1 + 0xbb67ae85n) & mask;
  }
  return [a, b, c, d].map(Number);
}

function words(seed: number, stream: number, count: number): number[] {
  const halves = (n: number): [bigint, bigint] => [BigInt(n) & 0xffffffffn, BigInt(n) >> 32n];
  const result: number[] = [];
  for (let block = 0n; result.length < count; block++)
    result.push(...philox(halves(seed), [block, 0n, ...halves(stream)]));
  return result.slice(0, count);
}

const seed = 2 ** 53 - 12345;
const stream = 2 ** 40 + 7;

onEveryDevice(t, 'randomUniform', async (t, device) => {
  const shape = [3, 5, 7];
  const y = await ops.randomUniform(device, { shape, seed, stream, low: 0, high: 1 }).data();
  t.strictSame(
    y,
    Float32Array.from(words(seed, stream, 105), (w) => Math.floor(w / 256) / 2 ** 24),
    'the words of the reference',
  );
  const scaled = await ops
    .randomUniform(device, { shape: [1000], seed: 1, low: -2, high: 3 })
    .data();
  t.ok(scaled.every((v) => v >= -2 && v <= 3));
});

onEveryDevice(t, 'randomNormal', async (t, device) => {
  const count = 4099;
  const y = await ops.randomNormal(device, { shape: [count], seed, stream }).data();
  const w = words(seed, stream, count + 1);
  let worst = 0;
  for (let i = 0; i < count; i++) {
    const u = (Math.floor((w[i & ~1] as number) / 2) + 0.5) / 2 ** 31;
    const v = Math.floor((w[i | 1] as number) / 256) / 2 ** 24;
    const r = Math.sqrt(-2 * Math.log(u));
    const exact = r * (i & 1 ? Math.sin(2 * Math.PI * v) : Math.cos(2 * Math.PI * v));
    worst = Math.max(worst, Math.abs((y[i] as number) - exact));
  }
  t.ok(
    noteError(worst) < 2e-6,
    `largest error against Box-Muller in double ${worst.toExponential(1)}`,
  );

  const n = 1 << 20;
  const draw = (s: number, offset = 0) =>
    ops.randomNormal(device, { shape: [n + offset], seed: 7, stream: s, mean: 1, deviation: 2 });
  const large = (await draw(0).data()) as Float32Array;
  const mean = large.reduce((a, b) => a + b, 0) / n;
  const variance = large.reduce((a, b) => a + (b - mean) ** 2, 0) / n;
  const fourth = large.reduce((a, b) => a + (b - mean) ** 4, 0) / n / variance ** 2;
  t.ok(Math.abs(mean - 1) < 5 * (2 / 1024), `mean ${mean}`);
  t.ok(Math.abs(variance - 4) < 5 * 4 * Math.sqrt(2 / n), `variance ${variance}`);
  t.ok(Math.abs(fourth - 3) < 5 * Math.sqrt(24 / n), `kurtosis ${fourth}`);

  const longer = (await draw(0, 3).data()) as Float32Array;
  sameBits(t, longer.slice(0, n), large, 'a longer draw begins alike');
  const other = (await draw(1).data()) as Float32Array;
  let product = 0;
  for (let i = 0; i < n; i++) product += ((other[i] as number) - 1) * ((large[i] as number) - 1);
  t.ok(Math.abs(product / n / 4) < 5 / 1024, 'another stream is independent');
});

onEveryDevice(t, 'random values, by sizes', async (t, device) => {
  const draw = (n: number) =>
    [ops.randomNormal, ops.randomUniform].map(
      (op) => op(device, { shape: [n], seed, stream }).data() as Promise<Float32Array>,
    );
  const long = await Promise.all(draw(5000));
  for (const n of [1, 2, 3, 4, 5, 1023, 1024, 1025, 4097])
    for (const [i, y] of (await Promise.all(draw(n))).entries())
      sameBits(
        t,
        y,
        (long[i] as Float32Array).slice(0, n),
        `${n} values, ${i ? 'uniform' : 'normal'}`,
      );
});

onEveryDevice(t, 'threads', async (t, device) => {
  await sameForThreads(t, () => ops.randomNormal(device, { shape: [300_007], seed: 3 }), 'normal');
});

onEveryDevice(t, 'bad arguments', async (t, device) => {
  for (const bad of [{ seed: -1 }, { seed: 2 ** 53 }, { seed: 0.5 }, { stream: -1, seed: 1 }])
    t.throws(
      () => ops.randomNormal(device, { shape: [2], ...bad }),
      { code: 'InvalidArgument' },
      JSON.stringify(bad),
    );
  try {
    ops.randomUniform(device, { shape: [2], seed: 1, low: 1, high: 0 });
    t.fail('low above high');
  } catch (error) {
    t.ok(isRenvoxError(error, 'InvalidArgument'));
  }
});
