// A cohort of small label maps with known answers; damaged and missing cases; a run that is killed and goes on.
import { spawn } from 'node:child_process';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { evaluateCohort, parseLesions, parseScheme, SCHEMES } from 'renvox/evaluate';
import t from 'tap';
import { generator } from '../ops/harness.js';
import { type Box, folders, LEFT, labelMap, RIGHT } from './boxes.js';

const [left, right] = [LEFT, RIGHT];
const TRUTH: [number, Box][] = [
  [1, right],
  [1, left],
  [2, [4, 8, 6, 10, 5, 9]],
  [3, [4, 6, 6, 8, 35, 39]],
  [3, [9, 11, 5, 7, 29, 31]],
];

t.test('figures of a cohort that can be counted by hand', async (t) =>
  folders(async (root) => {
    const truth = join(root, 'truth');
    const prediction = join(root, 'prediction');
    await labelMap(TRUTH).write(join(truth, 'case_1.nii.gz'));
    await mkdir(join(prediction, 'case_1'));
    // One mass found and called wrong, half of another found, one missed, one false; one kidney a slice short.
    await labelMap([
      [1, right],
      [1, [3, 12, 4, 14, 27, 37]],
      [3, [4, 8, 6, 10, 5, 9]],
      [3, [4, 6, 6, 8, 37, 39]],
      [2, [3, 4, 12, 14, 3, 5]],
    ]).write(join(prediction, 'case_1', 'labels.nii.gz'));
    await labelMap([[1, left]]).write(join(truth, 'case_2.nii.gz'));
    await labelMap([[1, left]]).write(join(prediction, 'case_2.nii'));
    await labelMap(TRUTH).write(join(truth, 'only_true.nii.gz'));
    await labelMap(TRUTH).write(join(truth, 'moved.nii.gz'));
    await labelMap(TRUTH, [-2, 0, 0, 41, 0, 2, 0, 0, 0, 0, 3, 0]).write(
      join(prediction, 'moved.nii.gz'),
    );
    await labelMap([[9, left]]).write(join(prediction, 'other.nii.gz'));
    await labelMap(TRUTH).write(join(truth, 'other.nii.gz'));
    await writeFile(join(truth, 'torn.nii.gz'), 'not gzip');
    await labelMap(TRUTH).write(join(prediction, 'torn.nii.gz'));
    await labelMap(TRUTH).write(join(truth, 'short.nii.gz'));
    await labelMap(TRUTH).write(join(prediction, 'short.nii.gz'));
    const whole = await readFile(join(prediction, 'short.nii.gz'));
    await writeFile(join(prediction, 'short.nii.gz'), whole.subarray(0, whole.length - 20));
    const manifest = join(root, 'cases.csv');
    await writeFile(
      manifest,
      'case,patient,sex,age\ncase_1,anna,F,61\ncase_2,bert,M,48\nother,carl,M,70\n',
    );
    const out = join(root, 'out');
    const { summary, failed, tables } = await evaluateCohort(out, {
      ...{ truth, prediction, manifest, labels: SCHEMES.kits, replicates: 100 },
    });
    t.same(
      failed.map((f) => [f.case, f.status]),
      [
        ['moved', 'failed'],
        ['only_true', 'no prediction'],
        ['other', 'failed'],
        ['short', 'failed'],
        ['torn', 'failed'],
      ],
    );
    t.match(failed[0]?.reason, /not lie on one grid.*1\.00 mm apart.*40, 0, 0 against 41, 0, 0/);
    t.match(failed[2]?.reason, /9 \(1000 voxels\)/);
    const value = (path: string) => summary.figures[path]?.value as number;
    // Kidney with its masses: the left one has the mass's part outside of the box, the prediction half of that and no first slice.
    const truthLeft = 1000 + 2 * 2 * 2;
    const predictedLeft = 900 + 2 * 2 * 2;
    t.ok(
      Math.abs(
        value('segmentation.kidney.left.dice.mean') -
          ((2 * predictedLeft) / (truthLeft + predictedLeft) + 1) / 2,
      ) < 1e-12,
    );
    t.equal(value('segmentation.kidney.right.dice.mean'), 1);
    t.equal(summary.figures['segmentation.kidney.right.dice.mean']?.n, 1);
    t.equal(value('segmentation.kidney.left.hausdorff.mean'), 1.5);
    t.same(summary.figures['segmentation.kidney.left.missed'], { value: 0, low: 0, high: 0, n: 2 });
    // Right: the found mass and the false one. Left: a half found, one missed.
    t.equal(value('segmentation.mass.right.dice.mean'), (2 * 64) / (64 + 68));
    t.equal(value('segmentation.mass.left.dice.mean'), (2 * 8) / (16 + 8 + 8));
    t.equal(value('detection.left.recall'), 1 / 2);
    t.equal(value('detection.right.precision'), 1 / 2);
    t.equal(value('classification.overall.accuracy'), 1 / 2);
    t.equal(value('end_to_end.overall.accuracy'), 1 / 3);
    const lesions = parseLesions(await readFile(join(out, 'lesions.csv'), 'utf8'), 'lesions.csv');
    t.same(
      lesions.map((l) => [l.patient, l.side, l.status, l.truthClass, l.predictedClass]),
      [
        ['anna', 'right', 'TP', 'solid', 'cystic'],
        ['anna', 'left', 'TP', 'cystic', 'cystic'],
        ['anna', 'left', 'FN', 'cystic', null],
        ['anna', 'right', 'FP', null, 'solid'],
      ],
    );
    t.ok(
      Math.abs((lesions[0]?.averageDiameterMm as number) - Math.cbrt((6 * 64 * 12) / Math.PI)) <
        1e-9,
    );
    const cohort = tables.find((table) => table.id === 'cohort');
    t.match(
      cohort?.note,
      /does not name: 0; cases of the manifest that were not measured: 1 \(other\)/,
    );
    t.same(cohort?.rows[0], ['all', '2', '2', '3', '1', '1', '54.5 ± 9.2']);
    const rows = (await readFile(join(out, 'cases.csv'), 'utf8')).trim().split('\n');
    t.equal(rows.length, 1 + 2 + 5);
    t.match(rows[1], /^case_1,anna,female,61,,measured,,/);
    t.match(rows[5], /^other,carl,male,70,,failed,/);
    const html = await readFile(join(out, 'report.html'), 'utf8');
    t.match(html, /not a medical device/);
    // Dice by side, volumes, Dice by class and size, confusion of three sizes; no scores, so no ROC and no FROC.
    t.equal(html.match(/<svg/g)?.length, 7);
    t.notMatch(html, 'NaN');
    await t.rejects(evaluateCohort(out, { truth, prediction, labels: SCHEMES.kits }), {
      code: 'InvalidArgument',
    });
  }),
);

