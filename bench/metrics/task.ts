/** What a child of metrics.bench.ts is told, and what it answers. */
export interface Task {
  readonly work: 'copy' | 'components' | 'distance' | 'metrics';
  /** Holds truth.u8 and prediction.u8, C order, and takes `result`. */
  readonly folder: string;
  readonly shape: readonly [number, number, number];
  /** mm along [d, h, w]. */
  readonly spacing: readonly [number, number, number];
  readonly regions: readonly {
    readonly name: string;
    readonly labels: readonly number[];
    readonly toleranceMm: number;
  }[];
  readonly connectivity?: 6 | 26;
  readonly to?: 'background' | 'foreground';
  /** Whether the peer cuts each region to the joint box first, as ours does by itself. */
  readonly crop: boolean;
  readonly threads: number;
  /** Whether the time of ours includes bringing the result to JS, into fresh memory; else it stays with the device. */
  readonly bring: boolean;
  /** Timed runs after the warm-up. */
  readonly samples: number;
  /** Seconds of a warm-up from which on the peer makes one timed run only. */
  readonly slow: number;
  /** Whether ours leaves its result in the folder and the peer compares it with its own. */
  readonly check: boolean;
}

/** By region and figure. */
export type Figures = Record<string, Record<string, number>>;

export interface Answer {
  seconds: number[];
  /** Processor time of all threads in each of these runs. */
  cpu: number[];
  /** The most memory the process was resident with, MiB. */
  rss_mb: number;
  figures?: Figures;
}

export interface PeerAnswer extends Answer {
  version: string;
  /** The largest relative difference from ours, where it was asked to compare. */
  worst?: number;
}
