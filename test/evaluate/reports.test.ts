// Probabilities from the reports of analyses, classes on true contours, phases: what lies beside the label maps.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  evaluateCohort,
  evaluateLesions,
  parseLesions,
  SCHEMES,
  type Summary,
} from 'renvox/evaluate';
import { gridOf, toWorld, Volume } from 'renvox/volume';
import t from 'tap';
import { AFFINE, type Box, folders, LEFT, labelMap, RIGHT, SHAPE } from './boxes.js';

const KIDNEYS: [number, Box][] = [
  [1, LEFT],
  [2, RIGHT],
];
const AML: Box = [4, 8, 6, 10, 29, 33];
const CYST: Box = [9, 11, 5, 7, 29, 31];
const SOLID: Box = [4, 7, 6, 10, 5, 9];
const FALSE: Box = [9, 11, 10, 12, 5, 7];

/** A mass as `renvox analyze` reports it. */
function reported(name: string, boxes: Box[], p: [number, number, number]) {
  const centres = boxes.map(([d0, d1, h0, h1, w0, w1]) => ({
    voxels: (d1 - d0) * (h1 - h0) * (w1 - w0),
    index: [(d0 + d1 - 1) / 2, (h0 + h1 - 1) / 2, (w0 + w1 - 1) / 2] as const,
  }));
  const voxels = centres.reduce((n, c) => n + c.voxels, 0);
  const mean = (k: 0 | 1 | 2) => centres.reduce((s, c) => s + c.voxels * c.index[k], 0) / voxels;
  return {
    ...{ class: name, voxels, probabilities: { aml: p[0], cystic: p[1], solid: p[2] } },
    centroid_lps_mm: toWorld(gridOf(labelMap([])), [mean(0), mean(1), mean(2)]),
  };
}

const report = (masses: unknown[], shape: number[] = [...SHAPE].reverse()) =>
  JSON.stringify({ schema_version: 1, input: { shape }, masses });

async function cohort(root: string, id: string, masses: unknown[], predicted: [number, Box][]) {
  await labelMap([...KIDNEYS, [3, AML], [4, CYST], [5, SOLID]]).write(
    join(root, 'truth', `${id}.nii.gz`),
  );
  const folder = join(root, 'prediction', id);
  await mkdir(folder);
  await labelMap([...KIDNEYS, ...predicted]).write(join(folder, 'labels.nii.gz'));
  await writeFile(join(folder, 'report.json'), report(masses));
}

const evaluate = (root: string, out: string, more: object = {}) =>
  evaluateCohort(join(root, out), {
    ...{ truth: join(root, 'truth'), prediction: join(root, 'prediction'), replicates: 50 },
    ...more,
  });

t.test('probabilities of predicted masses', async (t) =>
  folders(async (root) => {
    // Two AMLs that touch are one component: its probabilities are their mean by voxels.
    const [upper, lower]: [Box, Box] = [
      [4, 5, 6, 10, 29, 33],
      [5, 8, 6, 10, 29, 33],
    ];
    await cohort(
      root,
      'case_1',
      [
        reported('solid', [SOLID], [0.1, 0.2, 0.7]),
        reported('aml', [upper], [0.9, 0.1, 0]),
        reported('aml', [lower], [0.5, 0.25, 0.25]),
        reported('cystic', [FALSE], [0, 1, 0]),
      ],
      [
        [3, AML],
        [4, FALSE],
        [5, SOLID],
      ],
    );
    const { summary, tables, failed } = await evaluate(root, 'out');
    t.same(failed, []);
    const text = await readFile(join(root, 'out', 'lesions.csv'), 'utf8');
    const p = Object.fromEntries(
      parseLesions(text, 'lesions.csv').map((l) => [
        `${l.status} ${l.truthClass} ${l.predictedClass}`,
        l.probabilities,
      ]),
    );
    t.same(p['TP aml aml'], [0.9 / 4 + (3 * 0.5) / 4, 0.1 / 4 + (3 * 0.25) / 4, (3 * 0.25) / 4]);
    t.same(p['TP solid solid'], [0.1, 0.2, 0.7]);
    t.same(p['FP null cystic'], [0, 1, 0]);
    t.equal(p['FN cystic null'], null);
    t.same((summary.settings as { reports: object }).reports, {
      ...{ cases: 1, masses: 4, components: 3 },
    });
    t.ok(Object.keys(summary.inputs).some((path) => path.endsWith('report.json')));
    const value = (path: string) => summary.figures[path]?.value;
    t.equal(value('classification.overall.aml.auc'), 1);
    // By falling score: the false cyst at 1, the solid mass at 0.7, the AML at 0.6; three are there.
    t.equal(value('detection.froc.sensitivity_at_1_fp'), 2 / 3);
    t.equal(value('detection.froc.sensitivity_at_0_5_fp'), 0);
    t.ok(Math.abs((value('detection.average_precision') as number) - (2 / 3) * (2 / 3)) < 1e-12);
    const html = await readFile(join(root, 'out', 'report.html'), 'utf8');
    for (const id of ['auc', 'calibration', 'froc'])
      t.match(html.split(`<section id="${id}">`)[1]?.split('</section>')[0], '<svg', id);
    t.match(tables.find(({ id }) => id === 'froc')?.note, /3 true masses in 1 cases; 3 of 3/);
  }),
);

