/**
 * Components, distances and all metrics of a KiTS case (RENVOX_DATA) against scipy.ndimage, Debian's python3-scipy where it is installed:
 * one annotator's label map against the majority's, slices first as a CT lies in memory. Ours and the peer run in child processes that take
 * turns; every figure of a run is compared with the peer's, and one that differs fails the bench. Times go from arrays in memory to arrays
 * or figures in memory; SciPy has one thread, so ours has a row for one thread too. share_of_peak: least bytes (a read of each map, a write of
 * the result) a second, of what a copy of 128 MiB moves with as many threads in the same rounds.
 * RENVOX_BENCH_ROUNDS (default 3): turns. A peer that needs more than 2 s makes one timed run a turn, the others three. RENVOX_PYTHON: the
 * interpreter.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { threads } from 'renvox';
import { KITS_REGIONS, readAnnotations } from 'renvox/evaluate';
import type { Answer, Figures, PeerAnswer, Task } from './metrics/task.js';
import type { Row } from './row.js';

const here = dirname(fileURLToPath(import.meta.url));
const root = dirname(here);
const ours = join(here, 'metrics', 'ours.js');
const peer = join(root, 'bench', 'metrics', 'scipy_peer.py');
/** Kidneys, a tumour and eight cysts: no two regions are the same. */
const CASE = 'case_00064';
const TOLERANCE = 1e-9;

type Case = Partial<Task> & {
  readonly title: string;
  readonly work: Task['work'];
  /** Bytes a voxel that must move at least. */
  readonly bytes: number;
  /** How many times faster than the peer ours shall be. */
  readonly goal: number | null;
};

const CASES: readonly Case[] = [
  { title: 'components 26', work: 'components', connectivity: 26, bytes: 1 + 4, goal: 3 },
  { title: 'components 6', work: 'components', connectivity: 6, bytes: 1 + 4, goal: 3 },
  { title: 'edt to background', work: 'distance', to: 'background', bytes: 1 + 8, goal: 5 },
  { title: 'edt to foreground', work: 'distance', to: 'foreground', bytes: 1 + 8, goal: 5 },
  { title: 'all metrics', work: 'metrics', bytes: 2, goal: 10 },
  { title: 'all metrics, peer cropped', work: 'metrics', crop: true, bytes: 2, goal: null },
];

const run = promisify(execFile);

async function child<T>(program: string, args: readonly string[]): Promise<T> {
  const { stdout } = await run(program, args, { maxBuffer: 2 ** 26 });
  return JSON.parse(stdout) as T;
}

/** The interpreter that has SciPy: the one asked for, Debian's, or any; undefined where none has it. */
async function findPython(): Promise<string | undefined> {
  const asked = process.env.RENVOX_PYTHON;
  for (const python of asked ? [asked] : ['/usr/bin/python3', 'python3'])
    try {
      await run(python, ['-c', 'import numpy, scipy.ndimage']);
      return python;
    } catch {
      // Not there, or without SciPy: the next one.
    }
  return undefined;
}

const median = (values: readonly number[]): number => {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  const high = sorted[half] as number;
  return sorted.length % 2 === 1 ? high : ((sorted[half - 1] as number) + high) / 2;
};

/** Range over the median. */
const spread = (values: readonly number[]): number =>
  (Math.max(...values) - Math.min(...values)) / median(values);

/** Slices first: KiTS files have them fastest. */
function slicesFirst(data: Uint8Array, [D, H, W]: readonly [number, number, number]): Uint8Array {
  const turned = new Uint8Array(data.length);
  for (let d = 0, from = 0; d < D; d++)
    for (let h = 0; h < H; h++)
      for (let w = 0; w < W; w++, from++) turned[(w * H + h) * D + d] = data[from] as number;
  return turned;
}

/** The largest relative difference of two sets of figures. @throws where one lacks what the other has */
function worstDifference(a: Figures, b: Figures): number {
  const keys = (x: Figures) =>
    Object.entries(x)
      .flatMap(([region, of]) => Object.keys(of).map((name) => `${region} ${name}`))
      .sort()
      .join();
  if (keys(a) !== keys(b)) throw new Error(`Figures differ: ${keys(a)} and ${keys(b)}`);
  let worst = 0;
  for (const [region, of] of Object.entries(a))
    for (const [name, value] of Object.entries(of)) {
      const other = b[region]?.[name] as number;
      const gap = Math.abs(value - other) / Math.max(Math.abs(other), 1e-300);
      // Written so that NaN counts as a difference.
      if (!(gap <= worst)) worst = value === other ? worst : gap;
    }
  return worst;
}

interface Taken {
  seconds: number[];
  rss: number;
}

