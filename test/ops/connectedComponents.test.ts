import { isRenvoxError, ops, threads } from 'renvox';
import t from 'tap';
import { onEveryDevice, sameBits } from './harness.js';
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

onEveryDevice(t, 'connectedComponents against flood fill', async (t, device) => {
  let seed = 1;
  for (const shape of raggedShapes)
    for (const density of [0, 0.1, 0.35, 0.6, 1])
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
          t.strictSame(await found.components.data(), expected.components, what);
        }
});

onEveryDevice(t, 'connectedComponents: same bits for any number of threads', async (t, device) => {
  const before = threads();
  const shape = [61, 40, 67] as const;
  for (const density of [0.2, 0.4]) {
    const labels = device.tensor(randomLabels(shape, 9, { density }), { shape });
    const results = [];
    for (const n of [1, 2, 3]) {
      threads(n);
      results.push(await ops.connectedComponents(labels, { connectivity: 6 }).components.data());
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
