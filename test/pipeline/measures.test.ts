// What is measured of each mass beside its shape: HU, a second phase, Grad-CAM.
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type AnalyzeOptions,
  analyze,
  type Device,
  device,
  type Finding,
  readVolume,
  Volume,
} from 'renvox';
import { ResNet3D } from 'renvox/nn';
import { type Phantom, phantom } from 'renvox/phantom';
import {
  type CascadeNetworks,
  loadCascade,
  makeReport,
  reportText,
  writeFinding,
} from 'renvox/pipeline';
import { fixedGrid, reorient } from 'renvox/volume';
import t, { type Test } from 'tap';
import { warningsOf } from '#lib/pipeline/warnings.js';

let cpu: Device;
let networks: CascadeNetworks;
let p: Phantom;
let plain: Finding;

t.before(async () => {
  cpu = device('cpu');
  networks = await loadCascade(cpu);
  const grid = fixedGrid({ shape: [90, 96, 128], spacing: [3, 3, 3], centre: [0, 0, 0] });
  p = await phantom(31000025, { device: cpu, grid });
  plain = await analyze(p.ct, { device: cpu, weights: networks });
});
t.teardown(() => {
  networks.dispose();
  cpu.dispose();
});

/** Compares large arrays quickly. */
function sameValues(t: Test, a: ArrayBufferView, b: ArrayBufferView, what: string): void {
  const bytes = (x: ArrayBufferView) => Buffer.from(x.buffer, x.byteOffset, x.byteLength);
  t.ok(bytes(a).equals(bytes(b)), what);
}

/** Values of an image where the label map says a mass. */
function inMass(values: ArrayLike<number>, labels: ArrayLike<number>): number[] {
  return Array.from(values).filter((_, i) => (labels[i] as number) >= 3);
}

t.test('HU of a mass are those of its voxels', async (t) => {
  const { masses, labels } = plain;
  t.equal(masses.length, 1, 'this phantom: one mass is found, so the labels are its voxels');
  const own = masses[0]?.intensities;
  const values = inMass(p.ct.data, labels.data);
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  t.equal(own?.voxels, values.length);
  t.ok(Math.abs((own?.mean ?? 0) - mean) < 1e-9);
  t.equal(own?.fatFraction, values.filter((v) => v < -20).length / values.length);
  t.equal(own?.calcifiedFraction, values.filter((v) => v > 130).length / values.length);
  const core = masses[0]?.coreIntensities;
  t.ok(
    core && core.voxels > 0 && core.voxels < values.length,
    `${core?.voxels} without the border`,
  );
  t.same(masses[0]?.enhancement, null, 'one phase');
});

