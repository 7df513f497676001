// Every pair of masks in oracles.json: KiTS annotators against each other, KiTS19 against KiTS23.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Device, type DeviceKind, device, ops } from 'renvox';
import { type Comparison, compare, measure, type RegionMeasures } from 'renvox/metrics';
import { readVolume, type Volume } from 'renvox/volume';
import t, { type Test } from 'tap';
import { oracles, type PairFigures, regionLabels } from '../oracle-labels.js';

const reference = oracles();
const cpu = device('cpu');
const sim = simulator();
let compared = 0;
let pairs = 0;
let simulatedPairs = 0;
t.teardown(() => {
  cpu.dispose();
  sim?.dispose();
  t.comment(`${pairs} pairs of oracles.json, ${compared} figures`);
  t.comment(`reference tensors compared: ${compared}`);
});

/** The device whose CUDA kernels run on the CPU; only the tests' addon has it. */
function simulator(): Device | undefined {
  try {
    return device('cuda-sim' as DeviceKind);
  } catch {
    return undefined;
  }
}

/** Simulated threads are slow: they get the pairs whose joint box has at most this many voxels. */
const SIMULATED_VOXELS = 8000;

/** The CUDA twins, which count exactly and measure in double too: to 1e-9 as the CPU. */
async function checkSimulated(t: Test, what: string, a: Volume, b: Volume, expected: PairFigures) {
  if (!sim || expected.voxels_a + expected.voxels_b > 2 * SIMULATED_VOXELS) return;
  const box = jointBox(a, b);
  if (!box || box.shape[0] * box.shape[1] * box.shape[2] > SIMULATED_VOXELS) return;
  const cut = (v: Volume) => ({
    ...{ data: boxOf(v, box), shape: box.shape, spacing: v.spacing },
  });
  const { regions } = await measure(cut(a), cut(b), {
    ...{ device: sim, regions: { x: [1] }, tolerances: [1, 2] },
  });
  simulatedPairs++;
  for (const [name, value] of Object.entries(byMeasure(regions.x as RegionMeasures))) {
    const wanted = expected[name as keyof PairFigures];
    if (wanted === null) continue;
    compared++;
    const near = Math.abs(value - wanted) <= 1e-9 * Math.abs(wanted);
    t.ok(near, `${what} on ${sim.kind}: ${name} ${value} ${wanted}`);
  }
}

interface Box {
  low: [number, number, number];
  shape: [number, number, number];
}

function jointBox(a: Volume, b: Volume): Box | undefined {
  const [D, H, W] = a.shape;
  const low: Box['low'] = [D, H, W];
  const high: Box['low'] = [-1, -1, -1];
  for (let at = 0; at < a.data.length; at++) {
    if (!a.data[at] && !b.data[at]) continue;
    [Math.floor(at / (H * W)), Math.floor(at / W) % H, at % W].forEach((n, i) => {
      low[i] = Math.min(low[i] as number, n);
      high[i] = Math.max(high[i] as number, n);
    });
  }
  if (high[0] < 0) return undefined;
  return { low, shape: [high[0] - low[0] + 1, high[1] - low[1] + 1, high[2] - low[2] + 1] };
}

function boxOf({ data, shape: [, H, W] }: Volume, { low, shape }: Box): Uint8Array {
  const result = new Uint8Array(shape[0] * shape[1] * shape[2]);
  for (let d = 0, to = 0; d < shape[0]; d++)
    for (let h = 0; h < shape[1]; h++, to += shape[2]) {
      const from = ((d + low[0]) * H + h + low[1]) * W + low[2];
      result.set(data.subarray(from, from + shape[2]) as Uint8Array, to);
    }
  return result;
}

