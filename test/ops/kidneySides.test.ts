import { type Device, ops, threads } from 'renvox';
import t from 'tap';
import { generator, onEveryDevice, sameBits, simulated } from './harness.js';
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

interface Rule {
  count: number;
  minimum: number;
  split: number;
  keep: number;
}

/** The rule in plain loops: sides, and the table. */
function judge(components: Int32Array, image: ArrayLike<number>, [, H, W]: Size, rule: Rule) {
  const inBody = components.map((_, v) => Number((image[v] as number) > 0.5));
  const body = inBody.reduce((a, b) => a + b, 0);
  const midline = body ? inBody.reduce((a, b, v) => a + b * (v % W), 0) / body : (W - 1) / 2;
  const of = Array.from({ length: rule.count + 1 }, () => ({ n: 0, left: 0, sum: 0 }));
  components.forEach((c, v) => {
    const p = of[c];
    if (!p || c <= 0) return;
    p.n++;
    p.left += Number(v % W > midline);
    p.sum += v % W;
  });
  const verdicts = of.map(({ n, left, sum }) => {
    if (left > rule.split * n && n - left > rule.split * n) return { left: 1, right: 2 };
    const side = sum > midline * n ? 1 : 2;
    return { left: side, right: side };
  });
  for (const side of [1, 2]) {
    const parts = of.map(({ n, left }, i) => {
      const verdict = verdicts[i];
      return (verdict?.left === side ? left : 0) + (verdict?.right === side ? n - left : 0);
    });
    const most = Math.max(...parts);
    verdicts.forEach((verdict, i) => {
      const part = parts[i] as number;
      if (part >= rule.minimum && part >= rule.keep * most) return;
      if (verdict.left === side) verdict.left = 0;
      if (verdict.right === side) verdict.right = 0;
    });
  }
  const sides = Uint8Array.from(components, (c, v) => {
    const verdict = c > 0 ? verdicts[c] : undefined;
    return verdict ? (v % W > midline ? verdict.left : verdict.right) : 0;
  });
  const table = [1, 2].flatMap((side) => {
    const voxels = Array.from(sides.keys()).filter((v) => sides[v] === side);
    if (voxels.length === 0) return [0, 0, 0, 0, -1, -1, -1, -1];
    const places = [
      voxels.map((v) => Math.floor(v / (H * W))),
      voxels.map((v) => Math.floor(v / W) % H),
      voxels.map((v) => v % W),
    ];
    const low = places.map((p) => Math.min(...p));
    const high = places.map((p) => Math.max(...p));
    return [voxels.length, ...low, ...high, voxels[0] as number];
  });
  return { sides, table };
}

type Size = readonly [number, number, number];

onEveryDevice(t, 'kidneySides against loops', async (t, device) => {
  const next = generator(5);
  for (const size of [
    [3, 4, 75],
    [2, 3, 600],
    [40, 3, 1],
    [1, 1, 33],
  ] as const)
    for (const [count, minimum, split, keep] of [
      [170, 1, 0.2, 0.1],
      [400, 3, 0.45, 0.4],
      [2, 2, 0, 0],
      [0, 1, 0.2, 0.1],
    ] as const) {
      // Stripes of made-up components; some numbers are above the count.
      const length = size[0] * size[1] * size[2];
      const stripes = Array.from({ length }, () => Math.floor(next() * 1.2 * (count + 1)) - 1);
      const components = Int32Array.from({ length }, (_, v) => stripes[v >> 2] as number);
      const image = Float32Array.from({ length }, (_, v) =>
        Number(v % size[2] > size[2] / 3 && next() < 0.5),
      );
      const expected = judge(components, image, size, { count, minimum, split, keep });
      const found = {
        components: device.tensor(components, { shape: size }),
        count: device.tensor(Int32Array.of(count), { shape: [1] }),
      };
      const typed = count === 170 ? Int16Array.from(image) : image;
      const { sides, table } = ops.kidneySides(found, device.tensor(typed, { shape: size }), {
        bodyThreshold: count === 170 ? 0 : 0.5,
        minimumVoxels: minimum,
        splitShare: split,
        keepShare: keep,
      });
      sameBits(t, await sides.data(), expected.sides, `[${size}] ${count} components: sides`);
      t.same(Array.from(await table.data()), expected.table, `[${size}] ${count}: table`);
    }
});

onEveryDevice(t, 'kidneySides: same bits for any number of threads', async (t, device) => {
  const before = threads();
  const size = simulated(device) ? ([9, 10, 60] as const) : ([40, 30, 60] as const);
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
