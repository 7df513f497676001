/**
 * Components, distances and all metrics of a KiTS case (RENVOX_DATA) against scipy.ndimage, Debian's python3-scipy where it is installed:
 * one annotator's label map against the majority's, slices first as a CT lies in memory. Ours and the peer run in child processes that take
 * turns; every figure of the first turn is compared with the peer's (partitions exactly, distances and metrics to 1e-9), and one that
 * differs fails the bench. SciPy has one thread, so ours has rows for one thread too. Times go from arrays in memory to a result in memory; a tensor stays
 * with its device, but for the rows "to JS". share_of_peak: least bytes (a read of each map, a write of the result) a second, of
 * what a copy of 128 MiB moves with as many threads in the same turns. cpu_s: processor time of all threads.
 * RENVOX_BENCH_ROUNDS (default 3): turns. A peer that needs more than 2 s makes one timed run a turn, all others three. RENVOX_PYTHON: the
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

type Common = Omit<Task, 'work' | 'threads' | 'bring' | 'check'>;

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

/** What the rounds gave of one way to do it. */
class Taken {
  readonly seconds: number[] = [];
  readonly #cpu: number[] = [];
  #rss = 0;

  add({ seconds, cpu, rss_mb }: Answer): void {
    this.seconds.push(...seconds);
    this.#cpu.push(...cpu);
    this.#rss = Math.max(this.#rss, rss_mb);
  }

  figures() {
    return {
      ...{ samples: this.seconds.length, median_s: median(this.seconds) },
      ...{ spread: spread(this.seconds), cpu_s: median(this.#cpu), rss_mb: this.#rss },
    };
  }
}

/** Ways to run ours: all threads, one, and with the result brought to JS. */
function variants({ work }: Case) {
  const all = threads();
  const ways = [{ label: '', threads: all, bring: false }];
  if (all !== 1) ways.push({ label: ', 1 thread', threads: 1, bring: false });
  if (work !== 'metrics') ways.push({ label: ', to JS', threads: all, bring: true });
  return ways.map((way) => ({ ...way, taken: new Taken() }));
}

async function* measureCase(
  of: Case,
  common: Common,
  rounds: number,
  python: string | undefined,
): AsyncGenerator<Row> {
  const [D, H, W] = common.shape;
  const name = `metrics/${of.title} ${W}x${H}x${D}`;
  const ways = variants(of);
  const copies = new Map(ways.map((way) => [way.threads, new Taken()]));
  const theirs = new Taken();
  let worst = 0;
  let version = '';
  for (let round = 0; round < rounds; round++) {
    const base: Task = { ...common, ...of, threads: threads(), bring: false, check: false };
    const node = (change: Partial<Task>) =>
      child<Answer>(process.execPath, [
        '--expose-gc',
        ours,
        JSON.stringify({ ...base, ...change }),
      ]);
    for (const [i, { threads, bring, taken }] of ways.entries()) {
      const check = round === 0 && i === 0;
      const answer = await node({ threads, bring, check });
      taken.add(answer);
      if (i > 0 || python === undefined) continue;
      const task = JSON.stringify({ ...base, check });
      const peers = await child<PeerAnswer>(python, [peer, task]);
      theirs.add(peers);
      version = peers.version;
      const gap =
        answer.figures && peers.figures
          ? worstDifference(answer.figures, peers.figures)
          : check
            ? (peers.worst ?? Number.NaN)
            : 0;
      if (!(gap <= TOLERANCE))
        throw new Error(`${name}: ours and scipy ${version} differ by ${gap} (relative)`);
      worst = Math.max(worst, gap);
    }
    for (const [threads, taken] of copies) taken.add(await node({ work: 'copy', threads }));
  }
  const other = python === undefined ? undefined : theirs.figures();
  for (const { label, threads, taken } of ways) {
    const own = taken.figures();
    const gbps = (of.bytes * D * H * W) / own.median_s / 1e9;
    const copy = (2 * 2 ** 27) / (copies.get(threads) as Taken).figures().median_s / 1e9;
    const faster = other ? other.median_s / own.median_s : null;
    yield {
      ...{ name: name + label, threads, samples: own.samples },
      ...{ median_s: own.median_s, spread: own.spread, cpu_s: own.cpu_s },
      ...{ gflops: null, gbps, copy_gbps: copy, share_of_peak: gbps / copy, rss_mb: own.rss_mb },
      peer: other ? `scipy ${version}` : 'no scipy here',
      peer_samples: other?.samples ?? 0,
      peer_median_s: other?.median_s ?? null,
      peer_spread: other?.spread ?? null,
      peer_cpu_s: other?.cpu_s ?? null,
      peer_rss_mb: other?.rss_mb ?? null,
      ratio: other ? own.median_s / other.median_s : null,
      times_faster: faster,
      goal: of.goal === null ? null : `>= ${of.goal}x`,
      goal_met: of.goal === null || faster === null ? null : faster >= of.goal ? 'met' : 'missed',
      worst_difference: other ? worst : null,
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
