// A classifier of two phases: which images it gets, when it is used, and what the report says of it.
import { analyze, device, Volume } from 'renvox';
import {
  type CascadeNetworks,
  classifyContours,
  loadCascade,
  loadOneStage,
  makeReport,
} from 'renvox/pipeline';
import t, { type Test } from 'tap';
import { crop, folderOf, MASSES, passing, patient } from './by-thresholds.js';

const cpu = device('cpu');
t.teardown(() => cpu.dispose());
const { ct, labels } = patient();

/** The patient 60 HU above the first scan, on another grid: turned axes, 3 mm to the head, as the affine says. */
function later(add = 60): Volume {
  const [depth, height, width] = ct.shape;
  const data = new Int16Array(ct.data.length);
  for (let z = 0; z < depth; z++)
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++)
        data[(x * depth + z) * height + y] =
          (ct.data[(z * height + y) * width + x] as number) + add;
  // Index (w, h, d) of this volume is (y, z, x) of the first.
  const [ax, , , , , ay, , , , , az] = ct.affine as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const affine = [0, 0, ax, 0, ay, 0, 0, 0, 0, az, 0, 0];
  return new Volume({ data, shape: [width, depth, height], affine });
}

/** By call, what a classifier gets: HU of the first view's middle voxel in each image, and channels. */
function spied(stage: CascadeNetworks['classifier'] | undefined) {
  const calls: { channels: number; middle: Promise<number[]> }[] = [];
  if (!stage) throw new Error('no such classifier');
  const { network } = stage;
  const infer = network.infer.bind(network);
  network.infer = (x, options) => {
    const channels = x.shape[4] as number;
    const [depth, height, width] = crop.shape as [number, number, number];
    const [d, h, w] = [depth / 2, height / 2, width / 2];
    const at = ((d * height + h) * width + w) * channels;
    const middle = x.data().then((v) => Array.from(v.subarray(at, at + channels)));
    calls.push({ channels, middle });
    return infer(x, options);
  };
  return calls;
}

const asWindowed = (hu: number) => (hu - 40) / 200;
const near = (a: number | undefined, b: number) => Math.abs((a ?? Number.NaN) - b) < 0.02;

const TWO = 3;
const folder = (t: Test, channel = 1) =>
  folderOf(t, cpu, passing(cpu, 0), { contour: 'channel', second: passing(cpu, channel, TWO) });

t.test(
  'both systems: the CT, then the second phase where the mass lies in it, then the mask',
  async (t) => {
    for (const [name, load] of Object.entries({ loadCascade, loadOneStage })) {
      const weights = await load(cpu, await folder(t), { twoPhases: true });
      const [one, two] = [spied(weights.classifier), spied(weights.twoPhaseClassifier)];
      const phase = { name: 'np', ct: later(-100) } as const;
      const finding = await analyze(ct, { device: cpu, weights, phase });
      t.equal(finding.masses.length, MASSES.length, name);
      t.equal(one.length, 0, `${name}: the classifier of one phase is not asked`);
      let masses = 0;
      for (const { channels, middle } of two) {
        t.equal(channels, TWO);
        const [first, second, mask] = await middle;
        if (mask !== 1) continue;
        masses++;
        // Masses of 220 HU, 120 in the second phase.
        t.ok(
          near(first, asWindowed(220)) && near(second, asWindowed(120)),
          `${name}: ${first}, ${second}`,
        );
      }
      t.equal(masses, MASSES.length);
      t.strictSame(finding.provenance.weights.map((w) => w.name).at(-1), 'class-two-phases');
      const alone = await analyze(ct, { device: cpu, weights });
      t.strictSame(alone.provenance.weights.map((w) => w.name).at(-1), 'class');
      t.ok(one.length > 0, `${name}: one phase, the classifier of one`);
      const calls = two.length;
      const named = await classifyContours(ct, labels, {
        device: cpu,
        weights,
        labels: [3],
        phase,
      });
      t.equal(named.masses.length, MASSES.length);
      for (const { middle } of two.slice(calls)) {
        const [first, second] = await middle;
        t.ok(
          near(first, asWindowed(220)) && near(second, asWindowed(120)),
          `contours: ${first}, ${second}`,
        );
      }
      t.equal(two.length - calls, MASSES.length);
      weights.dispose();
    }
    await cpu.drain();
    t.equal(cpu.memory.live, 0);
  },
);

t.test(
  'the class follows the second phase, and Grad-CAM explains the network that gave it',
  async (t) => {
    const weights = await folder(t, 1);
    const run = (add: number) =>
      analyze(ct, {
        device: cpu,
        weights,
        phase: { name: 'np', ct: later(add) },
        gradCam: { layer: 'relu' },
      });
    const [bright, dark] = [await run(0), await run(-250)];
    for (const [i, mass] of bright.masses.entries())
      t.ok(mass.probabilities.aml > (dark.masses[i]?.probabilities.aml ?? 1), `mass ${i + 1}`);
    const map = bright.gradCam?.map.data ?? new Float32Array(1);
    t.equal(Math.max(...map.filter((v) => v > 0.9)), 1);
    await cpu.drain();
    t.equal(cpu.memory.live, 0);
  },
);

t.test('masses that the second phase does not show', async (t) => {
  const weights = await loadCascade(cpu, await folder(t), { twoPhases: true });
  const two = spied(weights.twoPhaseClassifier);
  // Slices below the middle of the lower mass: its lower half, and nothing of the others.
  const kept = later();
  const slab = new Volume({
    data: kept.data,
    shape: kept.shape,
    affine: kept.affine.map((x, i) => (i === 11 ? x - 2 * 4 * 22 : x)),
  });
  const finding = await analyze(ct, { device: cpu, weights, phase: { name: 'np', ct: slab } });
  const seen = await Promise.all(two.map(({ middle }) => middle));
  const seconds = seen.filter(([, , mask]) => mask === 1).map(([, second]) => second);
  t.strictSame(seconds, [-1, -1, -1], "the window's bottom");
  const report = makeReport(ct, finding, { version: '0', commit: null });
  t.match(report.warnings, [/no mass lies in the field of view of the second phase/]);
  t.ok(finding.masses.every((m) => m.phaseIntensities === null));
  weights.dispose();
});

t.test('weights without such a classifier, and files of other channels', async (t) => {
  const without = await folderOf(t, cpu, passing(cpu, 0), { contour: 'channel' });
  const phase = { name: 'np', ct: later() } as const;
  const finding = await analyze(ct, { device: cpu, weights: without, phase });
  t.strictSame(finding.provenance.weights.map((w) => w.name).at(-1), 'class');
  t.ok(finding.masses.every((m) => m.phaseIntensities !== null));
  const wrong = await folderOf(t, cpu, passing(cpu, 0), {
    contour: 'channel',
    second: passing(cpu, 0, 2),
  });
  const message =
    /class-two-phases.safetensors has 2 input channels, expected 3 with contour channel: analyze reads two phases/;
  await t.rejects(analyze(ct, { device: cpu, weights: wrong, phase }), {
    code: 'InvalidWeights',
    message,
  });
  await analyze(ct, { device: cpu, weights: wrong });
  await t.rejects(
    classifyContours(ct, labels, {
      device: cpu,
      weights: without,
      labels: [3],
      phase: { ct: labels },
    }),
    { code: 'InvalidArgument', message: /as of a label map/ },
  );
  await cpu.drain();
  t.equal(cpu.memory.live, 0, 'what was loaded before is freed');
});
