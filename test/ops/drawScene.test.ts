import { type Device, device as open, ops, type TensorData, threads } from 'renvox';
import t from 'tap';
import { noteError } from './errors.js';
import { generator, onEveryDevice, onEveryInstructionSet, sameBits } from './harness.js';

// Fields of a row, as native/math/shapes.h numbers them.
const size = 40;

interface Case {
  rows: Float32Array;
  field: Float32Array;
  affine: number[];
}

const shape = [7, 11, 37] as const;
const fieldNodes = [3, 4, 5] as const;
const [fieldStart, fieldStep] = [
  [-20, -18, -16],
  [10, 12, 16],
] as const;

/** A random rotation, from a random quaternion. */
function rotation(next: () => number): number[] {
  const q = [next() - 0.5, next() - 0.5, next() - 0.5, next() - 0.5];
  const n = Math.hypot(...q);
  const [a, b, c, d] = q.map((x) => x / n) as [number, number, number, number];
  return [
    ...[1 - 2 * (c * c + d * d), 2 * (b * c - a * d), 2 * (b * d + a * c)],
    ...[2 * (b * c + a * d), 1 - 2 * (b * b + d * d), 2 * (c * d - a * b)],
    ...[2 * (b * d - a * c), 2 * (c * d + a * b), 1 - 2 * (b * b + c * c)],
  ];
}

function randomCase(seed: number, primitives = 12): Case {
  const next = generator(seed);
  const uniform = (a: number, b: number) => a + (b - a) * next();
  const rows: number[] = [];
  for (let p = 0; p < primitives; p++) {
    const row = new Array<number>(size).fill(0);
    const cone = next() < 0.3;
    row[0] = cone ? 1 : 0;
    row[1] = Math.floor(uniform(1, 20));
    row[2] = next() < 0.2 ? -1 : Math.floor(uniform(0, 6));
    row[3] = next() < 0.5 ? -1 : p % 256;
    row[4] = next() < 0.3 ? Math.floor(uniform(1, 2 ** 20)) : 0;
    row[5] = uniform(-100, 300);
    row[10] = next() < 0.2 ? uniform(0, 4) : 0;
    row[11] = next() < 0.2 ? 1 : 0;
    for (let k = 0; k < 3; k++) row[12 + k] = uniform(-18, 18);
    if (cone) for (let k = 0; k < 3; k++) row[15 + k] = uniform(-18, 18);
    else row.splice(15, 9, ...rotation(next));
    for (let k = 0; k < 3; k++) row[24 + k] = uniform(2, 14);
    row[27] = 1 + Math.floor(uniform(0, 2.5));
    row[28] = 1 + Math.floor(uniform(0, 2.5));
    row[29] = next() < 0.3 ? uniform(-5, 5) : 0;
    if (next() < 0.4) {
      const axis = Math.floor(uniform(0, 3));
      const oblique = rotation(next).slice(0, 3);
      for (let k = 0; k < 3; k++)
        row[33 + k] = next() < 2 && p % 2 ? (oblique[k] as number) : +(k === axis);
      row[36] = uniform(-5, 5);
    }
    row[37] = next() < 0.1 ? 1 : 0;
    rows.push(...row);
  }
  const m = rotation(next).map((x) => x * uniform(2.4, 2.6));
  const corner = [0, 1, 2].map(
    (i) => -(m[3 * i] as number) * 3 - (m[3 * i + 1] as number) * 5 - (m[3 * i + 2] as number) * 18,
  );
  return {
    rows: Float32Array.from(rows),
    field: Float32Array.from({ length: 3 * 3 * 4 * 5 }, () => uniform(-6, 6)),
    affine: [0, 1, 2].flatMap((i) => [...m.slice(3 * i, 3 * i + 3), corner[i] as number]),
  };
}

