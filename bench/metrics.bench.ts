/**
 * Components, distances and all metrics of a KiTS case (RENVOX_DATA) against scipy.ndimage: one annotator's label map against the majority's,
 * slices first as a CT lies in memory. Every figure is compared with SciPy's, to 1e-9. `components` and `edt` have maps that are drawn.
 */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { KITS_REGIONS, readAnnotations } from 'renvox/evaluate';
import { components } from './components.bench.js';
import { edt } from './edt.bench.js';
import type { BenchOptions, Row } from './row.js';
import { measureVolumes, type VolumeCase } from './volumes/versus-scipy.js';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
/** Kidneys, a tumour and eight cysts: no two regions are the same. */
const CASE = 'case_00064';

/** Slices first: KiTS files have them fastest. */
function slicesFirst(data: Uint8Array, [D, H, W]: readonly [number, number, number]): Uint8Array {
  const turned = new Uint8Array(data.length);
  for (let d = 0, from = 0; d < D; d++)
    for (let h = 0; h < H; h++)
      for (let w = 0; w < W; w++, from++) turned[(w * H + h) * D + d] = data[from] as number;
  return turned;
}

export async function* bench(options: BenchOptions): AsyncGenerator<Row> {
  const data = process.env.RENVOX_DATA ?? join(root, '..', 'shared', 'data');
  const source = join(data, 'kits23', 'instances', CASE);
  if (!existsSync(source)) {
    console.error(`metrics: no ${source} (RENVOX_DATA), nothing was measured`);
    return;
  }
  const { shape, spacing, majority, annotators } = await readAnnotations(source);
  const [first] = annotators.values();
  const [D, H, W] = [shape[2], shape[1], shape[0]];
  const common = {
    task: {
      work: 'metrics',
      shape: [D, H, W],
      spacing: [spacing[2], spacing[1], spacing[0]],
      regions: KITS_REGIONS,
    },
    // Both maps are read.
    bytes: 2 * D * H * W,
    tolerance: 1e-9,
    rows: ['one thread'],
  } as const satisfies Partial<VolumeCase>;
  const why = 'the majority of three annotators: kidneys, a tumour and eight cysts';
  const own = (c: VolumeCase): VolumeCase => ({ ...c, name: `metrics/${c.name}` });
  const cases: readonly VolumeCase[] = [
    own(components([D, H, W], CASE, 26, why)),
    own(components([D, H, W], CASE, 6, why)),
    own(edt([D, H, W], 'background', { why }, CASE)),
    own(edt([D, H, W], 'foreground', { why }, CASE)),
    {
      ...common,
      name: `metrics/${W}x${H}x${D} all metrics`,
      why: 'three nested regions, eight figures each, as SciPy is used: on whole volumes',
      goal: { ratio: 1 / 10 },
    },
    {
      ...common,
      name: `metrics/${W}x${H}x${D} all metrics, peer cropped`,
      why: 'the same where the peer, too, cuts each region out first',
      task: { ...common.task, crop: true },
    },
  ];
  const files = {
    'truth.u8': slicesFirst(majority, shape),
    'prediction.u8': slicesFirst(first as Uint8Array, shape),
  };
  yield* measureVolumes(cases, files, options);
}
