// Surface elements against the official tool's figures of every pair of annotators, and against shapes whose surface is known.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Device } from 'renvox';
import { type LabelVolume, surfaceElements } from 'renvox/metrics';
import { readVolume, type Volume, type VoxelArray } from 'renvox/volume';
import t, { type Test } from 'tap';
import { onEveryDevice, simulated } from '../ops/harness.js';

const DATA = process.env.RENVOX_DATA ?? '../shared/data';

interface Figures {
  hausdorff: number;
  hd95: number;
  average_gt_to_pred: number;
  average_pred_to_gt: number;
  surface_dice_1mm: number;
  surface_dice_2mm: number;
  surface_overlap_1mm: [number, number];
  area_mm2: [number, number];
}

/** Both maps in the box of what either holds. */
function cut([a, b]: [Volume, Volume]): [LabelVolume, LabelVolume] {
  const { shape: size, spacing } = a;
  const [, H, W] = size;
  const [x, y] = [a.data, b.data];
  const low: [number, number, number] = [...size];
  const high: [number, number, number] = [-1, -1, -1];
  for (let v = 0; v < x.length; v++) {
    if (x[v] === 0 && y[v] === 0) continue;
    const at = [Math.floor(v / (H * W)), Math.floor(v / W) % H, v % W] as const;
    for (const axis of [0, 1, 2] as const) {
      if (at[axis] < low[axis]) low[axis] = at[axis];
      if (at[axis] > high[axis]) high[axis] = at[axis];
    }
  }
  const shape = [high[0] - low[0] + 1, high[1] - low[1] + 1, high[2] - low[2] + 1] as const;
  const part = (whole: VoxelArray): LabelVolume => {
    const data = new Uint8Array(shape[0] * shape[1] * shape[2]);
    for (let d = 0, to = 0; d < shape[0]; d++)
      for (let h = 0; h < shape[1]; h++, to += shape[2]) {
        const from = ((low[0] + d) * H + low[1] + h) * W + low[2];
        data.set(whole.subarray(from, from + shape[2]), to);
      }
    return { data, shape, spacing };
  };
  return [part(x), part(y)];
}

const oracle = join(DATA, 'surface_elements.json');
const skip = existsSync(oracle) ? false : `no ${oracle}`;
if (skip) t.test('the official figures', { skip }, () => {});
else onEveryDevice(t, 'the official figures', officialFigures);

async function officialFigures(t: Test, device: Device): Promise<void> {
  const { pairs } = JSON.parse(readFileSync(oracle, 'utf8')) as { pairs: Record<string, Figures> };
  const near = (a: number | undefined, b: number) =>
    Math.abs((a as number) - b) <= 1e-9 * Math.max(1, Math.abs(b));
  const masks = new Map<string, Volume>();
  let last = '';
  let compared = 0;
  // Simulated threads are slow: every tenth pair.
  const all = Object.entries(pairs).filter((_, i) => !simulated(device) || i % 10 === 0);
  for (const [name, figures] of all) {
    const [id, instance, annotators] = name.split('/') as [string, string, string];
    const [first, second] = annotators.split('-');
    // The pairs of one instance follow each other.
    if (`${id}/${instance}` !== last) masks.clear();
    last = `${id}/${instance}`;
    const read = async (annotator: string | undefined) => {
      const file = `${instance}_annotation-${annotator}.nii.gz`;
      const volume =
        masks.get(file) ?? (await readVolume(join(DATA, 'kits23/instances', id, file)));
      masks.set(file, volume);
      return volume;
    };
    const maps: [Volume, Volume] = [await read(first), await read(second)];
    // A simulated GPU takes long over background.
    const [truth, prediction] = simulated(device) ? cut(maps) : maps;
    const found = await surfaceElements(truth, prediction, { tolerances: [1, 2], device });
    const rows: [string, number | undefined, number][] = [
      ['hausdorff', found.hausdorff, figures.hausdorff],
      ['hd95', found.percentiles[0], figures.hd95],
      ['mean of truth', found.meanTruthToPrediction, figures.average_gt_to_pred],
      ['mean of prediction', found.meanPredictionToTruth, figures.average_pred_to_gt],
      ['surface Dice 1 mm', found.surfaceDice[0], figures.surface_dice_1mm],
      ['surface Dice 2 mm', found.surfaceDice[1], figures.surface_dice_2mm],
      ['overlap of truth', found.overlapTruth[0], figures.surface_overlap_1mm[0]],
      ['overlap of prediction', found.overlapPrediction[0], figures.surface_overlap_1mm[1]],
      ['area of truth', found.areaTruth, figures.area_mm2[0]],
      ['area of prediction', found.areaPrediction, figures.area_mm2[1]],
    ];
    for (const [what, own, expected] of rows)
      t.ok(near(own, expected), `${name} ${what}: ${own}, official ${expected}`);
    compared++;
  }
  t.ok(compared > 0);
  t.comment(`pairs of annotators compared: ${compared}`);
}

t.test('one voxel, and empty masks', async (t) => {
  const shape = [3, 3, 3] as const;
  const spacing = [1, 1, 1] as const;
  const one = new Uint8Array(27);
  one[13] = 1;
  const none = new Uint8Array(27);
  const same = await surfaceElements(one, one, { shape, spacing });
  t.equal(same.hausdorff, 0);
  t.same(same.surfaceDice, [1]);
  // Eight corners, each with a triangle whose normal is (1/8, 1/8, 1/8).
  t.ok(Math.abs(same.areaTruth - 8 * Math.sqrt(3 / 64)) < 1e-12);
  const missed = await surfaceElements(one, none, { shape, spacing });
  t.match(missed, { state: 'empty_prediction', hausdorff: Number.POSITIVE_INFINITY });
  t.same(missed.surfaceDice, [0]);
  t.equal(missed.areaPrediction, 0);
  const both = await surfaceElements(none, none, { shape, spacing });
  t.ok(Number.isNaN(both.hausdorff) && Number.isNaN(both.surfaceDice[0] as number));
  t.equal((await surfaceElements(one, one, { shape, spacing, labels: [2] })).state, 'both_empty');
  await t.rejects(surfaceElements(one, one, { shape, spacing, tolerances: [-1] }), {
    code: 'InvalidArgument',
  });
});

t.test('a shifted box, whose distances are its shift', async (t) => {
  const shape = [12, 12, 12] as const;
  const box = (from: number) => {
    const mask = new Uint8Array(12 ** 3);
    for (let d = 3; d < 8; d++)
      for (let h = 3; h < 8; h++)
        for (let w = from; w < from + 5; w++) mask[(d * 12 + h) * 12 + w] = 7;
    return mask;
  };
  const spacing = [2, 1.5, 0.7] as const;
  const found = await surfaceElements(box(2), box(4), { shape, spacing, tolerances: [0, 1.4] });
  t.ok(Math.abs(found.hausdorff - 1.4) < 1e-12);
  t.ok(Math.abs(found.areaTruth - found.areaPrediction) < 1e-9);
  t.ok((found.surfaceDice[0] as number) > 0 && (found.surfaceDice[0] as number) < 1);
  t.equal(found.surfaceDice[1], 1, 'at most the tolerance');
});
