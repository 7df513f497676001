// Two systems side by side: differences that can be counted, tests and their guards.
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compareSystems } from 'renvox/evaluate';
import { wilcoxonSignedRank } from 'renvox/metrics';
import t from 'tap';

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
    t.equal(row?.[7], wilcoxonSignedRank(a, b).p.toFixed(3));
    t.match(tables[0]?.note, /8 cases that both have; 1 cases are in one alone/);
    t.match(await readFile(join(out, 'tables.md'), 'utf8'), 'one-stage against two-stage');
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
