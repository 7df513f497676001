import { ops, type Tensor, threads } from 'renvox';
import t from 'tap';
import { generator, onEveryDevice, sameBits, simulated } from './harness.js';
import { raggedShapes, randomLabels } from './random-labels.js';

/** Components by falling size, ties by number, at least `minimum` voxels. */
function bySize(components: Int32Array, minimum: number): { label: number; voxels: number }[] {
  const sizes = new Map<number, number>();
  for (const label of components) if (label) sizes.set(label, (sizes.get(label) ?? 0) + 1);
  return [...sizes]
    .map(([label, voxels]) => ({ label, voxels }))
    .filter((c) => c.voxels >= minimum)
    .sort((a, b) => b.voxels - a.voxels || a.label - b.label);
}

onEveryDevice(t, 'keepComponents against a sort', async (t, device) => {
  let seed = 100;
  for (const shape of raggedShapes)
    for (const [minimumVoxels, largest] of [
      [1, 255],
      [3, 2],
      [2, 300],
    ] as const) {
      const labels = device.tensor(randomLabels(shape, seed++, { density: 0.25 }), { shape });
      const found = ops.connectedComponents(labels, { connectivity: 6 });
      const { kept, voxels } = ops.keepComponents(found, { minimumVoxels, largest });
      const components = (await found.components.data()) as Int32Array;
      const order = bySize(components, minimumVoxels).slice(0, largest);
      const rank = new Map(order.map((c, i) => [c.label, i + 1]));
      const what = `[${shape}] at least ${minimumVoxels}, ${largest} largest`;
      t.equal(kept.dtype, largest < 256 ? 'u8' : 'i32', `${what}: type`);
      t.same(
        Array.from(await kept.data()),
        Array.from(components, (c) => rank.get(c) ?? 0),
        what,
      );
      t.same(
        Array.from(await voxels.data()),
        Array.from({ length: largest }, (_, i) => order[i]?.voxels ?? 0),
        `${what}: voxels`,
      );
    }
});

onEveryDevice(t, 'keepComponents with a core against a sort', async (t, device) => {
  let seed = 500;
  for (const shape of raggedShapes)
    for (const leastShare of [0, 0.3, 0.5, 1]) {
      const labels = device.tensor(randomLabels(shape, seed++, { density: 0.3 }), { shape });
      const next = generator(seed);
      const inside = Uint8Array.from({ length: labels.size }, () =>
        next() < 0.5 ? 1 + (seed % 3) : 0,
      );
      const found = ops.connectedComponents(labels, { connectivity: 26 });
      const { kept, voxels } = ops.keepComponents(found, {
        ...{ minimumVoxels: 2, largest: 4 },
        core: { mask: device.tensor(inside, { shape }), leastShare },
      });
      const components = (await found.components.data()) as Int32Array;
      const share = (label: number) => {
        let [all, strong] = [0, 0];
        components.forEach((v, i) => {
          if (v !== label) return;
          all++;
          if (inside[i]) strong++;
        });
        return strong / all;
      };
      const order = bySize(components, 2)
        .filter((c) => share(c.label) >= leastShare)
        .slice(0, 4);
      const rank = new Map(order.map((c, i) => [c.label, i + 1]));
      const what = `[${shape}] share ${leastShare}`;
      t.same(
        Array.from(await kept.data()),
        Array.from(components, (c) => rank.get(c) ?? 0),
        what,
      );
      const sizes = [0, 1, 2, 3].map((i) => order[i]?.voxels ?? 0);
      t.same(Array.from(await voxels.data()), sizes, `${what}: voxels`);
    }
  const labels = device.full([2, 3, 4], 1, 'u8');
  const found = ops.connectedComponents(labels);
  const core = (mask: Tensor, leastShare: number) => () =>
    ops.keepComponents(found, { core: { mask, leastShare } });
  t.throws(core(device.full([2, 3, 5], 1, 'u8'), 0.5), { code: 'ShapeMismatch' });
  t.throws(core(device.full([2, 3, 4], 1), 0.5), { code: 'DtypeMismatch' });
  t.throws(core(labels, 2), { code: 'InvalidArgument' });
});

