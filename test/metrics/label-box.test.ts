// The joint box of label maps against its definition, on maps that end in different places: what one map has beyond the other's end stays.
import { compareInstances, describeComponents, measure } from 'renvox/metrics';
import { Volume } from 'renvox/volume';
import t from 'tap';
import { jointBox } from '#lib/evaluate/labelled-box.js';
import { type LabelScheme, SCHEMES } from '#lib/evaluate/scheme.js';
import { hostBox } from '#lib/metrics/device-box.js';
import { labelBox } from '#lib/metrics/label-box.js';
import { generator, onEveryDevice } from '../ops/harness.js';
import type { Triple } from './naive-components.js';

const AFFINE = [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0];

/** Labels 1..3 in a random box of the volume, thinly. */
function boxed(shape: Triple, next: () => number): Uint8Array {
  const [D, H, W] = shape;
  const ends = shape.map((n) =>
    [next(), next()].map((x) => Math.floor(x * n)).sort((a, b) => a - b),
  );
  const within = (i: number, axis: number) => {
    const [first, last] = ends[axis] as [number, number];
    return i >= first && i <= last;
  };
  const data = new Uint8Array(D * H * W);
  for (let d = 0, at = 0; d < D; d++)
    for (let h = 0; h < H; h++)
      for (let w = 0; w < W; w++, at++)
        if (within(d, 0) && within(h, 1) && within(w, 2) && next() < 0.5)
          data[at] = 1 + Math.floor(next() * 3);
  return data;
}

/** First and last index of any wanted label along each axis; undefined where there is none. */
function extent(maps: readonly Uint8Array[], [, H, W]: Triple, wanted: (v: number) => boolean) {
  const found: number[][] = [];
  for (const map of maps)
    map.forEach((v, at) => {
      if (v !== 0 && wanted(v))
        found.push([Math.floor(at / (H * W)), Math.floor(at / W) % H, at % W]);
    });
  if (found.length === 0) return undefined;
  return [0, 1, 2].map((axis) => {
    const all = found.map((index) => index[axis] as number);
    return [Math.min(...all), Math.max(...all)] as const;
  });
}

t.test('labelBox and jointBox by their definition', async (t) => {
  const next = generator(77);
  let uneven = 0;
  for (let trial = 0; trial < 60; trial++) {
    const shape: Triple = [
      1 + Math.floor(next() * 7),
      1 + Math.floor(next() * 6),
      1 + Math.floor(next() * 8),
    ];
    const maps = [boxed(shape, next), boxed(shape, next)] as const;
    const labels = trial % 3 === 0 ? [2] : undefined;
    const wanted = (v: number) => labels === undefined || labels.includes(v);
    const box = labelBox({ a: maps[0], b: maps[1] }, shape, labels);
    const expected = extent(maps, shape, wanted) ?? [
      [0, 0],
      [0, 0],
      [0, 0],
    ];
    const size = expected.map(([first, last]) => last - first + 1);
    t.same([box.offset, box.shape], [expected.map(([first]) => first), size], `[${shape}]: box`);
    const kept = box.maps.map((m) => m.filter((v) => v !== 0));
    t.same(
      kept,
      maps.map((m) => m.filter((v) => v !== 0 && wanted(v))),
      `[${shape}]: no voxel is lost`,
    );
    const [one, other] = maps.map((m) => extent([m], shape, wanted)?.[0]?.[1] ?? -1);
    if ((one as number) > (other as number)) uneven++;
    if (labels) continue;
    const scheme: LabelScheme = new Map([1, 2, 3].map((v) => [v, { structure: 'mass' as const }]));
    const volume = (data: Uint8Array) => new Volume({ data, shape, affine: AFFINE });
    const joint = jointBox(
      volume(maps[0]),
      volume(maps[1]),
      { truth: scheme, prediction: scheme },
      { truth: 'a', prediction: 'b' },
    );
    t.same(
      [joint.offset, joint.shape, joint.truth, joint.prediction],
      [box.offset, box.shape, ...box.maps],
      `[${shape}]: jointBox`,
    );
  }
  t.ok(uneven >= 10, `${uneven} trials in which the first map ends behind the second`);
});

t.test('a truth that goes on where the prediction ends', async (t) => {
  const shape = [6, 2, 2] as const;
  const truth = new Uint8Array(24);
  const prediction = new Uint8Array(24);
  for (let d = 1; d < 6; d++) truth[4 * d] = 1;
  for (let d = 0; d < 3; d++) prediction[4 * d] = 1;
  const options = { shape, spacing: [1, 1, 1] as const };
  const { truth: found, pairs } = await compareInstances(truth, prediction, options);
  t.same([found[0]?.voxels, pairs[0]?.dice], [5, 0.5]);
  const { regions } = await measure(truth, prediction, { ...options, sizes: true });
  t.equal(regions['1']?.sizeTruth?.volumeMm3, 5);
  const volume = (data: Uint8Array) => new Volume({ data, shape, affine: AFFINE });
  const schemes = { truth: SCHEMES.kits, prediction: SCHEMES.kits };
  const files = { truth: 'a', prediction: 'b' };
  const box = jointBox(volume(truth), volume(prediction), schemes, files);
  t.same(box.shape, [6, 1, 1]);
});

onEveryDevice(t, 'of tensors the box alone comes to the host', async (t, device) => {
  const next = generator(78);
  const shape = [5, 6, 9] as const;
  for (let trial = 0; trial < 12; trial++) {
    const maps =
      trial === 0 ? [0, 1].map(() => new Uint8Array(270)) : [0, 1].map(() => boxed(shape, next));
    const [a, b] = maps as [Uint8Array, Uint8Array];
    const labels = trial % 3 === 0 ? undefined : [2, 3];
    const tensors = {
      truth: device.tensor(Int32Array.from(a), { shape: [1, ...shape, 1] }),
      prediction: device.tensor(b, { shape: [...shape] }),
    };
    const found = await hostBox(tensors, shape, labels, undefined);
    t.same(found, labelBox({ truth: a, prediction: b }, shape, labels), `${trial}`);
    const mixed = await hostBox({ ...tensors, prediction: b }, shape, labels, undefined);
    t.same(mixed, found, 'a tensor and an array');
  }
  const negative = device.tensor(Int16Array.of(0, 0, -1, 0, 0, 0), { shape: [1, 1, 6] });
  await t.rejects(hostBox({ map: negative }, [1, 1, 6], undefined, undefined), {
    code: 'InvalidArgument',
  });
  const low = new Uint8Array(4096 * 64);
  low.fill(1, 70_000, 70_010);
  const large = device.tensor(low, { shape: [64, 64, 64] });
  const [only] = await describeComponents(large, { spacing: [1, 1, 1] });
  t.same([only?.voxels, only?.low[0]], [10, 17]);
});
