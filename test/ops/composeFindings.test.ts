import { type Device, device, ops, threads } from 'renvox';
import t from 'tap';
import { generator, onEveryDevice, product, sameBits } from './harness.js';

type Triple = [number, number, number];

interface Crop {
  size: [number, number, number];
  logits: Float32Array;
  masses: Uint8Array;
  affine: Float64Array;
}

function randomCrop(
  size: [number, number, number],
  affine: number[],
  seed: number,
  capacity: number,
): Crop {
  const next = generator(seed);
  const voxels = product(size);
  return {
    size,
    logits: Float32Array.from({ length: voxels * 3 }, () => next() * 2 - 1),
    masses: Uint8Array.from({ length: voxels }, () =>
      next() < 0.4 ? 1 + Math.floor(next() * capacity) : 0,
    ),
    affine: Float64Array.from(affine),
  };
}

/** The definition, voxel by voxel in double. */
function naive(crops: Crop[], size: [number, number, number], capacity: number): Uint8Array {
  const out = new Uint8Array(product(size));
  const inverse = crops.map((c) => invert([...c.affine]));
  let i = 0;
  for (let d = 0; d < size[0]; d++)
    for (let h = 0; h < size[1]; h++)
      for (let w = 0; w < size[2]; w++, i++)
        crops.forEach((c, side) => {
          const m = inverse[side];
          if (!m) return;
          const at = [0, 1, 2].map(
            (r) =>
              (m[4 * r] as number) * d +
              (m[4 * r + 1] as number) * h +
              (m[4 * r + 2] as number) * w +
              (m[4 * r + 3] as number),
          );
          if (at.some((x, a) => x < -1e-9 || x > (c.size[a] as number) - 1 + 1e-9)) return;
          const sums = [0, 0, 0];
          let best = 0;
          let component = 0;
          for (let corner = 0; corner < 8; corner++) {
            let weight = 1;
            let index = 0;
            for (let a = 0; a < 3; a++) {
              const n = c.size[a] as number;
              const floor = Math.min(Math.max(Math.floor(at[a] as number), 0), Math.max(n - 2, 0));
              const f = Math.min(Math.max((at[a] as number) - floor, 0), 1);
              const bit = (corner >> (2 - a)) & 1;
              weight *= bit ? f : 1 - f;
              index = index * n + Math.min(floor + bit, n - 1);
            }
            for (let k = 0; k < 3; k++)
              sums[k] = (sums[k] as number) + weight * (c.logits[index * 3 + k] as number);
            const mass = c.masses[index] as number;
            if (mass > 0 && mass <= capacity && weight > best) {
              best = weight;
              component = mass;
            }
          }
          const [zero, one, two] = sums as [number, number, number];
          let found = 0;
          if (two > one && two > zero)
            found = component ? 3 + side * capacity + component - 1 : side + 1;
          else if (one > zero) found = side + 1;
          const before = out[i] as number;
          if (before === 0 || (before < 3 && found >= 3)) out[i] = found;
        });
  return out;
}

function invert(a: number[]): number[] | undefined {
  const n = (i: number) => a[i] as number;
  const c = [
    n(5) * n(10) - n(6) * n(9),
    n(6) * n(8) - n(4) * n(10),
    n(4) * n(9) - n(5) * n(8),
  ] as const;
  const det = n(0) * c[0] + n(1) * c[1] + n(2) * c[2];
  if (det === 0) return undefined;
  const r = [
    [c[0], n(2) * n(9) - n(1) * n(10), n(1) * n(6) - n(2) * n(5)],
    [c[1], n(0) * n(10) - n(2) * n(8), n(2) * n(4) - n(0) * n(6)],
    [c[2], n(1) * n(8) - n(0) * n(9), n(0) * n(5) - n(1) * n(4)],
  ].map((row) => row.map((x) => x / det));
  return r.flatMap((row) => [
    ...row,
    -(row as [number, number, number]).reduce((s, x, k) => s + x * n(4 * k + 3), 0),
  ]);
}