/** The displacement at a point, in doubles. */
function displacement(field: Float32Array, q: number[]): number[] {
  const [nz, ny, nx] = fieldNodes;
  const n = [nx, ny, nz];
  const place = q.map((v, k) =>
    Math.min(
      Math.max((v - (fieldStart[k] as number)) / (fieldStep[k] as number), 0),
      (n[k] as number) - 1,
    ),
  );
  const base = place.map((c, k) => Math.min(Math.floor(c), (n[k] as number) - 2));
  const u = [0, 0, 0];
  for (let corner = 0; corner < 8; corner++) {
    const bit = [corner & 1, (corner >> 1) & 1, corner >> 2];
    let weight = 1;
    for (let k = 0; k < 3; k++) {
      const f = (place[k] as number) - (base[k] as number);
      weight *= bit[k] ? f : 1 - f;
    }
    const [x, y, z] = base.map((b, k) => b + (bit[k] as number)) as [number, number, number];
    for (let k = 0; k < 3; k++)
      u[k] = (u[k] as number) + weight * (field[3 * ((z * ny + y) * nx + x) + k] as number);
  }
  return u;
}

function distance(row: Float32Array, point: number[]): number {
  const s = (i: number) => row[i] as number;
  const p = point.map((v, k) => v - s(12 + k)) as [number, number, number];
  let result: number;
  if (s(0) === 1) {
    const axis = [0, 1, 2].map((k) => s(15 + k) - s(12 + k));
    const length2 = axis.reduce((a, b) => a + b * b, 0);
    const along = p.reduce((a, b, k) => a + b * (axis[k] as number), 0) / length2;
    const place = Math.min(1, Math.max(0, along));
    result =
      Math.hypot(...p.map((v, k) => v - place * (axis[k] as number))) -
      (s(24) + (s(25) - s(24)) * place);
  } else {
    const local = [0, 1, 2].map((i) => p.reduce((a, b, k) => a + b * s(15 + 3 * i + k), 0));
    let [a, b, c] = local as [number, number, number];
    a -= s(29) * (c / s(26)) ** 2;
    const [u, v, w] = [a / s(24), b / s(25), c / s(26)];
    const [e, f] = [2 ** s(27), 2 ** s(28)];
    const inPlane = (Math.abs(u) ** e + Math.abs(v) ** e) ** (1 / e);
    const k = (inPlane ** f + Math.abs(w) ** f) ** (1 / f);
    result =
      s(27) === 1 && s(28) === 1
        ? ((k - 1) * k) / Math.hypot(u / s(24), v / s(25), w / s(26))
        : (Math.hypot(a, b, c) * (k - 1)) / k;
  }
  if (s(37)) result = -result;
  if (s(33) || s(34) || s(35))
    result = Math.max(result, p.reduce((a, b, k) => a + b * s(33 + k), 0) - s(36));
  return result;
}

/** The whole scene voxel by voxel, with no boxes, in doubles; and how near each voxel came to a decision. */
function naive({ rows, field, affine }: Case, voxel: number) {
  const count = shape[0] * shape[1] * shape[2];
  const hu = new Float64Array(count).fill(-1000);
  const label = new Uint8Array(count);
  const instance = new Uint8Array(count);
  const doubtful = new Uint8Array(count);
  for (let v = 0; v < count; v++) {
    const index = [
      Math.floor(v / (shape[1] * shape[2])),
      Math.floor(v / shape[2]) % shape[1],
      v % shape[2],
    ];
    const q = [0, 1, 2].map((i) =>
      index.reduce(
        (sum, x, k) => sum + x * (affine[4 * i + k] as number),
        affine[4 * i + 3] as number,
      ),
    );
    const moved = displacement(field, q).map((u, k) => u + (q[k] as number));
    let tissue = 0;
    for (let p = 0; p < rows.length / size; p++) {
      const row = rows.subarray(size * p, size * (p + 1));
      const d = distance(row, row[11] ? q : moved);
      if (Math.abs(d) < 1e-3) doubtful[v] = 1;
      const share = Math.min(1, Math.max(0, 0.5 - d / (voxel + (row[10] as number))));
      const over = row[4] as number;
      if (share <= 0 || (over && !((over >> tissue) & 1))) continue;
      hu[v] = (hu[v] as number) + share * ((row[5] as number) - (hu[v] as number));
      if (d >= 0) continue;
      tissue = row[1] as number;
      if ((row[2] as number) >= 0) label[v] = row[2] as number;
      if ((row[3] as number) >= 0) instance[v] = row[3] as number;
    }
  }
  return { hu, label, instance, doubtful };
}