t.test('a second phase: same grid, another one, and one that does not reach', async (t) => {
  // 45 HU more in the whole body, and noise of the files' rounding alone.
  const data = Int16Array.from(p.ct.data as Int16Array, (v) => v + 45);
  const later = new Volume({ data, shape: p.ct.shape, affine: p.ct.affine });
  const run = (name: 'np' | 'cmp' | 'unenhanced', ct: Volume) =>
    analyze(p.ct, { device: cpu, weights: networks, phase: { name, ct } });
  const np = await run('np', later);
  const [mass] = np.masses;
  sameValues(t, np.labels.data, plain.labels.data, 'what is found does not change');
  t.equal(mass?.class, plain.masses[0]?.class, 'nor what the network calls it');
  t.match(mass?.enhancement, { mean: 45, sd: 0, p5: 45, p95: 45, enhancingFraction: 1 });
  t.ok(Math.abs((mass?.phaseIntensities?.mean ?? 0) - (mass?.intensities.mean ?? 0) - 45) < 1e-9);
  t.match(mass?.secondOpinion, { class: 'solid', because: /25 % line of Bosniak 2019/ });
  const earlier = await run('unenhanced', later);
  t.match(earlier.masses[0]?.enhancement, { mean: -45, enhancingFraction: 0, oppositeFraction: 1 });
  t.match(earlier.masses[0]?.secondOpinion, { class: null, because: /darker with contrast/ });
  const washout = await run('cmp', later);
  t.match(washout.masses[0]?.enhancement, { mean: -45, enhancingFraction: 1, oppositeFraction: 0 });

  const turned = await run('np', reorient(later, 'IPL'));
  t.ok(
    Math.abs((turned.masses[0]?.enhancement?.mean ?? 0) - 45) < 1e-3,
    'resampled by the affines',
  );
  t.equal(turned.masses[0]?.enhancement?.voxels, mass?.voxels);

  const [, h, w] = p.ct.shape;
  const slab = new Volume({
    data: data.slice(0, 20 * h * w),
    shape: [20, h, w],
    affine: p.ct.affine,
  });
  const beside = await run('np', slab);
  t.same([beside.masses[0]?.enhancement, beside.masses[0]?.coreEnhancement], [null, null]);

  const report = makeReport(p.ct, np, { version: '0', commit: null });
  t.match(report.phase, { name: 'np' });
  t.match(report.masses[0], {
    hu: { voxels: mass?.voxels, p5: Number, p95: Number, fat_fraction: Number },
    enhancement: { mean: 45, enhancing_fraction: 1, opposite_fraction: 0 },
    second_opinion: { class: 'solid', agrees: mass?.class === 'solid', judged: 'core' },
  });
  if (mass?.class !== 'solid') t.match(reportText(report), /by the rule on HU it would be solid/);
  const name = 'early' as 'np';
  await t.rejects(analyze(p.ct, { device: cpu, weights: networks, phase: { name, ct: later } }), {
    code: 'InvalidArgument',
  });
});

t.test('the phase of the CT itself, a patient elsewhere, a label map as phase', async (t) => {
  const shifted = (by: number) => {
    const data = Int16Array.from(p.ct.data as Int16Array, (v) => v + by);
    return new Volume({ data, shape: p.ct.shape, affine: p.ct.affine });
  };
  // Lifted above fluid, so that one phase cannot tell.
  const ct = shifted(12);
  const other = shifted(17);
  const run = (options: AnalyzeOptions) =>
    analyze(ct, { device: cpu, weights: networks, ...options });
  const opinion = ({ masses: [mass] }: Finding) => mass?.secondOpinion.class;
  const np = { name: 'np', ct: other } as const;
  const blind = await run({ phase: np });
  const told = await run({ phase: np, ownPhase: 'unenhanced' });
  t.equal(blind.ownPhase, null);
  t.match(told.masses[0]?.enhancement, { mean: 5, enhancingFraction: 0 });
  const dense = (told.masses[0]?.coreIntensities.median ?? 0) > 20;
  t.ok(dense, 'the mass is above 20 HU');
  t.same([opinion(blind), opinion(told)], [null, 'cystic'], 'no enhancement over a native scan');
  const report = makeReport(ct, told, { version: '0', commit: null });
  t.match(report, { input: { phase: 'unenhanced' }, phase: { name: 'np' }, warnings: [] });
  // Whatever the two are, the later less the earlier.
  for (const [ownPhase, name, sign] of [
    ['excretory', 'np', -1],
    ['cmp', 'np', 1],
    ['np', 'cmp', -1],
    ['unenhanced', 'cmp', 1],
  ] as const) {
    const { masses } = await run({ phase: { name, ct: other }, ownPhase });
    t.equal(masses[0]?.enhancement?.mean, 5 * sign, `${name} beside ${ownPhase}`);
  }
  await t.rejects(run({ phase: np, ownPhase: 'np' }), { code: 'InvalidArgument' });
  await t.rejects(run({ ownPhase: 'late' as 'np' }), { code: 'InvalidArgument' });
  await t.rejects(run({ phase: { name: 'np', ct: plain.labels } }), {
    code: 'InvalidArgument',
    message: /a CT in HU, of values at least 100 apart for parameter phase\.ct/,
  });

  const affine = [...ct.affine];
  affine[3] = (affine[3] as number) + 2000;
  const elsewhere = await run({
    phase: { name: 'np', ct: new Volume({ data: other.data, shape: ct.shape, affine }) },
  });
  const { warnings } = elsewhere;
  t.equal(makeReport(ct, elsewhere, { version: '0', commit: null }).warnings, warnings);
  t.equal(warnings.length, 1);
  t.match(warnings[0], /no mass lies in the field of view of the second phase \(np\)/);
});

