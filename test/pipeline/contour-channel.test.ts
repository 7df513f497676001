// A classifier whose weights file says that its mass is told by a channel: on given contours, in both systems, and where it looked. All networks
// are made here, by thresholds of HU, so that what they find is known.
import { join } from 'node:path';
import { analyze, device, type Finding, type Tensor, Volume } from 'renvox';
import { type Network, ResNet3D, saveNetwork, UNet3D } from 'renvox/nn';
import { type CascadeNetworks, classifyContours, loadCascade, loadOneStage } from 'renvox/pipeline';
import t, { type Test } from 'tap';

const cpu = device('cpu');
t.teardown(() => cpu.dispose());

const SPACING = 4;
const SHAPE = [44, 40, 48] as const;
/** Places [x, y, z] and radii in voxels: two kidneys, three masses, of which two are so close that the crop of one shows the other. */
const KIDNEYS = [
  [34, 24, 20, 6],
  [13, 24, 20, 6],
] as const;
const MASSES = [
  [38, 24, 19, 3],
  [34, 24, 26, 3],
  [13, 24, 26, 3],
] as const;
/** HU between what a network calls background, kidney and mass. */
const [KIDNEY_FROM, MASS_FROM] = [80, 170];

/** Muscle of 40 HU, kidneys of 120, masses of 220; labels 1 kidney, 3 mass. */
function patient(): { ct: Volume; labels: Volume } {
  const [depth, height, width] = SHAPE;
  const hu = new Int16Array(depth * height * width);
  const labels = new Uint8Array(hu.length);
  for (let z = 0, i = 0; z < depth; z++)
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++, i++) {
        const among = (balls: readonly (readonly [number, number, number, number])[]) =>
          balls.some(([cx, cy, cz, r]) => Math.hypot(x - cx, y - cy, z - cz) <= r);
        hu[i] = Math.hypot((x - 24) / 22, (y - 20) / 18) < 1 ? 40 : -1000;
        if (among(KIDNEYS)) [hu[i], labels[i]] = [120, 1];
        if (among(MASSES)) [hu[i], labels[i]] = [220, 3];
      }
  const affine = [-SPACING, 0, 0, 0, 0, -SPACING, 0, 0, 0, 0, SPACING, 0];
  return {
    ct: new Volume({ data: hu, shape: SHAPE, affine }),
    labels: new Volume({ data: labels, shape: SHAPE, affine }),
  };
}
const { ct, labels } = patient();

/** A network all of whose values are 0 but those given by `of`, and norms that leave all as it is. */
function filled<N extends Network>(
  network: N,
  of: (name: string, values: Float32Array) => void,
): N {
  const tensors = [...network.shapes].map(([name, shape]): [string, Tensor] => {
    const values = new Float32Array(shape.reduce((a, b) => a * b, 1));
    if (/(norm|bn\d|downsample\.1)\.weight|running_var/.test(name)) values.fill(1);
    of(name, values);
    return [name, cpu.tensor(values, { shape })];
  });
  network.load(new Map(tensors));
  return network;
}

/** 1 where HU come to KIDNEY_FROM, and with three classes 2 from MASS_FROM on, of the first channel. */
function byThresholds(inputChannels: number, classes: number): UNet3D {
  const config = { inputChannels, classes, channels: [1, 1], norm: 'batch' as const };
  const one = { convolutions: { encoder: 1, decoder: 1 }, convolutionBias: false };
  // HU in the window as 0..2, then lines that cross at the thresholds.
  const [kidney, mass] = [KIDNEY_FROM, MASS_FROM].map((v) => (v - 40) / 200 + 1) as [
    number,
    number,
  ];
  return filled(new UNet3D({ ...config, ...one }, { device: cpu }), (name, values) => {
    // The first channel of the image, and the second of the decoder's: the skip.
    if (name === 'encoder.0.0.conv.weight') values[13] = 1;
    if (name === 'encoder.0.0.norm.bias') values[0] = 1;
    if (name === 'decoder.0.0.conv.weight') values[27 + 13] = 1;
    if (name === 'head.weight') values.set([0, 1, 2].slice(0, classes));
    if (name === 'head.bias') values.set([0, -kidney, -kidney - mass].slice(0, classes));
  });
}