function draw(device: Device, { rows, field, affine }: Case, more = {}) {
  return ops.drawScene(device.tensor(rows, { shape: [rows.length / size, size] }), {
    ...{ shape, affine, voxel: 2.5, seed: 7, fieldStart, fieldStep },
    displacement: device.tensor(field, { shape: [...fieldNodes, 3] }),
    ...more,
  });
}

onEveryDevice(t, 'drawScene, against a naive one', async (t, device) => {
  for (let seed = 1; seed <= 25; seed++) {
    const scene = randomCase(seed, seed === 25 ? 400 : 12);
    const expected = naive(scene, 2.5);
    const drawn = draw(device, scene);
    const [hu, label, instance] = [
      await drawn.hu.data(),
      await drawn.label.data(),
      await drawn.instance.data(),
    ];
    let worst = 0;
    let wrong = 0;
    let painted = 0;
    for (let v = 0; v < hu.length; v++) {
      if (expected.doubtful[v]) continue;
      worst = Math.max(worst, Math.abs((hu[v] as number) - (expected.hu[v] as number)));
      if (label[v] !== expected.label[v] || instance[v] !== expected.instance[v]) wrong++;
      if (expected.hu[v] !== -1000) painted++;
    }
    t.ok(
      noteError(worst) < 0.1 && wrong === 0,
      `scene ${seed}: HU within ${worst.toFixed(4)}, ${wrong} labels differ, ${painted} voxels painted`,
    );
  }
});

onEveryDevice(t, 'drawScene, texture, patches and slices', async (t, device) => {
  const row = new Array<number>(size).fill(0);
  Object.assign(row, {
    1: 3,
    2: 1,
    3: 4,
    5: 100,
    6: 10,
    7: 5,
    24: 500,
    25: 500,
    26: 500,
    27: 1,
    28: 1,
  });
  [row[15], row[19], row[23]] = [1, 1, 1];
  const rows = Float32Array.from(row);
  const options = {
    shape: [30, 40, 50] as const,
    affine: [0, 0, 2, -50, 0, 2, 0, -40, 2, 0, 0, -30],
    voxel: 2,
    seed: 5,
  };
  const at = (values: ArrayLike<number>, d: number) =>
    Array.from(values).slice(d * 2000, (d + 1) * 2000);
  const scene = device.tensor(rows, { shape: [1, size] });
  const drawn = ops.drawScene(scene, { ...options, slices: [3, 28], tissues: true });
  const [hu, label] = [await drawn.hu.data(), await drawn.label.data()];
  const tissue = await (drawn.tissue as NonNullable<typeof drawn.tissue>).data();
  for (const d of [0, 2, 28, 29])
    t.ok(
      at(hu, d).every((x) => x === -1000) &&
        at(label, d).every((x) => x === 0) &&
        at(tissue, d).every((x) => x === 0),
      `slice ${d} is air`,
    );
  t.ok(
    [3, 27].every((d) => at(label, d).every((x) => x === 1) && at(tissue, d).every((x) => x === 3)),
  );
  const values = Array.from(hu).slice(3 * 2000, 28 * 2000);
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  const sd = Math.sqrt(values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length);
  t.ok(
    Math.abs(mean - 100) < 2 && Math.abs(sd - Math.hypot(10, 5)) < 1,
    `texture: mean ${mean.toFixed(2)}, SD ${sd.toFixed(2)} of 11.18`,
  );

  // Patches above 0 standard deviations cover half of what is painted.
  Object.assign(row, { 6: 0, 7: 0, 8: 6, 9: 0, 38: 9 });
  const patchy = await ops
    .drawScene(device.tensor(row, { shape: [1, size] }), options)
    .label.data();
  const share = Array.from(patchy).reduce((a, b) => a + b, 0) / patchy.length;
  t.ok(Math.abs(share - 0.5) < 0.05, `patches cover ${share.toFixed(3)} of the voxels`);
});