t.test('warnings of what is no CT, or shorter than a kidney', async (t) => {
  t.strictSame(plain.warnings, []);
  const warned = (ct: Volume) => warningsOf(ct, plain);
  t.strictSame(warned(p.ct), []);
  t.match(warned(p.labels), [/the values are \d HU apart, those of a CT at least 100/]);
  const [, height, width] = p.ct.shape;
  const slices = (n: number) =>
    new Volume({
      data: p.ct.data.slice(0, n * height * width),
      shape: [n, height, width],
      affine: p.ct.affine,
    });
  t.strictSame(warned(slices(27)), [], '81 mm');
  t.match(warned(slices(26)), [/covers 78 mm from head to foot, less than a kidney is long/]);
  t.match(warned(slices(1)), [/covers 3 mm/]);
  const { data, shape, affine } = p.ct;
  t.match(warned(new Volume({ data, shape, affine, affineSource: 'pixdim' })), [
    /no affine \(neither sform nor qform\)/,
  ]);
});

const sum = (values: Float32Array | Uint8Array) => {
  let total = 0;
  for (const value of values) total += value;
  return total;
};

/** The centre of gravity [d, h, w]. */
function centre(values: Float32Array | Uint8Array, [D, H, W]: readonly [number, number, number]) {
  const sums = [0, 0, 0] as [number, number, number];
  for (let d = 0, v = 0; d < D; d++)
    for (let h = 0; h < H; h++)
      for (let w = 0; w < W; w++, v++) {
        const value = values[v] as number;
        sums[0] += d * value;
        sums[1] += h * value;
        sums[2] += w * value;
      }
  return sums.map((s) => s / sum(values));
}

/** A classifier whose map is its image: one channel passed on, 0 outside of the mass. */
function passing(geometry: 'dilated' | 'strided'): ResNet3D {
  const net = new ResNet3D(
    { classes: 3, widths: [1, 1, 1, 1], geometry, hidden: 1 },
    { device: cpu },
  );
  const tensors = [...net.shapes].map(([name, shape]) => {
    const size = shape.reduce((a, b) => a * b, 1);
    const values = new Float32Array(size);
    if (/bn\d.weight|running_var|downsample.\d.weight|head.\d.weight/.test(name)) values.fill(1);
    // What is outside of the mass is -1, the bottom of the window: it becomes 0.
    if (name === 'bn1.bias') values.fill(1);
    if (name === 'conv1.weight') values[(size - 1) / 2] = 1;
    return [name, cpu.tensor(values, { shape })] as const;
  });
  net.load(new Map(tensors));
  return net;
}