/** A classifier whose layers pass one channel on, and whose logit of AML is its mean. */
function passing(channel: number, inputChannels = 2): ResNet3D {
  const config = { inputChannels, classes: 3, widths: [1, 1, 1, 1], hidden: 1 };
  return filled(
    new ResNet3D({ ...config, geometry: 'dilated' }, { device: cpu }),
    (name, values) => {
      if (name === 'conv1.weight') values[343 * channel + 171] = 1;
      // The image's window begins at -1.
      if (name === 'bn1.bias') values[0] = channel === 0 ? 1 : 0;
      if (/downsample\.0\.weight|head\.0\.weight/.test(name)) values.fill(1);
      if (name === 'head.2.weight') values[0] = 1;
    },
  );
}

const window = { level: 40, width: 400, low: -1, high: 1 };
const crop = { shape: [32, 32, 32], spacing: [1, 1, 1], margin: 12 };

/** A folder with the weights files of both systems. */
async function folderOf(t: Test, classifier: ResNet3D, contour?: 'cut' | 'channel') {
  const folder = t.testdir();
  const body = { shape: [48, 48, 64], spacing: [4, 4, 4] };
  const round = { shape: [32, 32, 32], spacing: [2.5, 2.5, 2.5], margin: 8 };
  const files: [string, string, Network, object][] = [
    ['kidney', 'kidney', byThresholds(1, 2), { grid: body }],
    ['mass', 'mass', byThresholds(2, 3), { grid: round }],
    ['one-stage', 'one-stage', byThresholds(1, 3), { grid: body }],
    ['class', 'class', classifier, { grid: crop, ...(contour ? { contour } : {}) }],
  ];
  for (const [name, task, network, more] of files) {
    const preprocessing = { task, window, ...more };
    await saveNetwork(join(folder, `${name}.safetensors`), network, {
      preprocessing,
      training: {},
    });
    network.dispose();
  }
  return folder;
}

/** What a classifier gets, by call: shape and values. */
function spied({ classifier }: CascadeNetworks) {
  const calls: { shape: readonly number[]; values: Promise<Float32Array> }[] = [];
  const { network } = classifier;
  const infer = network.infer.bind(network);
  network.infer = (x, options) => {
    calls.push({ shape: x.shape, values: x.data() as Promise<Float32Array> });
    return infer(x, options);
  };
  return calls;
}

const BALL = (4 / 3) * Math.PI * (3 * SPACING) ** 3;

/** That each call but those for masses that are not there got a CT and the mask of a ball. */
async function gotMasks(t: Test, calls: ReturnType<typeof spied>, name: string): Promise<void> {
  let masks = 0;
  for (const { shape, values } of calls) {
    t.same(shape, [8, ...crop.shape, 2], `${name}: eight views of two channels`);
    const all = await values;
    // The first view is not mirrored.
    const one = all.subarray(0, all.length / 8);
    const mask = one.filter((_, i) => i % 2 === 1);
    const image = one.filter((_, i) => i % 2 === 0);
    if (mask.every((v) => v === 0)) continue;
    masks++;
    t.ok(
      mask.every((v) => v === 0 || v === 1),
      `${name}: a mask`,
    );
    // The crop's voxels: 24 mm of mass, or 28 by whole voxels, and 12 mm on each side in 32 of them.
    const inside = mask.reduce((a, b) => a + b, 0);
    const share = (inside * (50 / 32) ** 3) / BALL;
    t.ok(share > 0.75 && share < 1.35, `${name}: ${share.toFixed(2)} of the mass's volume`);
    const dense = image.filter((v, i) => mask[i] === 1 && v > (120 - 40) / 200).length;
    t.ok(dense > 0.95 * inside, `${name}: ${dense} of ${inside} voxels are a mass's`);
    const around = image.filter((v, i) => mask[i] === 0 && v > -1).length;
    t.ok(around > inside, `${name}: what is around stays`);
  }
  t.equal(masks, MASSES.length, name);
}

/** Share of the map that lies where the label map has masses, and the Dice of both. */
function onMasses({ gradCam, labels: found }: Finding): { share: number; dice: number } {
  const map = gradCam?.map.data as Float32Array;
  let [inside, all, both, high, mass] = [0, 0, 0, 0, 0];
  for (const [i, value] of map.entries()) {
    const isMass = (found.data[i] as number) >= 3;
    all += value;
    if (isMass) inside += value;
    if (isMass) mass++;
    if (value > 0.5) high++;
    if (isMass && value > 0.5) both++;
  }
  return { share: inside / all, dice: (2 * both) / (high + mass) };
}

