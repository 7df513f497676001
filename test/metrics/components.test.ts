// describeComponents against flood fill and every pair of voxels; the three average diameters; every form of a map.
import { device, ops } from 'renvox';
import { DIAMETERS, describeComponents, measure, sphereDiameterMm } from 'renvox/metrics';
import { Volume } from 'renvox/volume';
import t, { type Test } from 'tap';
import { generator, onEveryDevice } from '../ops/harness.js';
import { raggedShapes, randomLabels } from '../ops/random-labels.js';
import {
  naiveAxes,
  naiveComponents,
  naiveExtent,
  naiveFeret,
  type Triple,
} from './naive-components.js';

function near(t: Test, actual: number | undefined, expected: number, what: string): void {
  const fits = Math.abs((actual as number) - expected) <= 1e-12 * Math.max(1, Math.abs(expected));
  t.ok(fits, `${what}: ${actual}, ${expected}`);
}

const AXES = [0, 1, 2] as const;

onEveryDevice(t, 'ragged blobs against loops', async (t, d) => {
  let seed = 20;
  let described = 0;
  for (const shape of [...raggedShapes.slice(0, 4), [9, 10, 11], [12, 1, 13]] as Triple[])
    for (const [density, grain] of [
      [0.08, 1],
      [0.25, 2],
      [0.4, 3],
    ] as const)
      for (const [connectivity, perLabel] of [
        [6, true],
        [18, false],
        [26, true],
      ] as const) {
        const next = generator(++seed);
        const spacing = [4 * next() + 0.5, next() + 0.3, 0.7] as const;
        const map = randomLabels(shape, seed, { density, grain, labels: 4 });
        const axialAxis = AXES[seed % 3] as 0 | 1 | 2;
        const options = { shape, spacing, connectivity, perLabel, axialAxis, device: d };
        const found = await describeComponents(map, options);
        const expected = naiveComponents(map, shape, connectivity, perLabel);
        t.equal(found.length, expected.length, `[${shape}] ${connectivity}: components`);
        expected.forEach((voxels, i) => {
          const own = found[i] as (typeof found)[0];
          described++;
          const what = `[${shape}] seed ${seed} component ${i}`;
          const labels = voxels.map(([z, y, x]) => map[(z * shape[1] + y) * shape[2] + x] ?? 0);
          const along = AXES.map((axis) => voxels.map((v) => v[axis]));
          const means = along.map((v) => v.reduce((a, b) => a + b, 0) / voxels.length);
          t.same(
            [own.label, own.voxels, own.low, own.high],
            [
              ...[Math.min(...labels), voxels.length],
              along.map((v) => Math.min(...v)),
              along.map((v) => Math.max(...v)),
            ],
            `${what}: label, voxels, box`,
          );
          const volume = voxels.length * spacing[0] * spacing[1] * spacing[2];
          const { long, short } = naiveAxes(voxels, spacing, axialAxis);
          const extents = AXES.map((axis) => naiveExtent(voxels, axis) * spacing[axis]);
          const { sphere, axial, box } = own.averageDiameterMm;
          const figures: [string, number, number][] = [
            ...AXES.map((x): [string, number, number] => [
              'centroid',
              own.centroid[x],
              means[x] ?? 0,
            ]),
            ...AXES.map((x): [string, number, number] => [
              ...(['centroid, mm', own.centroidMm[x]] as const),
              (means[x] ?? 0) * spacing[x],
            ]),
            ['volume', own.volumeMm3, volume],
            ['Feret', own.feretMm, naiveFeret(voxels, spacing)],
            ['long axis', own.longAxisMm, long],
            ['short axis', own.shortAxisMm, short],
            ['sphere', (Math.PI * sphere ** 3) / 6, volume],
            ['axial', axial, (long + short) / 2],
            ['box', box, extents.reduce((a, b) => a + b, 0) / 3],
          ];
          const off = figures.filter(([, x, y]) => !(Math.abs(x - y) <= 1e-12 * Math.max(1, y)));
          t.same(off, [], `${what}: figures`);
        });
      }
  t.ok(described > 400, `${described} components`);
});

t.test('one voxel, and a row of three', async (t) => {
  const [one] = await describeComponents(Uint8Array.of(7), {
    shape: [1, 1, 1],
    spacing: [5, 3, 4],
  });
  t.match(one, { label: 7, voxels: 1, volumeMm3: 60, centroid: [0, 0, 0], low: [0, 0, 0] });
  t.equal(one?.feretMm, 0, 'between centres');
  t.equal(one?.longAxisMm, 5, 'a 3 x 4 pixel from corner to corner');
  near(t, one?.shortAxisMm, 2 * 2.4, 'both other corners, 12/5 from the diagonal');
  near(t, one?.averageDiameterMm.box, 4, 'edge to edge');
  const [row] = await describeComponents(Uint8Array.of(0, 1, 1, 1, 0), {
    ...{ shape: [1, 1, 5], spacing: [1, 1, 2] },
  });
  t.equal(row?.feretMm, 4);
  near(t, row?.longAxisMm, Math.hypot(6, 1), 'long axis');
  t.same(await describeComponents(new Uint8Array(8), { shape: [2, 2, 2], spacing: [1, 1, 1] }), []);
});