t.test('Grad-CAM lies where the evidence is, on the grid of the CT', async (t) => {
  for (const [geometry, layer, least] of [
    // Voxels of 8 and of 2 mm in a mass of 24 mm: a coarse map leaks out of it.
    ['dilated', undefined, 0.2],
    ['strided', 'relu', 0.75],
  ] as const) {
    const network = passing(geometry);
    const classifier = {
      ...networks.classifier,
      ...{ network, contour: 'cut' as const, margin: undefined },
    };
    for (const ct of geometry === 'dilated' ? [p.ct, reorient(p.ct, 'SAR')] : [p.ct]) {
      const finding = await analyze(ct, {
        ...{ device: cpu, weights: { ...networks, classifier } },
        gradCam: layer ? { layer } : true,
      });
      const [mass] = finding.masses;
      const map = finding.gradCam?.map as Volume;
      t.same([map.shape, map.affine], [ct.shape, ct.affine]);
      t.equal(finding.gradCam?.layer, layer ?? 'layer4');
      const data = map.data as Float32Array;
      t.equal(
        data.reduce((a, b) => Math.max(a, b), 0),
        1,
        'scaled to 1',
      );
      const overlap = mass?.gradCam?.overlap ?? 0;
      t.ok(
        overlap > least && overlap <= 1,
        `${geometry} ${layer}: ${overlap.toFixed(2)} in the mass`,
      );
      const inside = finding.labels.data.map((l) => Number(l >= 3)) as Uint8Array;
      const within = data.map((value, v) => value * (inside[v] as number));
      const even =
        sum(inside.map((x, v) => x * +((data[v] as number) > 0))) / sum(data.map((x) => +(x > 0)));
      t.ok(overlap > 1.1 * even, `a map without a place would have ${even.toFixed(2)} there`);
      const share = sum(within) / sum(data);
      t.ok(Math.abs(share - overlap) < 0.05, `${share.toFixed(2)} of the map on the CT is`);
      // The CT's voxels are of 3 mm.
      const of = centre(data, ct.shape);
      const off = centre(inside, ct.shape).map((at, a) => 3 * (at - (of[a] as number)));
      t.ok(Math.hypot(...off) < 4, `${Math.hypot(...off).toFixed(1)} mm off its centre`);
    }
    network.dispose();
  }
});

t.test('Grad-CAM of the shipped classifier, written and taken away', async (t) => {
  const gradCam = { method: 'grad-cam++' } as const;
  // Convolutions keep their weights' packed form: what they take the first time stays with the network.
  await analyze(p.ct, { device: cpu, weights: networks, gradCam });
  await cpu.drain();
  const { live } = cpu.memory;
  const finding = await analyze(p.ct, { device: cpu, weights: networks, gradCam });
  const map = finding.gradCam?.map.data as Float32Array;
  await cpu.drain();
  t.equal(cpu.memory.live, live, 'nothing is left on the device');
  sameValues(t, finding.labels.data, plain.labels.data, 'the same labels');
  const { intensities } = finding.masses[0] ?? {};
  t.same(intensities, plain.masses[0]?.intensities);
  // 32^3 halved five times is one voxel at layer4: the last stage with four is looked at.
  t.match(finding.gradCam, { method: 'grad-cam++', layer: 'layer2', layerShape: [4, 4, 4] });
  const folder = await mkdtemp(join(tmpdir(), 'renvox-'));
  const out = join(folder, 'out');
  const report = makeReport(p.ct, finding, { version: '0', commit: null });
  t.match(report.grad_cam, { method: 'grad-cam++', layer: 'layer2', layer_shape: [4, 4, 4] });
  t.equal(report.masses[0]?.grad_cam?.overlap, finding.masses[0]?.gradCam?.overlap);
  for (let k = 0; k < 2; k++) await writeFinding(out, p.ct, finding, report);
  const files = ['gradcam.nii.gz', 'labels.nii.gz', 'preview.png', 'report.json'];
  t.same((await readdir(out)).sort(), files);
  const written = await readVolume(join(out, 'gradcam.nii.gz'));
  sameValues(t, written.data, map, 'as written');
  t.same(written.affine, p.ct.affine);
  await writeFinding(out, p.ct, plain, makeReport(p.ct, plain, { version: '0', commit: null }));
  t.notOk(existsSync(join(out, 'gradcam.nii.gz')), 'a map of an earlier analysis does not stay');
  await rm(folder, { recursive: true });
  for (const gradCam of [{ layer: 'layer9' }, { method: 'cam' as 'grad-cam' }])
    await t.rejects(analyze(p.ct, { device: cpu, weights: networks, gradCam }), {
      code: 'InvalidArgument',
    });
});
