import { type Device, device, scope, type Tensor, type TensorData, threads } from 'renvox';
import t from 'tap';
import { raggedMask } from '#lib/ops/raggedMask.js';
import { Random } from '#lib/phantom/random.js';
import { classSample } from '#lib/train/samples/class.js';
import type { CropPlan } from '#lib/train/samples/crop.js';
import { kidneySample } from '#lib/train/samples/kidney.js';
import { outlineOf } from '#lib/train/samples/kidney-view.js';
import { massSample } from '#lib/train/samples/mass.js';
import type { SampleGrid } from '#lib/train/samples/sample.js';

const d: Device = device('cpu');
t.teardown(() => d.dispose());

async function values(made: { image: Tensor; target?: Tensor }): Promise<TensorData[]> {
  return [await made.image.data(), ...(made.target ? [await made.target.data()] : [])];
}

// Coarser than those of the presets, hence quicker.
const kidneyGrid: SampleGrid = { shape: [40, 48, 64], spacing: [6, 6, 6] };
const massCrop: CropPlan = { shape: [52, 40, 40], step: 2.5, margin: 8 };
const classCrop: CropPlan = { shape: [32, 32, 32], step: 1, margin: 2 };
const kidneyOf = (device: Device, seed: number) => kidneySample(device, seed, { grid: kidneyGrid });
const massOf = (device: Device, seed: number) => massSample(device, seed, massCrop);
const classOf = (device: Device, seed: number) => classSample(device, seed, classCrop);

const same = (a: TensorData[], b: TensorData[]) =>
  a.every((x, i) => Buffer.from(x.buffer).equals(Buffer.from((b[i] as TensorData).buffer)));

for (const [name, draw] of Object.entries({
  kidneySample: kidneyOf,
  massSample: massOf,
  classSample: classOf,
})) {
  t.test(`${name} depends on its seed alone`, async (t) => {
    await scope(async () => {
      const before = threads();
      const first = await values(draw(d, 5));
      for (const count of [1, 3]) {
        threads(count);
        t.ok(same(first, await values(draw(d, 5))), `${count} threads`);
      }
      threads(before);
      t.notOk(same(first, await values(draw(d, 6))), 'another seed, another sample');
      t.ok(
        first[0]?.every((v) => v >= -1 && v <= 1),
        'the image lies in -1..1',
      );
    });
  });
}

t.test('kidneySample: shapes, one class, and how often kidneys are there', async (t) => {
  let [empty, large] = [0, 0];
  for (let seed = 0; seed < 60; seed++) {
    await scope(async () => {
      const { image, target } = kidneyOf(d, seed);
      if (seed === 0) {
        t.strictSame(image.shape, [1, ...kidneyGrid.shape, 1]);
        t.strictSame(target.shape, [1, ...kidneyGrid.shape]);
      }
      const map = await target.data();
      const voxels = Array.from(map).reduce((a, b) => a + b, 0);
      if (map.some((v) => v > 1)) t.fail(`seed ${seed}: a label above 1`);
      if (voxels === 0) empty++;
      if (voxels * 0.216 > 150) large++;
    });
  }
  t.ok(empty >= 3 && empty <= 30, `${empty} of 60 without kidneys`);
  t.ok(large >= 27, `${large} of 60 with at least 150 mL of kidney`);
});

t.test(
  'massSample: one kidney, its masses, and a mask that holds most of them, and some masses not at all',
  async (t) => {
    let [withMass, covered, wrong, target1, seen, hidden] = [0, 0, 0, 0, 0, 0];
    for (let seed = 0; seed < 40; seed++) {
      await scope(async () => {
        const { image, target } = massOf(d, seed);
        if (seed === 0) {
          t.strictSame(image.shape, [1, ...massCrop.shape, 2]);
          t.strictSame(target.shape, [1, ...massCrop.shape]);
        }
        const map = await target.data();
        const x = await image.data();
        if (map.some((v) => v > 2)) t.fail(`seed ${seed}: a label above 2`);
        let [ofMasses, inMask] = [0, 0];
        map.forEach((v, i) => {
          const inside = (x[2 * i + 1] as number) > 0;
          if (v === 1) target1++;
          if (v === 1 && inside) covered++;
          if (v === 0 && inside) wrong++;
          if (v === 2) ofMasses++;
          if (v === 2 && inside) inMask++;
        });
        if (ofMasses > 0) withMass++;
        // A sample's masses from half a mL on: a ball of 10 mm.
        if (ofMasses > 65 && inMask > 0.8 * ofMasses) seen++;
        if (ofMasses > 65 && inMask < 0.4 * ofMasses) hidden++;
      });
    }
    t.ok(withMass >= 25, `${withMass} of 40 with a mass`);
    t.ok(covered / target1 > 0.85, `the masks hold ${(covered / target1).toFixed(3)} of kidneys`);
    t.ok(wrong / target1 < 0.35, `and ${(wrong / target1).toFixed(3)} of their volume besides`);
    t.ok(seen >= 8 && hidden >= 4, `masses of ${seen} samples in it, of ${hidden} not`);
  },
);

