// surfaceDistances of surface elements, against all pairs of cells and the reference tool's table.
import { isRenvoxError, ops, type Tensor, threads } from 'renvox';
import t from 'tap';
import { checkCells } from '#lib/ops/label-map.js';
import { noteError } from './errors.js';
import { generator, onEveryDevice, sameBits } from './harness.js';
import { raggedShapes, randomLabels } from './random-labels.js';
import { NORMALS_TIMES_8 } from './surface-normals.js';

type Triple = readonly [number, number, number];

interface Element {
  readonly place: Triple;
  readonly area: number;
}

/** The cells of a mask that are neither empty nor full, of the whole volume, in raster order. */
function elements(mask: (v: number) => boolean, [D, H, W]: Triple, spacing: Triple): Element[] {
  const inside = (d: number, h: number, w: number) =>
    d >= 0 && h >= 0 && w >= 0 && d < D && h < H && w < W && mask((d * H + h) * W + w);
  const [sd, sh, sw] = spacing;
  const found: Element[] = [];
  for (let d = 0; d <= D; d++)
    for (let h = 0; h <= H; h++)
      for (let w = 0; w <= W; w++) {
        // Read as bits, first the low side of all axes; d changes fastest, as in the tool's files.
        let code = 0;
        for (const kw of [-1, 0])
          for (const kh of [-1, 0])
            for (const kd of [-1, 0]) code = 2 * code + (inside(d + kd, h + kh, w + kw) ? 1 : 0);
        if (code === 0 || code === 255) continue;
        const normals = NORMALS_TIMES_8[code] as readonly number[];
        let area = 0;
        for (let i = 0; i < normals.length; i += 3)
          area +=
            Math.hypot(
              (normals[i] as number) * sh * sd,
              (normals[i + 1] as number) * sw * sd,
              (normals[i + 2] as number) * sw * sh,
            ) / 8;
        found.push({ place: [d, h, w], area });
      }
  return found;
}

function distances(from: Element[], to: Element[], spacing: Triple): number[] {
  return from.map(({ place: p }) => {
    let best = Number.POSITIVE_INFINITY;
    for (const { place: q } of to) {
      let sum = 0;
      for (const axis of [0, 1, 2] as const) sum += ((p[axis] - q[axis]) * spacing[axis]) ** 2;
      best = Math.min(best, sum);
    }
    return Math.sqrt(best);
  });
}

const sum = (values: number[]) => values.reduce((s, v) => s + v, 0);

/** The first distance at which the share of the area reaches it. */
function percentile(values: number[], areas: number[], percent: number): number {
  const order = values.map((_, i) => i).sort((i, j) => (values[i] ?? 0) - (values[j] ?? 0));
  const total = sum(areas);
  let before = 0;
  for (const i of order) {
    before += areas[i] as number;
    // Sums in another order round otherwise.
    if (before / total >= percent / 100 - 1e-12) return values[i] as number;
  }
  return Number.NaN;
}

const close = (a: number, e: number) =>
  a === e || noteError(Math.abs(a - e) / Math.abs(e)) <= 1e-12;

/** Without labels within `margin` voxels of the faces. */
function inner(labels: Uint8Array, [D, H, W]: Triple, margin: Triple): Uint8Array {
  const within = (i: number, n: number, m: number) => i >= m && i < n - m;
  return labels.map((label, v) =>
    within(Math.floor(v / (H * W)), D, margin[0]) &&
    within(Math.floor(v / W) % H, H, margin[1]) &&
    within(v % W, W, margin[2])
      ? label
      : 0,
  );
}

