// Two systems side by side: differences that can be counted, tests and their guards.
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compareSystems, kitsRanking } from 'renvox/evaluate';
import { wilcoxonSignedRank } from 'renvox/metrics';
import { Volume } from 'renvox/volume';
import t from 'tap';
import { evaluateCommand } from '#lib/cli/evaluate.js';

const side = (dice: number | null, state = 'normal') => ({
  ...{ dice, iou: null, voxels_truth: 1, voxels_prediction: 1, state },
  ...{ hausdorff_mm: dice === null ? null : 10 * (1 - dice), hd95_mm: null, assd_mm: null },
  ...{ truth_ml: 1, prediction_ml: 1 },
});
const empty = side(null, 'both_empty');

async function system(root: string, name: string, dice: number[], found: number, truth = 'same') {
  await mkdir(join(root, name, 'cases'), { recursive: true });
  for (const [i, value] of dice.entries()) {
    const lesion = (k: number) => ({
      ...{ case: `c${i}`, patient: `p${i}`, side: 'left', truthClass: 'solid', dice: null },
      ...{ status: k < found ? 'TP' : 'FN', predictedClass: k < found ? 'solid' : null },
      ...{ averageDiameterMm: 10, probabilities: null },
    });
    const record = {
      ...{ case: `c${i}`, patient: `p${i}`, settings: '', inputs: { truth, prediction: name } },
      regions: {
        kidney: { left: side(value), right: side(value) },
        mass: { left: empty, right: empty },
      },
      lesions: [0, 1, 2, 3].map(lesion),
      kits: { dice: [value, 1, value], surfaceDice: [value, value, 1] },
    };
    await writeFile(join(root, name, 'cases', `c${i}.json`), JSON.stringify(record));
  }
}

t.test('differences, paired test, guards', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'renvox-systems-'));
  try {
    const a = [0.8, 0.82, 0.79, 0.9, 0.7, 0.6, 0.85, 0.81];
    const b = a.map((d, i) => d + 0.01 * (i + 1));
    await system(root, 'one-stage', a, 2);
    await system(root, 'two-stage', [...b, 0.5], 3);
    const out = join(root, 'out');
    const { summary, tables } = await compareSystems(
      join(root, 'one-stage'),
      join(root, 'two-stage'),
      out,
      { replicates: 200 },
    );
    const figure = (path: string) => summary.figures[path];
    t.ok(
      Math.abs((figure('segmentation.kidney.left.dice.difference')?.value as number) - 0.045) <
        1e-12,
    );
    t.equal(figure('segmentation.kidney.both.dice.a')?.n, 16);
    t.ok((figure('segmentation.kidney.left.dice.difference')?.low as number) > 0);
    t.equal(figure('segmentation.mass.left.dice.a')?.value, null, 'nothing to compare');
    t.equal(figure('detection.overall.recall.a')?.value, 0.5);
    t.equal(figure('detection.overall.recall.difference')?.value, 0.25);
    const row = tables[0]?.rows.find(
      (r) => r[0] === 'kidney' && r[1] === 'both' && r[2] === 'dice',
    );
    t.equal(row?.[9], wilcoxonSignedRank(a, b).p.toFixed(3));
    t.match(tables[0]?.note, /8 cases that both have; 1 cases are in one alone/);
    const kits = figure('kits.tumor.dice.difference');
    t.ok(Math.abs((kits?.value as number) - 0.045) < 1e-12, 'official scores, where there are any');
    const ranking = tables.find(({ id }) => id === 'kits-ranking');
    t.same(
      ranking?.rows.map((r) => [r[0], r.at(-1)]),
      [
        ['one-stage', '2'],
        ['two-stage', '1'],
      ],
    );
    t.equal(Object.keys(summary.inputs).length, a.length + b.length + 1, 'a hash a record');
    t.match(await readFile(join(out, 'report.html'), 'utf8'), '<svg');
    t.match(await readFile(join(out, 'tables.md'), 'utf8'), 'one-stage against two-stage');
    // A later run that measured six of the cases, of three patients.
    const list = a.slice(0, 6).map((_, i) => `c${i},q${i >> 1},measured`);
    const csv = ['case,patient,status', ...list, 'c6,,failed'].join('\n');
    for (const name of ['one-stage', 'two-stage'])
      await writeFile(join(root, name, 'cases.csv'), csv);
    const later = await compareSystems(join(root, 'one-stage'), join(root, 'two-stage'), out, {
      replicates: 50,
    });
    t.equal(later.summary.settings.cases, 6);
    const test = wilcoxonSignedRank([0.81, 0.845, 0.65], [0.825, 0.88, 0.705]);
    t.equal(later.tables[0]?.rows[0]?.[9], test.p.toFixed(3), 'each patient is one pair');
    const settings = (iou: number) => JSON.stringify({ settings: { iou } });
    await writeFile(join(root, 'one-stage', 'summary.json'), settings(0));
    await writeFile(join(root, 'two-stage', 'summary.json'), settings(0.5));
    await t.rejects(compareSystems(join(root, 'one-stage'), join(root, 'two-stage'), out), {
      code: 'InvalidArgument',
      message: /one setting of iou/,
    });
    await system(root, 'other', a, 2, 'another truth');
    await t.rejects(compareSystems(join(root, 'one-stage'), join(root, 'other'), out), {
      code: 'InvalidArgument',
    });
    await t.rejects(compareSystems(root, root, out), { code: 'FileNotFound' });
    await writeFile(join(root, 'other', 'cases', 'c0.json'), '{');
    await t.rejects(compareSystems(join(root, 'other'), join(root, 'other'), out), {
      code: 'InvalidFile',
    });
  } finally {
    await rm(root, { recursive: true });
  }
});