t.test('a report that is not of these labels fails its case', async (t) =>
  folders(async (root) => {
    const masses: [number, Box][] = [[3, AML]];
    const good = reported('aml', [AML], [1, 0, 0]);
    await cohort(root, 'a_good', [good], masses);
    await cohort(root, 'b_class', [reported('solid', [AML], [0, 0, 1])], masses);
    await cohort(root, 'c_values', [{ ...good, probabilities: { aml: 2 } }], masses);
    const unknown = { aml: 0.5, cystic: 0.5, solid: null };
    await cohort(root, 'c_null', [{ ...good, probabilities: unknown }], masses);
    const tooMuch = { aml: 0.9, cystic: 0.9, solid: 0.9 };
    await cohort(root, 'c_sum', [{ ...good, probabilities: tooMuch }], masses);
    await cohort(root, 'd_json', [good], masses);
    await writeFile(join(root, 'prediction/d_json/report.json'), '{');
    await cohort(root, 'e_shape', [good], masses);
    await writeFile(join(root, 'prediction/e_shape/report.json'), report([good], [1, 2, 3]));
    // A mass that is nowhere in the labels is left out: small ones may be, where there were too many.
    await cohort(root, 'f_nowhere', [reported('aml', [FALSE], [1, 0, 0])], masses);
    const { failed } = await evaluate(root, 'out');
    t.same(
      failed.map((f) => f.case),
      ['b_class', 'c_null', 'c_sum', 'c_values', 'd_json', 'e_shape'],
    );
    t.match(failed[0]?.reason, /calls a mass of 64 voxels solid that the labels call aml/);
    for (const i of [1, 2, 3])
      t.match(failed[i]?.reason, /masses\[0\]\.probabilities .* add up to 1/);
    t.match(failed[5]?.reason, /40x20x16 but found 1,2,3/);
  }),
);

t.test('class on true contours against class on predicted components', async (t) =>
  folders(async (root) => {
    await cohort(
      root,
      'case_1',
      [],
      [
        [3, AML],
        [3, SOLID],
      ],
    );
    await cohort(root, 'case_2', [], [[3, AML]]);
    await mkdir(join(root, 'on-truth'));
    // On its contours all three were called right but the AML, most of which was called solid.
    const [most, rest]: [Box, Box] = [
      [4, 7, 6, 10, 29, 33],
      [7, 8, 6, 10, 29, 33],
    ];
    await labelMap([
      [5, most],
      [3, rest],
      [4, CYST],
      [5, SOLID],
    ]).write(join(root, 'on-truth', 'case_1.nii.gz'));
    // Nobody named the masses of the other case but one.
    await labelMap([[3, AML]]).write(join(root, 'on-truth', 'case_2.nii.gz'));
    const { summary, tables } = await evaluate(root, 'out', { onTruth: join(root, 'on-truth') });
    const value = (path: string) => summary.figures[path]?.value;
    t.equal(value('on_truth.overall.accuracy'), 3 / 6);
    t.equal(value('on_truth.overall.end_to_end_accuracy'), 2 / 6);
    t.equal(value('on_truth.overall.loss.accuracy'), 1 / 6);
    t.equal(value('on_truth.overall.solid.recall'), 1 / 2);
    t.equal(value('on_truth.overall.aml.precision'), 1);
    const moves = tables.find(({ id }) => id === 'on-truth-moves')?.rows;
    t.same(
      moves?.filter((row) => row.slice(2).some((n) => n !== '0')),
      [
        ['aml', 'aml', '1', '0', '0', '0', '0'],
        ['aml', 'solid', '1', '0', '0', '0', '0'],
        ['cystic', 'cystic', '0', '0', '0', '0', '1'],
        ['cystic', 'unclassified', '0', '0', '0', '0', '1'],
        ['solid', 'solid', '1', '0', '0', '0', '0'],
        ['solid', 'unclassified', '0', '0', '0', '0', '1'],
      ],
    );
    // The column of lesions.csv gives the same tables again.
    const file = join(root, 'out', 'lesions.csv');
    t.match(await readFile(file, 'utf8'), /,p_solid,class_on_truth\n/);
    const again = await evaluateLesions(file, join(root, 'again'), { replicates: 50 });
    t.same(
      again.tables.find(({ id }) => id === 'on-truth')?.rows,
      tables.find(({ id }) => id === 'on-truth')?.rows,
    );
    t.same(again.tables.find(({ id }) => id === 'on-truth-moves')?.rows, moves);
    const without = await evaluate(root, 'without');
    t.notOk(without.tables.some(({ id }) => id.startsWith('on-truth')));
    t.notMatch(await readFile(join(root, 'without', 'lesions.csv'), 'utf8'), 'class_on_truth');
  }),
);

