import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { analyze, type Device, device, isRenvoxError, liveBytes, readVolume, Volume } from 'renvox';
import { phantom } from 'renvox/phantom';
import { type CascadeNetworks, loadCascade } from 'renvox/pipeline';
import { fixedGrid, gridOf, gridToVolume, reorient, reorientLike } from 'renvox/volume';
import t from 'tap';
import { dataFolder } from '../data-folder.js';

let cpu: Device;
let networks: CascadeNetworks;

t.before(async () => {
  cpu = device('cpu');
  networks = await loadCascade(cpu);
});
t.teardown(() => {
  networks.dispose();
  cpu.dispose();
});

/** A phantom on a coarse grid, so that tests are quick. */
const small = (seed: number) =>
  phantom(seed, {
    device: cpu,
    grid: fixedGrid({ shape: [90, 96, 128], spacing: [3, 3, 3], centre: [0, 0, 0] }),
  });

function dice(
  truth: ArrayLike<number>,
  found: ArrayLike<number>,
  inTruth: (v: number) => boolean,
  inFound: (v: number) => boolean,
): number {
  let a = 0;
  let b = 0;
  let both = 0;
  for (let i = 0; i < truth.length; i++) {
    const x = inTruth(truth[i] as number);
    const y = inFound(found[i] as number);
    if (x) a++;
    if (y) b++;
    if (x && y) both++;
  }
  return (2 * both) / (a + b);
}

t.test(
  'a phantom: one upload, two small downloads, a few read-backs, sides and figures',
  async (t) => {
    const p = await small(31000001);
    await cpu.drain();
    const before = cpu.transfers;
    const stages: string[] = [];
    const finding = await analyze(p.ct, {
      device: cpu,
      weights: networks,
      onProgress: ({ stage }) => stages.push(stage),
    });
    const after = cpu.transfers;
    t.equal(after.uploads - before.uploads, 1, 'one upload: the CT');
    t.equal(after.uploadBytes - before.uploadBytes, p.ct.data.byteLength);
    t.equal(after.downloads - before.downloads, 2, 'where the crops lie; labels and figures');
    // Counts of 4096 HU of two kidneys and 2 x 16 masses, of all and of the interior.
    const counts = 2 * 34 * 4096 * 4;
    const inBox = after.downloadBytes - before.downloadBytes - counts;
    t.ok(
      inBox < p.ct.data.length / 2,
      `${inBox} bytes of labels and figures come back for ${p.ct.data.length} voxels`,
    );
    const readbacks = after.readbacks - before.readbacks;
    const bytes = after.readbackBytes - before.readbackBytes;
    t.ok(
      readbacks > 0 && bytes === 4 * readbacks,
      `${readbacks} read-backs of four bytes, unseen by JS`,
    );
    t.strictSame(stages, ['load', 'kidneys', 'masses', 'classes', 'compose', 'done']);

    const labels = finding.labels.data;
    for (const [side, label] of [
      ['left', 1],
      ['right', 2],
    ] as const) {
      const truth = p.kidneys[side];
      if (truth.voxels < 500) continue;
      const found = finding.kidneys[side];
      t.ok(
        found.centroidLpsMm &&
          Math.hypot(...found.centroidLpsMm.map((x, a) => x - (truth.centroidLpsMm?.[a] ?? 0))) <
            30,
        `${side} kidney in its place`,
      );
      t.equal(found.voxels, labels.filter((v) => v === label).length, 'voxels as in the label map');
      t.ok(Math.abs(found.volumeMl - (found.voxels * p.ct.voxelVolume) / 1000) < 1e-9);
    }
    t.ok(
      dice(
        p.labels.data,
        labels,
        (v) => v > 0,
        (v) => v > 0,
      ) >= 0.75,
      'kidneys with masses: Dice of at least 0.75',
    );
    for (const mass of finding.masses) {
      const { aml, cystic, solid } = mass.probabilities;
      t.ok(Math.abs(aml + cystic + solid - 1) < 1e-5, 'probabilities sum to 1');
      t.equal(mass.probabilities[mass.class], Math.max(aml, cystic, solid));
      t.ok(
        Math.abs((Math.PI / 6) * mass.averageDiameterMm ** 3 - 1000 * mass.volumeMl) <
          1e-6 * 1000 * mass.volumeMl + 1e-9,
      );
    }
    const inMap = labels.filter((v) => v >= 3).length;
    t.equal(
      finding.masses.reduce((n, m) => n + m.voxels, 0),
      inMap,
      'all voxels of masses are of a listed mass',
    );
  },
);

