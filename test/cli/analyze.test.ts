import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readVolume } from 'renvox';
import { phantom } from 'renvox/phantom';
import { fixedGrid, Volume } from 'renvox/volume';
import t from 'tap';
import { renvox } from './command.js';

const keys = (value: unknown) => Object.keys(value as object).sort();

t.test('analyze --json: the report on stdout, the folder whole', async (t) => {
  const folder = t.testdir();
  const input = join(folder, 'ct.nii.gz');
  const grid = fixedGrid({ shape: [70, 96, 128], spacing: [4, 3, 3], centre: [0, 0, 0] });
  const { ct } = await phantom(31000001, { grid });
  await ct.write(input);
  const out = join(folder, 'result');
  const more = ['--phase', `unenhanced=${input}`, '--grad-cam', 'grad-cam++'];
  const own = ['--own-phase', 'np'];
  const args = ['analyze', input, '--out', out, '--json', ...more];
  const { status, stdout, stderr } = renvox([...args, ...own, '--grad-cam-layer', 'layer1']);
  t.equal(status, 0, stderr);
  t.match(stderr, /\[\d\/\d\] kidneys/, 'progress goes to stderr');
  const report = JSON.parse(stdout);
  t.same(JSON.parse(readFileSync(join(out, 'report.json'), 'utf8')), report, 'the same report');
  t.match(report, {
    schema_version: 1,
    package_version: /^\d+\.\d+\.\d+/,
    input: {
      ...{ sha256: /^[0-9a-f]{64}$/, shape: [128, 96, 70], spacing_mm: [3, 3, 4] },
      phase: 'np',
    },
    device: /^(cpu|cuda)$/,
    phase: { name: 'unenhanced', sha256: /^[0-9a-f]{64}$/ },
    warnings: [],
    grad_cam: { method: 'grad-cam++', layer: 'layer1', layer_shape: [8, 8, 8] },
    timings_s: { total: Number },
    disclaimer: /not a medical device/i,
  });
  t.ok(report.commit === null || /^[0-9a-f]{40}/.test(report.commit));
  t.match(report.input.orientation, /^[LRPAIS]{3}$/);
  t.equal(report.weights.length, 3);
  for (const file of report.weights) t.match(file, { name: /./, sha256: /^[0-9a-f]{64}$/ });
  for (const side of ['left', 'right'])
    t.same(keys(report.kidneys[side]), ['centroid_lps_mm', 'volume_ml', 'voxels']);
  for (const mass of report.masses) {
    t.same(keys(mass), [
      'average_diameter_mm',
      'centroid_lps_mm',
      'class',
      'enhancement',
      'enhancement_core',
      'grad_cam',
      'hu',
      'hu_core',
      'hu_phase',
      'hu_phase_core',
      'id',
      'max_diameter_mm',
      'probabilities',
      'second_opinion',
      'side',
      'volume_ml',
      'voxels',
    ]);
    t.match(mass, { side: /^(left|right)$/, class: /^(aml|cystic|solid)$/ });
    t.same(keys(mass.probabilities), ['aml', 'cystic', 'solid']);
    t.match(mass.enhancement, { mean: 0, enhancing_fraction: 0 }, 'the CT less itself');
    t.equal(mass.hu.voxels, mass.voxels);
  }
  const labels = await readVolume(join(out, 'labels.nii.gz'));
  t.ok(labels.data instanceof Uint8Array, 'uint8');
  t.same(labels.affine, (await readVolume(input)).affine, 'on the grid of the input');
  t.ok(
    labels.data.every((v) => v <= 5),
    'labels of 0 to 5',
  );
  t.equal(labels.data.filter((v) => v === 1).length, report.kidneys.left.voxels);
  t.ok(existsSync(join(out, 'gradcam.nii.gz')));
  const png = readFileSync(join(out, 'preview.png'));
  t.same(png.subarray(0, 8), Buffer.from('89504e470d0a1a0a', 'hex'), 'preview.png is a PNG');

  t.ok(report.masses.length > 0);
  const affine = [...ct.affine];
  // Two metres to the side.
  affine[3] = (affine[3] as number) + 2000;
  const elsewhere = join(folder, 'other.nii.gz');
  await new Volume({ data: ct.data, shape: ct.shape, affine }).write(elsewhere);
  const beside = ['analyze', input, '--phase', `np=${elsewhere}`, '--quiet', '--json'];
  const warned = renvox([...beside, '--out', join(folder, 'beside')]);
  t.match(warned.stderr, /^warning: no mass lies in the field of view of the second phase \(np\)/);
  t.equal(JSON.parse(warned.stdout).warnings.length, 1);

  const plan = ['analyze', input, '--dry-run', '--json', '--out', join(folder, 'dry'), ...more];
  const dry = renvox(plan);
  t.equal(dry.status, 0, dry.stderr);
  const { memory_mb: memory, outputs } = JSON.parse(dry.stdout);
  const parts = memory.ct + memory.labels + memory.networks;
  t.ok(memory.ct > 0 && memory.total > parts, 'the memory it would take');
  t.same(outputs, ['labels.nii.gz', 'report.json', 'preview.png', 'gradcam.nii.gz']);
  t.notOk(existsSync(join(folder, 'dry')), 'a dry run writes nothing');
});