onEveryDevice(t, 'composeFindings', async (t, device) => {
  const capacity = 5;
  const oblique = [2.1, 0.2, 0.1, 1.3, -0.1, 2.4, 0.3, 2.2, 0.2, -0.3, -2.2, 17.4];
  const plain = [1.5, 0, 0, 0.2, 0, 1.7, 0, -1.1, 0, 0, 2, 3.3];
  const flat = [1, 0, 0, 2, 0, 1.7, 0, -1.1, 0, 0, 2, 3.3];
  const gone = new Array<number>(12).fill(0);
  const usual: [number, number, number] = [13, 17, 19];
  for (const [name, left, right, size = usual] of [
    [
      'rows longer than a warp',
      randomCrop([5, 6, 30], [1, 0, 0, 0.5, 0, 1, 0, 0.2, 0, 0, 2.3, 3.1], 7, capacity),
      randomCrop([4, 5, 20], [1, 0.1, 0, 0, 0, 1, 0.02, 1, 0, 0, -2.9, 80.2], 8, capacity),
      [6, 7, 97],
    ],
    [
      'overlapping crops',
      randomCrop([5, 6, 7], oblique, 1, capacity),
      randomCrop([4, 9, 3], plain, 2, capacity),
    ],
    [
      'one slice thick',
      randomCrop([1, 6, 7], flat, 3, capacity),
      randomCrop([5, 1, 1], plain, 4, capacity),
    ],
    [
      'components above the capacity, which are none',
      randomCrop([5, 6, 7], oblique, 9, capacity + 3),
      randomCrop([4, 9, 3], plain, 10, 255),
    ],
    [
      'no left kidney',
      randomCrop([5, 6, 7], gone, 5, capacity),
      randomCrop([4, 9, 3], oblique, 6, capacity),
    ],
  ] as [string, Crop, Crop, [number, number, number]?][]) {
    const run = (d: Device, box: { start?: Triple; size: Triple } = { size }) => {
      const upload = (c: Crop) => ({
        logits: d.tensor(c.logits, { shape: [1, ...c.size, 3] }),
        masses: d.tensor(c.masses, { shape: [1, ...c.size] }),
        affine: d.tensor(c.affine, { dtype: 'f64' }),
      });
      return ops.composeFindings(upload(left), upload(right), { ...box, capacity }).data();
    };
    const found = await run(device);
    const wanted = naive([left, right], size, capacity);
    // Positions that fall on a crop's border or logits that are equal may round the other way.
    const differ = wanted.filter((v, i) => v !== found[i]).length;
    t.ok(differ <= 2, `${name}: ${differ} of ${wanted.length} voxels differ from the definition`);
    t.ok(
      wanted.some((v) => v >= 3) && wanted.some((v) => v === 0),
      `${name}: masses and background occur`,
    );
    const before = threads();
    for (const n of [1, 2, 3]) {
      threads(n);
      sameBits(t, await run(device), found, `${name}, ${n} threads`);
    }
    threads(before);

    // A box has the bits of the whole, also where it begins before it and ends beyond it.
    for (const [start, boxSize] of [
      [
        [1, 2, 3],
        [4, 3, 11],
      ],
      [
        [5, 6, 18],
        [1, 1, 1],
      ],
      [
        [-2, -1, -3],
        [size[0] + 3, size[1] + 4, size[2] + 5],
      ],
    ] as [Triple, Triple][]) {
      const inBox = await run(device, { start, size: boxSize });
      const everywhere = await run(device, {
        start: [-3, -4, -5],
        size: [size[0] + 9, size[1] + 9, size[2] + 9],
      });
      const wide = [size[0] + 9, size[1] + 9, size[2] + 9] as const;
      let i = 0;
      let differing = 0;
      for (let d = 0; d < boxSize[0]; d++)
        for (let h = 0; h < boxSize[1]; h++)
          for (let w = 0; w < boxSize[2]; w++, i++) {
            const [z, y, x] = [start[0] + d, start[1] + h, start[2] + w];
            const inside = z >= 0 && y >= 0 && x >= 0;
            if (inside && z < size[0] && y < size[1] && x < size[2])
              differing += Number(inBox[i] !== found[(z * size[1] + y) * size[2] + x]);
            differing += Number(
              inBox[i] !== everywhere[((z + 3) * wide[1] + y + 4) * wide[2] + x + 5],
            );
          }
      t.equal(differing, 0, `${name}: the box of ${boxSize} at ${start} is that of the whole`);
    }
  }
});