onEveryDevice(t, 'surface elements against all pairs', async (t, device) => {
  let seed = 1;
  for (const [shape, densities, margin] of [
    // Without a margin masks touch the volume's faces.
    ...[...raggedShapes.slice(0, 5), [8, 11, 32] as Triple, [2, 3, 65] as Triple].map(
      (shape) => [shape, [0.1, 0.4, 0.9], [0, 0, 0]] as const,
    ),
    // The joint box begins inside a word of bits and ends in another one; and at a word's end.
    [[5, 12, 150], [0.2], [1, 4, 45]],
    [[4, 9, 96], [0.3], [1, 2, 32]],
    // More words of bits than a block sums up.
    [[41, 60, 7], [0.03], [0, 0, 0]],
  ] as const)
    for (const density of densities) {
      const next = generator(++seed);
      const spacing = [4 * next() + 0.5, next() + 0.3, 0.7] as const;
      const map = (seed: number, grain: number) =>
        inner(randomLabels(shape, seed, { density, grain, labels: 4 }), shape, margin);
      const [a, b] = [map(seed, 3), map(seed + 1000, 2)];
      const labels = seed % 2 ? [2, 3] : [];
      const member = (v: number) => (labels.length ? labels.includes(v) : v !== 0);
      const found = [a, b].map((x) => elements((v) => member(x[v] as number), shape, spacing));
      const [elementsA, elementsB] = found as [Element[], Element[]];
      if (elementsA.length === 0 || elementsB.length === 0) continue;
      const ab = distances(elementsA, elementsB, spacing);
      const ba = distances(elementsB, elementsA, spacing);
      const percentiles = [0, 37, 95, 100];
      const tolerances = [0, 1.3];
      const capacity = Math.max(ab.length, ba.length) + 1;
      const second = seed % 3 ? Int16Array.from(b) : Int32Array.from(b);
      const result = ops.surfaceDistances(
        device.tensor(a, { shape }),
        device.tensor(second, { shape: [1, ...shape, 1] }),
        { spacing, labels, percentiles, tolerances, capacity, surface: 'elements' },
      );
      const what = `[${shape}] density ${density}`;
      const figures = ops.surfaceFigures(await result.summary.data(), percentiles.length);
      t.equal(figures.voxelsA, a.filter(member).length, `${what}: voxels of a`);
      t.equal(figures.voxelsB, b.filter(member).length, `${what}: voxels of b`);
      for (const [side, expected, of, tensor] of [
        [figures.ab, ab, elementsA, result.distancesAB],
        [figures.ba, ba, elementsB, result.distancesBA],
      ] as const) {
        const areas = of.map(({ area }) => area);
        t.equal(side.count, of.length, `${what}: elements`);
        t.ok(close(side.area, sum(areas)), `${what}: area`);
        const weighted = sum(expected.map((d, i) => d * (areas[i] as number)));
        t.ok(close(side.sum, weighted), `${what}: sum`);
        t.ok(close(side.mean, weighted / sum(areas)), `${what}: mean`);
        t.ok(close(side.maximum, Math.max(...expected)), `${what}: maximum`);
        percentiles.forEach((p, i) => {
          const [own, naive] = [side.percentiles[i] as number, percentile(expected, areas, p)];
          t.ok(close(own, naive), `${what}: p${p}: ${own}, ${naive}`);
        });
        tolerances.forEach((limit, i) => {
          const within = sum(areas.filter((_, k) => (expected[k] as number) <= limit));
          t.ok(close(side.within[i] as number, within), `${what}: within ${limit} mm`);
        });
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

onEveryDevice(t, 'every code has the area of the table', async (t, device) => {
  const spacing = [2.5, 0.8, 1.1] as const;
  const none = device.tensor(new Uint8Array(8), { shape: [2, 2, 2] });
  for (let code = 1; code < 256; code++) {
    // A block of eight voxels with this code in its middle.
    const mask = Uint8Array.from({ length: 8 }, (_, v) => {
      const [d, h, w] = [v >> 2, (v >> 1) & 1, v & 1];
      return (code >> (7 - (4 * w + 2 * h + d))) & 1;
    });
    const { summary } = ops.surfaceDistances(device.tensor(mask, { shape: [2, 2, 2] }), none, {
      ...{ spacing, surface: 'elements' },
    });
    const { ab } = ops.surfaceFigures(await summary.data());
    const expected = elements((v) => mask[v] !== 0, [2, 2, 2], spacing);
    t.equal(ab.count, expected.length, `code ${code}: elements`);
    t.ok(close(ab.area, sum(expected.map(({ area }) => area))), `code ${code}: area`);
  }
});

onEveryDevice(t, 'surface elements along axes that 16 bits do not count', async (t, device) => {
  const length = 66_000;
  const a = new Uint8Array(length).fill(1, 10, 14);
  const b = new Uint8Array(length).fill(1, length - 9);
  b[12] = 1;
  for (const shape of [
    [length, 1, 1],
    [1, 1, length],
  ] as const) {
    const { summary } = ops.surfaceDistances(
      device.tensor(a, { shape }),
      device.tensor(b, { shape }),
      { spacing: [2, 2, 2], percentiles: [100], surface: 'elements' },
    );
    const { ab, ba } = ops.surfaceFigures(await summary.data(), 1);
    // Ends of the bars lie on cells 10..14 and 12..13, length - 9..length; four cells a section.
    t.same([ab.count, ab.maximum], [20, 4], `${shape}: to b`);
    const far = 2 * (length - 14);
    t.same([ba.count, ba.maximum, ba.percentiles[0]], [48, far, far], `${shape}: from b`);
  }
});

onEveryDevice(t, 'surface elements of empty masks', async (t, device) => {
  const shape = [2, 3, 4] as const;
  const none = device.tensor(new Uint8Array(24), { shape });
  const some = device.tensor(new Uint8Array(24).fill(1, 5, 6), { shape });
  const run = async (a: Tensor, b: Tensor) => {
    const { summary, distancesAB } = ops.surfaceDistances(a, b, {
      ...{ spacing: [1, 1, 1], tolerances: [2], capacity: 9, surface: 'elements' },
    });
    const figures = ops.surfaceFigures(await summary.data());
    return { figures, distances: Array.from((await distancesAB?.data()) ?? []) };
  };
  const infinite = Number.POSITIVE_INFINITY;
  for (const [side, other, found] of [
    ['ab', 'ba', await run(some, none)],
    ['ba', 'ab', await run(none, some)],
  ] as const) {
    const { [side]: of, [other]: empty } = found.figures;
    t.ok(close(of.area, Math.sqrt(3)), 'eight corners, each a triangle');
    t.same([of.count, empty.count, empty.area], [8, 0, 0], 'sizes');
    t.same([of.maximum, of.mean, of.percentiles[0]], [infinite, infinite, infinite], side);
    t.same([empty.maximum, empty.mean, empty.percentiles[0]], [infinite, infinite, infinite]);
    t.same([of.within, empty.within], [[0], [0]], 'nothing within a tolerance');
    const each =
      side === 'ab' ? [...Array(8).fill(infinite), Number.NaN] : Array(9).fill(Number.NaN);
    t.same(found.distances, each, 'each');
  }
  const { ab, ba, voxelsBoth } = (await run(none, none)).figures;
  t.same([ab.area, ba.area, ab.count, ba.count, voxelsBoth], [0, 0, 0, 0, 0], 'both: nothing');
  t.ok([ab.maximum, ba.mean, ab.within[0], ba.percentiles[0]].every(Number.isNaN), 'both: NaN');
});

onEveryDevice(t, 'surface elements: the same bits every time', async (t, device) => {
  const before = threads();
  const shape = [9, 14, 40] as const;
  const a = device.tensor(randomLabels(shape, 1, { density: 0.3, grain: 4 }), { shape });
  const b = device.tensor(randomLabels(shape, 2, { density: 0.3, grain: 3 }), { shape });
  let first: Awaited<ReturnType<Tensor['data']>> | undefined;
  for (let i = 0; i < 100; i++) {
    threads(1 + (i % 3));
    const { summary } = ops.surfaceDistances(a, b, {
      ...{ spacing: [3, 0.8, 0.8], tolerances: [1], surface: 'elements' },
    });
    const values = await summary.data();
    first ??= values;
    sameBits(t, values, first, `summary ${i}`);
  }
  threads(before);
});

t.test('grids of as many cells as 32 bits do not count', async (t) => {
  // A map of 2^29 voxels takes half a gigabyte: the check alone.
  const check = (grid: [number, number, number]) => () => checkCells('surfaceDistances', 'a', grid);
  t.throws(check([1, 1, 2 ** 29]), { code: 'ShapeMismatch', message: /\[1, 1, 536870912\]/ });
  t.throws(check([1290, 1290, 1290]), { code: 'ShapeMismatch', message: /with 2151685171/ });
  t.doesNotThrow(check([1, 1, 2 ** 29 - 2]));
  t.doesNotThrow(check([0, 65536, 65536]), 'no voxels have no cells');
});

onEveryDevice(t, 'surfaceDistances refuses another surface', async (t, device) => {
  const a = device.tensor(new Uint8Array(6), { shape: [1, 2, 3] });
  try {
    ops.surfaceDistances(a, a, { spacing: [1, 1, 1], surface: 'faces' as 'voxels' });
    t.fail('it was taken');
  } catch (error) {
    t.ok(isRenvoxError(error, 'InvalidArgument'));
  }
});
