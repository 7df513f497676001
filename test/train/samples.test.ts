import { type Device, device, scope, type Tensor, type TensorData, threads } from 'renvox';
import t from 'tap';
import { classSample } from '#lib/train/samples/class.js';
import { kidneyGrid, kidneySample } from '#lib/train/samples/kidney.js';
import { massCrop, massSample } from '#lib/train/samples/mass.js';

const d: Device = device('cpu');
t.teardown(() => d.dispose());

async function values(made: { image: Tensor; target?: Tensor }): Promise<TensorData[]> {
  return [await made.image.data(), ...(made.target ? [await made.target.data()] : [])];
}
const same = (a: TensorData[], b: TensorData[]) =>
  a.every((x, i) => Buffer.from(x.buffer).equals(Buffer.from((b[i] as TensorData).buffer)));

for (const [name, draw] of Object.entries({ kidneySample, massSample, classSample })) {
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
      const { image, target } = kidneySample(d, seed);
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

t.test('massSample: one kidney, its masses, and a mask that holds most of them', async (t) => {
  let [withMass, covered, wrong, target1] = [0, 0, 0, 0];
  for (let seed = 0; seed < 40; seed++) {
    await scope(async () => {
      const { image, target } = massSample(d, seed);
      if (seed === 0) {
        t.strictSame(image.shape, [1, ...massCrop.shape, 2]);
        t.strictSame(target.shape, [1, ...massCrop.shape]);
      }
      const map = await target.data();
      const x = await image.data();
      if (map.some((v) => v > 2)) t.fail(`seed ${seed}: a label above 2`);
      if (map.includes(2)) withMass++;
      map.forEach((v, i) => {
        const inside = (x[2 * i + 1] as number) > 0;
        if (v > 0) target1++;
        if (v > 0 && inside) covered++;
        if (v === 0 && inside) wrong++;
      });
    });
  }
  t.ok(withMass >= 25, `${withMass} of 40 with a mass`);
  t.ok(
    covered / target1 > 0.85,
    `the masks hold ${(covered / target1).toFixed(3)} of kidneys and masses`,
  );
  t.ok(wrong / target1 < 0.35, `and ${(wrong / target1).toFixed(3)} of their volume besides`);
});

t.test('classSample: the mask beside the image', async (t) => {
  const window = { low: -160, high: 240 };
  for (let seed = 0; seed < 6; seed++) {
    await scope(async () => {
      const [cut, both] = (['cut', 'channel'] as const).map(
        (contour) => classSample(d, seed, undefined, window, contour).image,
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

t.test('classSample: classes in turn, the mass in the middle, nothing else', async (t) => {
  for (let seed = 0; seed < 24; seed++) {
    await scope(async () => {
      const made = classSample(d, seed);
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
