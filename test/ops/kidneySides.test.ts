import { type Device, ops, threads } from 'renvox';
import t from 'tap';
import { onEveryDevice, sameBits } from './harness.js';
import { randomLabels } from './random-labels.js';

const shape = [6, 8, 40] as const;

/** A body of tissue from w = first to w = last, air elsewhere. */
function body(first: number, last: number): Int16Array {
  return Int16Array.from({ length: 6 * 8 * 40 }, (_, v) =>
    v % 40 >= first && v % 40 <= last ? 40 : -1000,
  );
}

/** Boxes [w from, w to) over d 1..4, h 2..5. */
function boxes(...spans: [number, number][]): Uint8Array {
  const out = new Uint8Array(6 * 8 * 40);
  for (const [from, to] of spans)
    for (let d = 1; d < 5; d++)
      for (let h = 2; h < 6; h++) for (let w = from; w < to; w++) out[(d * 8 + h) * 40 + w] = 1;
  return out;
}

async function sidesOf(device: Device, kidneys: Uint8Array, image: Int16Array, minimumVoxels = 1) {
  const found = ops.connectedComponents(device.tensor(kidneys, { shape }));
  const { sides, table } = ops.kidneySides(found, device.tensor(image, { shape }), {
    bodyThreshold: -200,
    minimumVoxels,
  });
  const map = (await sides.data()) as Uint8Array;
  const rows = Array.from(await table.data());
  // The row through the boxes, as a line of digits.
  const line = Array.from(map.subarray((8 + 2) * 40, (8 + 3) * 40)).join('');
  return { line, left: rows.slice(0, 8), right: rows.slice(8) };
}

onEveryDevice(t, 'kidneySides', async (t, device) => {
  const spans = (from: number, to: number, digit: string, line = '0'.repeat(40)) =>
    line.slice(0, from) + digit.repeat(to - from) + line.slice(to);

  let result = await sidesOf(device, boxes([5, 10], [28, 33]), body(0, 39));
  t.equal(result.line, spans(28, 33, '1', spans(5, 10, '2')), 'a high w is the left');
  t.same(result.left, [80, 1, 2, 28, 4, 5, 32, (8 + 2) * 40 + 28], 'left: voxels and box');
  t.same(result.right, [80, 1, 2, 5, 4, 5, 9, (8 + 2) * 40 + 5], 'right: voxels and box');

  result = await sidesOf(device, boxes([22, 26], [32, 36]), body(20, 39));
  t.equal(
    result.line,
    spans(32, 36, '1', spans(22, 26, '2')),
    'the middle is the body, not the grid',
  );

  result = await sidesOf(device, boxes([2, 6], [30, 34]), body(40, 40));
  t.equal(
    result.line,
    spans(30, 34, '1', spans(2, 6, '2')),
    'no body: the middle is that of the grid',
  );

  result = await sidesOf(device, boxes([10, 30]), body(0, 39));
  t.equal(result.line, spans(20, 30, '1', spans(10, 20, '2')), 'a horseshoe is split');

  result = await sidesOf(device, boxes([4, 22]), body(0, 39));
  t.equal(result.line, spans(4, 22, '2'), 'a kidney that reaches over the midline stays whole');

  result = await sidesOf(device, boxes([2, 12], [30, 40], [14, 15], [26, 28]), body(0, 39), 1);
  t.equal(
    result.line,
    spans(26, 28, '1', spans(14, 15, '2', spans(30, 40, '1', spans(2, 12, '2')))),
    'a tenth of the largest is kept',
  );
  result = await sidesOf(device, boxes([2, 13], [30, 40], [15, 16], [26, 28]), body(0, 39), 33);
  t.equal(
    result.line,
    spans(30, 40, '1', spans(2, 13, '2')),
    'less than a tenth, or than the minimum, is dropped',
  );

  result = await sidesOf(device, boxes([2, 6]), body(0, 39));
  t.same(result.left, [0, 0, 0, 0, -1, -1, -1, -1], 'no left kidney');
  result = await sidesOf(device, boxes(), body(0, 39));
  t.same([result.left[0], result.right[0]], [0, 0], 'no kidney at all');
});

onEveryDevice(t, 'kidneySides: same bits for any number of threads', async (t, device) => {
  const before = threads();
  const size = [40, 30, 60] as const;
  const labels = device.tensor(randomLabels(size, 3, { density: 0.2, grain: 3 }), { shape: size });
  const image = device.tensor(
    Float32Array.from(randomLabels(size, 4, { density: 0.5, grain: 5 })),
    { shape: size },
  );
  const results = [];
  for (const n of [1, 2, 3]) {
    threads(n);
    const found = ops.connectedComponents(labels);
    const { sides, table } = ops.kidneySides(found, image, { bodyThreshold: 0.5 });
    results.push([await sides.data(), await table.data()] as const);
  }
  for (const [sides, table] of results) {
    if (results[0]) sameBits(t, sides, results[0][0], 'sides');
    if (results[0]) sameBits(t, table, results[0][1], 'table');
  }
  threads(before);
});
