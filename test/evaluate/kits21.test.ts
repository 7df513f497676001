// KiTS21: references sampled from several annotators as the official tool samples them, or read as they were sampled.
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { device } from 'renvox';
import { evaluateCohort, KITS_REGIONS, kitsScores } from 'renvox/evaluate';
import { readVolume } from 'renvox/volume';
import t from 'tap';
import { RandomState } from '#lib/evaluate/random-state.js';
import { findReferences } from '#lib/evaluate/references.js';
import {
  paint,
  pieceOf,
  readReferences,
  referenceSeed,
  sampleChoices,
} from '#lib/evaluate/sampled-references.js';
import { dataFolder } from '../data-folder.js';
import { AFFINE, type Box, folders, LEFT, labelMap, RIGHT, SHAPE } from './boxes.js';

t.test('draws as NumPy: RandomState(seed).randint(0, n) of numpy 2.4.6', async (t) => {
  const draw = (seed: number, bound: number, times: number) => {
    const random = new RandomState(seed);
    return Array.from({ length: times }, () => random.integer(bound));
  };
  t.same(draw(0, 10, 10), [5, 0, 3, 3, 7, 9, 3, 5, 2, 4]);
  t.same(draw(41, 3, 20), [0, 0, 2, 0, 1, 1, 1, 2, 1, 0, 0, 2, 2, 0, 0, 2, 1, 1, 0, 0]);
  // More than the state holds, so that it is renewed.
  t.same(draw(2 ** 32 - 1, 1000, 700).slice(-5), [863, 445, 367, 271, 567]);
});

t.test('samples are those of sample_segmentations.py', async (t) => {
  const instances = (counts: number[]) =>
    counts.map((n) => ({
      annotations: Array.from({ length: n }, (_, i) => ({ annotation: i + 1, path: '' })),
    }));
  const offsets = (counts: number[], seed: number) => {
    const choices = sampleChoices(instances(counts), seed);
    const perGroup = Math.min(...counts);
    t.equal(choices.length, 5 * perGroup);
    for (const [k, { group, indices }] of choices.entries()) {
      t.equal(group, `group_${Math.floor(k / perGroup)}`);
      const first = choices[k - (k % perGroup)]?.indices as number[];
      t.same(
        indices,
        first.map((offset, i) => (offset + (k % perGroup)) % (counts[i] as number)),
      );
    }
    return [0, 1, 2, 3, 4].map((g) => choices[g * perGroup]?.indices);
  };
  // By NumPy: per group randint(0, n) of each kidney, tumour, cyst, seeded with the case's number.
  t.same(offsets([3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3], referenceSeed('case_00064')), [
    [0, 2, 2, 2, 1, 0, 1, 0, 0, 2, 2],
    [1, 0, 2, 0, 1, 2, 0, 2, 2, 0, 1],
    [1, 0, 2, 0, 1, 2, 1, 1, 2, 2, 0],
    [0, 2, 2, 1, 0, 2, 2, 2, 2, 1, 0],
    [0, 0, 0, 0, 2, 1, 0, 2, 2, 1, 1],
  ]);
  t.same(offsets([3, 2, 1, 4, 5, 3], 7), [
    [0, 1, 0, 2, 3, 0],
    [1, 0, 0, 3, 0, 1],
    [2, 0, 0, 2, 0, 2],
    [0, 0, 0, 3, 4, 0],
    [2, 0, 0, 3, 4, 0],
  ]);
  t.equal(referenceSeed('no number'), 1234);
});

// Two kidneys, a tumour and a cyst that touches it, by three annotators each.
const ANNOTATIONS: Record<string, [Box, Box, Box]> = {
  'kidney_instance-1': [LEFT, [2, 12, 4, 14, 28, 37], [2, 12, 4, 13, 27, 37]],
  'kidney_instance-2': [RIGHT, RIGHT, [3, 12, 4, 14, 3, 13]],
  'tumor_instance-1': [
    [4, 8, 6, 10, 29, 33],
    [4, 8, 6, 10, 29, 34],
    [4, 8, 6, 11, 29, 33],
  ],
  'cyst_instance-1': [
    [4, 8, 6, 10, 33, 36],
    [4, 7, 6, 10, 33, 36],
    [4, 8, 6, 10, 33, 35],
  ],
};
// The tumour wins over the cyst, both over the kidney.
const PAINT = [
  ['kidney', 1],
  ['cyst', 3],
  ['tumor', 2],
] as const;
const sampled = (choice: (instance: string) => number) =>
  labelMap(
    PAINT.flatMap(([kind, value]) =>
      Object.entries(ANNOTATIONS)
        .filter(([name]) => name.startsWith(kind))
        .map(([name, boxes]) => [value, boxes[choice(name)] as Box] as [number, Box]),
    ),
  );

