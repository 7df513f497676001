// Contours of a classifier's samples that a mass network draws.
import { device, scope, type Tensor } from 'renvox';
import { loadCascade } from 'renvox/pipeline';
import { type Finder, folderSampler, type Preset, phantomSampler, presets } from 'renvox/train';
import t from 'tap';
import { concatChannels } from '#lib/ops/index.js';
import { classSample } from '#lib/train/samples/class.js';
import type { MassFinder } from '#lib/train/samples/found-contour.js';
import { sameBits } from '../ops/harness.js';

const d = device('cpu');
t.teardown(() => d.dispose());

const crop = { shape: [32, 32, 32], step: 1, margin: 4 } as const;
const window = { low: -160, high: 240 };

/** A network that gives every voxel the same class. */
function always(wanted: number): MassFinder {
  const infer = (x: Tensor) =>
    concatChannels([0, 1, 2].map((k) => d.full([...x.shape.slice(0, 4), 1], +(k === wanted))));
  const network = { infer } as unknown as MassFinder['network'];
  return { network, shape: [72, 48, 48], step: 2, margin: 8, window, share: 1 };
}

const sample = (seed: number, finder?: MassFinder) =>
  classSample(d, seed, crop, { window, contour: 'channel', finder });

/** The second channel. */
const maskOf = async (image: Tensor): Promise<number[]> =>
  Array.from(await image.data()).filter((_, i) => i % 2 === 1);

const volume = (mask: readonly number[]) => mask.reduce((a, b) => a + b, 0);

t.test('where the network finds nothing, the contour errs at random', async (t) => {
  for (let seed = 0; seed < 12; seed++)
    await scope(async () => {
      const [here, usual] = [sample(seed, always(0)), sample(seed)];
      t.equal(here.found, true);
      t.equal(usual.found, false);
      const [a, b] = [volume(await maskOf(here.image)), volume(await maskOf(usual.image))];
      // The crop moves by up to a third of the radius, so a large mass may stand out of it.
      t.ok(a > 0.5 * b && a < 1.5 * b + 30, `seed ${seed}: ${a} voxels beside ${b}`);
    });
});

t.test('what the network finds is the contour, if the mass has its share of it', async (t) => {
  let [whole, other] = [0, 0];
  for (let seed = 0; seed < 24; seed++)
    await scope(async () => {
      const mask = await maskOf(sample(seed, always(2)).image);
      // All of the view, or the mass has less than a tenth of it.
      if (volume(mask) > 0.9 * mask.length) whole++;
      else other++;
    });
  t.ok(whole >= 8 && other >= 4, `all of the view ${whole} times, of small masses not: ${other}`);
});

t.test('the share of the samples', async (t) => {
  let found = 0;
  for (let seed = 0; seed < 60; seed++)
    await scope(() => {
      if (sample(seed, { ...always(0), share: 0.25 }).found) found++;
    });
  t.ok(found >= 5 && found <= 26, `${found} of 60 asked the network, a quarter expected`);
});

t.test('the shipped network: its contours hold most of a large mass and little else', async (t) => {
  const cascade = await loadCascade(d);
  const { network, shape, spacing, margin = 8 } = cascade.mass;
  const finder = { network, shape, step: spacing[0], margin, window, share: 1 };
  const overlaps: number[] = [];
  for (let seed = 2; overlaps.length < 8; seed += 3)
    await scope(async () => {
      // A contour that errs by less than 1.5 mm stands for the truth; in the same crop.
      const truth = sample(seed, { ...always(0), share: 1 });
      if (truth.rough || truth.diameterMm < 25) return;
      const found = await maskOf(sample(seed, finder).image);
      const mask = await maskOf(truth.image);
      const both = mask.reduce((sum, v, i) => sum + v * (found[i] as number), 0);
      overlaps.push((2 * both) / (volume(mask) + volume(found)));
    });
  cascade.dispose();
  const middle = [...overlaps].sort((a, b) => a - b)[4] as number;
  t.ok(
    middle > 0.6,
    `Dice of solid masses of 25 mm and more: ${overlaps.map((x) => x.toFixed(2))}`,
  );
});

t.test('phantomSampler: a finder and the share belong together', async (t) => {
  const cascade = await loadCascade(d);
  const preset: Preset = { ...(presets.class as Preset), foundContours: 0.5 };
  t.throws(() => phantomSampler(preset), {
    code: 'InvalidArgument',
    message:
      /0.5 of the contours of the preset class are drawn by a mass network, and none is given/,
  });
  const finder: Finder = cascade.mass;
  t.throws(() => phantomSampler(presets.class as Preset, { finder }), {
    code: 'InvalidArgument',
    message: /has no foundContours/,
  });
  const sampler = phantomSampler(preset, { finder });
  t.match(sampler.source, cascade.mass.sha256, 'a run knows which network');
  await scope(async () => {
    const [a, b] = [sampler.training(d, 7), sampler.training(d, 7)];
    t.strictSame(a.image.shape, [1, 32, 32, 32, 2]);
    sameBits(t, await a.image.data(), await b.image.data(), 'the same seed');
  });
  cascade.dispose();
  const folder = t.testdir({});
  await t.rejects(folderSampler(preset, folder, { device: d }), {
    code: 'InvalidArgument',
    message: /foundContours of the preset class is of phantoms/,
  });
});
