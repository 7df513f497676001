// A classifier whose weights file says that its mass is told by a channel: on given contours, in both systems, and where it looked.
import { analyze, device, type Finding, type Volume } from 'renvox';
import { ResNet3D } from 'renvox/nn';
import { type CascadeNetworks, classifyContours, loadCascade, loadOneStage } from 'renvox/pipeline';
import t, { type Test } from 'tap';
import { crop, folderOf, MASSES, passing, patient, SHAPE, SPACING } from './by-thresholds.js';

const cpu = device('cpu');
t.teardown(() => cpu.dispose());

const { ct, labels } = patient();
const told = (t: Test, classifier: ResNet3D) =>
  folderOf(t, cpu, classifier, { contour: 'channel' });

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
  const masks = await told(t, passing(cpu, 1));
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
  const images = await told(t, passing(cpu, 0));
  t.notSame(await aml(images, blank, labels), await aml(images, ct, labels));
});

t.test('both systems, and where the classifier looked', async (t) => {
  for (const [name, load] of Object.entries({ loadCascade, loadOneStage })) {
    const analyzed = async (classifier: ResNet3D, gradCam: true | { layer: string }) => {
      const weights = await load(cpu, await told(t, classifier));
      const calls = spied(weights);
      const finding = await analyze(ct, { device: cpu, weights, gradCam });
      await gotMasks(t, calls, name);
      weights.dispose();
      t.equal(finding.masses.length, MASSES.length, `${name}: masses`);
      return finding;
    };
    // A map that is the second channel lies on the masses: on each in its own crop, though others are near.
    const byMask = await analyzed(passing(cpu, 1), { layer: 'relu' });
    for (const { gradCam } of byMask.masses)
      t.ok((gradCam?.overlap ?? 0) > 0.8, `${name}: ${gradCam?.overlap} in the mass`);
    const { share, dice } = onMasses(byMask);
    t.ok(share > 0.7 && dice > 0.8, `${name}: ${share} of the map on the CT, Dice ${dice}`);
    // One that is the first does not.
    const byImage = await analyzed(passing(cpu, 0), { layer: 'relu' });
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
    const folder = await folderOf(t, cpu, passing(cpu, 0, inputChannels), { contour });
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