t.test('where one system alone has a distance, that is counted', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'renvox-systems-'));
  try {
    const shape = [1, 2, 8] as const;
    const affine = [-1, 0, 0, 8, 0, 1, 0, 0, 0, 0, 2, 0];
    const truth = [1, 1, 2, 0, 0, 1, 1, 3, 1, 1, 2, 0, 0, 1, 1, 1];
    const files = { truth, first: truth, second: truth.map((v) => (v === 2 ? 1 : v)) };
    for (const [folder, values] of Object.entries(files)) {
      await mkdir(join(root, folder));
      const data = Uint8Array.from(values);
      await new Volume({ data, shape, affine }).write(join(root, folder, 'case_1.nii'));
    }
    const compare = [join(root, 'first'), join(root, 'second')];
    const options = { truth: join(root, 'truth'), labels: 'kits', out: join(root, 'out') };
    const { text, failed } = await evaluateCommand({ ...options, compare, json: true });
    t.equal(failed, 0);
    const { figures } = JSON.parse(text);
    t.same(figures['segmentation.mass.both.dice.a'], { value: 1, low: null, high: null, n: 2 });
    t.equal(figures['segmentation.mass.both.dice.b'].value, 0.5);
    t.equal(figures['detection.overall.recall.difference'].value, -0.5);
    const markdown = await readFile(join(root, 'out', 'tables.md'), 'utf8');
    t.match(markdown, /\| mass \| both \| hausdorff \(mm\) \| 0 \| 1 \| 1 \|/);
    t.ok(await readFile(join(root, 'out', 'second', 'lesions.csv')), 'each has its own tables');
    await t.rejects(evaluateCommand({ ...options, compare: compare.slice(1) }), {
      code: 'InvalidArgument',
    });
  } finally {
    await rm(root, { recursive: true });
  }
});

t.test('the ranking of KiTS', async (t) => {
  const scores = (kidney: number, tumour: number, surface: number) => ({
    dice: [kidney, 0.5, tumour],
    surfaceDice: [surface, surface, surface],
  });
  // By Dice the ranks are 1, 1, 3, 4, by surface Dice 3, 3, 1, 1; all figures are exact in binary.
  const ranks = kitsRanking([
    ...[scores(0.875, 0.75, 0.25), scores(0.75, 0.875, 0.25)],
    ...[scores(0.75, 0.625, 0.5), scores(0.5, 0.5, 0.5)],
  ]);
  t.same(
    ranks.map((r) => [r.diceRank, r.surfaceDiceRank, r.meanRank, r.place]),
    [
      [1, 3, 2, 2],
      [1, 3, 2, 1],
      [3, 1, 2, 3],
      [4, 1, 2.5, 4],
    ],
    'the mean rank 2 is shared by three, and the Dice of tumours parts them',
  );
  t.throws(() => kitsRanking([{ dice: [1], surfaceDice: [1, 1, 1] }]), { code: 'InvalidArgument' });
});