t.test('sides by the labels, mirrored arrays, one kidney', async (t) =>
  folders(async (root) => {
    const truth = join(root, 'truth');
    const prediction = join(root, 'prediction');
    // x rises with w here: a high w is the patient's right.
    const mirrored = [2, 0, 0, -40, 0, 2, 0, 0, 0, 0, 3, 0];
    const boxes: [number, Box][] = [
      [1, left],
      [2, [4, 8, 6, 10, 29, 33]],
      // Nearer to the kidney that is there than to nothing, though beyond the middle.
      [2, [4, 6, 6, 8, 15, 17]],
    ];
    await labelMap(boxes, mirrored).write(join(truth, 'a.nii.gz'));
    await labelMap(boxes, mirrored).write(join(prediction, 'a.nii.gz'));
    const options = { truth, prediction, replicates: 10 };
    const { summary } = await evaluateCohort(join(root, 'out'), {
      ...options,
      labels: SCHEMES.kits,
    });
    t.equal(summary.figures['detection.right.recall']?.n, 2);
    t.equal(summary.figures['detection.left.recall']?.n, 0);
    const sided = parseScheme({
      1: { structure: 'kidney', side: 'left' },
      2: { structure: 'mass', class: 'aml' },
    });
    await mkdir(join(root, 'out2'));
    await writeFile(join(root, 'out2', 'evaluation.csv'), 'of an earlier run');
    const other = await evaluateCohort(join(root, 'out2'), { ...options, labels: sided });
    t.notOk((await readdir(join(root, 'out2'))).includes('evaluation.csv'));
    const manifest = join(root, 'manifest.csv');
    await writeFile(manifest, 'case,patient,sex\na,anna,F\nb,anna,M\n');
    await t.rejects(evaluateCohort(join(root, 'out3'), { ...options, manifest }), {
      code: 'InvalidFile',
      message: /line 3: patient anna is male here and female before/,
    });
    t.equal(other.summary.figures['detection.left.recall']?.n, 2);
    for (const wrong of [null, {}, { 0: { structure: 'mass' } }, { 1: { structure: 'liver' } }])
      t.throws(() => parseScheme(wrong), { code: 'InvalidArgument' });
    t.throws(() => parseScheme({ 1: { structure: 'kidney', class: 'aml' } }), {
      code: 'InvalidArgument',
    });
  }),
);

