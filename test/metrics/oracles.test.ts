// Every pair of masks in oracles.json: KiTS annotators against each other, KiTS19 against KiTS23.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { device, ops } from 'renvox';
import { type Comparison, compare } from 'renvox/metrics';
import { readVolume, type Volume } from 'renvox/volume';
import t, { type Test } from 'tap';
import { oracles, type PairFigures, regionLabels } from '../oracle-labels.js';

const reference = oracles();
const cpu = device('cpu');
let compared = 0;
let pairs = 0;
t.teardown(() => {
  cpu.dispose();
  t.comment(`${pairs} pairs of oracles.json, ${compared} figures`);
  t.comment(`reference tensors compared: ${compared}`);
});

/** Asserts that all figures of a pair agree to 1e-9. */
async function check(
  t: Test,
  what: string,
  a: Volume,
  b: Volume,
  labels: number[],
  expected: PairFigures,
) {
  const merged: Comparison = await compare(a, b, { device: cpu, labels });
  const on = (volume: Volume) =>
    cpu.tensor(volume.data as Uint8Array, { shape: volume.shape, borrow: true });
  const [x, y] = [on(a), on(b)];
  const { summary } = ops.surfaceDistances(x, y, {
    spacing: a.spacing,
    labels,
    tolerances: [1, 2],
  });
  const { ab, ba, voxelsBoth } = ops.surfaceFigures(await summary.data());
  for (const tensor of [x, y, summary]) tensor.dispose();
  const share = (i: number) =>
    ((ab.within[i] as number) + (ba.within[i] as number)) / (ab.count + ba.count);
  const actual: PairFigures = {
    voxels_a: merged.voxelsTruth,
    voxels_b: merged.voxelsPrediction,
    voxels_both: voxelsBoth,
    surface_a: ab.count,
    surface_b: ba.count,
    dice: merged.dice,
    iou: merged.iou,
    hausdorff: merged.hausdorff,
    hd95: merged.hd95,
    assd: merged.assd,
    mean_ab: ab.mean,
    mean_ba: ba.mean,
    max_ab: ab.maximum,
    max_ba: ba.maximum,
    p95_ab: ab.percentiles[0] as number,
    p95_ba: ba.percentiles[0] as number,
    surface_dice_1mm: share(0),
    surface_dice_2mm: share(1),
  };
  pairs++;
  // oracles.json has null for every metric where a mask is empty; ours are told apart by `state`.
  const empty = merged.state !== 'normal';
  for (const [name, value] of Object.entries(actual)) {
    const wanted = expected[name as keyof PairFigures];
    if (wanted === null) {
      t.ok(empty, `${what}: ${name} is null for empty masks alone`);
      continue;
    }
    compared++;
    t.ok(
      Math.abs(value - wanted) <= 1e-9 * Math.abs(wanted),
      `${what}: ${name} ${value} ${wanted}`,
    );
  }
}

t.test('annotators against each other', async (t) => {
  if (!reference) {
    t.comment('no oracles.json (RENVOX_DATA): nothing was compared');
    return;
  }
  for (const [name, { pairs: instances = {} }] of Object.entries(reference.figures.annotators)) {
    const folder = join(reference.folder, 'kits23', 'instances', name);
    for (const [instance, figures] of Object.entries(instances)) {
      const cache = new Map<string, Volume>();
      const read = async (annotator: string) => {
        const known = cache.get(annotator);
        if (known) return known;
        const volume = await readVolume(join(folder, `${instance}_annotation-${annotator}.nii.gz`));
        cache.set(annotator, volume);
        return volume;
      };
      for (const [pair, expected] of Object.entries(figures)) {
        const [first, second] = pair.split('-') as [string, string];
        await check(
          t,
          `${name} ${instance} ${pair}`,
          await read(first),
          await read(second),
          [1],
          expected,
        );
      }
    }
  }
});

t.test('KiTS19 against KiTS23', async (t) => {
  if (!reference) return;
  for (const [name, regions] of Object.entries(reference.figures.kits19_against_kits23)) {
    const paths = ['kits19', 'kits23'].map((set) =>
      join(reference.folder, set, 'labels', `${name}.nii.gz`),
    );
    if (!paths.every(existsSync)) continue;
    const [a, b] = (await Promise.all(paths.map((path) => readVolume(path)))) as [Volume, Volume];
    for (const [region, expected] of Object.entries(regions))
      if (typeof expected === 'object')
        await check(t, `${name} ${region}`, a, b, regionLabels(region), expected);
  }
});
