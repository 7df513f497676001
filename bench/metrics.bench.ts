/**
 * Components, distances and all metrics of a KiTS case (RENVOX_DATA; without it of drawn kidneys) against scipy.ndimage: one annotator's label map
 * against the majority's, slices first as a CT lies in memory. Every figure is compared with SciPy's, to 1e-9. `components` and `edt` have maps that are drawn.
 */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { KITS_REGIONS, readAnnotations } from 'renvox/evaluate';
import { components } from './components.bench.js';
import { edt } from './edt.bench.js';
import { kidneys } from './label-maps.js';
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

/** Two label maps of one CT: kidneys 1, tumours 2, cysts 3. */
interface Pair {
  called: string;
  why: string;
  size: [number, number, number];
  spacing: [number, number, number];
  truth: Uint8Array;
  prediction: Uint8Array;
}

async function pair(): Promise<Pair> {
  const data = process.env.RENVOX_DATA ?? join(root, '..', 'shared', 'data');
  const source = join(data, 'kits23', 'instances', CASE);
  if (!existsSync(source)) {
    console.error(`metrics: no ${source} (RENVOX_DATA): drawn kidneys instead of a patient's`);
    return drawn();
  }
  const { shape, spacing, majority, annotators } = await readAnnotations(source);
  const [first] = annotators.values();
  return {
    called: CASE,
    why: 'the majority of three annotators: kidneys, a tumour and eight cysts',
    size: [shape[2], shape[1], shape[0]],
    spacing: [spacing[2], spacing[1], spacing[0]],
    truth: slicesFirst(majority, shape),
    prediction: slicesFirst(first as Uint8Array, shape),
  };
}

/** As large as the case, and moved by a voxel. */
function drawn(): Pair {
  const size: [number, number, number] = [53, 512, 512];
  // The mass on one side is a cyst, so that no region is empty.
  const map = (shift: number) =>
    kidneys(size, shift).map((label, i) => (label === 2 && i % size[2] < size[2] / 2 ? 3 : label));
  return {
    ...{ called: 'drawn kidneys', why: 'two kidneys, a tumour and a cyst, drawn' },
    ...{ size, spacing: [3, 0.8, 0.8], truth: map(0), prediction: map(1) },
  };
}

export async function* bench(options: BenchOptions): AsyncGenerator<Row> {
  const { called, why, size, spacing, truth, prediction } = await pair();
  const [D, H, W] = size;
  const common = {
    task: {
      work: 'metrics',
      shape: [D, H, W],
      spacing,
      regions: KITS_REGIONS,
    },
    // Both maps are read.
    bytes: 2 * D * H * W,
    tolerance: 1e-9,
    rows: ['one thread'],
  } as const satisfies Partial<VolumeCase>;
  const own = (c: VolumeCase): VolumeCase => ({ ...c, name: `metrics/${c.name}` });
  const cases: readonly VolumeCase[] = [
    own(components([D, H, W], called, 26, why)),
    own(components([D, H, W], called, 6, why)),
    own(edt([D, H, W], 'background', { why }, called)),
    own(edt([D, H, W], 'foreground', { why }, called)),
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
  yield* measureVolumes(cases, { 'truth.u8': truth, 'prediction.u8': prediction }, options);
}
