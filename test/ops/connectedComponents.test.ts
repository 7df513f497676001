import { type Device, isRenvoxError, ops, threads } from 'renvox';
import t from 'tap';
import { onEveryDevice, onEveryInstructionSet, sameBits, simulated } from './harness.js';
import { raggedShapes, randomLabels } from './random-labels.js';

type Shape = readonly [number, number, number];
const connectivities = [6, 18, 26] as const;

/** Flood fill from each voxel in raster order. */
function floodFill(labels: Uint8Array, shape: Shape, connectivity: number, perLabel: boolean) {
  const [D, H, W] = shape;
  const steps = connectivity === 6 ? 1 : connectivity === 18 ? 2 : 3;
  const out = new Int32Array(labels.length);
  let count = 0;
  for (let start = 0; start < labels.length; start++) {
    if (labels[start] === 0 || out[start] !== 0) continue;
    out[start] = ++count;
    const stack = [start];
    for (let v = stack.pop(); v !== undefined; v = stack.pop()) {
      const [d, h, w] = [Math.floor(v / (H * W)), Math.floor(v / W) % H, v % W];
      for (let z = Math.max(0, d - 1); z <= Math.min(D - 1, d + 1); z++)
        for (let y = Math.max(0, h - 1); y <= Math.min(H - 1, h + 1); y++)
          for (let x = Math.max(0, w - 1); x <= Math.min(W - 1, w + 1); x++) {
            if (Math.abs(z - d) + Math.abs(y - h) + Math.abs(x - w) > steps) continue;
            const n = (z * H + y) * W + x;
            if (labels[n] === 0 || out[n] !== 0) continue;
            if (perLabel && labels[n] !== labels[v]) continue;
            out[n] = count;
            stack.push(n);
          }
    }
  }
  return { components: out, count };
}

/** Simulated threads are slow: the largest shape at the density that has most runs. */
const densities = (device: Device, shape: Shape) =>
  simulated(device) && shape[0] > 30 ? [0.35] : [0, 0.1, 0.35, 0.6, 1];

onEveryDevice(t, 'connectedComponents against flood fill', async (t, device) => {
  let seed = 1;
  for (const shape of raggedShapes)
    for (const density of densities(device, shape))
      for (const connectivity of connectivities)
        for (const perLabel of [false, true]) {
          const labels = randomLabels(shape, seed++, { labels: 4, density, grain: 1 + (seed % 2) });
          const expected = floodFill(labels, shape, connectivity, perLabel);
          const typed = seed % 3 === 0 ? Int32Array.from(labels) : labels;
          const found = ops.connectedComponents(
            device.tensor(typed, { shape: seed % 2 ? shape : [1, ...shape, 1] }),
            { connectivity, perLabel },
          );
          const what = `[${shape}] density ${density}, ${connectivity}${perLabel ? ' per label' : ''}`;
          t.equal(await found.count.item(), expected.count, `${what}: count`);
          sameBits(t, await found.components.data(), expected.components, what);
        }
});

/** The map in each type of labels, by values whose low bytes are 0 where the type has others. */
function typed(labels: Uint8Array, which: number): Uint8Array | Int16Array | Int32Array {
  if (which % 3 === 0) return labels;
  if (which % 3 === 1) return Int16Array.from(labels, (v) => (v ? -0x100 * v : 0));
  return Int32Array.from(labels, (v) => (v ? 0x1000000 * v : 0));
}

/** Rows that end before, at and behind the end of a word of 64 voxels; odd and even numbers of them, and one. */
function wordShapes(device: Device): Shape[] {
  if (simulated(device)) return [1, 63, 64, 65, 129].map((W) => [3, 3, W]);
  const planes = [
    [5, 6],
    [4, 7],
    [2, 2],
    [1, 9],
    [6, 1],
    [1, 1],
  ] as const;
  const widths = [1, 2, 8, 9, 63, 64, 65, 127, 128, 129, 191, 192, 193];
  const shapes = widths.flatMap((W) => planes.map(([D, H]): Shape => [D, H, W]));
  return [...shapes, [3, 5, 4097], [37, 3, 66]];
}