onEveryDevice(
  t,
  'drawScene, acquire, raggedMask: same bits for any number of threads',
  async (t, device) => {
    const before = threads();
    const results: TensorData[][] = [];
    for (const count of [1, 2, 3]) {
      threads(count);
      const drawn = draw(device, randomCase(3));
      const mask = ops.raggedMask(drawn.label, { ragged: 0.5, seed: 3 });
      const image = ops.acquire(drawn.hu, {
        blur: [0.5, 0.7, 0],
        noise: 12,
        noiseBlur: [0.4, 0.6, 0.8],
        seed: 11,
        mask: { tensor: mask, use: 'channel' },
      });
      results.push([
        await drawn.hu.data(),
        await drawn.label.data(),
        await mask.data(),
        await image.data(),
      ]);
    }
    threads(before);
    for (const other of results.slice(1))
      other.forEach((data, i) => {
        sameBits(t, data, (results[0] as TensorData[])[i] as TensorData, `output ${i}`);
      });
  },
);

onEveryDevice(t, 'drawScene: the same bits from every instruction set', async (t, device) => {
  const scene = randomCase(6, 300);
  // Undulations, textures and patches too, and exponents that only the general formula has.
  for (let p = 0; p < scene.rows.length; p += size) {
    scene.rows.set([12, 7], p + 6);
    if (p % 3 === 0) scene.rows.set([5, 0.3], p + 8);
    if (p % 2 === 0) scene.rows.set([0.1, 2, 0.3], p + 30);
    if (p % 5 === 0 && scene.rows[p] === 0) scene.rows.set([3, 2], p + 27);
  }
  let first: TensorData[] | undefined;
  await onEveryInstructionSet(device, async (name) => {
    const { hu, label, instance } = draw(device, scene);
    const made = [await hu.data(), await label.data(), await instance.data()];
    first ??= made;
    made.forEach((data, i) => {
      sameBits(t, data, (first as TensorData[])[i] as TensorData, `${name}, output ${i}`);
    });
  });
});

onEveryDevice(t, 'drawScene, acquire, raggedMask: the bits of the CPU', async (t, device) => {
  using cpu = open('cpu');
  const make = async (d: Device) => {
    const scene = randomCase(5, 300);
    // Textures and patches too, which the naive scene leaves out.
    for (let p = 0; p < scene.rows.length; p += size) {
      scene.rows.set([12, 7], p + 6);
      if (p % 3 === 0) scene.rows.set([5, 0.3], p + 8);
    }
    const drawn = draw(d, scene, { tissues: true, slices: [1, 6] });
    const still = draw(d, scene, { displacement: undefined });
    const mask = ops.raggedMask(drawn.label, { ragged: 0.5, shift: 0.2, blur: 1.4, seed: 3 });
    const blurs = { blur: [0.5, 0.7, 3], noise: 12, noiseBlur: [0.4, 0, 0.8] } as const;
    const window = { low: -100, high: 200 };
    const images = [
      ops.acquire(drawn.hu, { ...blurs, seed: 1, window, mask: { tensor: mask, use: 'channel' } }),
      ops.acquire(drawn.hu, { noise: 9, seed: 2, mask: { tensor: mask, use: 'keep' } }),
      ops.acquire(still.hu, { noise: 9, noiseBlur: [0, 2, 0], seed: 3 }),
      ops.acquire(still.hu, { seed: 4, blur: [0, 9, 0] }),
    ];
    const { hu, label, instance, tissue } = drawn;
    const all = [hu, label, instance, tissue, still.hu, still.label, mask, ...images];
    return Promise.all(all.map(async (x) => (await x?.data()) as TensorData));
  };
  const expected = await make(cpu);
  for (const [i, data] of (await make(device)).entries())
    sameBits(t, data, expected[i] as TensorData, `output ${i}`);
});

