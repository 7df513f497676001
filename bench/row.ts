/** What benches report: rows of figures by name with the unit in the name, all built here. */
import { median, spread } from './statistics.js';

/**
 * One measured case. Every row of a case that takes time has the keys of {@link STANDARD}, null where one does not apply; others may follow.
 */
export interface Row {
  readonly name: string;
  readonly [figure: string]: string | number | null;
}

/** In this order: medians in seconds, spread = range over median, ratio = our median over the peer's (below 1 is faster). */
export const STANDARD = [
  'name',
  'median_s',
  'spread',
  'gflops',
  'gbps',
  'share_of_peak',
  'rss_mb',
  'peer',
  'peer_median_s',
  'ratio',
] as const;

/** How a bench was asked to run. */
export interface BenchOptions {
  /** Timed samples of each case; a peer that takes long gets fewer, and its row says how many. */
  readonly samples: number;
  /** The same of networks beside onnxruntime, whose goals are of medians of nine in a run of all too. */
  readonly networkSamples: number;
  /** Seconds after which a slow peer is not asked again. */
  readonly patience: number;
  /** The one peer that shall be there, no peer, or (undefined) each that is installed. */
  readonly peer?: string | undefined;
  /** Whether cases run that take minutes or gigabytes. */
  readonly large: boolean;
  /** Whether many benches run one after the other, which leaves each little time. */
  readonly brief: boolean;
}

/** What a file `bench/<name>.bench.ts` exports as `bench`: it measures its cases one after the other. */
export type Bench = (options: BenchOptions) => AsyncIterable<Row>;

/** One timed run: seconds that passed and, where they are known, processor seconds of all threads. */
export interface Turn {
  readonly seconds: number;
  readonly cpu?: number;
}

/** What one way to do a case took. */
export interface Taken {
  readonly turns: readonly Turn[];
  /** The most memory its process was resident with, MiB; null where the process did other things as well. */
  readonly rssMb: number | null;
}

/** The rate that the machine gave in the same rounds, of what binds the case. */
export interface Ceiling {
  readonly kind: 'fma' | 'read' | 'copy';
  /** Operations or bytes a second, one measurement a round. */
  readonly rates: readonly number[];
  /** The same a second of processor time of all threads. */
  readonly cpuRates: readonly number[];
}

/** A case with its figures, from which {@link rowOf} makes a row. */
export interface Measured {
  readonly name: string;
  /** Why this shape is measured. */
  readonly why: string;
  readonly threads: number;
  readonly own: Taken;
  /** Floating point operations of the definition. */
  readonly flops?: number | undefined;
  /** Bytes that must move at least. */
  readonly bytes?: number | undefined;
  /** The one that allows least is the roofline that `share_of_peak` is of. */
  readonly ceilings?: readonly Ceiling[] | undefined;
  readonly peer?: (Taken & { readonly name: string }) | undefined;
  /**
   * What `ratio`, the ratio of resident memory, resident MiB, the median's seconds and, figures of `more`, `phantom_share`, `growth_per_ct_byte`,
   * `unexplained_share` and `delay_p99_ms` shall be at most, and the share of the ceiling and, of `more`, `speedup` at least.
   */
  readonly goal?:
    | {
        readonly ratio?: number;
        readonly rss?: number;
        readonly rssMb?: number;
        readonly seconds?: number;
        readonly phantom?: number;
        readonly growth?: number;
        readonly unexplained?: number;
        readonly delay?: number;
        readonly share?: number;
        readonly speedup?: number;
      }
    | undefined;
  readonly more?: Readonly<Record<string, string | number | null>> | undefined;
}

const times = (turns: readonly Turn[]): number[] => turns.map((turn) => turn.seconds);

/** Median of the processor time; null where a turn does not tell. */
function processor(turns: readonly Turn[]): number | null {
  const known = turns.flatMap((turn) => turn.cpu ?? []);
  return known.length === turns.length ? median(known) : null;
}

/** A row with all standard keys and what is known beyond them. */
export function rowOf(m: Measured): Row {
  const seconds = times(m.own.turns);
  const middle = median(seconds);
  const cpu = processor(m.own.turns);
  const roof = rooflineOf(m);
  const share = roof ? roof.work / middle / median(roof.ceiling.rates) : null;
  const { peer, goal } = m;
  const peerMiddle = peer ? median(times(peer.turns)) : null;
  const peerCpu = peer ? processor(peer.turns) : null;
  const ratio = peerMiddle === null ? null : middle / peerMiddle;
  const rssRatio = peer?.rssMb && m.own.rssMb ? m.own.rssMb / peer.rssMb : null;
  const known = (figure: string) => (m.more?.[figure] as number | null | undefined) ?? null;
  return {
    name: m.name,
    median_s: middle,
    spread: spread(seconds),
    gflops: m.flops === undefined ? null : m.flops / middle / 1e9,
    gbps: m.bytes === undefined ? null : m.bytes / middle / 1e9,
    share_of_peak: share,
    rss_mb: m.own.rssMb,
    peer: peer?.name ?? null,
    peer_median_s: peerMiddle,
    ratio,
    ratio_cpu: cpu !== null && peerCpu !== null ? cpu / peerCpu : null,
    ratio_rss: rssRatio,
    ...verdict(goal, {
      ...{ ratio, rss: rssRatio, rssMb: m.own.rssMb, seconds: middle, share },
      ...{ phantom: known('phantom_share'), growth: known('growth_per_ct_byte') },
      ...{ delay: known('delay_p99_ms'), speedup: known('speedup') },
      unexplained: known('unexplained_share'),
    }),
    threads: m.threads,
    samples: seconds.length,
    cpu_s: cpu,
    ceiling: roof?.ceiling.kind ?? null,
    ...rates(m.ceilings ?? []),
    share_of_peak_cpu:
      cpu !== null && roof ? roof.work / cpu / median(roof.ceiling.cpuRates) : null,
    bytes: m.bytes ?? null,
    flops_per_byte: m.flops && m.bytes ? m.flops / m.bytes : null,
    peer_samples: peer?.turns.length ?? null,
    peer_spread: peer ? spread(times(peer.turns)) : null,
    peer_cpu_s: peerCpu,
    peer_rss_mb: peer?.rssMb ?? null,
    ...m.more,
    why: m.why,
  };
}

