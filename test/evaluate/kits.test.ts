// The official KiTS scores: regions, conventions for empty masks, the CSV's form. The surface Dice itself is checked against the official tool's
// figures in test/metrics/surface-elements.test.ts.
import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { device } from 'renvox';
import { evaluateCohort, KITS_REGIONS, kitsScores } from 'renvox/evaluate';
import { surfaceElements } from 'renvox/metrics';
import { Volume } from 'renvox/volume';
import t from 'tap';
import { generator } from '../ops/harness.js';

const SHAPE = [6, 7, 8] as const;
const SPACING = [2, 1, 0.8] as const;

function blob(label: number, from: number, seed: number): Uint8Array {
  const next = generator(seed);
  const data = new Uint8Array(SHAPE[0] * SHAPE[1] * SHAPE[2]);
  for (let d = from; d < from + 3; d++)
    for (let h = 2; h < 6; h++)
      for (let w = 2; w < 6; w++) if (next() < 0.9) data[(d * SHAPE[1] + h) * SHAPE[2] + w] = label;
  return data;
}

t.test('scores of three nested regions', async (t) => {
  const cpu = device('cpu');
  const geometry = { shape: SHAPE, spacing: SPACING };
  const truth = blob(1, 1, 1);
  const prediction = blob(1, 2, 2);
  truth[100] = 3;
  prediction[100] = 3;
  const { dice, surfaceDice } = await kitsScores(truth, prediction, geometry, cpu);
  const inside = (x: Uint8Array) => x.reduce((n, v) => n + (v ? 1 : 0), 0);
  const both = truth.reduce((n, v, i) => n + (v && prediction[i] ? 1 : 0), 0);
  t.equal(dice[0], (2 * both) / (inside(truth) + inside(prediction)));
  t.equal(dice[1], 1);
  t.same([dice[2], surfaceDice[2]], [1, 1], 'no tumour in either');
  const { surfaceDice: expected } = await surfaceElements(truth, prediction, {
    ...geometry,
    tolerances: [KITS_REGIONS[0].toleranceMm],
  });
  t.equal(surfaceDice[0], expected[0]);
  prediction[101] = 2;
  const missed = await kitsScores(truth, prediction, geometry, cpu);
  t.same([missed.dice[2], missed.surfaceDice[2]], [0, 0], 'a tumour in one alone');
  cpu.dispose();
});

t.test('evaluation.csv', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'renvox-kits-'));
  try {
    const affine = [0.8, 0, 0, 0, 0, 1, 0, 0, 0, 0, 2, 0];
    for (const name of ['truth', 'prediction']) await mkdir(join(root, name));
    for (const [i, seed] of [5, 6].entries()) {
      const write = (folder: string, file: string, data: Uint8Array) =>
        new Volume({ data, shape: SHAPE, affine }).write(join(root, folder, file));
      await write('truth', `case_0000${i}.nii.gz`, blob(2, 1, seed));
      await write('prediction', `prediction_0000${i}.nii.gz`, blob(2, 1 + i, seed));
    }
    await evaluateCohort(join(root, 'out'), {
      truth: join(root, 'truth'),
      prediction: join(root, 'prediction'),
      ...{ protocol: 'kits23', replicates: 10 },
    });
    const lines = (await readFile(join(root, 'out/evaluation.csv'), 'utf8')).trim().split('\n');
    t.equal(lines[0], 'caseID,Dice_kidney,Dice_masses,Dice_tumor,SD_kidney,SD_masses,SD_tumor');
    t.equal(lines[1], 'case_00000,1,1,1,1,1,1');
    t.match(lines[2], /^case_00001,0\.\d+,/);
    const numbers = lines.slice(1).map((line) => line.split(',').slice(1).map(Number));
    t.match(lines[3], /^average,/);
    numbers[2]?.forEach((mean, i) => {
      t.equal(mean, ((numbers[0]?.[i] as number) + (numbers[1]?.[i] as number)) / 2);
    });
    const program = [resolve('dist/cli/main.js'), 'evaluate', '--protocol', 'kits23'];
    const folders = ['--truth', join(root, 'truth'), '--prediction', join(root, 'prediction')];
    const command = (...more: string[]) =>
      spawnSync(process.execPath, [...program, ...folders, ...more], { encoding: 'utf8' });
    const run = command('--out', join(root, 'command'));
    t.equal(run.status, 0, run.stderr);
    t.same(
      (await readFile(join(root, 'command/evaluation.csv'), 'utf8')).trim().split('\n'),
      lines,
      'the command writes the same',
    );
    t.equal(command('--protocol', 'kits19', '--out', join(root, 'none')).status, 2);
    await t.rejects(
      evaluateCohort(join(root, 'out2'), {
        ...{ truth: join(root, 'truth'), prediction: join(root, 'prediction') },
        protocol: 'kits19' as 'kits23',
      }),
      { code: 'InvalidArgument' },
    );
  } finally {
    await rm(root, { recursive: true });
  }
});
