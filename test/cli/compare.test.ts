import { join } from 'node:path';
import { isRenvoxError } from 'renvox';
import { Volume } from 'renvox/volume';
import t from 'tap';
import { compareCommand, parseLabels } from '#lib/cli/compare.js';

const affine = [-1, 0, 0, 0, 0, -1, 0, 0, 0, 0, 2, 0];

/** A 4 x 5 x 6 map with label 1 in `ones` voxels and label 2 in one. */
function map(ones: number, x = 0): Volume {
  const data = new Uint8Array(120).fill(1, 0, ones);
  data[119] = 2;
  return new Volume({ data, shape: [4, 5, 6], affine: affine.with(3, x) });
}

t.test('compare prints figures', async (t) => {
  const folder = t.testdir();
  const [truth, prediction, moved] = ['truth', 'prediction', 'moved'].map((name) =>
    join(folder, `${name}.nii.gz`),
  ) as [string, string, string];
  await map(6).write(truth);
  await map(3).write(prediction);
  await map(6, 1).write(moved);

  const json = JSON.parse(await compareCommand(truth, prediction, { json: true, labels: [1, 3] }));
  t.strictSame(json, {
    labels: {
      1: {
        dice: 6 / 9,
        iou: 0.5,
        voxels_truth: 6,
        voxels_prediction: 3,
        hausdorff_mm: 3,
        hd95_mm: json.labels[1].hd95_mm,
        assd_mm: 6 / 9,
        state: 'normal',
      },
      3: {
        dice: null,
        iou: null,
        voxels_truth: 0,
        voxels_prediction: 0,
        hausdorff_mm: null,
        hd95_mm: null,
        assd_mm: null,
        state: 'both_empty',
      },
    },
  });
  t.ok(Math.abs(json.labels[1].hd95_mm - 2.75) < 1e-12);

  const text = await compareCommand(truth, prediction);
  t.match(text, /^label +dice/, 'a head');
  t.match(text, /\n +1 +0\.6667 +0\.5000 +3\.00 +2\.75 +0\.667 +6 +3\n/, 'label 1');
  t.match(text, /\n +all /, 'all labels together');
  t.match(await compareCommand(truth, prediction, { labels: [3] }), /undefined \(-\)/, 'the rule');

  try {
    await compareCommand(truth, moved);
    t.fail('another affine was taken');
  } catch (error) {
    t.ok(isRenvoxError(error, 'ShapeMismatch'), 'another affine');
    t.match((error as Error).message, /affines differ/, 'and says so');
  }
  const hounsfield = join(folder, 'ct.nii.gz');
  const ct = map(6);
  await ct.like(Int16Array.from(ct.data, () => -1000)).write(hounsfield);
  await t.rejects(
    compareCommand(truth, hounsfield),
    { code: 'InvalidFile' },
    'a CT is no label map',
  );
  await t.rejects(
    compareCommand(truth, truth, { labels: [0] }),
    { code: 'InvalidArgument' },
    'the background is no label to compare',
  );
  try {
    await compareCommand(truth, join(folder, 'missing.nii.gz'));
    t.fail('a missing file was taken');
  } catch (error) {
    t.ok(isRenvoxError(error, 'FileNotFound'), 'a missing file');
  }
});

t.test('--labels', (t) => {
  t.same(parseLabels('1,2, 13'), [1, 2, 13]);
  for (const bad of ['', '1,', 'a', '0', '256', '1;2', '-1'])
    t.throws(() => parseLabels(bad), { code: 'InvalidArgument' }, bad);
  t.end();
});