onEveryDevice(t, 'connectedComponents of rows round words of bits', async (t, device) => {
  let seed = 100;
  for (const shape of wordShapes(device))
    for (const density of simulated(device) ? [0.5] : [0.1, 0.25, 0.4, 0.5, 0.6, 0.75, 0.9]) {
      const labels = randomLabels(shape, seed++, { density });
      const tensor = device.tensor(typed(labels, seed), { shape });
      for (const connectivity of connectivities) {
        const expected = floodFill(labels, shape, connectivity, false);
        await onEveryInstructionSet(device, async (name) => {
          const found = ops.connectedComponents(tensor, { connectivity });
          const what = `[${shape}] density ${density}, ${connectivity}, ${name}`;
          t.equal(await found.count.item(), expected.count, `${what}: count`);
          sameBits(t, await found.components.data(), expected.components, what);
        });
      }
    }
});

/** Labels by a rule. */
function fill(shape: Shape, rule: (d: number, h: number, w: number) => number | boolean) {
  const out = new Uint8Array(shape[0] * shape[1] * shape[2]);
  for (let d = 0, v = 0; d < shape[0]; d++)
    for (let h = 0; h < shape[1]; h++)
      for (let w = 0; w < shape[2]; w++, v++) out[v] = Number(rule(d, h, w));
  return { shape, labels: out };
}

/** Whether (y, x) lies on the one-wide arm of a square spiral with gaps of one. */
function onSpiral(H: number, W: number): (y: number, x: number) => boolean {
  const arm = new Uint8Array(H * W);
  const inside = (y: number, x: number) => y >= 0 && y < H && x >= 0 && x < W;
  const isSet = (y: number, x: number) => inside(y, x) && arm[y * W + x] === 1;
  for (let y = 0, x = 0, dy = 0, dx = 1, turns = 0; turns < 2; ) {
    arm[y * W + x] = 1;
    const free = inside(y + dy, x + dx) && !isSet(y + 2 * dy, x + 2 * dx);
    if (!free) [dy, dx] = [dx, -dy];
    turns = free ? 0 : turns + 1;
    if (free) [y, x] = [y + dy, x + dx];
  }
  return (y, x) => isSet(y, x);
}

/** Maps that are hard for one or the other step of a labelling. */
function hardMaps() {
  const flat = onSpiral(23, 75);
  const upright = onSpiral(21, 9);
  const borders = [0, 1, 31, 32, 33, 63, 64, 99];
  return {
    'a spiral in a plane': fill([1, 23, 75], (_, h, w) => flat(h, w)),
    'a spiral over planes': fill([21, 9, 34], (d, h, w) => upright(d, h) && w % 33 < 32),
    'a spiral along w and d': fill([23, 2, 75], (d, h, w) => h === 1 && flat(d, w)),
    'a comb, joined in the last row': fill([2, 9, 131], (_, h, w) => w % 2 === 0 || h === 8),
    'a comb, joined in the last voxels': fill([1, 9, 1100], (_, h, w) => h % 2 === 0 || w === 1099),
    'a comb over planes': fill([7, 3, 67], (d, h, w) => (d < 6 ? w % 2 === 1 : h === 2)),
    'a checkerboard': fill([4, 5, 70], (d, h, w) => (d + h + w) % 2 === 0),
    'a checkerboard of columns': fill([5, 6, 70], (_, h, w) => (h + w) % 2 === 1),
    'single voxels at borders': fill(
      [3, 3, 100],
      (d, h, w) => d !== 1 && h !== 1 && borders.includes(w) && (d + w) % 2 === 0,
    ),
    'a staircase over words': fill([40, 40, 40], (d, h, w) => d === h && h === w),
    'a staircase back': fill([40, 40, 40], (d, h, w) => d === h && h === 39 - w),
    'a staircase of edges': fill([1, 70, 70], (_, h, w) => h === w || h === 69 - w),
    'everything, over strips of words': fill([2, 2, 1100], () => 1),
    'one row': fill([1, 1, 1300], (_d, _h, w) => w % 7 !== 3),
    'one column': fill([1, 300, 1], (_, h) => h % 5 !== 0),
    'one voxel a plane': fill([300, 1, 1], (d) => d % 64 !== 63),
    'one row a plane': fill([60, 1, 33], (d, _, w) => (d * 7 + w) % 5 < 3),
    'one column a plane': fill([40, 33, 1], (d, h) => (d * 3 + h) % 4 < 2),
    'labels side by side': fill([3, 5, 75], (d, h, w) => 1 + ((d + h + w) % 3)),
    'label stripes': fill([3, 4, 75], (d, h) => 1 + ((d + h) % 2)),
    'labels in blocks': fill([6, 6, 99], (d, h, w) => ((d >> 1) + (h >> 1) + (w >> 4)) % 3),
  };
}