t.test('two files of one case end the run', async (t) =>
  folders(async (root) => {
    const [truth, prediction] = [join(root, 'truth'), join(root, 'prediction')];
    await labelMap(TRUTH).write(join(truth, 'case_00001.nii.gz'));
    await labelMap(TRUTH).write(join(prediction, 'case_00001.nii.gz'));
    await labelMap(TRUTH).write(join(prediction, 'prediction_00001.nii'));
    const run = evaluateCohort(join(root, 'out'), { truth, prediction, labels: SCHEMES.kits });
    await t.rejects(run, {
      code: 'InvalidFile',
      message: /case_00001 has two label maps: .*case_00001.nii.gz and .*prediction_00001.nii/,
    });
    await t.rejects(readdir(join(root, 'out')), { code: 'ENOENT' }, 'nothing is written');
  }),
);

t.test('killed at any moment it goes on, no case lost or measured twice', async (t) =>
  folders(async (root) => {
    const cases = 12;
    for (let i = 0; i < cases; i++) {
      const name = `case_${String(i).padStart(2, '0')}.nii.gz`;
      await labelMap(TRUTH).write(join(root, 'truth', name));
      await labelMap(TRUTH.slice(0, 2 + (i % 4))).write(join(root, 'prediction', name));
    }
    const run = (out: string, killAfter?: number, killAfterMs?: number) =>
      new Promise<{ code: number | null; log: string }>((done) => {
        const child = spawn(process.execPath, [
          ...[resolve('dist/cli/main.js'), 'evaluate', '--labels', 'kits', '--resume'],
          ...['--truth', join(root, 'truth'), '--prediction', join(root, 'prediction')],
          ...['--out', out],
        ]);
        let log = '';
        let lines = 0;
        child.stdout.resume();
        const timer =
          killAfterMs === undefined
            ? undefined
            : setTimeout(() => child.kill('SIGKILL'), killAfterMs);
        child.stderr.on('data', (text) => {
          log += text;
          lines = log.split('\n').length - 1;
          if (killAfter !== undefined && lines >= killAfter) child.kill('SIGKILL');
        });
        child.on('close', (code) => {
          clearTimeout(timer);
          done({ code, log });
        });
      });
    const whole = join(root, 'whole');
    t.equal((await run(whole)).code, 0);
    const out = join(root, 'out');
    for (const killAfter of [1, 4, 7]) {
      const { code } = await run(out, killAfter);
      t.not(code, 0);
      for (const name of await readdir(join(out, 'cases')))
        if (name.endsWith('.json'))
          t.ok(
            JSON.parse(await readFile(join(out, 'cases', name), 'utf8')).case,
            `${name} is whole`,
          );
    }
    // Whatever it was doing then, also writing the tables.
    const next = generator(3);
    for (let k = 0; k < 3; k++) await run(out, undefined, 100 + 1400 * next());
    const { code, log } = await run(out);
    t.equal(code, 0);
    t.ok((log.match(/taken from before/g) ?? []).length >= 4, 'earlier cases are kept');
    for (const name of ['cases.csv', 'lesions.csv', 'tables.md', 'report.html', 'summary.json'])
      t.equal(
        await readFile(join(out, name), 'utf8'),
        await readFile(join(whole, name), 'utf8'),
        name,
      );
  }),
);
