// What an evaluation refuses to do, and what it does with a warning: outputs that are inputs, runs at once, maps under the wrong scheme.
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import {
  type CohortOptions,
  compareSystems,
  evaluateCohort,
  evaluateLesions,
  LESION_COLUMNS,
  parseScheme,
  SCHEMES,
} from 'renvox/evaluate';
import { Volume } from 'renvox/volume';
import t from 'tap';
import { evaluateCommand } from '#lib/cli/evaluate.js';
import { AFFINE, type Box, folders, LEFT, labelMap, RIGHT, SHAPE } from './boxes.js';

const MASS: Box = [4, 8, 6, 10, 29, 33];
const KITS: [number, Box][] = [
  [1, LEFT],
  [1, RIGHT],
  [2, MASS],
];

/** One case in the folders of truth and prediction, and what evaluates it. */
async function oneCase(root: string, prediction: [number, Box][] = KITS) {
  await labelMap(KITS).write(join(root, 'truth', 'a.nii.gz'));
  await labelMap(prediction).write(join(root, 'prediction', 'a.nii.gz'));
  const options = {
    ...{ truth: join(root, 'truth'), prediction: join(root, 'prediction') },
    ...{ labels: SCHEMES.kits, replicates: 5, pictures: 0 },
  };
  const run = (out: string, more: object = {}) =>
    evaluateCohort(join(root, out), { ...options, ...more });
  return { options, run };
}

t.test('an output that would be written over something else is refused', async (t) =>
  folders(async (root) => {
    const { run } = await oneCase(root);
    const refused = (promise: Promise<unknown>, message: RegExp) =>
      t.rejects(promise, { code: 'InvalidArgument', message });
    await refused(run('truth'), /another folder than that of the input .*truth/);
    const { summary } = await run('out');
    t.same(await readdir(join(root, 'out', 'cases')), ['a.json']);
    t.notOk((await readdir(join(root, 'out'))).includes('.renvox-lock'));
    const recall = summary.figures['detection.overall.recall'];
    t.same(recall, { value: 1, low: null, high: null, n: 1 }, 'of one patient no interval');
    const file = join(root, 'out', 'lesions.csv');
    const lesions = await readFile(file, 'utf8');
    await refused(evaluateLesions(file, join(root, 'out')), /would be written over/);
    await mkdir(join(root, 'own'));
    await writeFile(join(root, 'own', 'lesions.csv'), lesions);
    await refused(
      evaluateLesions(join(root, 'own', 'lesions.csv'), join(root, 'own')),
      /the input .*lesions\.csv/,
    );
    await evaluateLesions(file, join(root, 'again'), { replicates: 5 });
    await refused(run('again'), /another kind \(these would be of label maps\).*of lesions/);
    await refused(
      evaluateLesions(join(root, 'own', 'lesions.csv'), join(root, 'out')),
      /with results of label maps/,
    );
    await run('other');
    const [a, b] = [join(root, 'out'), join(root, 'other')];
    await refused(compareSystems(a, b, a), /the input .*out/);
    await refused(compareSystems(a, b, join(root, 'again')), /results of lesions/);
    // A run that was stopped before its summary has a journal.
    await mkdir(join(root, 'stopped', 'cases'), { recursive: true });
    await writeFile(join(root, 'stopped', 'cases', 'a.json'), '{}');
    await refused(compareSystems(a, b, join(root, 'stopped')), /results of label maps/);
    await writeFile(join(root, 'file'), '');
    await t.rejects(run('file/out'), { code: 'WriteFailed' });
  }),
);

t.test('one run at a time has the folder; the lock of one that is gone does not count', async (t) =>
  folders(async (root) => {
    const { run } = await oneCase(root);
    const both = await Promise.allSettled([run('out'), run('out')]);
    const refused = both.filter((own) => own.status === 'rejected');
    t.equal(refused.length, 1);
    t.match(refused[0]?.reason, {
      code: 'InvalidArgument',
      message: new RegExp(`process ${process.pid} on `),
    });
    const lock = join(root, 'out', '.renvox-lock');
    for (const left of ['', JSON.stringify({ pid: process.pid, host: hostname() })]) {
      await writeFile(lock, left);
      if (left === '') {
        await t.rejects(run('out', { resume: true }), { code: 'InvalidArgument' }, 'being written');
        continue;
      }
      await run('out', { resume: true });
    }
    await writeFile(lock, JSON.stringify({ pid: process.pid, host: `not-${hostname()}` }));
    await t.rejects(run('out', { resume: true }), { message: /delete .*renvox-lock/ });
  }),
);