t.test('massSample: the pelvis is no target, and part of some masks', async (t) => {
  // The labels as drawn, which only the mask's outline is made from.
  const run = d.run.bind(d);
  let drawn: Promise<TensorData> | undefined;
  d.run = (name, fields) => {
    if (name === 'raggedMask') drawn = (fields.map as Tensor).data();
    return run(name, fields);
  };
  const PELVIS = 4;
  // Of background, hidden masses, kidney, other masses, pelvis.
  const targets = [0, 2, 1, 2, 0];
  const shares: number[] = [];
  try {
    // Patients with a wide pelvis: others' are filled by closing the sinus.
    for (const seed of [8, 12, 19, 41, 42, 55]) {
      await scope(async () => {
        const { image, target } = massOf(d, seed);
        const [map, truth, x] = [await drawn, await target.data(), await image.data()];
        let [pelvis, covered] = [0, 0];
        for (const [i, label] of (map as Uint8Array).entries()) {
          if (truth[i] !== targets[label])
            t.fail(`seed ${seed}: target ${truth[i]} where ${label} was drawn`);
          if (label !== PELVIS) continue;
          pelvis++;
          covered += x[2 * i + 1] as number;
        }
        t.ok(pelvis > 700, `seed ${seed}: ${pelvis} voxels of pelvis, 11 mL at least`);
        shares.push(covered / pelvis);
      });
    }
  } finally {
    d.run = run;
  }
  const [out, within] = [shares.filter((s) => s < 0.3), shares.filter((s) => s > 0.6)];
  t.ok(out.length > 0 && within.length > 0, `shares of it in the mask: ${shares}`);
  t.equal(out.length + within.length, shares.length, 'as a whole or not at all');
});

t.test('outlines err by mm, within what raggedMask takes', async (t) => {
  const map = new Uint8Array(6 ** 3);
  map.fill(1, 100, 110);
  await scope(async () => {
    const region = d.tensor(map, { shape: [1, 6, 6, 6] });
    let limited = 0;
    for (let seed = 0; seed < 500; seed++) {
      const at = (step: number) => outlineOf(new Random(seed, 'outline'), step);
      for (const step of [0.3, 0.5, 1, 2.5]) {
        const { shift, ragged, blur, scale } = at(step);
        const sound = Math.abs(shift) <= 10 && ragged >= 0 && ragged <= 10 && blur <= 10;
        if (!sound || !(blur > 0) || !(scale > 0)) t.fail(`seed ${seed}, ${step} mm`);
        if (step === 0.3 && (Math.abs(shift) === 10 || ragged === 10 || blur === 10)) limited++;
        raggedMask(region, { ...at(step), seed }).dispose();
      }
      const [fine, coarse] = [at(2.5), at(5)];
      for (const key of ['shift', 'ragged', 'blur', 'scale'] as const)
        if (Math.abs(fine[key] - 2 * coarse[key]) > 1e-9) t.fail(`seed ${seed}: ${key} in mm`);
    }
    t.ok(limited > 100, `${limited} of 500 come to a limit at 0.3 mm`);
  });
});

t.test('classSample: the mask beside the image', async (t) => {
  const window = { low: -160, high: 240 };
  for (let seed = 0; seed < 6; seed++) {
    await scope(async () => {
      const [cut, both] = (['cut', 'channel'] as const).map(
        (contour) => classSample(d, seed, classCrop, { window, contour }).image,
      ) as [Tensor, Tensor];
      t.strictSame(both.shape, [1, 32, 32, 32, 2]);
      const [alone, all] = [await cut.data(), await both.data()];
      let around = 0;
      for (const [i, v] of alone.entries()) {
        const inside = all[2 * i + 1] as number;
        if (inside === 0 && (all[2 * i] as number) > -1) around++;
        if (v !== (inside === 1 ? all[2 * i] : -1)) t.fail(`seed ${seed}: voxel ${i}`);
      }
      t.ok(around > 100, `seed ${seed}: ${around} voxels of what is around`);
    });
  }
});