t.test('on given contours: the mask is what is given, the CT stays', async (t) => {
  const blank = ct.like(new Int16Array(ct.data.length).fill(-1000));
  const aml = async (folder: string, image: Volume, contours: Volume) => {
    const { masses } = await classifyContours(image, contours, {
      ...{ device: cpu, weights: folder, labels: [3] },
    });
    return masses.map(({ probabilities }) => probabilities.aml);
  };
  const masks = await folderOf(t, passing(1), 'channel');
  const weights = await loadCascade(cpu, masks);
  const calls = spied(weights);
  await classifyContours(ct, labels, { device: cpu, weights, labels: [3] });
  await gotMasks(t, calls, 'contours');
  weights.dispose();
  const seen = await aml(masks, ct, labels);
  t.equal(seen.length, MASSES.length);
  t.ok(
    seen.every((p) => p > 0.335),
    `the mask is no empty one: ${seen}`,
  );
  t.same(await aml(masks, blank, labels), seen, 'the second channel is no image');
  // A cube's shell, and a smaller cube inside of it that it does not touch.
  const cubes = (inner: boolean) =>
    labels.like(
      Uint8Array.from(labels.data, (_, i) => {
        const [, height, width] = SHAPE;
        const at = [i % width, Math.floor(i / width) % height, Math.floor(i / width / height)];
        const far = Math.max(...at.map((n) => Math.abs(n - 20)));
        return far === 5 || (inner && far <= 2) ? 3 : 0;
      }),
    );
  const [shell] = await aml(masks, ct, cubes(false));
  const both = await aml(masks, ct, cubes(true));
  t.equal(both.length, 2);
  t.equal(both[0], shell, 'another mass in its box is not in its mask');
  t.not(both[1], shell, 'each has its own');
  const images = await folderOf(t, passing(0), 'channel');
  t.notSame(await aml(images, blank, labels), await aml(images, ct, labels));
});

t.test('both systems, and where the classifier looked', async (t) => {
  for (const [name, load] of Object.entries({ loadCascade, loadOneStage })) {
    const analyzed = async (classifier: ResNet3D, gradCam: true | { layer: string }) => {
      const weights = await load(cpu, await folderOf(t, classifier, 'channel'));
      const calls = spied(weights);
      const finding = await analyze(ct, { device: cpu, weights, gradCam });
      await gotMasks(t, calls, name);
      weights.dispose();
      t.equal(finding.masses.length, MASSES.length, `${name}: masses`);
      return finding;
    };
    // A map that is the second channel lies on the masses: on each in its own crop, though others are near.
    const byMask = await analyzed(passing(1), { layer: 'relu' });
    for (const { gradCam } of byMask.masses)
      t.ok((gradCam?.overlap ?? 0) > 0.8, `${name}: ${gradCam?.overlap} in the mass`);
    const { share, dice } = onMasses(byMask);
    t.ok(share > 0.7 && dice > 0.8, `${name}: ${share} of the map on the CT, Dice ${dice}`);
    // One that is the first does not.
    const byImage = await analyzed(passing(0), { layer: 'relu' });
    for (const { gradCam } of byImage.masses)
      t.ok((gradCam?.overlap ?? 1) < 0.5, `${name}: ${gradCam?.overlap} of what is seen`);
    // By default, of a network that mixes both.
    const random = new ResNet3D(
      { inputChannels: 2, classes: 3, widths: [4, 4, 8, 8], hidden: 8, geometry: 'dilated' },
      { device: cpu, seed: 4 },
    );
    const mixed = await analyzed(random, true);
    t.match(mixed.gradCam, { layer: 'layer4', layerShape: [4, 4, 4] });
    t.ok(mixed.masses.every(({ gradCam }) => gradCam !== undefined));
  }
});

t.test('channels that do not fit the contour are refused', async (t) => {
  for (const [inputChannels, contour] of [
    [1, 'channel'],
    [2, 'cut'],
    [2, undefined],
  ] as const) {
    const folder = await folderOf(t, passing(0, inputChannels), contour);
    const error = {
      code: 'InvalidWeights',
      message: new RegExp(
        `class.safetensors has ${inputChannels} input channels, expected ${3 - inputChannels} with contour ${contour ?? 'cut'}: `,
      ),
    };
    for (const load of [loadCascade, loadOneStage]) await t.rejects(load(cpu, folder), error);
    const options = { device: cpu, weights: folder };
    await t.rejects(analyze(ct, options), error);
    await t.rejects(classifyContours(ct, labels, options), error);
  }
  await cpu.drain();
  t.equal(cpu.memory.live, 0, 'what was loaded before is freed');
});