t.test('two label maps in the folder of one case', async (t) =>
  folders(async (root) => {
    const { run } = await oneCase(root);
    await mkdir(join(root, 'prediction', 'b'));
    for (const name of ['labels.nii.gz', 'segmentation.nii'])
      await labelMap(KITS).write(join(root, 'prediction', 'b', name));
    await t.rejects(run('out'), {
      code: 'InvalidFile',
      message: /case b has 2 label maps: .*labels.nii.gz and .*segmentation.nii/,
    });
  }),
);

t.test('warnings', async (t) =>
  folders(async (root) => {
    const { run } = await oneCase(root);
    for (const folder of ['images', 'empty']) await mkdir(join(root, folder));
    const hu = new Int16Array(SHAPE[0] * SHAPE[1] * SHAPE[2]);
    const moved = AFFINE.map((v, i) => (i === 3 ? v + 7 : v));
    await new Volume({ data: hu, shape: SHAPE, affine: moved }).write(
      join(root, 'images', 'a.nii.gz'),
    );
    t.same((await run('out')).warnings, []);
    const images = join(root, 'images');
    const { warnings, summary, tables } = await run('grid', {
      ...{ images, onTruth: join(root, 'empty') },
    });
    t.match(warnings, [
      { case: null, text: /^1 of 1 cases have no label map on true contours in .*empty: a$/ },
      {
        case: 'a',
        text: /the truth affines differ: corners lie 7\.00 mm apart \(limit 0\.01 mm\)/,
      },
    ]);
    t.same(summary.settings.warnings, warnings);
    t.same(
      tables.find(({ id }) => id === 'cases')?.rows.map((row) => row.slice(0, 2)),
      [
        ['all', 'warning'],
        ['a', 'warning'],
      ],
    );
    // Labels of KiTS under the scheme of renvox: 1 would be the left kidney alone.
    const { labels: _, ...others } = (await oneCase(root)).options;
    const wrong = await evaluateCohort(join(root, 'wrong'), others);
    t.match(
      wrong.warnings.map(({ text }) => text),
      [
        /truth.*a\.nii\.gz: 5\d % of label 1, the left kidney, lies on the other side/,
        ...[/truth.*label 2, the right/, /prediction.*label 1/, /prediction.*label 2/],
      ],
    );
    const sides = wrong.tables.find(({ id }) => id === 'segmentation');
    t.notMatch(sides?.note, 'mid-plane', 'labels name the sides');
  }),
);

t.test('values that are ignored are background', async (t) =>
  folders(async (root) => {
    const { run } = await oneCase(root, [...KITS, [9, [12, 14, 0, 4, 0, 4]]]);
    const { failed } = await run('refused');
    t.match(failed[0]?.reason, /9 \(32 voxels\)/);
    const meanings = { ...Object.fromEntries(SCHEMES.kits), 9: { structure: 'ignore' } };
    const labels = parseScheme(meanings);
    for (const protocol of ['renvox', 'kits23']) {
      const { summary, failed: none } = await run(protocol, { labels, protocol });
      t.same(none, []);
      t.equal(summary.figures['segmentation.kidney.right.dice.mean']?.value, 1);
      t.equal(summary.figures['detection.overall.precision']?.value, 1);
    }
    t.throws(() => parseScheme({ 9: { structure: 'ignore', side: 'left' } }), {
      code: 'InvalidArgument',
    });
    t.throws(() => parseScheme({ 1: null }), { message: /an object .* labels\["1"\].*null/ });
  }),
);