onEveryDevice(t, 'connectedComponents of hard maps', async (t, device) => {
  for (const [name, { shape, labels }] of Object.entries(hardMaps()))
    for (const connectivity of connectivities)
      for (const perLabel of labels.some((v) => v > 1) ? [false, true] : [false]) {
        const expected = floodFill(labels, shape, connectivity, perLabel);
        const tensor = device.tensor(labels, { shape });
        const found = ops.connectedComponents(tensor, { connectivity, perLabel });
        const what = `${name}, ${connectivity}${perLabel ? ' per label' : ''}`;
        t.equal(await found.count.item(), expected.count, `${what}: count`);
        sameBits(t, await found.components.data(), expected.components, what);
      }
});

onEveryDevice(t, 'connectedComponents: nothing and negative labels', async (t, device) => {
  const none = ops.connectedComponents(device.tensor(new Uint8Array(0), { shape: [0, 3, 4] }));
  t.equal(await none.count.item(), 0, 'a volume without voxels');
  const labels = Int16Array.of(-1, -1, 0, 1, -1, 1);
  const tensor = device.tensor(labels, { shape: [1, 2, 3] });
  const all = ops.connectedComponents(tensor, { connectivity: 6 });
  t.same(Array.from(await all.components.data()), [1, 1, 0, 1, 1, 1]);
  const each = ops.connectedComponents(tensor, { connectivity: 6, perLabel: true });
  t.same(Array.from(await each.components.data()), [1, 1, 0, 2, 1, 3]);
});

onEveryDevice(t, 'connectedComponents: same bits for any number of threads', async (t, device) => {
  const before = threads();
  const shape = simulated(device) ? ([12, 20, 67] as const) : ([61, 40, 67] as const);
  for (const [density, connectivity] of [
    [0.2, 6],
    [0.4, 6],
    [0.05, 26],
    [0.3, 26],
  ] as const) {
    const labels = device.tensor(randomLabels(shape, 9, { density }), { shape });
    const results = [];
    for (const n of [1, 2, 3]) {
      threads(n);
      results.push(await ops.connectedComponents(labels, { connectivity }).components.data());
    }
    const [one, two, three] = results;
    if (one && two && three) {
      sameBits(t, two, one, '2 threads');
      sameBits(t, three, one, '3 threads');
    }
  }
  threads(before);
});

onEveryDevice(t, 'connectedComponents refuses', async (t, device) => {
  const code = (body: () => unknown) => {
    try {
      body();
    } catch (error) {
      if (isRenvoxError(error)) return error.code;
    }
    return undefined;
  };
  const f = device.tensor([1, 0], { shape: [1, 1, 2] });
  t.equal(
    code(() => ops.connectedComponents(f)),
    'DtypeMismatch',
  );
  const two = device.tensor(new Uint8Array(4), { shape: [2, 1, 1, 2] });
  t.equal(
    code(() => ops.connectedComponents(two)),
    'ShapeMismatch',
  );
  const u = device.tensor(new Uint8Array(2), { shape: [1, 1, 2] });
  t.equal(
    code(() => ops.connectedComponents(u, { connectivity: 8 as 6 })),
    'InvalidArgument',
  );
  t.equal(
    code(() => ops.componentTable(u, { capacity: -1 })),
    'InvalidArgument',
  );
});