onEveryDevice(t, 'keepComponents of made-up numbers, many of them', async (t, device) => {
  const shape = [3, 160, 100] as const;
  const next = generator(7);
  // Some numbers come several times, some not at all, some are none: 0, negative, above the count.
  const components = Int32Array.from({ length: 48000 }, () => {
    const x = next();
    return x < 0.02 ? -3 : x < 0.1 ? 0 : x < 0.2 ? 5 : 1 + Math.floor(next() * 36000);
  });
  const labels = device.tensor(components, { shape });
  for (const [count, minimumVoxels, largest] of [
    [35000, 1, 100000],
    [35000, 2, 300],
    [700, 0, 255],
    [3, 1, 2],
    [0, 1, 4],
    [-1, 1, 4],
  ] as const) {
    const found = {
      components: labels,
      count: device.tensor(Int32Array.of(count), { shape: [1] }),
    };
    const { kept, voxels } = ops.keepComponents(found, { minimumVoxels, largest });
    const known = components.map((c) => (c > 0 && c <= count ? c : 0));
    const order = bySize(known, minimumVoxels).slice(0, largest);
    const rank = new Int32Array(36001);
    order.forEach((c, i) => {
      rank[c.label] = i + 1;
    });
    const sizes = new Int32Array(largest);
    order.forEach((c, i) => {
      sizes[i] = c.voxels;
    });
    const expected = known.map((c) => rank[c] as number);
    const what = `${count} components, at least ${minimumVoxels}, ${largest} largest`;
    sameBits(t, Int32Array.from(await kept.data()), expected, what);
    sameBits(t, await voxels.data(), sizes, `${what}: voxels`);
  }
});

onEveryDevice(t, 'componentTable of many labels side by side', async (t, device) => {
  // Long rows; labels below 0 and above the capacity count in row 0 alone.
  const [D, H, W] = [2, 3, 1100];
  const labels = Int16Array.from({ length: D * H * W }, (_, v) => ((v * 7) % 300) - 20);
  for (const capacity of [0, 5, 200, 1000]) {
    const sizes = new Int32Array(capacity + 1);
    for (const value of labels) {
      if (value === 0) continue;
      (sizes[0] as number)++;
      if (value > 0 && value <= capacity) (sizes[value] as number)++;
    }
    const table = ops.componentTable(device.tensor(labels, { shape: [D, H, W] }), { capacity });
    const rows = await table.data();
    sameBits(
      t,
      sizes.map((_, i) => rows[8 * i] as number),
      sizes,
      `capacity ${capacity}: voxels`,
    );
    const first = sizes.map((n, i) => (n ? labels.findIndex((v) => (i ? v === i : v !== 0)) : -1));
    sameBits(
      t,
      sizes.map((_, i) => rows[8 * i + 7] as number),
      first,
      `capacity ${capacity}: first`,
    );
  }
});

onEveryDevice(t, 'componentTable against a loop', async (t, device) => {
  for (const shape of raggedShapes) {
    const [D, H, W] = shape;
    const labels = randomLabels(shape, D * W, { labels: 7, density: 0.2, grain: 2 });
    const capacity = 4;
    const rows = Array.from({ length: capacity + 1 }, () => [
      0,
      ...[D, H, W],
      ...[-1, -1, -1],
      -1,
    ]) as number[][];
    for (let d = 0, v = 0; d < D; d++)
      for (let h = 0; h < H; h++)
        for (let w = 0; w < W; w++, v++)
          for (const value of [0, labels[v] as number]) {
            const row = rows[value];
            if (!row || labels[v] === 0) continue;
            row[0] = (row[0] as number) + 1;
            [d, h, w].forEach((x, axis) => {
              row[1 + axis] = Math.min(row[1 + axis] as number, x);
              row[4 + axis] = Math.max(row[4 + axis] as number, x);
            });
            if (row[7] === -1) row[7] = v;
          }
    for (const row of rows) if (row[0] === 0) row.fill(0, 1, 4);
    const table = ops.componentTable(device.tensor(labels, { shape }), { capacity });
    t.same(Array.from(await table.data()), rows.flat(), `[${shape}]`);
  }
});

onEveryDevice(t, 'same bits for any number of threads', async (t, device) => {
  const before = threads();
  const shape = simulated(device) ? ([12, 11, 70] as const) : ([40, 31, 70] as const);
  const labels = device.tensor(randomLabels(shape, 5, { density: 0.3 }), { shape });
  const results = [];
  for (const n of [1, 2, 3]) {
    threads(n);
    const found = ops.connectedComponents(labels, { connectivity: 6 });
    const { kept, voxels } = ops.keepComponents(found, { minimumVoxels: 2 });
    const table = ops.componentTable(found.components, { capacity: 5000 });
    results.push([await kept.data(), await voxels.data(), await table.data()] as const);
  }
  const [one, ...others] = results;
  for (const other of others)
    one?.forEach((expected, i) => {
      sameBits(t, other[i as 0], expected, `result ${i}`);
    });
  threads(before);
});

onEveryDevice(t, 'counts guard work on the device', async (t, device) => {
  const shape = [2, 3, 4] as const;
  const one = new Uint8Array(24);
  one[5] = 1;
  const found = ops.connectedComponents(device.tensor(one, { shape }));
  const { voxels } = ops.keepComponents(found, { largest: 2 });
  const under = (index: number) =>
    device.under({ when: { counts: voxels, index } }, () => device.full([1], 7));
  t.equal(await under(0).item(), 7, 'the first component is there');
  t.equal(await under(1).item(), 0, 'the second is not: zeros');
});
