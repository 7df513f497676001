import { isRenvoxError, ops, threads } from 'renvox';
import t from 'tap';
import { noteError } from './errors.js';
import { generator, onEveryDevice, sameBits } from './harness.js';
import { raggedShapes, randomLabels } from './random-labels.js';

type Triple = readonly [number, number, number];

/** Foreground voxels with a face neighbour in the background or outside, in raster order. */
function surface(mask: Uint8Array, [D, H, W]: Triple): Triple[] {
  const inside = (d: number, h: number, w: number) =>
    d >= 0 && h >= 0 && w >= 0 && d < D && h < H && w < W && mask[(d * H + h) * W + w] !== 0;
  const found: Triple[] = [];
  for (let d = 0; d < D; d++)
    for (let h = 0; h < H; h++)
      for (let w = 0; w < W; w++) {
        const inner =
          inside(d - 1, h, w) &&
          inside(d + 1, h, w) &&
          inside(d, h - 1, w) &&
          inside(d, h + 1, w) &&
          inside(d, h, w - 1) &&
          inside(d, h, w + 1);
        if (inside(d, h, w) && !inner) found.push([d, h, w]);
      }
  return found;
}

/** Without the labels that are this near the volume's faces. */
function withMargin(labels: Uint8Array, [D, H, W]: Triple, [d, h, w]: Triple): Uint8Array {
  const inside = (i: number, n: number, margin: number) => i >= margin && i < n - margin;
  return labels.map((label, v) =>
    inside(Math.floor(v / (H * W)), D, d) &&
    inside(Math.floor(v / W) % H, H, h) &&
    inside(v % W, W, w)
      ? label
      : 0,
  );
}

function distances(from: Triple[], to: Triple[], spacing: Triple): number[] {
  return from.map((p) => {
    let best = Number.POSITIVE_INFINITY;
    for (const q of to) {
      let sum = 0;
      for (const axis of [0, 1, 2] as const) sum += ((p[axis] - q[axis]) * spacing[axis]) ** 2;
      best = Math.min(best, sum);
    }
    return Math.sqrt(best);
  });
}

/** Linear interpolation between order statistics, as numpy's default. */
function percentile(values: number[], percent: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const place = ((sorted.length - 1) * percent) / 100;
  const low = sorted[Math.floor(place)] as number;
  const high = sorted[Math.ceil(place)] as number;
  return low + (place - Math.floor(place)) * (high - low);
}

const close = (a: number, e: number) =>
  a === e || noteError(Math.abs(a - e) / Math.abs(e)) <= 1e-12;

onEveryDevice(t, 'surfaceDistances against all pairs', async (t, device) => {
  let seed = 1;
  for (const [shape, densities, margin] of [
    ...[...raggedShapes.slice(0, 5), [12, 19, 21] as Triple].map(
      (shape) => [shape, [0.1, 0.4, 0.8], [0, 0, 0]] as const,
    ),
    // The joint box begins inside a word of bits and ends in another one.
    [[6, 20, 150], [0.2], [1, 6, 45]],
    // More words of bits than a block sums up.
    [[41, 60, 7], [0.05], [0, 0, 0]],
  ] as const)
    for (const density of densities) {
      const next = generator(++seed);
      const spacing = [4 * next() + 0.5, next() + 0.3, 0.7] as const;
      const clear = (labels: Uint8Array) => withMargin(labels, shape, margin);
      const a = clear(randomLabels(shape, seed, { density, grain: 3, labels: 4 }));
      const b = clear(randomLabels(shape, seed + 1000, { density, grain: 2, labels: 4 }));
      const labels = seed % 2 ? [2, 3] : [];
      const mask = (x: Uint8Array) =>
        x.map((v) => (labels.length ? (labels.includes(v) ? 1 : 0) : v ? 1 : 0));
      const [maskA, maskB] = [mask(a), mask(b)];
      const [surfaceA, surfaceB] = [surface(maskA, shape), surface(maskB, shape)];
      if (surfaceA.length === 0 || surfaceB.length === 0) continue;
      const ab = distances(surfaceA, surfaceB, spacing);
      const ba = distances(surfaceB, surfaceA, spacing);
      const percentiles = [0, 50, 95, 100];
      const tolerances = [0, 1.3];
      const capacity = Math.max(ab.length, ba.length);
      const result = ops.surfaceDistances(
        device.tensor(a, { shape }),
        device.tensor(Int32Array.from(b), { shape: [1, ...shape, 1] }),
        { spacing, labels, percentiles, tolerances, capacity },
      );
      const what = `[${shape}] density ${density}`;
      const figures = ops.surfaceFigures(await result.summary.data(), percentiles.length);
      const count = (x: Uint8Array) => x.reduce((n, v) => n + v, 0);
      t.equal(figures.voxelsA, count(maskA), `${what}: voxels of a`);
      t.equal(figures.voxelsB, count(maskB), `${what}: voxels of b`);
      t.equal(figures.voxelsBoth, count(maskA.map((v, i) => v * (maskB[i] as number))), what);
      for (const [side, expected, tensor] of [
        [figures.ab, ab, result.distancesAB],
        [figures.ba, ba, result.distancesBA],
      ] as const) {
        t.equal(side.count, expected.length, `${what}: surface voxels`);
        const sum = expected.reduce((s, d) => s + d, 0);
        t.ok(close(side.sum, sum) && close(side.mean, sum / expected.length), `${what}: sum, mean`);
        t.ok(close(side.maximum, Math.max(...expected)), `${what}: maximum`);
        percentiles.forEach((p, i) => {
          t.ok(close(side.percentiles[i] as number, percentile(expected, p)), `${what}: p${p}`);
        });
        t.same(
          side.within,
          tolerances.map((limit) => expected.filter((d) => d <= limit).length),
          `${what}: within`,
        );
        const all = Array.from((await tensor?.data()) ?? []);
        t.equal(all.length, capacity, `${what}: room`);
        t.ok(
          expected.every((d, i) => close(all[i] as number, d)),
          `${what}: each, in raster order`,
        );
        t.ok(all.slice(expected.length).every(Number.isNaN), `${what}: NaN behind`);
      }
    }
});