onEveryDevice(t, 'acquire: noise, window, masks', async (t, device) => {
  const shape = [1, 20, 24, 28, 1];
  const flat = device.full(shape, 40);
  for (const noiseBlur of [
    [0, 0, 0],
    [0.5, 0.9, 0.9],
  ] as const) {
    const y = await ops.acquire(flat, { noise: 20, noiseBlur, seed: 4 }).data();
    const mean = Array.from(y).reduce((a, b) => a + b, 0) / y.length;
    const sd = Math.sqrt(Array.from(y).reduce((a, b) => a + (b - mean) ** 2, 0) / y.length);
    t.ok(
      Math.abs(mean - 40) < 1.5 && Math.abs(sd - 20) < 1.5,
      `noise blurred by ${noiseBlur}: mean ${mean.toFixed(2)}, SD ${sd.toFixed(2)}`,
    );
  }
  const window = { low: -160, high: 240 };
  t.ok(
    (await ops.acquire(flat, { seed: 1, window }).data()).every((v) => Math.abs(v) < 1e-6),
    'the middle of the window is 0',
  );
  const half = device.tensor(
    Uint8Array.from({ length: 20 * 24 * 28 }, (_, i) => +(i % 28 < 14)),
    { shape: shape.slice(0, 4) },
  );
  const kept = await ops
    .acquire(flat, { seed: 1, window, mask: { tensor: half, use: 'keep' } })
    .data();
  t.ok(
    kept.every((v, i) => (i % 28 < 14 ? Math.abs(v) < 1e-6 : v === -1)),
    'what the mask leaves out is the bottom of the window',
  );
  const both = ops.acquire(flat, { seed: 1, window, mask: { tensor: half, use: 'channel' } });
  t.strictSame(both.shape, [1, 20, 24, 28, 2]);
  t.ok(
    (await both.data()).every((v, i) =>
      i % 2 ? v === +(((i - 1) / 2) % 28 < 14) : Math.abs(v) < 1e-6,
    ),
    'the mask as second channel',
  );
});

onEveryDevice(t, 'raggedMask moves the outline by voxels', async (t, device) => {
  // Label 2 fills 20 slices of 40; a shift of one moves its face by about one voxel.
  const map = device.tensor(
    Uint8Array.from({ length: 40 * 16 * 16 }, (_, i) => (i / 256 < 10 || i / 256 >= 30 ? 1 : 2)),
    { shape: [1, 40, 16, 16] },
  );
  const count = async (options: Parameters<typeof ops.raggedMask>[1]) =>
    Array.from(await ops.raggedMask(map, options).data()).reduce((a, b) => a + b, 0) / 256;
  t.equal(await count({ labels: [2, 2], seed: 1 }), 20, 'unchanged');
  t.equal(await count({ labels: [2, 2], shift: 0.9, seed: 1 }), 22, 'a voxel wider on both sides');
  t.equal(await count({ labels: [2, 2], shift: -0.9, seed: 1 }), 18, 'a voxel narrower');
  t.equal(await count({ labels: [1, 1], seed: 1 }), 20, 'another label');
  const ragged = await count({ labels: [2, 2], ragged: 0.6, seed: 1 });
  t.ok(ragged > 18 && ragged < 22 && ragged !== 20, `ragged: ${ragged.toFixed(2)} slices`);
});

t.test('bad arguments', async (t) => {
  const { device } = await import('renvox');
  using d = device('cpu');
  const rows = d.full([1, size]);
  const good = {
    shape: [2, 2, 2] as const,
    affine: [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0],
    voxel: 1,
    seed: 1,
  };
  t.throws(() => ops.drawScene(d.full([1, 7]), good), { code: 'ShapeMismatch' });
  t.throws(() => ops.drawScene(rows, { ...good, affine: [1] }), { code: 'InvalidArgument' });
  t.throws(() => ops.drawScene(rows, { ...good, voxel: 0 }), { code: 'InvalidArgument' });
  t.throws(() => ops.acquire(d.full([1, 2, 2, 2, 2]), { seed: 1 }), { code: 'ShapeMismatch' });
  t.throws(() => ops.raggedMask(d.full([1, 2, 2, 2]), { seed: 1 }), { code: 'DtypeMismatch' });
  await t.rejects(
    ops.drawScene(rows, { ...good, affine: new Array<number>(12).fill(0) }).hu.data(),
    { code: 'InvalidArgument' },
  );
});
