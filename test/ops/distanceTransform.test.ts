import { join } from 'node:path';
import { type DeviceKind, isRenvoxError, ops, threads } from 'renvox';
import { readVolume } from 'renvox/volume';
import t from 'tap';
import { oracles } from '../oracle-labels.js';
import { noteError } from './errors.js';
import { generator, onEveryDevice, ReferenceCount, sameBits } from './harness.js';
import { raggedShapes, randomLabels } from './random-labels.js';

type Triple = readonly [number, number, number];
const references = new ReferenceCount(t);

/** Each voxel against each site. */
function naive(mask: Uint8Array, shape: Triple, spacing: Triple, sitesAre: 0 | 1): Float64Array {
  const [, H, W] = shape;
  const place = (v: number): Triple => [Math.floor(v / (H * W)), Math.floor(v / W) % H, v % W];
  const sites: Triple[] = [];
  mask.forEach((value, v) => {
    if ((value !== 0 ? 1 : 0) === sitesAre) sites.push(place(v));
  });
  return Float64Array.from(mask, (_, v) => {
    const p = place(v);
    let best = Number.POSITIVE_INFINITY;
    for (const q of sites) {
      let sum = 0;
      for (const axis of [0, 1, 2] as const) sum += ((p[axis] - q[axis]) * spacing[axis]) ** 2;
      best = Math.min(best, sum);
    }
    return best;
  });
}

/** Largest difference relative to the expected value; Infinity where only one is infinite. */
function worst(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  let largest = 0;
  for (let i = 0; i < expected.length; i++) {
    const [a, e] = [actual[i] as number, expected[i] as number];
    if (a === e) continue;
    const relative = Math.abs(a - e) / e;
    if (!(relative <= largest)) largest = Number.isNaN(relative) ? Infinity : relative;
  }
  return largest;
}

onEveryDevice(t, 'distanceTransform against all pairs', async (t, device) => {
  let seed = 1;
  const long: Triple[] = [
    [3, 40, 19],
    [50, 4, 9],
    [2, 3, 165],
  ];
  for (const shape of [...raggedShapes.slice(0, 5), ...long])
    for (const density of [0, 0.05, 0.5, 0.97, 1])
      for (const to of ['background', 'foreground'] as const) {
        const next = generator(seed++);
        const unit = seed % 3 === 0;
        const spacing = unit
          ? ([1, 1, 1] as const)
          : ([5 * next() + 0.5, next() + 0.3, 0.7] as const);
        const values = randomLabels(shape, seed, { density, grain: 1 + (seed % 3) });
        const expected = naive(values, shape, spacing, to === 'background' ? 0 : 1);
        const mask = device.tensor(seed % 2 ? values : Int16Array.from(values), { shape });
        const what = `[${shape}] density ${density}, to ${to}`;
        const run = (options: { squared?: boolean; dtype?: 'f32' | 'f64' }) =>
          ops.distanceTransform(mask, { spacing, to, ...options }).data();
        const squared = await run({ squared: true, dtype: 'f64' });
        if (unit) t.strictSame(squared, expected, `${what}: integers exactly`);
        t.ok(noteError(worst(squared, expected)) < 1e-13, `${what}: squared`);
        const roots = expected.map(Math.sqrt);
        t.ok(noteError(worst(await run({ dtype: 'f64' }), roots)) < 1e-13, `${what}: f64`);
        t.ok(
          noteError(worst(await run({}), roots)) <= 2 ** -24 * 1.0001,
          `${what}: f32, half a unit in the last place`,
        );
      }
});

onEveryDevice(t, 'distanceTransform along axes that 16 bits do not count', async (t, device) => {
  const length = 70_001;
  const sites = [3, 40_000, 69_990];
  const values = new Uint8Array(length);
  for (const site of sites) values[site] = 1;
  const expected = Float64Array.from(values, (_, i) =>
    Math.min(...sites.map((site) => 4 * (i - site) ** 2)),
  );
  for (const [axis, shape] of [
    [0, [length, 1, 1]],
    [1, [1, length, 1]],
    [2, [1, 1, length]],
  ] as const) {
    const options = { spacing: [2, 2, 2], to: 'foreground', squared: true, dtype: 'f64' } as const;
    const squared = await ops.distanceTransform(device.tensor(values, { shape }), options).data();
    t.ok(worst(squared, expected) === 0, `axis ${axis}`);
  }
});

onEveryDevice(t, 'distanceTransform: same bits for any number of threads', async (t, device) => {
  const before = threads();
  const shape = [31, 50, 70] as const;
  const mask = device.tensor(randomLabels(shape, 3, { density: 0.4, grain: 7 }), { shape });
  for (const to of ['background', 'foreground'] as const) {
    const results = [];
    for (const n of [1, 2, 3]) {
      threads(n);
      results.push(await ops.distanceTransform(mask, { spacing: [2.5, 0.7, 0.7], to }).data());
    }
    for (const other of results) if (results[0]) sameBits(t, other, results[0], to);
  }
  threads(before);
});

onEveryDevice(t, 'distanceTransform refuses', async (t, device) => {
  const mask = device.tensor(new Uint8Array(6), { shape: [1, 2, 3] });
  for (const spacing of [
    [1, 1],
    [1, 0, 1],
    [1, Number.NaN, 1],
  ]) {
    try {
      ops.distanceTransform(mask, { spacing: spacing as unknown as Triple });
      t.fail(`spacing ${spacing} was taken`);
    } catch (error) {
      t.ok(isRenvoxError(error, 'InvalidArgument'), `spacing ${spacing}`);
    }
  }
});

onEveryDevice(t, 'distances of the data folder', async (t, device) => {
  const reference = oracles();
  if (!reference) {
    t.comment('no oracles.json (RENVOX_DATA): nothing was compared');
    return;
  }
  // Ten million voxels take simulated threads seconds: one map and one direction show there what the others do.
  const simulated = device.kind === ('cuda-sim' as DeviceKind);
  const maps = Object.entries(reference.figures.edt);
  for (const [name, figures] of simulated ? maps.slice(0, 1) : maps) {
    const volume = await readVolume(join(reference.folder, name));
    const [, H, W] = volume.shape;
    // The masks of these figures are label 2, the tumour.
    const tumour = Uint8Array.from(volume.data, (v) => (v === 2 ? 1 : 0));
    const mask = device.tensor(tumour, { shape: volume.shape });
    for (const to of simulated
      ? (['background'] as const)
      : (['background', 'foreground'] as const)) {
      const tensor = ops.distanceTransform(mask, { spacing: volume.spacing, to, dtype: 'f64' });
      const distances = await tensor.data();
      tensor.dispose();
      let sum = 0;
      let max = 0;
      for (const d of distances) {
        sum += d;
        if (d > max) max = d;
      }
      const expected = figures[`to_${to}`];
      const close = (a: number, e: number) =>
        a === e || noteError(Math.abs(a - e) / Math.abs(e)) <= 1e-9;
      t.ok(close(sum, expected.sum), `${name} to ${to}: sum ${sum}`);
      t.ok(close(max, expected.max), `${name} to ${to}: maximum ${max}`);
      references.count += 2;
      for (const point of figures.at) {
        const [w, h, d] = point.voxel as [number, number, number];
        const actual = distances[(d * H + h) * W + w] as number;
        t.ok(close(actual, point[`to_${to}`]), `${name} to ${to} at ${point.voxel}: ${actual}`);
        references.count++;
      }
    }
    mask.dispose();
  }
});
