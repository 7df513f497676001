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
  /** Seconds after which a slow peer is not asked again. */
  readonly patience: number;
  /** The one peer that shall be there, no peer, or (undefined) each that is installed. */
  readonly peer?: string | undefined;
  /** Whether cases run that take minutes or gigabytes. */
  readonly large: boolean;
}

/** What a file `bench/<name>.bench.ts` exports as `bench`: it measures its cases one after the other. */
export type Bench = (options: BenchOptions) => AsyncIterable<Row>;

/** One timed run: seconds that passed, and processor seconds of all threads. */
export interface Turn {
  readonly seconds: number;
  readonly cpu: number;
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
  /** The same a second of processor time, where that is known. */
  readonly cpuRates?: readonly number[];
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
  readonly ceiling?: Ceiling | undefined;
  readonly peer?: (Taken & { readonly name: string }) | undefined;
  /** What `ratio`, and the ratio of resident memory, shall be at most. */
  readonly goal?: { readonly ratio?: number; readonly rss?: number } | undefined;
  readonly more?: Readonly<Record<string, string | number | null>> | undefined;
}

const times = (turns: readonly Turn[]): number[] => turns.map((turn) => turn.seconds);
const processor = (turns: readonly Turn[]): number[] => turns.map((turn) => turn.cpu);

/** A row with all standard keys and what is known beyond them. */
export function rowOf(m: Measured): Row {
  const seconds = times(m.own.turns);
  const middle = median(seconds);
  const cpu = median(processor(m.own.turns));
  const work = m.ceiling?.kind === 'fma' ? m.flops : m.bytes;
  const ceiling = m.ceiling && work !== undefined ? m.ceiling : undefined;
  const { peer, goal } = m;
  const peerMiddle = peer ? median(times(peer.turns)) : null;
  const peerCpu = peer ? median(processor(peer.turns)) : null;
  const ratio = peerMiddle === null ? null : middle / peerMiddle;
  const rssRatio = peer?.rssMb && m.own.rssMb ? m.own.rssMb / peer.rssMb : null;
  return {
    name: m.name,
    median_s: middle,
    spread: spread(seconds),
    gflops: m.flops === undefined ? null : m.flops / middle / 1e9,
    gbps: m.bytes === undefined ? null : m.bytes / middle / 1e9,
    share_of_peak: ceiling ? (work as number) / middle / median(ceiling.rates) : null,
    rss_mb: m.own.rssMb,
    peer: peer?.name ?? null,
    peer_median_s: peerMiddle,
    ratio,
    ratio_cpu: peerCpu === null ? null : cpu / peerCpu,
    ratio_rss: rssRatio,
    goal: goalText(goal),
    goal_met: goalMet(goal, ratio, rssRatio),
    threads: m.threads,
    samples: seconds.length,
    cpu_s: cpu,
    ceiling: ceiling?.kind ?? null,
    ceiling_g: ceiling ? median(ceiling.rates) / 1e9 : null,
    share_of_peak_cpu: ceiling?.cpuRates ? (work as number) / cpu / median(ceiling.cpuRates) : null,
    bytes: m.bytes ?? null,
    peer_samples: peer?.turns.length ?? null,
    peer_spread: peer ? spread(times(peer.turns)) : null,
    peer_cpu_s: peerCpu,
    peer_rss_mb: peer?.rssMb ?? null,
    ...m.more,
    why: m.why,
  };
}

function goalText(goal: Measured['goal']): string | null {
  const parts = [
    ...(goal?.ratio === undefined ? [] : [`ratio <= ${goal.ratio}`]),
    ...(goal?.rss === undefined ? [] : [`memory <= ${goal.rss}`]),
  ];
  return parts.length > 0 ? parts.join(', ') : null;
}

/** Null where there is no goal, or no peer to tell. */
function goalMet(goal: Measured['goal'], ratio: number | null, rss: number | null): string | null {
  const verdicts = [
    ...(goal?.ratio === undefined || ratio === null ? [] : [ratio <= goal.ratio]),
    ...(goal?.rss === undefined || rss === null ? [] : [rss <= goal.rss]),
  ];
  if (verdicts.length === 0) return null;
  return verdicts.every(Boolean) ? 'met' : 'missed';
}