t.test('options that are wrong', async (t) =>
  folders(async (root) => {
    const { options, run } = await oneCase(root);
    const wrong: [object, RegExp][] = [
      [{ label: SCHEMES.kits }, /one of truth, .* received label$/],
      [{ labels: 'kits' }, /a Map by label value.*labels.*kits/],
      [{ labels: new Map([[1, { structure: 'liver' }]]) }, /kidney or mass or ignore/],
      [{ seed: 1.5 }, /seed/],
      [{ replicates: 0 }, /replicates/],
      [{ truth: undefined }, /a path for parameter truth/],
    ];
    for (const [more, message] of wrong)
      await t.rejects(run('out', more), { code: 'InvalidArgument', message });
    const none = undefined as unknown as CohortOptions;
    await t.rejects(evaluateCohort(root, none), { code: 'InvalidArgument' });
    const command = (more: object) => evaluateCommand({ out: join(root, 'out'), ...more });
    await t.rejects(evaluateCommand({}), { message: /nothing to evaluate/ });
    await t.rejects(evaluateCommand({ lesions: 'x' }), { message: /--out is missing/ });
    await t.rejects(command({ lesions: 'x', iou: 0.5 }), { message: /--iou .* does nothing/ });
    const scheme = join(root, 'labels.json');
    await writeFile(scheme, '{"1": null}');
    const { truth, prediction } = options;
    await t.rejects(command({ truth, prediction, labels: scheme }), {
      code: 'InvalidFile',
      message: /labels\.json is no label scheme/,
    });
    const more = { iou: 0.5, seed: 7, replicates: 3, pictures: 0, json: true };
    const { text } = await command({ truth, prediction, labels: 'kits', ...more });
    const { settings } = JSON.parse(text);
    t.match(settings, { iou: 0.5, pictures: 0, bootstrap: { seed: 7, replicates: 3 } });
    const about = await readFile(join(root, 'out', 'tables.md'), 'utf8');
    t.match(about, /- labels: 1 kidney, 2 mass solid, 3 mass cystic\n- iou: 0.5\n/);
    t.notMatch(about, /\| case \| status \|/, 'no table of failed cases without any');
    const manifest = join(root, 'cases.csv');
    await writeFile(manifest, 'Case;Patient\na;b\n');
    await t.rejects(run('later', { manifest }), {
      message: /case are missing; found Case;Patient \(semicolons between/,
    });
    await mkdir(join(root, 'kits', 'case_1', 'instances'), { recursive: true });
    await labelMap(KITS).write(
      join(root, 'kits', 'case_1', 'instances', 'kidney_instance-1_annotation-1.nii.gz'),
    );
    const instances = { truth: join(root, 'kits'), protocol: 'kits23' };
    await t.rejects(run('later', instances), { message: /instances alone: case_1.*kits21/ });
  }),
);

t.test('systems whose cases are of other patients are not compared', async (t) =>
  folders(async (root) => {
    const { run } = await oneCase(root);
    for (const folder of ['truth', 'prediction'])
      await labelMap(KITS).write(join(root, folder, 'b.nii.gz'));
    const manifest = join(root, 'cases.csv');
    await writeFile(manifest, 'case,patient\na,p\nb,p\n');
    await run('one');
    await run('two', { manifest });
    const out = join(root, 'out');
    await t.rejects(compareSystems(join(root, 'one'), join(root, 'two'), out), {
      code: 'InvalidArgument',
      message: /a and b of one patient in .*two, of two in .*one/,
    });
    await writeFile(manifest, 'case,patient\na,x\nb,y\n');
    await run('two', { manifest, resume: true });
    const { summary } = await compareSystems(join(root, 'one'), join(root, 'two'), out, {
      replicates: 5,
    });
    t.equal(summary.settings.cases, 2, 'other names of the same patients are no matter');
    const lesions = join(root, 'lesions.csv');
    await writeFile(lesions, `${LESION_COLUMNS.join(',')}\na,p,,FN,,,,,,,\na,q,,FN,,,,,,,\n`);
    await t.rejects(evaluateLesions(lesions, join(root, 'lesions')), {
      message: /line 3: case a is of patient q here and p before/,
    });
  }),
);
