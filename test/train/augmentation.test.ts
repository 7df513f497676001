// Augmentation: one resampling, seeds, sides, the picture of samples.
import { device, scope, threads } from 'renvox';
import {
  type AugmentationSettings,
  augment,
  augmentations,
  type Preset,
  phantomSampler,
  presets,
  previewSamples,
  type View,
} from 'renvox/train';
import t from 'tap';
import { onEveryDevice, randomArray, sameBits } from '../ops/harness.js';
import { decodePng } from '../pipeline/decode-png.js';

const shape = [10, 12, 14] as const;
const size = [8, 10, 12] as const;
const view: View = { size, spacing: [2, 1, 1], start: [1, 1, 1], low: -1, high: 1 };
const labels = new Uint8Array(10 * 12 * 14);
labels.forEach((_, i) => {
  const w = i % 14;
  if (w === 3) labels[i] = 1;
  if (w === 9) labels[i] = 2;
  if (w === 5) labels[i] = 3;
});
const source = { image: randomArray(2 * labels.length, 4), channels: 2, labels, shape };

onEveryDevice(t, 'a sample depends on its seed alone', async (tap, d) => {
  const draw = (settings: AugmentationSettings, seed: number) =>
    scope(async () => {
      const made = augment(d, source, view, settings, seed);
      return [await made.image.data(), await made.labels.data()] as const;
    });
  for (const [name, settings] of Object.entries(augmentations)) {
    // Everything is done, so that everything is tested.
    const always = Object.fromEntries(
      Object.entries(settings).map(([k, v]) => [k, 'range' in v ? { ...v, probability: 1 } : v]),
    ) as AugmentationSettings;
    const before = threads();
    threads(1);
    const [image, map] = await draw(always, 7);
    threads(3);
    const again = await draw(always, 7);
    threads(before);
    sameBits(tap, again[0], image, `${name}, 1 and 3 threads`);
    sameBits(tap, again[1], map, `${name}, labels`);
    tap.notSame(Array.from((await draw(always, 8))[0]), Array.from(image), 'another seed');
    tap.ok(image.every(Number.isFinite));
  }
  // Without settings it is the view itself.
  const [plain, map] = await draw({}, 1);
  const at = (i: number) => {
    const [z, y, x] = [Math.floor(i / 120), Math.floor(i / 12) % 10, i % 12];
    return ((z + 1) * 12 + y + 1) * 14 + x + 1;
  };
  sameBits(
    tap,
    plain,
    Float32Array.from(plain, (_, i) => source.image[2 * at(i >> 1) + (i % 2)] as number),
    'cut',
  );
  sameBits(
    tap,
    map,
    Uint8Array.from(map, (_, i) => labels[at(i)] as number),
    'labels',
  );
});

t.test('a mirrored patient has left and right swapped, other labels stay', async (tap) => {
  using d = device('cpu');
  const draw = async (settings: AugmentationSettings) => {
    const { image, labels: map } = augment(d, source, view, settings, 3);
    return [await image.data(), await map.data()] as const;
  };
  const [image, map] = await draw({});
  const [mirrored, swapped] = await draw({ mirror: [0, 0, 1], swap: [[1, 2]] });
  const other = (i: number) => i - (i % 12) + 11 - (i % 12);
  const exchange = [0, 2, 1, 3];
  sameBits(
    tap,
    swapped,
    Uint8Array.from(map, (_, i) => exchange[map[other(i)] as number] as number),
    'labels',
  );
  const worst = Math.max(
    ...mirrored.map((v, i) => Math.abs(v - (image[2 * other(i >> 1) + (i % 2)] as number))),
  );
  tap.ok(worst < 1e-6, `image ${worst}`);
  const [, upside] = await draw({ mirror: [1, 1, 0], swap: [[1, 2]] });
  tap.same([...new Set(upside)].sort(), [0, 1, 2, 3]);
  tap.equal(upside[2], map[2], 'no swap where W stays');
  // Each step has numbers of its own: noise is the same with and without a rotation that does nothing.
  const noise = { noise: { range: [0.01, 0.01] } } as const;
  const [one] = await draw(noise);
  const [two] = await draw({ ...noise, rotation: { range: [0, 0] }, mirror: [0, 0, 0] });
  sameBits(tap, two, one, 'noise');
  const squares = Array.from(one, (v, i) => (v - (image[i] as number)) ** 2);
  const sd = Math.sqrt(squares.reduce((a, b) => a + b, 0) / one.length);
  tap.ok(Math.abs(sd - 0.1) < 0.01, `SD ${sd} of variance 0.01`);
});