/** The row of a bench that could not be measured to its end. */
export function failedRow(bench: string, error: unknown): Row {
  return {
    ...Object.fromEntries(STANDARD.map((key) => [key, null])),
    name: `${bench}/failed`,
    failure: error instanceof Error ? error.message : String(error),
  };
}

/** What the machine gave in the same rounds. */
function rates(ceilings: readonly Ceiling[]): Record<string, number | null> {
  const of = (kind: Ceiling['kind']) => {
    const ceiling = ceilings.find((c) => c.kind === kind);
    return ceiling ? median(ceiling.rates) / 1e9 : null;
  };
  return { peak_gflops: of('fma'), read_gbps: of('read'), copy_gbps: of('copy') };
}

/** The row of a ceiling itself, with the keys of every other. */
export function ceilingRow({ kind, rates: all }: Ceiling, threads: number): Row {
  const rate = median(all) / 1e9;
  const what = { fma: 'multiply-adds on registers', read: 'memory read', copy: 'memory copied' };
  return {
    ...Object.fromEntries(STANDARD.map((key) => [key, null])),
    name: `ceiling/${what[kind]}, ${threads === 1 ? '1 thread' : `${threads} threads`}`,
    spread: spread(all),
    gflops: kind === 'fma' ? rate : null,
    gbps: kind === 'fma' ? null : rate,
    share_of_peak: 1,
    ...{ threads, samples: all.length, why: 'what shares are of, sampled throughout the run' },
  };
}

/** The ceiling that allows the case least, and the case's work in its unit. */
function rooflineOf({ ceilings = [], flops, bytes }: Measured) {
  let binding: { ceiling: Ceiling; work: number; floor: number } | undefined;
  for (const ceiling of ceilings) {
    const work = ceiling.kind === 'fma' ? flops : bytes;
    if (work === undefined) continue;
    const floor = work / median(ceiling.rates);
    if (!binding || floor > binding.floor) binding = { ceiling, work, floor };
  }
  return binding;
}

/** In which order goals are named, how, and whether a figure shall be at most or at least so much. */
const GOALS = [
  { key: 'ratio', text: 'ratio <=', reached: (f: number, w: number) => f <= w },
  { key: 'rss', text: 'memory ratio <=', reached: (f: number, w: number) => f <= w },
  { key: 'rssMb', text: 'MiB <=', reached: (f: number, w: number) => f <= w },
  { key: 'seconds', text: 's <=', reached: (f: number, w: number) => f <= w },
  {
    key: 'phantom',
    text: 'phantom share of processor time <=',
    reached: (f: number, w: number) => f <= w,
  },
  { key: 'growth', text: 'growth per byte of CT <=', reached: (f: number, w: number) => f <= w },
  {
    key: 'unexplained',
    text: 'share of time unexplained <=',
    reached: (f: number, w: number) => f <= w,
  },
  { key: 'delay', text: 'ms at the 99th percentile <=', reached: (f: number, w: number) => f <= w },
  { key: 'share', text: 'share >=', reached: (f: number, w: number) => f >= w },
  { key: 'speedup', text: 'speedup >=', reached: (f: number, w: number) => f >= w },
] as const;

/** What was asked for, and whether it was reached: null where there is no goal, or no peer to tell. */
function verdict(
  goal: Measured['goal'],
  figures: Readonly<Record<(typeof GOALS)[number]['key'], number | null>>,
): { goal: string | null; goal_met: string | null } {
  const texts: string[] = [];
  const known: boolean[] = [];
  for (const { key, text, reached } of GOALS) {
    const wanted = goal?.[key];
    if (wanted === undefined) continue;
    texts.push(`${text} ${+wanted.toPrecision(3)}`);
    const figure = figures[key];
    if (figure !== null) known.push(reached(figure, wanted));
  }
  return {
    goal: texts.join(', ') || null,
    goal_met: known.length === 0 ? null : known.every(Boolean) ? 'met' : 'missed',
  };
}