t.test('the body decides sides where its CT is there', async (t) =>
  folders(async (root) => {
    // Both kidneys lie in the image's left half; the body, too, is on that side, and its middle between them.
    const [outer, inner]: [Box, Box] = [
      [2, 12, 4, 14, 33, 38],
      [2, 12, 4, 14, 22, 27],
    ];
    const map = labelMap([
      [1, outer],
      [1, inner],
    ]);
    await map.write(join(root, 'truth', 'a.nii.gz'));
    await map.write(join(root, 'prediction', 'a.nii.gz'));
    const hu = Int16Array.from(map.data, (_, at) => (at % SHAPE[2] >= 20 ? 40 : -1000));
    await mkdir(join(root, 'images'));
    await new Volume({ data: hu, shape: SHAPE, affine: AFFINE }).write(
      join(root, 'images', 'a.nii.gz'),
    );
    const n = (summary: Summary, side: string) =>
      summary.figures[`segmentation.kidney.${side}.dice.mean`]?.n;
    const labels = SCHEMES.kits;
    const without = await evaluate(root, 'without', { labels });
    t.same([n(without.summary, 'left'), n(without.summary, 'right')], [1, 0]);
    const images = join(root, 'images');
    const { summary, tables } = await evaluate(root, 'with', { labels, images });
    t.same([n(summary, 'left'), n(summary, 'right')], [1, 1]);
    t.match(tables.find(({ id }) => id === 'segmentation')?.note, /body's mid-plane \(1 cases\)/);
    t.ok(summary.inputs[join(images, 'a.nii.gz')]);
    let resumed = 0;
    const again = (more: object) =>
      evaluate(root, 'with', {
        ...{ labels, resume: true, ...more },
        onProgress: (p: { resumed?: boolean }) => (resumed += p.resumed ? 1 : 0),
      });
    await again({ images });
    t.equal(resumed, 1, 'the same CT: taken from before');
    await again({});
    t.equal(resumed, 1, 'without it: measured again');
  }),
);

t.test('figures by phase', async (t) =>
  folders(async (root) => {
    await cohort(root, 'a', [], [[3, AML]]);
    await cohort(
      root,
      'b',
      [],
      [
        [3, AML],
        [4, CYST],
        [5, SOLID],
      ],
    );
    await cohort(root, 'c', [], []);
    const manifest = join(root, 'cases.csv');
    await writeFile(manifest, 'case,phase\na,Late arterial\nb,Late arterial\nc,native\n');
    const { summary, tables } = await evaluate(root, 'out', { manifest });
    const figure = (path: string) => summary.figures[`phase.${path}`];
    t.match(figure('late_arterial.detection.overall.recall'), { value: 4 / 6, n: 6 });
    t.match(figure('native.detection.overall.recall'), { value: 0, n: 3 });
    t.match(figure('native.segmentation.mass.overall.dice.mean'), { value: 0, n: 2 });
    const phases = tables.find(({ id }) => id === 'phases');
    t.same(
      phases?.rows.map((row) => row.slice(0, 3)),
      [
        ['Late arterial', '2', '6'],
        ['native', '1', '3'],
      ],
    );
    t.ok(summary.inputs[manifest], 'the manifest is among the hashed inputs');
    const without = await evaluate(root, 'without');
    t.notOk(without.tables.some(({ id }) => id === 'phases'));
  }),
);

t.test('predictions of `renvox analyze` against labels of KiTS', async (t) =>
  folders(async (root) => {
    await labelMap([
      [1, LEFT],
      [1, RIGHT],
      [2, SOLID],
      [3, CYST],
    ]).write(join(root, 'truth', 'case_1.nii.gz'));
    await labelMap([...KIDNEYS, [5, SOLID], [4, CYST], [3, FALSE]]).write(
      join(root, 'prediction', 'case_1.nii.gz'),
    );
    for (const protocol of ['renvox', 'kits23'] as const) {
      const { summary, failed } = await evaluate(root, protocol, {
        ...{ protocol, labels: SCHEMES.kits, predictionLabels: SCHEMES.renvox },
      });
      t.same(failed, []);
      const value = (path: string) => summary.figures[path]?.value;
      t.equal(value('classification.overall.accuracy'), 1);
      t.equal(value('detection.overall.precision'), 2 / 3);
      t.equal(value('segmentation.kidney.right.dice.mean'), 1);
      if (protocol === 'renvox') continue;
      t.equal(value('kits.kidney.dice.mean'), 1);
      // An AML is a tumour to KiTS: 48 voxels right, 8 false.
      t.equal(value('kits.tumor.dice.mean'), (2 * 48) / (48 + 48 + 8));
    }
    const { failed } = await evaluate(root, 'without', { labels: SCHEMES.kits });
    t.match(failed[0]?.reason, /5 \(48 voxels\), 4 \(8 voxels\)/);
  }),
);