onEveryDevice(t, 'surfaceDistances along axes that 16 bits do not count', async (t, device) => {
  const length = 66_000;
  const a = new Uint8Array(length).fill(1, 10, 14);
  const b = new Uint8Array(length).fill(1, length - 9);
  b[12] = 1;
  for (const shape of [
    [length, 1, 1],
    [1, 1, length],
  ] as const) {
    const result = ops.surfaceDistances(device.tensor(a, { shape }), device.tensor(b, { shape }), {
      spacing: [2, 2, 2],
      percentiles: [50],
      capacity: 10,
    });
    const { ab, ba } = ops.surfaceFigures(await result.summary.data(), 1);
    t.same([ab.count, ab.sum, ab.maximum, ab.percentiles[0]], [4, 8, 4, 2], `${shape}: to b`);
    const far = 2 * (length - 1 - 13);
    t.same([ba.count, ba.maximum, ba.percentiles[0]], [10, far, far - 9], `${shape}: from b`);
    const each = Array.from((await result.distancesBA?.data()) ?? []);
    t.same(each, [0, ...Array.from({ length: 9 }, (_, i) => far - 16 + 2 * i)], `${shape}: each`);
  }
});

onEveryDevice(t, 'surfaceDistances of empty masks', async (t, device) => {
  const shape = [2, 3, 4] as const;
  const none = device.tensor(new Uint8Array(24), { shape });
  const some = device.tensor(new Uint8Array(24).fill(1, 5, 7), { shape });
  const run = async (a: typeof none, b: typeof none) => {
    const { summary, distancesAB } = ops.surfaceDistances(a, b, {
      spacing: [1, 1, 1],
      tolerances: [2],
      capacity: 3,
    });
    const figures = ops.surfaceFigures(await summary.data());
    return { figures, distances: Array.from((await distancesAB?.data()) ?? []) };
  };
  const one = await run(some, none);
  t.equal(one.figures.ab.maximum, Number.POSITIVE_INFINITY, 'one empty: infinite');
  t.equal(one.figures.ba.percentiles[0], Number.POSITIVE_INFINITY, 'also from the empty side');
  t.same(one.figures.ab.within, [0], 'nothing within a tolerance');
  t.same(one.distances, [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, Number.NaN], 'each');
  const both = await run(none, none);
  t.ok(Number.isNaN(both.figures.ab.maximum) && Number.isNaN(both.figures.ab.mean), 'both: NaN');
  t.equal(both.figures.voxelsBoth, 0, 'both: no voxels');
});

onEveryDevice(t, 'surfaceDistances: same bits for any number of threads', async (t, device) => {
  const before = threads();
  const shape = [30, 41, 50] as const;
  const a = device.tensor(randomLabels(shape, 1, { density: 0.3, grain: 6 }), { shape });
  const b = device.tensor(randomLabels(shape, 2, { density: 0.3, grain: 5 }), { shape });
  const results = [];
  for (const n of [1, 2, 3]) {
    threads(n);
    const { summary } = ops.surfaceDistances(a, b, { spacing: [3, 0.8, 0.8] });
    results.push(await summary.data());
  }
  for (const other of results) if (results[0]) sameBits(t, other, results[0], 'summary');
  threads(before);
});

onEveryDevice(t, 'surfaceDistances refuses', async (t, device) => {
  const a = device.tensor(new Uint8Array(6), { shape: [1, 2, 3] });
  const spacing = [1, 1, 1] as const;
  for (const options of [
    { spacing, labels: [0] },
    { spacing, labels: [256] },
    { spacing, percentiles: [101] },
    { spacing, tolerances: [-1] },
  ])
    try {
      ops.surfaceDistances(a, a, options);
      t.fail(`${JSON.stringify(options)} was taken`);
    } catch (error) {
      t.ok(isRenvoxError(error, 'InvalidArgument'), JSON.stringify(options));
    }
});