t.test('the same bits twice, and in any orientation of the file the same patient', async (t) => {
  const p = await small(31000002);
  const run = (ct: Volume) => analyze(ct, { device: cpu, weights: networks });
  const first = await run(p.ct);
  const second = await run(p.ct);
  t.strictSame(second.labels.data, first.labels.data);
  t.strictSame(second.masses, first.masses);
  for (const code of ['RAS', 'IPL', 'SAR'] as const) {
    const turned = await run(reorient(p.ct, code));
    const back = reorientLike(turned.labels, p.ct);
    const same = dice(
      first.labels.data,
      back.data,
      (v) => v === 1 || v === 3,
      (v) => v === 1 || v === 3,
    );
    t.ok(same > 0.95, `${code}: the left kidney stays the left kidney (Dice ${same.toFixed(4)})`);
  }
});

t.test('nothing to find: kidneys of 0 voxels, no masses', async (t) => {
  const shape: [number, number, number] = [20, 64, 64];
  const affine = [-2, 0, 0, 60, 0, -2, 0, 60, 0, 0, 4, 0];
  const air = new Volume({ data: new Int16Array(20 * 64 * 64).fill(-1000), shape, affine });
  const finding = await analyze(air, { device: cpu, weights: networks });
  for (const side of ['left', 'right'] as const)
    t.strictSame(finding.kidneys[side], { voxels: 0, volumeMl: 0, centroidLpsMm: null });
  t.strictSame(finding.masses, []);
  t.ok(finding.labels.data.every((v) => v === 0));
});

t.test('a chest, a pelvis, water: nothing is invented', async (t) => {
  // 160 mm along the body, 300 mm above the middle of the kidneys and 200 mm below.
  for (const [where, z] of [
    ['chest', 300],
    ['pelvis', -200],
  ] as const)
    for (const seed of [31000031, 31000032, 31000033]) {
      const grid = fixedGrid({ shape: [32, 80, 100], spacing: [5, 4, 4], centre: [0, 0, z] });
      const p = await phantom(seed, { device: cpu, grid });
      t.ok(
        p.labels.data.every((v) => v === 0),
        `${where}, ${seed}: no kidney is drawn here`,
      );
      const tissue = p.ct.data.filter((v) => v > -200).length / p.ct.data.length;
      t.ok(tissue > 0.1, `${(100 * tissue).toFixed(0)} % of it is tissue`);
      const { labels, masses } = await analyze(p.ct, { device: cpu, weights: networks });
      t.ok(
        labels.data.every((v) => v === 0) && masses.length === 0,
        `${where}, ${seed}: none found`,
      );
    }
  const data = new Int16Array(40 * 64 * 64).fill(-1000);
  // A bottle of 20 cm.
  for (let v = 0; v < data.length; v++)
    if (Math.hypot((v % 64) - 32, (Math.floor(v / 64) % 64) - 32) < 20) data[v] = 0;
  const affine = [-5, 0, 0, 160, 0, -5, 0, 160, 0, 0, 5, 0];
  const water = new Volume({ data, shape: [40, 64, 64], affine });
  const { labels } = await analyze(water, { device: cpu, weights: networks });
  t.ok(
    labels.data.every((v) => v === 0),
    'water: none found',
  );
});

