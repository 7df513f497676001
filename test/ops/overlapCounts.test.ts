import { isRenvoxError, ops, threads } from 'renvox';
import t from 'tap';
import { onEveryDevice, sameBits, simulated } from './harness.js';
import { raggedShapes, randomLabels } from './random-labels.js';

onEveryDevice(t, 'overlapCounts against a loop', async (t, device) => {
  let seed = 1;
  const large = (simulated(device) ? [7, 100, 150] : [7, 500, 700]) as [number, number, number];
  for (const shape of [...raggedShapes, large])
    for (const labels of shape === large ? [1, 2, 5, 256] : [1, 2, 5, 109, 110, 256]) {
      const values = Math.min(labels + 1, 256);
      const a = randomLabels(shape, seed++, { labels: values, density: 0.5, grain: 3 });
      const b = Int32Array.from(randomLabels(shape, seed++, { labels: values, density: 0.3 }));
      if (labels < 256) b[0] = -4;
      const expected = new Float64Array(labels * labels);
      let outside = 0;
      a.forEach((i, v) => {
        const j = b[v] as number;
        if (i < labels && j >= 0 && j < labels) (expected[i * labels + j] as number)++;
        else outside++;
      });
      // Packets of 16, 8 and 4 values, and maps of different types.
      const typedA = labels === 5 ? Int16Array.from(a) : a;
      const typedB = labels === 256 ? Uint8Array.from(b) : labels === 5 ? Int16Array.from(b) : b;
      const found = ops.overlapCounts(
        device.tensor(typedA, { shape }),
        device.tensor(typedB, { shape }),
        { labels },
      );
      sameBits(t, await found.counts.data(), expected, `[${shape}] ${labels} labels`);
      t.equal(await found.outside.item(), outside, `[${shape}] ${labels} labels: outside`);
    }
});

onEveryDevice(t, 'overlapCounts: same bits for any number of threads', async (t, device) => {
  const before = threads();
  const shape = simulated(device) ? ([30, 40, 50] as const) : ([30, 200, 200] as const);
  const a = device.tensor(randomLabels(shape, 1, { labels: 4, grain: 4 }), { shape });
  const b = device.tensor(randomLabels(shape, 2, { labels: 4, grain: 5 }), { shape });
  const results = [];
  for (const n of [1, 2, 3]) {
    threads(n);
    results.push(await ops.overlapCounts(a, b, { labels: 4 }).counts.data());
  }
  for (const other of results) if (results[0]) sameBits(t, other, results[0], 'counts');
  threads(before);
});

onEveryDevice(t, 'overlapCounts refuses', async (t, device) => {
  const a = device.tensor(new Uint8Array(6), { shape: [1, 2, 3] });
  const b = device.tensor(new Uint8Array(6), { shape: [1, 3, 2] });
  try {
    ops.overlapCounts(a, b, { labels: 2 });
    t.fail('another shape was taken');
  } catch (error) {
    t.ok(isRenvoxError(error, 'ShapeMismatch'), 'another shape');
  }
  try {
    ops.overlapCounts(a, a, { labels: 257 });
    t.fail('257 labels were taken');
  } catch (error) {
    t.ok(isRenvoxError(error, 'InvalidArgument'), '257 labels');
  }
});