t.test('classSample: a second phase behind the first', async (t) => {
  const view = { contour: 'channel', phases: 2 } as const;
  let [outside, shifted] = [0, 0];
  const enhanced: Record<string, number[]> = { cystic: [], solid: [] };
  for (let seed = 0; seed < 96; seed++) {
    await scope(async () => {
      const one = classSample(d, seed, classCrop, { contour: 'channel' });
      const two = classSample(d, seed, classCrop, view);
      t.strictSame(two.image.shape, [1, 32, 32, 32, 3]);
      const [alone, both] = [await one.image.data(), await two.image.data()];
      const channel = (x: TensorData, c: number, of: number) => x.filter((_, i) => i % of === c);
      const kept = [0, 1].every((c) =>
        same([channel(alone, c, 2)], [channel(both, c === 0 ? 0 : 2, 3)]),
      );
      if (!kept) t.fail(`seed ${seed}: the first phase or the mask is another`);
      const [first, second] = two.phases;
      t.strictSame(one.phases, [first]);
      if (first === second || second === undefined) t.fail(`seed ${seed}: ${two.phases}`);
      const [a, b, mask] = [0, 1, 2].map((c) => channel(both, c, 3)) as [
        TensorData,
        TensorData,
        TensorData,
      ];
      if (b.every((v) => v === -1)) {
        outside++;
        return;
      }
      // The fat around is the same in every phase.
      const around = Array.from(a, (v, i) => (mask[i] === 0 ? Math.abs(v - (b[i] as number)) : 0));
      if (around.reduce((x, y) => x + y, 0) / around.length > 0.25) shifted++;
      const inside = Array.from(a, (v, i) =>
        mask[i] === 1 ? (b[i] as number) - v : Number.NaN,
      ).filter((v) => !Number.isNaN(v));
      const change = (200 * inside.reduce((x, y) => x + y, 0)) / inside.length;
      if (two.diameterMm < 12) return;
      if (first === 'unenhanced') enhanced[two.className]?.push(change);
      if (second === 'unenhanced') enhanced[two.className]?.push(-change);
    });
  }
  t.ok(outside >= 1 && outside <= 16, `${outside} of 96 out of the second field of view`);
  t.ok(shifted < 48, `${shifted} of 96 differ much around`);
  const { cystic = [], solid = [] } = enhanced;
  const middle = (list: number[]) =>
    list.sort((x, y) => x - y)[Math.floor(list.length / 2)] as number;
  t.ok(
    cystic.length >= 5 && Math.abs(middle(cystic)) < 12,
    `cysts: ${middle(cystic)} HU of ${cystic.length}`,
  );
  t.ok(
    solid.length >= 5 && middle(solid) > 20,
    `solid masses: ${middle(solid)} HU of ${solid.length}`,
  );
});

t.test('classSample: classes in turn, the mass in the middle, nothing else', async (t) => {
  for (let seed = 0; seed < 24; seed++) {
    await scope(async () => {
      const made = classOf(d, seed);
      if (made.class !== seed % 3) t.fail(`seed ${seed}: class ${made.class}`);
      t.strictSame(made.image.shape, [1, 32, 32, 32, 1]);
      const x = await made.image.data();
      let [inside, border, sum] = [0, 0, 0];
      x.forEach((v, i) => {
        if (v <= -1) return;
        inside++;
        const place = [Math.floor(i / 1024), Math.floor(i / 32) % 32, i % 32];
        if (place.some((p) => p === 0 || p === 31)) border++;
        sum += place[0] as number;
      });
      if (inside === 0) t.fail(`seed ${seed}: empty (${made.className}, ${made.diameterMm} mm)`);
      if (border > 0.02 * inside)
        t.fail(`seed ${seed}: ${border} of ${inside} voxels at the border`);
      if (Math.abs(sum / inside - 15.5) > 5)
        t.fail(`seed ${seed}: the middle lies at slice ${sum / inside}`);
    });
  }
});