/** Asserts that all figures of a pair agree to 1e-9: by compare, by measure and by the operation below them. */
async function check(
  t: Test,
  what: string,
  a: Volume,
  b: Volume,
  labels: number[],
  expected: PairFigures,
) {
  const merged: Comparison = await compare(a, b, { device: cpu, labels });
  const { x: region } = (
    await measure(a, b, { device: cpu, regions: { x: labels }, tolerances: [1, 2] })
  ).regions as { x: RegionMeasures };
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
  const byCompare = {
    voxels_a: merged.voxelsTruth,
    voxels_b: merged.voxelsPrediction,
    dice: merged.dice,
    iou: merged.iou,
    hausdorff: merged.hausdorff,
    hd95: merged.hd95,
    assd: merged.assd,
  };
  const byOperation = {
    voxels_both: voxelsBoth,
    surface_a: ab.count,
    surface_b: ba.count,
    max_ab: ab.maximum,
    max_ba: ba.maximum,
    p95_ab: ab.percentiles[0] as number,
    p95_ba: ba.percentiles[0] as number,
  };
  pairs++;
  // oracles.json has null for every metric where a mask is empty; ours are told apart by `state`.
  const empty = merged.state !== 'normal';
  for (const actual of [byCompare, byMeasure(region), byOperation])
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

/** What measure says, by the names of oracles.json. */
function byMeasure(region: RegionMeasures): Partial<Record<keyof PairFigures, number>> {
  const { meanTruthToPrediction, meanPredictionToTruth } = region;
  return {
    voxels_a: region.voxelsTruth,
    voxels_b: region.voxelsPrediction,
    voxels_both: region.voxelsBoth,
    dice: region.dice,
    iou: region.iou,
    hausdorff: region.hausdorff,
    hd95: region.percentiles[0] as number,
    assd: region.assd,
    mean_of_means: (meanTruthToPrediction + meanPredictionToTruth) / 2,
    mean_ab: meanTruthToPrediction,
    mean_ba: meanPredictionToTruth,
    surface_dice_1mm: region.surfaceDice[0] as number,
    surface_dice_2mm: region.surfaceDice[1] as number,
  };
}

/** Instances of one kind that most annotators marked, by the definition of oracles.json: strictly more than half. */
class Majority {
  readonly #kinds = new Map<string, Uint8Array>();

  add(kind: string, annotations: readonly Volume[]): void {
    const [{ data }] = annotations as [Volume];
    const own = this.#kinds.get(kind) ?? new Uint8Array(data.length);
    this.#kinds.set(kind, own);
    const votes = new Uint8Array(data.length);
    for (const { data: marked } of annotations)
      for (let at = 0; at < marked.length; at++) if (marked[at] === 1) (votes[at] as number)++;
    const most = annotations.length / 2;
    for (let at = 0; at < votes.length; at++) if ((votes[at] as number) > most) own[at] = 1;
  }

  /** Kidney, then cyst, then tumour, later ones over earlier ones. */
  painted(voxels: number): Uint8Array {
    const map = new Uint8Array(voxels);
    for (const [kind, label] of [
      ['kidney', 1],
      ['cyst', 3],
      ['tumor', 2],
    ] as const)
      this.#kinds.get(kind)?.forEach((v, at) => {
        if (v) map[at] = label;
      });
    return map;
  }
}

t.test('annotators against each other', async (t) => {
  if (!reference) {
    t.comment('no oracles.json (RENVOX_DATA): nothing was compared');
    return;
  }
  for (const [name, { pairs: instances = {}, majority }] of Object.entries(
    reference.figures.annotators,
  )) {
    const folder = join(reference.folder, 'kits23', 'instances', name);
    const votes = new Majority();
    for (const [instance, figures] of Object.entries(instances)) {
      const masks = new Map<string, Volume>();
      for (const pair of Object.keys(figures))
        for (const annotator of pair.split('-'))
          if (!masks.has(annotator))
            masks.set(
              annotator,
              await readVolume(join(folder, `${instance}_annotation-${annotator}.nii.gz`)),
            );
      for (const [pair, expected] of Object.entries(figures)) {
        const [a, b] = pair.split('-').map((annotator) => masks.get(annotator)) as [Volume, Volume];
        await check(t, `${name} ${instance} ${pair}`, a, b, [1], expected);
        await checkSimulated(t, `${name} ${instance} ${pair}`, a, b, expected);
      }
      votes.add(instance.split('_')[0] as string, [...masks.values()]);
    }
    const published = await readVolume(
      join(reference.folder, 'kits23', 'labels', `${name}.nii.gz`),
    );
    const rebuilt = votes.painted(published.data.length);
    const { confusion } = await measure(published, rebuilt, { device: cpu, distances: false });
    const wanted = majority?.published_by_rebuilt ?? [];
    t.ok(wanted.length > 0, `${name}: there is a majority to compare with`);
    wanted.forEach((row, i) => {
      row.forEach((n, j) => {
        const [p, q] = [confusion.labels.indexOf(i), confusion.labels.indexOf(j)];
        compared++;
        t.equal(confusion.counts[p]?.[q] ?? 0, n, `${name}: published ${i}, majority ${j}`);
      });
    });
  }
  if (sim) t.ok(simulatedPairs > 0, `${simulatedPairs} small pairs on ${sim.kind}`);
});

t.test('KiTS19 against KiTS23', async (t) => {
  if (!reference) return;
  for (const [name, regions] of Object.entries(reference.figures.kits19_against_kits23)) {
    const paths = ['kits19', 'kits23'].map((set) =>
      join(reference.folder, set, 'labels', `${name}.nii.gz`),
    );
    if (!paths.every(existsSync)) continue;
    const [a, b] = (await Promise.all(paths.map((path) => readVolume(path)))) as [Volume, Volume];
    for (const [region, expected] of Object.entries(regions)) {
      if (typeof expected === 'object') {
        await check(t, `${name} ${region}`, a, b, regionLabels(region), expected);
        continue;
      }
      const { confusion } = await measure(a, b, { device: cpu, distances: false });
      const all = confusion.counts.flat().reduce((x, y) => x + y, 0);
      const same = confusion.counts.reduce((x, row, i) => x + (row[i] as number), 0);
      compared++;
      t.equal(all - same, expected, `${name}: ${region}`);
    }
  }
});