t.test('analyze of a CT without kidneys is done: exit code 0', async (t) => {
  const folder = t.testdir();
  const input = join(folder, 'air.nii.gz');
  const affine = [-2, 0, 0, 60, 0, -2, 0, 60, 0, 0, 4, 0];
  const data = new Int16Array(20 * 64 * 64).fill(-1000);
  await new Volume({ data, shape: [20, 64, 64], affine }).write(input);
  const args = ['analyze', input, '--out', join(folder, 'out'), '--json', '--quiet'];
  const { status, stdout, stderr } = renvox(args);
  t.equal(status, 0, stderr);
  t.equal(stderr.includes('[0/'), false, '--quiet: no progress');
  const nothing = { voxels: 0, volume_ml: 0, centroid_lps_mm: null };
  t.match(JSON.parse(stdout), { kidneys: { left: nothing, right: nothing } });
  t.same(JSON.parse(stdout).masses, []);
});

t.test('analyze: exit codes 2, 3 and 4, and no output folder', async (t) => {
  const folder = t.testdir();
  const out = join(folder, 'out');
  const broken = join(folder, 'broken.nii.gz');
  writeFileSync(broken, 'no NIfTI file at all');
  const sound = join(folder, 'air.nii');
  const affine = [-2, 0, 0, 0, 0, -2, 0, 0, 0, 0, 4, 0];
  await new Volume({ data: new Int16Array(8), shape: [2, 2, 2], affine }).write(sound);
  const named = join(folder, 'labels.nii.gz');
  writeFileSync(named, 'would be written over');
  const empty = join(folder, 'weights');
  mkdirSync(empty);
  const cases: [number, string[], NodeJS.ProcessEnv?][] = [
    [2, ['analyze']],
    [2, ['analyze', sound]],
    [2, ['analyze', sound, '--out', out, '--device', 'abacus']],
    [2, ['analyze', sound, '--out', out, '--phase', `late=${sound}`]],
    [2, ['analyze', sound, '--out', out, '--phase', `np=${sound}`, '--phase', `cmp=${sound}`]],
    [2, ['analyze', sound, '--out', out, '--own-phase', 'late']],
    [2, ['analyze', sound, '--out', out, '--phase', `np=${sound}`]],
    [3, ['analyze', sound, '--out', out, '--phase', `np=${broken}`]],
    [3, ['analyze', join(folder, 'missing.nii.gz'), '--out', out]],
    [3, ['analyze', broken, '--out', out, '--json']],
    [2, ['analyze', sound, '--out', '']],
    [2, ['analyze', sound, '--out', sound]],
    [2, ['analyze', sound, '--out', sound, '--dry-run']],
    [2, ['analyze', named, '--out', folder]],
    [2, ['analyze', sound, '--phase', `np=${named}`, '--out', folder]],
    // Known before the input is read.
    [1, ['analyze', broken, '--out', join(sound, 'deep', 'out')]],
    [3, ['analyze', broken, '--dry-run']],
    [3, ['analyze', sound, '--out', out, '--weights', empty]],
    [4, ['analyze', sound, '--out', out], { RENVOX_PREBUILD: folder }],
  ];
  for (const [expected, args, env] of cases) {
    const { status, stdout, stderr } = renvox(args, env);
    t.equal(status, expected, `${args.join(' ')}: ${stderr}`);
    t.equal(stdout, '', 'nothing on stdout');
    t.match(stderr, /\S/);
  }
  const left = ['air.nii', 'broken.nii.gz', 'labels.nii.gz', 'weights'];
  t.same(readdirSync(folder).sort(), left, 'nothing was written');
});
