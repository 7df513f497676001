// Masses named on given contours: what the network sees against a cut made voxel by voxel, any orientation of the arrays, and the maps that
// `renvox evaluate --on-truth` reads.
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { device, ops } from 'renvox';
import { ResNet3D } from 'renvox/nn';
import { phantom } from 'renvox/phantom';
import { classifyContours, LABELS, loadCascade, MASS_CLASSES } from 'renvox/pipeline';
import { fixedGrid, gridOf, reorient, toIndex, toWorld } from 'renvox/volume';
import t, { type Test } from 'tap';
import { renvox } from '../cli/command.js';

const cpu = device('cpu');
const networks = await loadCascade(cpu);
t.after(() => {
  networks.dispose();
  cpu.dispose();
});
const grid = fixedGrid({ shape: [60, 80, 110], spacing: [3, 3, 3], centre: [0, 0, 0] });
const { ct, labels, masses } = await phantom(31000001, { device: cpu, grid });
const options = { device: cpu, weights: networks };

t.test('each mass is called once, where it is', async (t) => {
  t.ok(masses.length > 1, 'the phantom has masses');
  const found = await classifyContours(ct, labels, options);
  const truth = Uint8Array.from(labels.data);
  const named = found.labels.data;
  t.ok(truth.every((v, i) => v >= LABELS.aml === (named[i] as number) >= LABELS.aml));
  t.equal(
    found.masses.reduce((n, mass) => n + mass.voxels, 0),
    truth.filter((v) => v >= LABELS.aml).length,
  );
  for (const { class: name, probabilities, centroidLpsMm } of found.masses) {
    const p = MASS_CLASSES.map((c) => probabilities[c]);
    t.ok(Math.abs(p.reduce((a, b) => a + b, 0) - 1) < 1e-5);
    t.equal(p.indexOf(Math.max(...p)), MASS_CLASSES.indexOf(name));
    const [d, h, w] = toIndex(gridOf(ct), centroidLpsMm).map(Math.round) as [
      number,
      number,
      number,
    ];
    const label = named[(d * ct.shape[1] + h) * ct.shape[2] + w];
    if (label !== 0) t.equal(label, LABELS.aml + MASS_CLASSES.indexOf(name), 'painted so');
  }
  const some = await classifyContours(ct, labels, { ...options, labels: [LABELS.left] });
  t.ok(
    some.masses.every(({ label }) => label === LABELS.left),
    'what is a mass is said by values',
  );
  const none = await classifyContours(ct, labels.like(new Uint8Array(truth.length)), options);
  t.same(none.masses, []);
});

const seenBy = async (t: Test, contour: 'cut' | 'channel', margin: number | undefined) => {
  using network = new ResNet3D(
    { inputChannels: contour === 'cut' ? 1 : 2, classes: 3, widths: [4, 4, 8, 8], hidden: 8 },
    { device: cpu, seed: 3 },
  );
  const classifier = { ...networks.classifier, network, contour, margin };
  const { masses: found } = await classifyContours(ct, labels, {
    device: cpu,
    weights: { ...networks, classifier },
  });
  const k = found.reduce((best, m, i) => (m.voxels > (found[best]?.voxels ?? 0) ? i : best), 0);
  const mass = found[k] as (typeof found)[number];
  // A flood fill of the one mass, from the centroid's nearest voxel of its label.
  const [D, H, W] = labels.shape;
  const at = (d: number, h: number, w: number) => (d * H + h) * W + w;
  const own = new Set<number>();
  const [cd, ch, cw] = toIndex(gridOf(ct), mass.centroidLpsMm);
  let start = -1;
  let nearest = Infinity;
  const voxels: [number, number, number][] = [];
  for (let d = 0; d < D; d++)
    for (let h = 0; h < H; h++)
      for (let w = 0; w < W; w++) {
        if (labels.data[at(d, h, w)] !== mass.label) continue;
        const far = Math.hypot(d - cd, h - ch, w - cw);
        if (far < nearest) [nearest, start] = [far, at(d, h, w)];
      }
  const queue = [start];
  own.add(start);
  for (let i = queue.pop(); i !== undefined; i = queue.pop()) {
    const [d, h, w] = [Math.floor(i / (H * W)), Math.floor(i / W) % H, i % W];
    voxels.push([d, h, w]);
    for (const z of [-1, 0, 1])
      for (const y of [-1, 0, 1])
        for (const x of [-1, 0, 1]) {
          const j = at(d + z, h + y, w + x);
          if (labels.data[j] !== mass.label || own.has(j)) continue;
          own.add(j);
          queue.push(j);
        }
  }
  t.equal(own.size, mass.voxels);
  const { shape, spacing, window } = classifier;
  const ends = [0, 1, 2].map((axis) => {
    const all = voxels.map((v) => v[axis] as number);
    return [Math.min(...all) - 0.5, Math.max(...all) + 0.5] as const;
  });
  // This grid runs along the patient's axes, 3 mm apart.
  const wide = Math.max(
    ...ends.map(([a, b], i) => (3 * (b - a) + 2 * (margin ?? 2)) / (shape[i] as number)),
  );
  const step = Math.max(spacing[0], wide);
  const middle = ends.map(([a, b]) => (a + b) / 2) as [number, number, number];
  const cut = fixedGrid({
    shape,
    spacing: [step, step, step],
    centre: toWorld(gridOf(ct), middle),
  });
  const channels = contour === 'cut' ? 1 : 2;
  const seen = new Float32Array(channels * shape[0] * shape[1] * shape[2]).fill(window.low);
  const hu = ct.values();
  const slope = (window.high - window.low) / window.width;
  const value = (d: number, h: number, w: number) => {
    const outside = d < 0 || h < 0 || w < 0 || d >= D || h >= H || w >= W;
    if (outside) return window.low;
    const v = hu[at(d, h, w)] as number;
    const [low, high] = [window.level - window.width / 2, window.level + window.width / 2];
    return window.low + (Math.min(high, Math.max(low, v)) - low) * slope;
  };
  for (let z = 0, to = 0; z < shape[0]; z++)
    for (let y = 0; y < shape[1]; y++)
      for (let x = 0; x < shape[2]; x++, to++) {
        const index = toIndex(gridOf(ct), toWorld(cut, [z, y, x]));
        const [d, h, w] = index.map((v) => Math.floor(v + 0.5)) as [number, number, number];
        const inside = own.has(at(d, h, w));
        if (contour === 'channel') seen[2 * to + 1] = inside ? 1 : 0;
        else if (!inside) continue;
        const low = index.map(Math.floor) as [number, number, number];
        let sum = 0;
        for (let corner = 0; corner < 8; corner++) {
          const p = low.map((v, axis) => v + ((corner >> axis) & 1)) as [number, number, number];
          const share = p.reduce(
            (s, v, axis) => s * (1 - Math.abs(v - (index[axis] as number))),
            1,
          );
          if (share > 0) sum += share * value(...p);
        }
        seen[channels * to] = sum;
      }
  const image = cpu.tensor(seen, { shape: [1, ...shape, channels] });
  // The mean over the eight mirror images.
  const mean = [0, 0, 0];
  for (const axes of [
    [],
    ['d'],
    ['h'],
    ['w'],
    ['d', 'h'],
    ['d', 'w'],
    ['h', 'w'],
    ['d', 'h', 'w'],
  ]) {
    const view = axes.length > 0 ? ops.flip(image, axes as ('d' | 'h' | 'w')[]) : image;
    const scores = Array.from((await network.infer(view).data()) as Float32Array, Math.exp);
    const total = scores.reduce((x, y) => x + y);
    for (const c of [0, 1, 2]) mean[c] = (mean[c] as number) + (scores[c] as number) / total / 8;
  }
  MASS_CLASSES.forEach((name, i) => {
    const p = mean[i] as number;
    t.ok(
      Math.abs(p - mass.probabilities[name]) < 5e-3,
      `${name}: ${p}, ${mass.probabilities[name]}`,
    );
  });
};