t.test('the preview shows samples with their labels', async (tap) => {
  using d = device('cpu');
  for (const name of ['demo', 'class']) {
    const preset = presets[name] as Preset;
    const png = await previewSamples(preset, phantomSampler(preset), d, { count: 4 });
    const [width, height] = [png.readUInt32BE(16), png.readUInt32BE(20)];
    tap.ok(width > 128 && height > 256, `${width} x ${height}`);
    tap.equal(decodePng(png).rgb.length, 3 * height * width);
    if (name === 'class') continue;
    const again = await previewSamples(preset, phantomSampler(preset), d, { count: 4 });
    tap.ok(png.equals(again), 'seeded');
  }
});

t.test("the preview of a classifier shows the mass's outline and its class", async (tap) => {
  using d = device('cpu');
  const side = 32;
  // A cube of 16^3 voxels in the middle.
  const inside = (i: number) =>
    [Math.floor(i / side ** 2), Math.floor(i / side) % side, i % side].every(
      (n) => n >= 8 && n < 24,
    );
  const pictures = async (contour: 'cut' | 'channel', label: number) => {
    const channels = contour === 'channel' ? 2 : 1;
    const values = new Float32Array(channels * side ** 3);
    for (let i = 0; i < side ** 3; i++) {
      values[channels * i] = inside(i) ? 0 : contour === 'cut' ? -1 : -0.5;
      if (contour === 'channel') values[2 * i + 1] = inside(i) ? 1 : 0;
    }
    const sample = () => ({
      image: d.tensor(values, { shape: [1, side, side, side, channels] }),
      target: d.tensor(Int32Array.of(label)),
    });
    const sampler = { source: 'a cube', training: sample, validation: sample };
    const preset: Preset = { ...(presets.class as Preset), contour };
    return decodePng(await previewSamples(preset, sampler, d, { count: 1 }));
  };
  // Four pixels a voxel, behind a gap of four.
  const colour = ({ rgb, width }: ReturnType<typeof decodePng>, h: number, w: number) =>
    Array.from(rgb.subarray(3 * ((4 + 4 * h + 2) * width + 4 + 4 * w + 2)).subarray(0, 3));
  const grey = ([r, g, b]: number[]) => r === g && g === b;
  for (const contour of ['cut', 'channel'] as const) {
    const [first, second] = [await pictures(contour, 0), await pictures(contour, 2)];
    for (const picture of [first, second]) {
      for (const [h, w] of [
        [8, 15],
        [23, 15],
        [15, 8],
        [15, 23],
      ] as const)
        tap.notOk(grey(colour(picture, h, w)), `${contour}: outline at ${h}, ${w}`);
      for (const [h, w] of [
        [15, 15],
        [7, 15],
        [24, 15],
        [28, 15],
      ] as const)
        tap.ok(grey(colour(picture, h, w)), `${contour}: none at ${h}, ${w}`);
    }
    tap.notSame(colour(first, 8, 15), colour(second, 8, 15), 'in the colour of the class');
    // The class's name, in the tile's corner.
    const written = ({ rgb, width }: ReturnType<typeof decodePng>) => {
      let n = 0;
      for (let y = 6; y < 24; y++)
        for (let x = 6; x < 60; x++) {
          const at = 3 * (y * width + x);
          if (!grey(Array.from(rgb.subarray(at, at + 3)))) n++;
        }
      return n;
    };
    tap.ok(written(first) > 20, `${written(first)} pixels of "aml"`);
    tap.ok(written(second) > written(first), `${written(second)} pixels of "solid"`);
  }
});
