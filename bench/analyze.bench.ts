/**
 * `analyze` of a whole CT, a phantom on a grid of 512x512 pixels, from a file to findings in a fresh process for each sample: time by part (printed on
 * stderr and as `<part>_s`), what no part explains, and the most memory. Parts: read (inflate and parse), weights (of three networks), then
 * those of `finding.timings`, and results (download and figures). A longer CT tells how memory grows: the same slices with the outermost
 * repeated.
 */
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { device, threads, type Volume, writeVolume } from 'renvox';
import { phantom } from 'renvox/phantom';
import { fixedGrid, gridCentre, gridOf, volumeOnGrid } from 'renvox/volume';
import { Contestant, closed } from './contest.js';
import { withFiles } from './files.js';
import { type BenchOptions, type Row, rowOf, type Turn } from './row.js';
import { sampled } from './sampling.js';
import { median } from './statistics.js';

const ours = join(dirname(fileURLToPath(import.meta.url)), 'analyze', 'ours.js');
const SEED = 31000000;
const MIB = 2 ** 20;
/** 1.2 GB. */
const MOST_MB = 1.2e9 / MIB;

/** What the child leaves. */
interface Answer {
  readonly imported: number;
  readonly parts: Readonly<Record<string, number>>;
  readonly ct_mb: number;
  readonly device_peak_mb: number;
  readonly kidney_voxels: number;
  readonly masses: number;
}

interface Analysis {
  readonly turn: Turn;
  readonly rssMb: number;
  readonly answer: Answer;
}

async function once(path: string, folder: string): Promise<Analysis> {
  const child = new Contestant('analyze', process.execPath, [ours, path, String(threads())]);
  return closed([child], async () => {
    await child.turn();
    const { rss_mb } = await child.facts();
    const left = join(folder, 'answer');
    await child.leave(left);
    const answer = JSON.parse(await readFile(left, 'utf8')) as Answer;
    return { turn: child.turns[0] as Turn, rssMb: rss_mb, answer };
  });
}

/** Medians of the parts, and what of the whole none of them explains. */
function breakdown(all: readonly Analysis[]): Record<string, number> {
  const names = Object.keys((all[0] as Analysis).answer.parts);
  const of = (name: string) => median(all.map(({ answer }) => answer.parts[name] as number));
  const parts = names.filter((name) => name !== 'analyze');
  const rest = median(
    all.map(({ turn, answer }) =>
      parts.reduce((left, name) => left - (answer.parts[name] as number), turn.seconds),
    ),
  );
  return Object.fromEntries([...parts.map((name) => [name, of(name)]), ['unexplained', rest]]);
}

function print(name: string, parts: Readonly<Record<string, number>>): void {
  const whole = Object.values(parts).reduce((a, b) => a + b, 0);
  console.error(`${name}, by part:`);
  for (const [part, seconds] of Object.entries(parts))
    console.error(
      `  ${part.padEnd(12)} ${seconds.toFixed(3).padStart(8)} s ${((100 * seconds) / whole).toFixed(1).padStart(5)} %`,
    );
}

async function measure(
  name: string,
  why: string,
  path: string,
  folder: string,
  samples: number,
  limits: { seconds?: number; rssMb?: number; growth?: number },
  shorter?: Row,
): Promise<Row> {
  const all: Analysis[] = [];
  await sampled(async () => void all.push(await once(path, folder)), { samples });
  const { answer } = all[0] as Analysis;
  const parts = breakdown(all);
  print(name, parts);
  const middle = median(all.map(({ turn }) => turn.seconds));
  const rssMb = Math.max(...all.map((a) => a.rssMb));
  const growth = shorter
    ? (rssMb - (shorter.rss_mb as number)) / (answer.ct_mb - (shorter.ct_mb as number))
    : null;
  return rowOf({
    ...{ name, why, threads: threads(), goal: { ...limits, unexplained: 0.05 } },
    own: { turns: all.map(({ turn }) => turn), rssMb },
    more: {
      ...Object.fromEntries(Object.entries(parts).map(([part, seconds]) => [`${part}_s`, seconds])),
      unexplained_share: (parts.unexplained as number) / middle,
      import_s: median(all.map((a) => a.answer.imported)),
      ...{ ct_mb: answer.ct_mb, device_peak_mb: answer.device_peak_mb },
      // The CT's own growth is 1; of its label map only what holds labels takes memory.
      growth_per_ct_byte: growth,
      ...{ kidney_voxels: answer.kidney_voxels, masses: answer.masses },
    },
  });
}

/** A phantom of 300 slices of 1 mm with its kidneys in the middle. */
async function wholeCt(): Promise<Volume> {
  using cpu = device('cpu');
  const usual = await phantom(SEED, { device: cpu });
  const centre = gridCentre(gridOf(usual.ct));
  const grid = fixedGrid({ shape: [300, 512, 512], spacing: [1, 0.8, 0.8], centre });
  return (await phantom(SEED, { device: cpu, grid })).ct;
}

/** The CT with its outermost slices repeated until there are `slices`. */
function lengthened(ct: Volume, slices: number): Volume {
  const [depth, height, width] = ct.shape;
  const plane = height * width;
  const data = new Int16Array(slices * plane);
  const first = (slices - depth) >> 1;
  for (let d = 0; d < slices; d++) {
    const from = Math.min(depth - 1, Math.max(0, d - first)) * plane;
    data.set(ct.data.subarray(from, from + plane), d * plane);
  }
  const grid = fixedGrid({
    shape: [slices, height, width],
    spacing: [ct.spacing[0], ct.spacing[1], ct.spacing[2]],
    centre: gridCentre(gridOf(ct)),
  });
  return volumeOnGrid(data, grid);
}

export function bench(options: BenchOptions): AsyncGenerator<Row> {
  return withFiles({}, async function* (folder) {
    const ct = await wholeCt();
    const path = join(folder, 'ct.nii.gz');
    await writeVolume(path, ct, { level: 1 });
    const whole = await measure(
      'analyze/512x512x300',
      'a CT of the abdomen in thin slices, from a gzipped file to findings',
      ...([path, folder, Math.min(options.samples, 5), { seconds: 10, rssMb: MOST_MB }] as const),
    );
    yield whole;
    if (options.brief) {
      console.error('bench: analyze/512x512x1000 runs only where the bench is named');
      return;
    }
    const long = join(folder, 'long.nii.gz');
    await writeVolume(long, lengthened(ct, 1000), { level: 1 });
    yield await measure(
      'analyze/512x512x1000',
      'from neck to knees: memory shall grow only with the CT itself',
      // The CT itself, and what its label map, a byte for two, could take.
      ...([long, folder, 1, { growth: 1.5 }, whole] as const),
    );
  });
}