t.test('a ball has one diameter by every definition', async (t) => {
  const shape = [44, 84, 84] as const;
  const spacing = [1, 0.5, 0.5] as const;
  const map = new Uint8Array(44 * 84 * 84);
  for (let d = 0, at = 0; d < 44; d++)
    for (let h = 0; h < 84; h++)
      for (let w = 0; w < 84; w++, at++)
        if (Math.hypot(d - 21.5, (h - 41.5) / 2, (w - 41.5) / 2) <= 20) map[at] = 1;
  const [ball] = await describeComponents(map, { shape, spacing });
  for (const name of DIAMETERS)
    t.ok(Math.abs((ball?.averageDiameterMm[name] as number) - 40) < 1, `${name} of 40 mm`);
  t.ok(Math.abs((ball?.feretMm as number) - 40) < 1);
  near(t, ball?.averageDiameterMm.sphere, sphereDiameterMm((ball?.volumeMm3 as number) / 1000), '');
});

t.test('volumes know their axial axis and where the patient is', async (t) => {
  // As KiTS: file axes IPL, so that axis 0 of a file, which is w, runs from head to foot.
  const data = new Uint8Array(6 * 5 * 4);
  for (const at of [25, 26, 45]) data[at] = 1;
  const volume = new Volume({
    ...{ data, shape: [6, 5, 4] as const },
    affine: [0, 0, -0.5, 7, 0, -0.5, 0, 8, -3, 0, 0, 9],
  });
  t.equal(volume.orientation, 'IPL');
  const [first] = await describeComponents(volume);
  const same = { shape: volume.shape, spacing: volume.spacing };
  const [asArray] = await describeComponents(data, { ...same, axialAxis: 2 });
  const { centroidRas, ...rest } = first as NonNullable<typeof first>;
  t.same(rest, asArray, 'axial slices along w');
  const [d, h, w] = rest.centroid;
  t.same(centroidRas, [7 - 0.5 * d, 8 - 0.5 * h, 9 - 3 * w]);
});

t.test('every form of a map, and bad input', async (t) => {
  using cpu = device('cpu');
  const shape = [4, 5, 6] as const;
  const spacing = [2, 1, 1] as const;
  const map = randomLabels(shape, 3, { labels: 4 });
  const expected = await describeComponents(map, { shape, spacing });
  t.same(await describeComponents({ data: map, shape, spacing }), expected, 'data, shape, spacing');
  t.same(await describeComponents(Float64Array.from(map), { shape, spacing }), expected, 'f64');
  const tensor = cpu.tensor(Int16Array.from(map), { shape: [1, ...shape, 1] });
  t.same(await describeComponents(tensor, { spacing }), expected, 'a tensor');
  const some = await describeComponents(map, { shape, spacing, labels: [2] });
  t.same(
    some,
    expected.filter((c) => c.label === 2),
    'only the label asked for',
  );
  const table = ops.measureLabels(
    cpu.tensor(
      map.map((v) => (v === 3 ? 1 : 0)),
      { shape },
    ),
    { spacing, labels: 1 },
  );
  const [measured] = ops.labelMeasures(await table.data());
  const { regions } = await measure(map, map, { shape, spacing, regions: { x: [3] }, sizes: true });
  near(t, regions.x?.sizeTruth?.feretMm, measured?.greatestDiameter as number, 'as measureLabels');
  const rejected = async (run: Promise<unknown>, code: string) => t.rejects(run, { code });
  await rejected(describeComponents(map, { spacing }), 'InvalidArgument');
  await rejected(describeComponents(map.subarray(1), { shape, spacing }), 'ShapeMismatch');
  await rejected(
    describeComponents({ data: map, shape, spacing }, { shape: [4, 6, 5] }),
    'ShapeMismatch',
  );
  await rejected(describeComponents(map, { shape, spacing, labels: [0] }), 'InvalidArgument');
  await rejected(describeComponents(map, { shape, spacing, axialAxis: 3 as 0 }), 'InvalidArgument');
  await rejected(
    describeComponents(map, { shape, spacing, connectivity: 8 as 6 }),
    'InvalidArgument',
  );
  for (const bad of [-1, 256, 1.5])
    await rejected(
      describeComponents(
        Float32Array.from(map, (v) => v && bad),
        { shape, spacing },
      ),
      'InvalidArgument',
    );
  const float = cpu.tensor(Float32Array.from(map), { shape });
  await rejected(describeComponents(float, { spacing }), 'DtypeMismatch');
  await rejected(
    describeComponents(map, { shape, spacing, signal: AbortSignal.abort() }),
    'AbortError',
  );
});

t.test('sizes of regions', async (t) => {
  const shape = [3, 4, 5] as const;
  const spacing = [3, 1, 2] as const;
  const truth = randomLabels(shape, 8, { labels: 4 });
  const prediction = truth.map((v) => (v === 2 ? 0 : v));
  const { regions } = await measure(truth, prediction, {
    ...{ shape, spacing, sizes: true, distances: false },
    regions: { mass: [2, 3], two: [2] },
  });
  const joined = truth.map((v) => (v === 2 || v === 3 ? 1 : 0));
  const voxels = [...joined.keys()]
    .filter((at) => joined[at])
    .map((at) => [Math.floor(at / 20), Math.floor(at / 5) % 4, at % 5] as const);
  const size = regions.mass?.sizeTruth;
  near(t, size?.feretMm, naiveFeret(voxels, spacing), 'Feret of all parts together');
  near(t, size?.longAxisMm, naiveAxes(voxels, spacing, 0).long, 'long axis');
  t.equal(size?.volumeMm3, regions.mass?.volumeTruthMm3);
  t.equal(regions.two?.sizePrediction, null, 'an empty region has none');
  const without = await measure(truth, prediction, { shape, spacing });
  t.notOk('sizeTruth' in (without.regions['1'] as object), 'only where asked for');
});