t.test('floats, NaN outside the scan, one slice, a long scan of several tiles', async (t) => {
  const p = await small(31000003);
  const plain = await analyze(p.ct, { device: cpu, weights: networks });
  const floats = Float32Array.from(p.ct.data);
  const air = floats.findIndex((v) => v < -1020);
  if (air >= 0) floats[air] = Number.NaN;
  const scaled = await analyze(
    new Volume({ data: floats, shape: p.ct.shape, affine: p.ct.affine }),
    { device: cpu, weights: networks },
  );
  t.ok(
    dice(
      plain.labels.data,
      scaled.labels.data,
      (v) => v > 0,
      (v) => v > 0,
    ) > 0.999,
    'float HU give what int16 give',
  );
  const [, h, w] = p.ct.shape;
  const slice = new Volume({
    data: p.ct.data.slice(0, h * w),
    shape: [1, h, w],
    affine: p.ct.affine,
  });
  t.equal((await analyze(slice, { device: cpu, weights: networks })).labels.data.length, h * w);

  // Two tiles of 288 mm; the phantom's abdomen lies across their border.
  const long = await phantom(31000004, {
    device: cpu,
    grid: fixedGrid({ shape: [58, 96, 128], spacing: [6, 3, 3], centre: [0, 0, 0] }),
  });
  const found = await analyze(long.ct, { device: cpu, weights: networks });
  const value = dice(
    long.labels.data,
    found.labels.data,
    (v) => v > 0,
    (v) => v > 0,
  );
  t.ok(value >= 0.7, `348 mm, several tiles: Dice ${value.toFixed(3)}`);
});

t.test('abort: a typed error with the reason, nothing leaks, the device goes on', async (t) => {
  const p = await small(31000005);
  await analyze(p.ct, { device: cpu, weights: networks });
  await cpu.drain();
  const bytes = liveBytes();
  for (const at of ['load', 'kidneys', 'masses', 'classes', 'compose'] as const) {
    const controller = new AbortController();
    const reason = new Error(`stop at ${at}`);
    const onProgress = ({ stage }: { stage: string }) => stage === at && controller.abort(reason);
    await t.rejects(
      analyze(p.ct, {
        device: cpu,
        weights: networks,
        signal: controller.signal,
        onProgress: (x) => void onProgress(x),
      }).catch((error: unknown) => {
        t.ok(
          isRenvoxError(error, 'AbortError') && error.cause === reason,
          `${at}: the reason is the cause`,
        );
        throw error;
      }),
    );
  }
  await cpu.drain();
  t.equal(liveBytes(), bytes, 'no native bytes left behind');
  t.ok(
    (await analyze(p.ct, { device: cpu, weights: networks })).labels,
    'and once more, to the end',
  );
});

t.test('real CTs with labels beside them, never trained on', async (t) => {
  const folder = join(dataFolder() ?? 'no data folder', 'ct');
  if (!existsSync(folder)) {
    t.comment(`${folder} is not there (RENVOX_DATA): not compared`);
    return;
  }
  for (const name of readdirSync(folder).filter((n) => n.endsWith('_labels.nii.gz'))) {
    const ct = await readVolume(join(folder, name.replace('_labels', '')));
    const truth = await readVolume(join(folder, name));
    const { labels, masses } = await analyze(ct, { device: cpu, weights: networks });
    for (const [side, own] of [
      ['left', 1],
      ['right', 2],
    ] as const) {
      if (!truth.data.includes(own)) continue;
      // Masses are not told apart by side in the truth, so those of the other side are left out of both.
      const value = dice(
        truth.data,
        labels.data,
        (v) => v === own,
        (v) => v === own,
      );
      t.ok(value >= 0.88, `${name}: ${side} kidney, Dice ${value.toFixed(3)}`);
    }
    if (truth.data.includes(3)) {
      // LIDC's one known mass, cyst-like: found, and called cystic.
      const isMass = (v: number) => v >= 3;
      const value = dice(truth.data, labels.data, isMass, isMass);
      t.ok(value > 0.3, `${name}: the known mass, Dice ${value.toFixed(3)}`);
      const called = [3, 4, 5].map(
        (label) => labels.data.filter((v, i) => v === label && truth.data[i] === 3).length,
      );
      t.equal(
        called.indexOf(Math.max(...called)),
        1,
        `${name}: called cystic (${called.join(', ')} voxels)`,
      );
    }
    t.equal(masses.length, +truth.data.includes(3), `${name}: nothing else is called a mass`);
    t.comment(
      `${name}: ${masses.map((m) => `${m.side} ${m.class} ${m.averageDiameterMm.toFixed(0)} mm`).join(', ')}`,
    );
  }
});