onEveryDevice(t, 'composeFindings of a crop before the first column', async (t, device) => {
  const size: Triple = [4, 4, 4];
  const before = (w: number) => ({
    logits: device.tensor(
      Float32Array.from({ length: 192 }, (_, i) => +(i % 3 === 1)),
      { shape: [1, ...size, 3] },
    ),
    masses: device.tensor(new Uint8Array(64), { shape: [1, ...size] }),
    affine: device.tensor(Float64Array.of(1, 0, 0, 2, 0, 1, 0, 2, 0, 0, 1, w), { dtype: 'f64' }),
  });
  const found = await ops
    .composeFindings(before(-4), before(-9), { start: [0, 0, -6], size: [8, 8, 8], capacity: 1 })
    .data();
  const inside = (i: number, first: number) => i >= first && i < first + 4;
  const wanted = found.map((_, i) => {
    const [d, h, w] = [i >> 6, (i >> 3) & 7, (i & 7) - 6];
    if (!inside(d, 2) || !inside(h, 2)) return 0;
    return inside(w, -4) ? 1 : inside(w, -9) ? 2 : 0;
  });
  sameBits(t, found, wanted, 'no voxel outside of the crops');
});

t.test('composeFindings refuses a start that is no voxel', async (t) => {
  const d = device('cpu');
  t.teardown(() => d.dispose());
  const crop = {
    logits: d.tensor(new Float32Array(3), { shape: [1, 1, 1, 1, 3] }),
    masses: d.tensor(new Uint8Array(1), { shape: [1, 1, 1, 1] }),
    affine: d.tensor(new Float64Array(12), { dtype: 'f64' }),
  };
  for (const start of [[0.5, 0, 0], [0, 0], 1])
    t.throws(
      () =>
        ops.composeFindings(crop, crop, {
          start: start as unknown as Triple,
          size: [1, 1, 1],
          capacity: 1,
        }),
      { code: 'InvalidArgument', message: /start of composeFindings/ },
    );
});

onEveryDevice(t, 'instanceClasses', async (t, device) => {
  const x = device.tensor(Uint8Array.of(0, 1, 2, 3, 4, 5, 2, 4));
  const classes = device.tensor(Uint8Array.of(2, 0, 1));
  t.strictSame(
    await ops.instanceClasses(x, classes, 3).data(),
    Uint8Array.of(0, 1, 2, 5, 3, 4, 2, 3),
  );
  const every = Uint8Array.from({ length: 5003 }, (_, i) => (i * 7) % 256);
  const known = every.map((v) => (v < 3 ? v : v < 6 ? 3 + ([2, 0, 1][v - 3] as number) : 0));
  sameBits(
    t,
    await ops.instanceClasses(device.tensor(every), classes, 3).data(),
    known,
    'instances without a class are background',
  );
  const named = (values: number[], first: number) =>
    ops.instanceClasses(x, device.tensor(Uint8Array.from(values)), first).data();
  t.equal((await named([0, 252], 3))[4], 255, 'the greatest class');
  for (const [values, first, most] of [
    [[0, 253], 3, 252],
    [[255], 1, 254],
  ] as const)
    await t.rejects(named([...values], first), {
      code: 'InvalidArgument',
      message: new RegExp(`of 0 to ${most} .* first ${first} but received ${values.at(-1)}$`),
    });
});