t.test('mean over the references, from annotations and from sampled files', async (t) =>
  folders(async (root) => {
    const own = join(root, 'truth', 'case_00007', 'segmentations');
    await mkdir(own, { recursive: true });
    for (const [name, boxes] of Object.entries(ANNOTATIONS))
      for (const [i, box] of boxes.entries())
        await labelMap([[1, box]]).write(join(own, `${name}_annotation-${i + 1}.nii.gz`));
    // A file of another structure is no part of the evaluation.
    await labelMap([[1, LEFT]]).write(join(own, 'ureter_instance-1_annotation-1.nii.gz'));
    const prediction = labelMap([
      [1, LEFT],
      [1, RIGHT],
      [3, [4, 8, 6, 10, 33, 36]],
      [2, [4, 8, 7, 10, 29, 34]],
    ]);
    await prediction.write(join(root, 'prediction', 'case_00007.nii.gz'));
    const run = async (truth: string, out: string) => {
      const { summary, tables } = await evaluateCohort(join(root, out), {
        ...{ truth: join(root, truth), prediction: join(root, 'prediction') },
        ...{ protocol: 'kits21', replicates: 10 },
      });
      const text = (name: string) => readFile(join(root, out, name), 'utf8');
      return { summary, tables, scores: await text('evaluation.csv'), text };
    };
    const { summary, tables, scores, text } = await run('truth', 'out');
    // Every reference again, scored one by one.
    const order = ['kidney_instance-1', 'kidney_instance-2', 'tumor_instance-1', 'cyst_instance-1'];
    const choices = sampleChoices(
      order.map((name) => ({
        annotations: (ANNOTATIONS[name] as Box[]).map((_, i) => ({ annotation: i + 1, path: '' })),
      })),
      7,
    );
    t.equal(choices.length, 15);
    const cpu = device('cpu');
    const sums = [0, 0, 0, 0, 0, 0];
    const made = join(root, 'made', 'case_00007', 'segmentation_samples');
    for (const [k, { group, indices }] of choices.entries()) {
      const reference = sampled((name) => indices[order.indexOf(name)] as number);
      await mkdir(join(made, group), { recursive: true });
      await reference.write(join(made, group, `sample_${`${k}`.padStart(4, '0')}.nii.gz`));
      const { dice, surfaceDice } = await kitsScores(
        reference.data as Uint8Array,
        prediction.data as Uint8Array,
        { shape: SHAPE, spacing: [3, 2, 2] },
        cpu,
      );
      [...dice, ...surfaceDice].forEach((value, i) => {
        sums[i] = (sums[i] as number) + value / 15;
      });
    }
    cpu.dispose();
    const lines = scores.trim().split('\n');
    t.equal(lines[0], 'caseID,Dice_kidney,Dice_masses,Dice_tumor,SD_kidney,SD_masses,SD_tumor');
    const found = (lines[1] as string).split(',').slice(1).map(Number);
    for (const [i, value] of found.entries())
      t.ok(
        Math.abs(value - (sums[i] as number)) < 1e-12,
        `${lines[0]?.split(',')[i + 1]}: ${value}`,
      );
    t.ok(
      found.every((value) => value > 0.5 && value < 1),
      'no annotator agrees in full',
    );
    t.match(lines[2], /^average,/);
    const references = (await text('evaluation_references.csv')).trim().split('\n');
    t.equal(references.length, 16);
    t.match(references[1], /^case_00007,group_0,kidney_i1a\d_i2a\d_cyst_i1a\d_tumor_i1a\d,/);
    t.equal(summary.figures['kits.tumor.dice.mean']?.value, found[2]);
    t.match(tables.find(({ id }) => id === 'kits')?.note, /15 references/);
    // The other tables' truth is the majority, as KiTS23 has it.
    t.equal(summary.figures['detection.overall.recall']?.n, 2);
    const fromFiles = await run('made', 'out2');
    t.equal(fromFiles.scores, scores, 'the same from files sampled before');
    await t.rejects(run('made', 'out2'), { code: 'InvalidArgument' });
  }),
);