function take(into: Taken, { seconds, rss_mb }: Answer): void {
  into.seconds.push(...seconds);
  into.rss = Math.max(into.rss, rss_mb);
}

async function* measureCase(
  of: Case,
  common: Omit<Task, 'work' | 'threads' | 'check'>,
  rounds: number,
  python: string | undefined,
): AsyncGenerator<Row> {
  const [D, H, W] = common.shape;
  const name = `metrics/${of.title} ${W}x${H}x${D}`;
  const counts = [...new Set([threads(), 1])];
  const mine = new Map(counts.map((n) => [n, { seconds: [], rss: 0 } as Taken]));
  const copies = new Map(counts.map((n) => [n, [] as number[]]));
  const theirs: Taken = { seconds: [], rss: 0 };
  let worst = 0;
  let version = '';
  for (let round = 0; round < rounds; round++) {
    const task: Task = { ...common, ...of, threads: threads(), check: round === 0 };
    const node = (with_: Partial<Task>) =>
      child<Answer>(process.execPath, [
        '--expose-gc',
        ours,
        JSON.stringify({ ...task, ...with_ } satisfies Task),
      ]);
    const found = await node({});
    take(mine.get(task.threads) as Taken, found);
    if (python !== undefined) {
      const answer = await child<PeerAnswer>(python, [peer, JSON.stringify(task)]);
      take(theirs, answer);
      version = answer.version;
      if (task.check || found.figures) {
        const gap = found.figures
          ? worstDifference(found.figures, answer.figures as Figures)
          : (answer.worst as number);
        if (!(gap <= TOLERANCE))
          throw new Error(`${name}: ours and scipy ${version} differ by ${gap} (relative)`);
        worst = Math.max(worst, gap);
      }
    }
    if (task.threads !== 1) take(mine.get(1) as Taken, await node({ threads: 1, check: false }));
    for (const n of counts) {
      const copy = await node({ work: 'copy', threads: n, check: false });
      copies.get(n)?.push(...copy.seconds);
    }
  }
  for (const [n, { seconds, rss }] of mine) {
    const middle = median(seconds);
    const gbps = (of.bytes * D * H * W) / middle / 1e9;
    const copy = (2 * 2 ** 27) / median(copies.get(n) as number[]) / 1e9;
    const other = python === undefined ? null : median(theirs.seconds);
    const faster = other === null ? null : other / middle;
    yield {
      ...{ name, threads: n, samples: seconds.length, median_s: middle, spread: spread(seconds) },
      ...{ gflops: null, gbps, copy_gbps: copy, share_of_peak: gbps / copy, rss_mb: rss },
      peer: python === undefined ? 'no scipy here' : `scipy ${version}`,
      peer_samples: theirs.seconds.length,
      peer_median_s: other,
      peer_spread: other === null ? null : spread(theirs.seconds),
      peer_rss_mb: other === null ? null : theirs.rss,
      ratio: other === null ? null : middle / other,
      times_faster: faster,
      goal: of.goal === null ? null : `>= ${of.goal}x`,
      goal_met: of.goal === null || faster === null ? null : faster >= of.goal ? 'met' : 'missed',
      worst_difference: other === null ? null : worst,
    };
  }
}

export async function* bench(): AsyncGenerator<Row> {
  const data = process.env.RENVOX_DATA ?? join(root, '..', 'shared', 'data');
  const source = join(data, 'kits23', 'instances', CASE);
  if (!existsSync(source)) {
    console.error(`metrics: no ${source} (RENVOX_DATA), nothing was measured`);
    return;
  }
  const rounds = Number(process.env.RENVOX_BENCH_ROUNDS ?? 3);
  if (!Number.isInteger(rounds) || rounds < 1)
    throw new Error(`Expected a positive integer for RENVOX_BENCH_ROUNDS but received ${rounds}`);
  const python = await findPython();
  if (python === undefined)
    console.error('metrics: no Python with scipy.ndimage here, so no peer and no ratio');
  const annotated = await readAnnotations(source);
  const { shape, spacing, majority } = annotated;
  const [first] = annotated.annotators.values();
  const folder = await mkdtemp(join(tmpdir(), 'renvox-bench-'));
  try {
    await writeFile(join(folder, 'truth.u8'), slicesFirst(majority, shape));
    await writeFile(join(folder, 'prediction.u8'), slicesFirst(first as Uint8Array, shape));
    const common = {
      ...{ folder, regions: KITS_REGIONS, crop: false, samples: 3, slow: 2 },
      shape: [shape[2], shape[1], shape[0]] as const,
      spacing: [spacing[2], spacing[1], spacing[0]] as const,
    };
    for (const of of CASES) yield* measureCase(of, common, rounds, python);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