t.test('a real CT labelled in part, and one without kidneys, never trained on', async (t) => {
  const folder = dataFolder() ?? 'no data folder';
  const files = [
    'ct/totalsegmentator_ct_3mm',
    'totalsegmentator/labels_total_model',
    'ct/totalsegmentator_dicom_decoded',
  ];
  const [whole, known, slab] = files.map((name) => join(folder, `${name}.nii.gz`)) as [
    string,
    string,
    string,
  ];
  if (!existsSync(whole)) {
    t.comment(`${whole} is not there (RENVOX_DATA): not compared`);
    return;
  }
  const ct = await readVolume(whole);
  const truth = await readVolume(known);
  const { labels } = await analyze(ct, { device: cpu, weights: networks });
  // The labels' grid lies within the CT's, of the same axes and voxels.
  const first = [0, 1, 2]
    .map((k) => gridToVolume(gridOf(truth), ct)[4 * k + 3] as number)
    .map(Math.round) as [number, number, number];
  const [depth, height, width] = truth.shape;
  const found = new Uint8Array(truth.data.length);
  for (let d = 0, i = 0; d < depth; d++)
    for (let h = 0; h < height; h++)
      for (let w = 0; w < width; w++, i++) {
        const [z, y, x] = [d + first[0], h + first[1], w + first[2]];
        found[i] = labels.data[(z * ct.shape[1] + y) * ct.shape[2] + x] ?? 0;
      }
  for (const [side, own, theirs] of [
    ['left', 1, 3],
    ['right', 2, 2],
  ] as const) {
    const value = dice(
      truth.data,
      found,
      (v) => v === theirs,
      (v) => v === own,
    );
    t.ok(value >= 0.88, `${side} kidney, Dice ${value.toFixed(3)}`);
  }
  const nothing = await analyze(await readVolume(slab), { device: cpu, weights: networks });
  t.strictSame(
    [nothing.kidneys.left.voxels, nothing.kidneys.right.voxels, nothing.masses.length],
    [0, 0, 0],
    'the slab has no kidneys',
  );
});

t.test('oblique CTs and those of a tilted gantry', async (t) => {
  const shape = [60, 150, 150] as const;
  const cos = Math.cos(0.2);
  const sin = Math.sin(0.2);
  // Index (d, h, w) to LPS mm: voxels of 4 x 2.4 x 2.4 mm, turned about the patient's left-right axis; slices that are upright but shifted one by one.
  const axes = {
    turned: { h: [0, 2.4 * cos, 2.4 * sin], d: [0, -4 * sin, 4 * cos] },
    sheared: { h: [0, 2.4 * cos, 2.4 * sin], d: [0, 0, 4] },
  };
  for (const [name, { d, h }] of Object.entries(axes)) {
    const row = (k: number) => [d[k] as number, h[k] as number, k === 0 ? 2.4 : 0];
    const affine = [0, 1, 2].flatMap((k) => {
      const [a, b, c] = row(k) as [number, number, number];
      return [a, b, c, -(a * (shape[0] - 1) + b * (shape[1] - 1) + c * (shape[2] - 1)) / 2];
    });
    const p = await phantom(31000025, { device: cpu, grid: { shape, affine } });
    const { labels, kidneys } = await analyze(p.ct, { device: cpu, weights: networks });
    for (const own of [1, 2]) {
      const is = (v: number) => v === own;
      const value = dice(p.labels.data, labels.data, is, is);
      t.ok(value > 0.88, `${name}: kidney ${own}, Dice ${value.toFixed(3)}`);
    }
    t.ok((kidneys.left.centroidLpsMm?.[0] ?? 0) > (kidneys.right.centroidLpsMm?.[0] ?? 0), name);
  }
});
