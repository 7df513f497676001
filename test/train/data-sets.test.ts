// Data sets on disk: layouts, splits, the cache, checks.
import { copyFile, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { device, ops, Volume } from 'renvox';
import {
  augmentations,
  checkFolder,
  findDataSet,
  folderSampler,
  type Preset,
  presets,
  splitPatients,
} from 'renvox/train';
import t from 'tap';
import { bodyCentre } from '#lib/pipeline/body.js';
import { fileHashes } from '#lib/train/data/cache.js';
import { readPatients } from '#lib/train/data/patients.js';
import { rimOf } from '#lib/train/data/rim.js';
import { coveringPatches } from '#lib/train/samples/patches.js';
import { fixedGrid, gridToVolume } from '#lib/volume/index.js';
import { agrees, generator, relativeRms, sameBits } from '../ops/harness.js';
import { kits, nnunet, patient, shape } from './tiny-cases.js';

const d = device('cpu');
t.teardown(() => d.dispose());

const grid = { shape: [16, 16, 24], spacing: [12, 12, 12] } as Preset['grid'];
const kidney: Preset = { ...(presets.kidney as Preset), grid };

const withChannels = (preset: Preset, inputChannels: number, classes: number): Preset => ({
  ...preset,
  architecture: { kind: 'unet3d', config: { inputChannels, classes, channels: [2, 4] } },
});

t.test('KiTS layout: sides by position, classes by label', async (tap) => {
  const root = await kits(tap.testdir(), 2);
  const data = await findDataSet(root);
  tap.match(data, { layout: 'kits', channels: ['CT'], cases: [{ name: 'case_00000' }, {}] });
  const sampler = await folderSampler(kidney, root, { device: d });
  tap.equal(sampler.validationCount, 2);
  // Mirrored, label 1 would become 2, which is no class of it.
  const swapping = { ...kidney, augmentation: augmentations.nnunet };
  await tap.rejects(folderSampler(swapping, root, { device: d }), {
    code: 'InvalidArgument',
    details: { field: 'augmentation.swap' },
  });
  const mass: Preset = {
    ...withChannels(presets.mass as Preset, 2, 3),
    grid: { shape: [16, 16, 16], spacing: [8, 8, 8], margin: 8 },
  };
  const kidneys = await folderSampler(mass, root, { device: d });
  tap.equal(kidneys.validationCount, 4, 'a left and a right one in each');
  const middle = async (k: number) => {
    const { image, target } = kidneys.validation(d, k);
    const [values, truth] = [await image.data(), await target.data()];
    let [sum, n, masses] = [0, 0, 0];
    truth.forEach((label, i) => {
      if (label === 1) [sum, n] = [sum + (values[2 * i] as number), n + 1];
      if (label === 2) masses++;
    });
    return { mean: sum / n, masses };
  };
  // 200 HU are 0.8, 120 HU 0.4; the left one comes first.
  const [left, right] = [await middle(0), await middle(1)];
  tap.ok(left.mean > 0.6 && left.masses > 0, `left ${left.mean}, ${left.masses} of mass`);
  tap.ok(right.mean < 0.5 && right.masses === 0, `right ${right.mean}`);
  const classifier = await folderSampler(
    { ...(presets.class as Preset), grid: { shape: [8, 8, 8], spacing: [4, 4, 4], margin: 2 } },
    root,
    { device: d },
  );
  tap.equal(await classifier.validation(d, 0).target.item(), 2, 'a tumour is solid');
});

t.test('masses of two classes that touch are two samples', async (tap) => {
  const root = await kits(tap.testdir(), 1);
  const file = join(root, 'case_00000', 'segmentation.nii.gz');
  const { labels } = patient({ left: 1, right: 1, mass: 2 });
  // A tumour of seven voxels, one of which is a cyst.
  const map = Uint8Array.from(labels.data, (v, i) => (v === 2 && i % shape[2] === 21 ? 3 : v));
  tap.same(
    [2, 3].map((label) => map.filter((v) => v === label).length),
    [6, 1],
  );
  await labels.like(map).write(file);
  const preset: Preset = {
    ...(presets.class as Preset),
    grid: { shape: [8, 8, 8], spacing: [6, 6, 6], margin: 2 },
  };
  const sampler = await folderSampler(preset, root, { device: d });
  const seen = Array.from({ length: sampler.validationCount as number }, async (_, k) => {
    const { image, target } = sampler.validation(d, k);
    const values = (await image.data()) as Float32Array;
    return [await target.item(), values.filter((v, i) => i % 2 === 1 && v === 1).length];
  });
  // Eight samples of 6 mm to a voxel of 12 mm: each has its own voxels in its contour, not the other's.
  tap.same(await Promise.all(seen), [
    [2, 6 * 8],
    [1, 8],
  ]);
});

t.test('nnU-Net layout: two phases are two channels', async (tap) => {
  const root = await nnunet(tap.testdir(), 2);
  const preset: Preset = { ...withChannels(kidney, 2, 4), task: 'one-stage' };
  const sampler = await folderSampler(preset, root, { device: d });
  const { image, target } = sampler.validation(d, 1);
  tap.same(image.shape, [1, 16, 16, 24, 2]);
  const [values, truth] = [await image.data(), await target.data()];
  const seen = new Map<number, number>();
  truth.forEach((label, i) => {
    seen.set(label, Math.max(seen.get(label) ?? -1, i % 24));
  });
  tap.same([...seen.keys()].sort(), [0, 1, 2, 3], 'left, right and mass');
  tap.ok((seen.get(1) as number) > (seen.get(2) as number), 'the left kidney at higher w');
  // Tissue of 41 HU in CMP and of 101 in NP.
  const late = Array.from(truth, (label, i) =>
    label === 0 && Math.abs((values[2 * i] as number) - 1 / 200) < 1e-3
      ? (values[2 * i + 1] as number)
      : null,
  ).filter((v) => v !== null);
  tap.ok(late.length > 200, `${late.length} voxels of plain tissue`);
  tap.ok(
    late.every((v) => Math.abs(v - 61 / 200) < 2e-3),
    'the second phase',
  );
  const one = await nnunet(join(root, 'v1'), 1, {
    channel_names: undefined,
    modality: { 0: 'CT', 1: 'CT' },
    labels: { 0: 'background', 1: 'Left kidney', 2: 'kidney_right', 3: 'AML' },
  });
  const { meanings, channels, problems } = await findDataSet(one);
  tap.same(
    [...meanings],
    [
      [1, 1],
      [2, 2],
      [3, 3],
    ],
  );
  tap.same([channels, problems], [['CT', 'CT'], []]);
});

t.test('the rim is as wide as augmentation shifts', async (tap) => {
  const of = (name: string, change: Partial<Preset> = {}) =>
    rimOf({ ...(presets[name] as Preset), ...change });
  // 0.1 of 128 voxels are 12.8; turning would reach further, up to an eighth of the box counts.
  tap.same(of('paper-mass'), [16, 16, 16]);
  tap.same(of('paper-classifier'), [16, 16, 16]);
  tap.same(of('paper-kidney'), [4, 16, 16], 'a body is as long as its CT');
  tap.same(of('nnunet'), [4, 4, 4], 'patches lie in the whole CT');
  const shift = (share: number) => ({ translation: { range: [-share, share] as const } });
  tap.same(of('paper-mass', { augmentation: shift(0.1) }), [13, 13, 13]);
  tap.same(of('paper-mass', { augmentation: shift(0.25) }), [32, 32, 32], 'shifts count whole');
  tap.same(of('paper-mass', { augmentation: {} }), [4, 4, 4]);
  const turned = { rotation: { range: [0, 5] as const } };
  const [rim] = of('paper-mass', { augmentation: turned });
  tap.ok(rim > 4 && rim <= 16, `${rim} voxels for 5 degrees`);

  // A CT without air: shifted as far as can be, a crop shows none.
  const root = await kits(tap.testdir(), 1);
  const { ct, labels } = patient({ left: 1, right: 1, mass: 0 });
  await labels.write(join(root, 'case_00000', 'segmentation.nii.gz'));
  await ct
    .like(Int16Array.from(ct.data, (v) => (v < -500 ? 40 : v)))
    .write(join(root, 'case_00000', 'imaging.nii.gz'));
  for (const share of [0.1, -0.1]) {
    const preset: Preset = {
      ...withChannels(presets.mass as Preset, 2, 3),
      grid: { shape: [48, 48, 48], spacing: [2, 2, 2], margin: 8 },
      augmentation: { translation: { range: [share, share] } },
    };
    const sampler = await folderSampler(preset, root, { device: d });
    for (let seed = 0; seed < 3; seed++) {
      const values = (await sampler.training(d, seed).image.data()) as Float32Array;
      const least = values.filter((_, i) => i % 2 === 0).reduce((a, b) => Math.min(a, b), 1);
      // A ball of 0 HU is the darkest thing in it: -0.2.
      tap.ok(least > -0.21, `at least ${least} with a shift of ${share}`);
    }
  }
});

t.test('kidney samples are what the pipeline shows its network', async (tap) => {
  const root = await kits(tap.testdir(), 1);
  const { ct, labels } = patient({ left: 1, right: 1, mass: 2 });
  // Grain finer than the network's voxels, which a sample between two voxels would take for tissue.
  const next = generator(5);
  const grainy = ct.like(Int16Array.from(ct.data, (v) => v + Math.floor(200 * next()) - 100));
  await grainy.write(join(root, 'case_00000', 'imaging.nii.gz'));
  const preset: Preset = {
    ...kidney,
    grid: { shape: [8, 12, 16], spacing: [30, 30, 30] },
  };
  const box = fixedGrid({ ...preset.grid, centre: bodyCentre(grainy) });
  // As findKidneys resamples.
  const seen = (prefilter: 'box' | 'none') =>
    ops
      .resample(d.tensor(grainy.values(), { shape: [1, ...shape, 1] }), {
        ...{ size: preset.grid.shape, affine: gridToVolume(box, grainy) },
        ...{ outside: -1, window: preset.window, prefilter },
      })
      .data();
  const [shown, unlike] = [await seen('box'), await seen('none')];
  tap.ok(relativeRms(unlike, shown) > 0.02, 'it matters');
  for (const task of ['kidney', 'one-stage'] as const) {
    const own = { ...withChannels(preset, 1, task === 'kidney' ? 2 : 3), task };
    const sampler = await folderSampler(own, root, { device: d });
    agrees(tap, await sampler.validation(d, 0).image.data(), shown, 1e-5, task);
  }
  // A gantry that was tilted: sampled without averages.
  const tilted = [...ct.affine];
  tilted[9] = 1;
  const bent = (volume: Volume) => new Volume({ data: volume.data, shape, affine: tilted });
  await bent(grainy).write(join(root, 'case_00000', 'imaging.nii.gz'));
  await bent(labels).write(join(root, 'case_00000', 'segmentation.nii.gz'));
  const sampler = await folderSampler(preset, root, { device: d });
  const values = (await sampler.validation(d, 0).image.data()) as Float32Array;
  tap.ok(
    values.some((v) => v > 0.3),
    'kidneys are there',
  );
});

t.test('patches lie anywhere, a share of them round a label', async (tap) => {
  const root = await kits(tap.testdir(), 1);
  const preset: Preset = {
    ...withChannels(kidney, 1, 2),
    grid: { shape: [4, 4, 4], spacing: [12, 12, 12] },
    sampling: { kind: 'patches', foreground: 1 },
    augmentation: {},
  };
  const share = async (foreground: number) => {
    const sampling = { kind: 'patches', foreground } as const;
    const sampler = await folderSampler({ ...preset, sampling }, root, { device: d });
    let labelled = 0;
    for (let seed = 0; seed < 30; seed++)
      if ((await sampler.training(d, seed).target.data()).some((v) => v > 0)) labelled++;
    return labelled;
  };
  // Validation looks at labels, and every time at the same.
  const [sampler, again] = [
    await folderSampler(preset, root, { device: d }),
    await folderSampler(preset, root, { device: d }),
  ];
  const count = sampler.validationCount as number;
  tap.ok(count > 4, `${count} patches`);
  for (let k = 0; k < count; k++) {
    const { image, target } = sampler.validation(d, k);
    const labelled = (await target.data()).filter((v) => v > 0).length;
    tap.ok(labelled > 0, `${labelled} labelled voxels in patch ${k}`);
    sameBits(tap, await image.data(), await again.validation(d, k).image.data(), `patch ${k}`);
  }
  const [always, never] = [await share(1), await share(0)];
  tap.equal(always, 30);
  tap.ok(never < 28, `${never} of 30 by chance`);
});

t.test('validation patches cover every label', (tap) => {
  const next = generator(11);
  const whole = (low: number, high: number) => low + Math.floor(next() * (high - low + 1));
  for (let k = 0; k < 200; k++) {
    const size = [whole(1, 6), whole(1, 6), whole(1, 6)] as [number, number, number];
    const box = size.map((n) => n + whole(0, 12)) as [number, number, number];
    const labels = new Uint8Array(box[0] * box[1] * box[2]);
    for (let n = whole(0, 6); n > 0; n--) labels[whole(0, labels.length - 1)] = whole(1, 3);
    const starts = coveringPatches({ labels, shape: box }, size);
    const left = Uint8Array.from(labels);
    for (const start of starts) {
      if (start.some((n, a) => n < 0 || n + (size[a] as number) > (box[a] as number)))
        tap.fail(`${start} of ${size} in ${box}`);
      let labelled = 0;
      left.forEach((_, i) => {
        const at = [Math.floor(i / (box[1] * box[2])), Math.floor(i / box[2]) % box[1], i % box[2]];
        const inside = at.every((n, a) => {
          const from = n - (start[a] as number);
          return from >= 0 && from < (size[a] as number);
        });
        if (!inside) return;
        if (labels[i] !== 0) labelled++;
        left[i] = 0;
      });
      if (labelled === 0 && labels.some((v) => v > 0)) tap.fail('a patch without a label');
    }
    if (left.some((v) => v > 0)) tap.fail(`round ${k}: labels that no patch shows`);
    if (!labels.some((v) => v > 0)) tap.equal(starts.length, 1, 'one patch of an empty case');
  }
  tap.end();
});

t.test('splits are by patient, seeded, and whole', async (tap) => {
  const patients = Array.from({ length: 40 }, (_, k) => `p${k}`);
  const parts = splitPatients(patients, { parts: [8, 1, 1] }, 3);
  tap.same([parts.training.length, parts.validation.length, parts.test.length], [32, 4, 4]);
  tap.same([...parts.training, ...parts.validation, ...parts.test].sort(), [...patients].sort());
  tap.same(splitPatients([...patients].reverse(), { parts: [8, 1, 1] }, 3), parts, 'any order');
  tap.notSame(splitPatients(patients, { parts: [8, 1, 1] }, 4), parts);
  const folds = [0, 1, 2].map((fold) => splitPatients(patients, { folds: 3, fold }, 3));
  tap.same(folds.flatMap((f) => f.validation).sort(), [...patients].sort(), 'each validates once');
  for (const f of folds) tap.notOk(f.training.some((name) => f.validation.includes(name)));
  tap.same(splitPatients(['a', 'b'], { parts: [8, 1, 1] }, 1).validation, [], 'too few');
  for (const split of [
    { folds: 1, fold: 0 },
    { folds: 3, fold: 3 },
    { folds: 99, fold: 0 },
  ])
    tap.throws(() => splitPatients(patients, split, 1), { code: 'InvalidArgument' });
  tap.throws(() => splitPatients(patients, { parts: [0, 1, 1] }, 1), { code: 'InvalidArgument' });

  // Folds that were asked for are held out of few patients, too.
  const few = ['a', 'b', 'c', 'd'];
  const four = [0, 1, 2, 3].map((fold) => splitPatients(few, { folds: 4, fold }, 1));
  tap.same(four.flatMap((f) => f.validation).sort(), few);
  for (const f of four) tap.same([...f.training, ...f.validation].sort(), few);
  for (const split of [
    { folds: 9, fold: 0 },
    { folds: 2, fold: 77 },
  ])
    tap.throws(() => splitPatients(few, split, 1), {
      ...{ code: 'InvalidArgument', message: /2 to 4 folds .*: the data set has 4 patients/ },
      details: { ...split, patients: 4 },
    });
  tap.throws(() => splitPatients(['a'], { folds: 2, fold: 0 }, 1), {
    message: /at least two patients .*: the data set has 1 patient$/,
  });
  tap.throws(() => splitPatients(few, { parts: [0, 1, 1] }, 1), { code: 'InvalidArgument' });

  const root = await kits(tap.testdir(), 12);
  const manifest = join(root, 'cases.csv');
  const rows = Array.from(
    { length: 12 },
    (_, k) => `case_${String(k).padStart(5, '0')},P${k >> 1}`,
  );
  await writeFile(manifest, `case,patient\n${rows.join('\n')}\n`);
  const { cases } = await folderSampler(kidney, root, { device: d, manifest });
  const of = (names: readonly string[] = []) =>
    new Set(names.map((name) => Math.floor(Number(name.slice(5)) / 2)));
  const [training, validation, test] = [cases?.training, cases?.validation, cases?.test].map(of);
  tap.same([training?.size, validation?.size, test?.size], [4, 1, 1]);
  tap.notOk([...(training ?? [])].some((p) => validation?.has(p) || test?.has(p)));
  const bad = join(root, 'bad.csv');
  await writeFile(bad, 'case,patient\na,1\na,2\nb\n');
  await tap.rejects(readPatients(bad), {
    message: /line 3: a is there twice; line 4 has 1 fields/,
  });
  await writeFile(bad, 'id,patient\n');
  await tap.rejects(readPatients(bad), { message: /expected the columns case and patient/ });
  await tap.rejects(readPatients(join(root, 'none.csv')), { code: 'FileNotFound' });
});

t.test('the cache gives the same samples, mends itself and stays small', async (tap) => {
  const root = await kits(tap.testdir({ cache: {} }), 3);
  const cache = { folder: join(root, 'cache') };
  const drawn = async (options = {}) => {
    const sampler = await folderSampler(kidney, root, { device: d, ...options });
    const samples = [sampler.training(d, 5), sampler.validation(d, 2)];
    const images = await Promise.all(samples.map(({ image }) => image.data()));
    return Float32Array.from(images.flatMap((image) => Array.from(image)));
  };
  const plain = await drawn();
  sameBits(tap, await drawn({ cache }), plain, 'the run that fills it');
  const files = (await readdir(cache.folder)).sort();
  tap.equal(files.length, 3);
  const first = join(cache.folder, files[0] as string);
  const { mtimeMs } = await stat(first);
  await utimes(first, 1, 1);
  sameBits(tap, await drawn({ cache }), plain, 'the run that reads it');
  tap.ok((await stat(first)).mtimeMs >= mtimeMs, 'what is read counts as used');
  const bytes = await readFile(first);
  bytes[bytes.length - 1] = (bytes[bytes.length - 1] as number) ^ 1;
  await writeFile(first, bytes);
  sameBits(tap, await drawn({ cache }), plain, 'a damaged file is made again');
  sameBits(tap, await drawn({ cache, memory: 0 }), plain, 'voxels that stay in the cache');
  // Three cases of 24^2 x 32 voxels with their rims, five bytes each.
  const bytes3 = 3 * 24 * 24 * 32 * 5;
  await folderSampler(kidney, root, { device: d, memory: bytes3 });
  await tap.rejects(folderSampler(kidney, root, { device: d, memory: bytes3 - 1 }), {
    code: 'InvalidArgument',
    message: /take 0.000276 GB of memory, more than 0.000276 GB: choose a cache/,
    details: { bytes: bytes3 },
  });
  const lazy = await folderSampler(kidney, root, { device: d, cache, memory: 0 });
  for (const name of files) await rename(join(cache.folder, name), join(root, name));
  tap.throws(() => lazy.training(d, 5), { code: 'InvalidFile', message: /lost/ });
  for (const name of files) await rename(join(root, name), join(cache.folder, name));
  // A cache that is too small for what memory does not hold is refused before anything is drawn, with what it would take.
  const small = join(root, 'small');
  const drawAll = async (bytes: number, memory: number) => {
    await rm(small, { recursive: true, force: true });
    const sampler = await folderSampler(kidney, root, {
      ...{ device: d, memory, cache: { folder: small, bytes } },
    });
    for (let k = 0; k < 3; k++) await sampler.validation(d, k).image.data();
  };
  const sizes = await Promise.all(files.map(async (name) => stat(join(cache.folder, name))));
  const needed = sizes.reduce((sum, { size }) => sum + size, 0);
  await drawAll(needed, 0);
  await tap.rejects(drawAll(needed - 1, 0), {
    code: 'InvalidArgument',
    message: /0 GB of memory do not hold take 0.00\d+ GB of the cache, more than 0.00/,
    details: { bytes: needed, cache: needed - 1, memory: 0 },
  });
  await tap.rejects(drawAll(1, 0), { code: 'InvalidArgument', details: { bytes: needed } });
  const written = await readdir(small);
  tap.equal(written.length, 1, 'and no more is written than the first');
  // Two of three in the cache, one in memory.
  await drawAll(Math.ceil((2 / 3) * needed), bytes3 / 3);
  await tap.rejects(drawAll(Math.floor((2 / 3) * needed) - 9, bytes3 / 3), {
    code: 'InvalidArgument',
    details: { cache: Number },
  });
  // Another window is another recipe, other bytes are another case.
  const other = { ...kidney, window: { ...kidney.window, level: 0 } };
  await folderSampler(other, root, { device: d, cache });
  tap.equal((await readdir(cache.folder)).length, 6);
  const from = join(root, 'case_00001', 'imaging.nii.gz');
  // The same bytes under another name are the same case.
  await copyFile(from, join(root, 'case_00002', 'imaging.nii.gz'));
  await drawn({ cache });
  tap.equal((await readdir(cache.folder)).length, 6);
  await patient({ left: 1, right: 1, mass: 2 }, 90).ct.write(
    join(root, 'case_00002', 'imaging.nii.gz'),
  );
  tap.notSame(Array.from(await drawn({ cache })), Array.from(plain));
  tap.equal((await readdir(cache.folder)).length, 7);
  const { size } = await stat(first);
  await rm(join(root, 'case_00002'), { recursive: true });
  await folderSampler({ ...other, window: { ...other.window, level: 1 } }, root, {
    ...{ device: d, cache: { ...cache, bytes: 2.5 * size } },
  });
  tap.equal((await readdir(cache.folder)).length, 2, 'the longest unused went');
  const broken = { name: 'x', images: [join(root, 'none')], labels: from };
  tap.equal(await fileHashes(broken), undefined);
});

t.test('checks list every problem before the first sample', async (tap) => {
  const root = await nnunet(tap.testdir(), 5, {
    numTraining: 7,
    labels: { background: 0, kidney: 1, liver: 2, cyst: 3, whole: [1, 3] },
  });
  const at = (folder: string, name: string) => join(root, folder, `${name}.nii.gz`);
  const { ct, labels } = patient({ left: 1, right: 1, mass: 3 });
  await rm(at('imagesTr', 'p0_0001'));
  const empty = labels.like(new Uint8Array(labels.data.length));
  await empty.write(at('labelsTr', 'p1'));
  const flat = new Volume({
    data: new Float32Array(ct.data.length).fill(0.5),
    shape,
    affine: ct.affine,
  });
  await flat.write(at('imagesTr', 'p2_0000'));
  const tiny = [...ct.affine].map((v) => v / 1000);
  await new Volume({ data: ct.data, shape, affine: tiny }).write(at('imagesTr', 'p3_0001'));
  await labels
    .like(Uint8Array.from(labels.data, (v, i) => (v === 0 ? 0 : 7 + (i % 3))))
    .write(at('labelsTr', 'p4'));
  const error = await checkFolder(withChannels(kidney, 1, 2), root, {}).then(
    () => ({ message: 'none' }),
    (e: Error) => e,
  );
  for (const wanted of [
    /numTraining 7, 5 are there/,
    /label "liver" is none of/,
    /label "whole" is \[1,3\]/,
    /2 channels \(CMP, NP\), the preset kidney 1/,
    /p0: .*p0_0001.nii.gz/,
    /p1: p1.nii.gz is empty/,
    /p2: p2_0000.nii.gz spans 0.5 to 0.5/,
    /p3: p3_0001.nii.gz has voxels of 0.012/,
    /p3: p3_0000.nii.gz .* p3_0001.nii.gz .* same grid/,
    /p4: p4.nii.gz holds 7, 8, 9, expected/,
  ])
    tap.match(error.message, wanted);
  const sound = await kits(join(root, 'kits'), 2);
  await empty.write(join(sound, 'case_00000', 'segmentation.nii.gz'));
  await tap.rejects(checkFolder(kidney, sound, {}), { message: /^1 problems/ });
  tap.equal((await checkFolder(kidney, sound, { allowEmpty: true })).cases.length, 2);
  // A cache that was filled while empty cases were allowed does not hide them.
  const cache = { folder: join(root, 'cache') };
  for (const preset of [kidney, { ...withChannels(presets.mass as Preset, 2, 3), grid }]) {
    const options = { device: d, cache };
    await folderSampler(preset, sound, { ...options, allowEmpty: true });
    await tap.rejects(folderSampler(preset, sound, options), {
      code: 'InvalidFile',
      message: /^1 problems .*\n {2}case_00000: segmentation.nii.gz is empty/,
    });
    await folderSampler(preset, sound, { ...options, allowEmpty: true });
  }
  const manifest = join(root, 'cases.csv');
  await writeFile(manifest, 'case,patient\ncase_00000,A\ncase_0001,A\ncase_00001x,B\n');
  const listed = {
    code: 'InvalidFile',
    message: /^2 problems.*\n.*cases.csv names case_0001, .*\n.*cases.csv names case_00001x, which/,
  };
  const options = { manifest, allowEmpty: true };
  await tap.rejects(checkFolder(kidney, sound, options), listed);
  await tap.rejects(folderSampler(kidney, sound, { ...options, device: d }), listed);
});