t.test('the network sees the mass alone', (t) => seenBy(t, 'cut', undefined));
t.test('or its surroundings and its mask', (t) => seenBy(t, 'channel', 4));

t.test('the order of the axes says nothing', async (t) => {
  const { masses: found } = await classifyContours(ct, labels, options);
  for (const code of ['RAS', 'PIR']) {
    const turned = await classifyContours(reorient(ct, code), reorient(labels, code), options);
    t.equal(turned.masses.length, found.length);
    for (const mass of found) {
      const same = turned.masses.find(
        (m) =>
          Math.hypot(...m.centroidLpsMm.map((x, k) => x - (mass.centroidLpsMm[k] as number))) <
          0.01,
      );
      t.ok(same && Math.abs(same.probabilities.aml - mass.probabilities.aml) < 1e-3, code);
    }
  }
  await t.rejects(classifyContours(ct, reorient(labels, 'RAS'), options), {
    code: 'ShapeMismatch',
  });
});

t.test('renvox classify writes what evaluate --on-truth reads', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'renvox-classify-'));
  try {
    for (const folder of ['images', 'truth']) await mkdir(join(root, folder));
    await ct.write(join(root, 'images', 'case_1_0000.nii.gz'));
    for (const id of ['case_1', 'case_2']) await labels.write(join(root, 'truth', `${id}.nii.gz`));
    const folders = ['--images', join(root, 'images'), '--contours', join(root, 'truth')];
    const onTruth = join(root, 'on-truth');
    const made = renvox(['classify', ...folders, '--out', onTruth, '--device', 'cpu', '--json']);
    t.equal(made.status, 3, 'one case has no CT');
    t.match(made.stderr, /^named by class.safetensors, which sees the CT alone$/m);
    const called = JSON.parse(made.stdout);
    t.match(made.stderr, /case_2: failed: .*no CT/);
    const truth = join(root, 'truth');
    const read = ['--truth', truth, '--prediction', truth, '--on-truth', onTruth];
    const out = join(root, 'out');
    t.equal(renvox(['evaluate', ...read, '--out', out, '--json']).status, 0);
    const { figures } = JSON.parse(await readFile(join(out, 'summary.json'), 'utf8'));
    const { masses: found } = await classifyContours(ct, labels, options);
    const masses = found.map(({ centroidLpsMm, ...m }) => ({
      ...m,
      centroid_lps_mm: centroidLpsMm,
    }));
    t.match(called[1], { case: 'case_2', failed: /no CT of it/ });
    t.strictSame(called, [{ case: 'case_1', masses }, called[1]], 'JSON of all cases');
    for (const folder of ['images', 'truth']) {
      const over = renvox(['classify', ...folders, '--out', join(root, folder)]);
      t.equal(over.status, 2, over.stderr);
      t.match(over.stderr, /which would be written over/);
    }
    const right = found.filter((m) => LABELS[m.class] === m.label).length;
    t.equal(figures['on_truth.overall.accuracy'].n, found.length);
    t.ok(Math.abs(figures['on_truth.overall.accuracy'].value - right / found.length) < 1e-12);
  } finally {
    await rm(root, { recursive: true });
  }
});
