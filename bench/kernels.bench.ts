/**
 * `npm run --silent bench -- kernels --device cuda-sim [--json]`: what the CUDA kernels of each layer of the networks do, counted on the simulated
 * GPU (no time is measured, so the figures are the same on every machine). Columns: bytes = different 32-byte sectors touched, reads and
 * writes apart (what memory must move); requested_bytes = sectors that warps asked for (the rest must come from the L2 cache);
 * least_bytes, useful_flops = of the layer's definition; mma_flops = of the tensor-core instructions issued; conflicts_per_access = extra
 * passes of shared memory; roofline_us = the larger of bytes at 3.0 TB/s and mma_flops at 800 TFLOP/s, one H100 (both measured there
 * with copies and matrix products). Of a large layer only the first blocks run, twice, and the line through both counts is followed to
 * all.
 */
import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type DeviceKind, device, scope } from 'renvox';
import { native, type SimulatedLaunch, type Simulator } from '#lib/native.js';
import { COPIED, MULTIPLIED } from '#lib/nn/gradient-plan.js';
import { type Layer, resnetLayers, unetLayers } from './kernel-layers.js';
import type { Row } from './row.js';

const SECTOR = 32;
const MMA = 4096;

interface Counts {
  requested: number;
  touched: number;
  mma: number;
  accesses: number;
  conflicts: number;
}

function sum(launches: readonly SimulatedLaunch[]): Counts {
  const total = { requested: 0, touched: 0, mma: 0, accesses: 0, conflicts: 0 };
  for (const l of launches) {
    total.requested += (l.readRequested + l.writeRequested) * SECTOR;
    total.touched += (l.readTouched + l.writeTouched) * SECTOR;
    total.mma += l.mma * MMA;
    total.accesses += l.sharedAccesses;
    total.conflicts += l.bankConflicts;
  }
  return total;
}

/** The counts of a layer on its whole volume. */
async function counts(layer: Layer, simulator: Simulator): Promise<Counts> {
  const d = device('cuda-sim' as DeviceKind);
  try {
    const once = async (run: () => unknown, parts: number) => {
      simulator.count(-parts);
      await scope(async () => {
        run();
        await d.drain();
      });
      const launches = simulator.counted();
      simulator.count(0);
      return launches;
    };
    return await scope(async () => {
      const { run } = layer.prepare(d);
      await once(run, 1); // packs weights, which inference does once
      const some = await once(run, 1);
      if (some.every((l) => l.blocksRun === l.blocks)) return sum(some);
      const more = await once(run, 2);
      return sum(some.map((l, i) => extrapolated(l, more[i] as SimulatedLaunch)));
    });
  } finally {
    d.dispose();
  }
}

/** A launch's counts when all blocks run: blocks that follow each other share haloes, so the line through two counts. */
function extrapolated(some: SimulatedLaunch, more: SimulatedLaunch): SimulatedLaunch {
  if (some.blocksRun === more.blocksRun) return more;
  const result = { ...more };
  for (const [key, value] of Object.entries(more))
    if (
      typeof value === 'number' &&
      key !== 'blocks' &&
      key !== 'threads' &&
      key !== 'sharedBytes'
    ) {
      const slope =
        (value - (some[key as keyof SimulatedLaunch] as number)) /
        (more.blocksRun - some.blocksRun);
      Object.assign(result, { [key]: value + slope * (more.blocks - more.blocksRun) });
    }
  return result;
}

export function bench(): AsyncIterable<Row> {
  return countLayers([unetLayers(), resnetLayers()]);
}

/** A row for each layer of these networks and one for each network. */
export async function* countLayers(networks: readonly Layer[][]): AsyncIterable<Row> {
  const { simulator } = native();
  if (!simulator) throw new Error('kernels.bench.ts runs on the addon with the simulated GPU');
  for (const layers of networks) {
    let worst = 0;
    const total = { bytes: 0, least: 0, requested: 0, mma: 0, useful: 0, roofline: 0 };
    for (const layer of layers) {
      const c = await counts(layer, simulator);
      const conflicts = c.accesses > 0 ? c.conflicts / c.accesses : 0;
      worst = Math.max(worst, conflicts);
      const roofline = Math.max(c.touched / COPIED, c.mma / MULTIPLIED) * 1e6;
      total.bytes += c.touched;
      total.least += layer.leastBytes;
      total.requested += c.requested;
      total.mma += c.mma;
      total.useful += layer.usefulFlops;
      total.roofline += roofline;
      yield row(layer.name, c.requested, c.touched, layer.leastBytes, c.mma, layer.usefulFlops, {
        conflicts_per_access: conflicts,
        roofline_us: roofline,
      });
    }
    const name = `${(layers[0] as Layer).name.split('/')[0]}/all`;
    if (name === 'unet/all') {
      const goal = (what: string, figure: number, most: number) =>
        console.error(
          `${what}: ${figure.toPrecision(4)} of at most ${most}${figure <= most ? '' : ', MISSED'}`,
        );
      goal('goal, bytes over least', total.bytes / total.least, 1.5);
      goal('goal, sum of rooflines in us', total.roofline, 800);
      // Of whole kernels: main loops are not counted apart.
      goal('goal, bank conflicts an access in the worst layer', worst, 0);
    }
    yield row(name, total.requested, total.bytes, total.least, total.mma, total.useful, {
      conflicts_per_access: null,
      roofline_us: total.roofline,
    });
  }
}

function row(
  name: string,
  requested: number,
  bytes: number,
  least: number,
  mma: number,
  useful: number,
  rest: { conflicts_per_access: number | null; roofline_us: number },
): Row {
  return {
    name,
    requested_bytes: Math.round(requested),
    bytes: Math.round(bytes),
    least_bytes: Math.round(least),
    mma_flops: Math.round(mma),
    useful_flops: Math.round(useful),
    ...rest,
    bytes_over_least: least > 0 ? bytes / least : null,
    requested_over_bytes: requested / bytes,
    mma_over_useful: useful > 0 ? mma / useful : null,
  };
}

/** The addon with the simulated GPU is not the one that programs get: it is built, and this program started again on it. */
export function needsAddon(): { code: number } | undefined {
  if (native().simulator) return undefined;
  const root = join(dirname(fileURLToPath(import.meta.url)), '..');
  const stdio = ['ignore', 2, 2] as const;
  const built = spawnSync(process.execPath, ['install.mjs', '--tests'], {
    cwd: root,
    stdio: [...stdio],
  });
  if (built.status !== 0) throw new Error('The addon with the simulated GPU could not be built');
  const again = spawnSync(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, RENVOX_PREBUILD: join(root, 'build', 'sim') },
  });
  return { code: again.status ?? 1 };
}