t.test('majority, nested regions, faults', async (t) =>
  folders(async (root) => {
    const grid = labelMap([]);
    const none = async () => undefined;
    const read = async (name: string) => {
      const references = (await findReferences(join(root, 'truth'))).get(name);
      if (!references) throw new Error(`no references of ${name}`);
      return readReferences(name, references, grid, none);
    };
    const write = async (path: string, boxes: [number, Box][], affine = AFFINE) => {
      const file = join(root, 'truth', path);
      await mkdir(join(file, '..'), { recursive: true });
      await labelMap(boxes, affine).write(file);
    };
    // Two of three call the box a mass, one of them a tumour: a cyst by majority.
    const box: Box = [4, 6, 4, 6, 4, 6];
    for (const [i, value] of [2, 3, 1].entries())
      await write(`case_1/segmentation_samples/group_0/s${i}.nii.gz`, [[value, box]]);
    t.same((await read('case_1')).majority.data, labelMap([[3, box]]).data);
    // Two annotators: more than half is both. The tumour covers the cyst.
    for (const i of [1, 2]) {
      await write(`case_2/kidney_instance-1_annotation-${i}.nii.gz`, [[1, [2, 8, 2, 8, 2, 6 + i]]]);
      await write(`case_2/cyst_instance-1_annotation-${i}.nii.gz`, [[1, [3, 5, 3, 5, 3, 5]]]);
      await write(`case_2/tumor_instance-1_annotation-${i}.nii.gz`, [[1, [4, 6, 4, 6, 4, 6]]]);
    }
    t.same(
      (await read('case_2')).majority.data,
      labelMap([
        [1, [2, 8, 2, 8, 2, 7]],
        [3, [3, 5, 3, 5, 3, 5]],
        [2, [4, 6, 4, 6, 4, 6]],
      ]).data,
    );
    await write('case_3/kidney_instance-1_annotation-1.nii.gz', [[2, box]]);
    await t.rejects(read('case_3'), { code: 'InvalidFile', message: /0 to 1.*found 2/ });
    const moved = [-2, 0, 0, 41, 0, 2, 0, 0, 0, 0, 3, 0];
    await write('case_4/instances/kidney_instance-1_annotation-1.nii.gz', [[1, box]], moved);
    await t.rejects(read('case_4'), { code: 'ShapeMismatch' });
    await write('case_5/segmentation.nii.gz', [[1, LEFT]]);
    await write('case_6/kidney_instance-1_annotation-1.nii.gz', [[1, LEFT]]);
    await writeFile(join(root, 'truth/case_6/kidney_instance-1_annotation-2.nii.gz'), 'torn');
    for (const k of [1, 2, 5, 6])
      await labelMap([[1, LEFT]]).write(join(root, 'prediction', `case_${k}.nii.gz`));
    const { failed, summary } = await evaluateCohort(join(root, 'out'), {
      ...{ truth: join(root, 'truth'), prediction: join(root, 'prediction') },
      ...{ protocol: 'kits21', replicates: 10 },
    });
    t.same(
      failed.map((f) => [f.case, f.status]),
      [
        ['case_3', 'no prediction'],
        ['case_4', 'no prediction'],
        ['case_5', 'failed'],
        ['case_6', 'failed'],
      ],
    );
    t.match(failed[2]?.reason, /no references to sample/);
    t.match(failed[3]?.reason, /annotation-2/);
    t.equal(summary.figures['kits.kidney.dice.mean']?.n, 2);
    t.equal((await readdir(join(root, 'out', 'cases'))).length, 2);
  }),
);

// By sample_segmentations.py's and metrics.py's rules in NumPy, written anew: Dice of the published label map, mean of 15 references.
const REAL: Record<string, number[]> = {
  case_00041: [0.9865417395569349, 0.9742440263463455, 0.9742440263463455],
  case_00205: [0.9905765654928149, 0.9785528196843878, 0.9785528196843878],
};

t.test('real annotators: their majority is the published label map, Dice is NumPy’s', async (t) => {
  const data = dataFolder();
  if (data === undefined) {
    t.comment('skipped: no test data (RENVOX_DATA)');
    return;
  }
  const references = await findReferences(join(data, 'kits23', 'instances'));
  for (const [id, expected] of Object.entries(REAL)) {
    const published = await readVolume(join(data, 'kits23', 'labels', `${id}.nii.gz`));
    const names: string[] = [];
    const own = references.get(id);
    if (!own) throw new Error(`no references of ${id}`);
    const prediction = [{ piece: pieceOf(published, id, 3) }];
    const sums = [0, 0, 0];
    const { majority } = await readReferences(id, own, published, async ({ name, layers }) => {
      names.push(name);
      const [a, b] = paint([layers, prediction]).maps as [Uint8Array, Uint8Array];
      for (const [i, { labels }] of KITS_REGIONS.entries()) {
        const inside = (v: number | undefined) => labels.some((label) => label === v);
        let [both, all] = [0, 0];
        for (let at = 0; at < a.length; at++) {
          const [x, y] = [inside(a[at]), inside(b[at])];
          both += x && y ? 1 : 0;
          all += (x ? 1 : 0) + (y ? 1 : 0);
        }
        sums[i] = (sums[i] as number) + (2 * both) / all / 15;
      }
    });
    expected.forEach((value, i) => {
      t.ok(Math.abs((sums[i] as number) - value) < 1e-12, `${id}: ${sums[i]}`);
    });
    t.equal(names.length, 15);
    let differing = 0;
    for (let i = 0; i < majority.data.length; i++)
      if (majority.data[i] !== published.data[i]) differing++;
    t.equal(differing, 0, id);
  }
});
