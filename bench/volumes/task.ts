/** What a child that works on volumes is told, ours (ours.ts) and SciPy's (bench/peers/scipy_volumes.py) alike. */
type Triple = readonly [number, number, number];

/** As JSON. Volumes lie in C order in files of `folder`. */
export interface Task {
  readonly work:
    | 'components'
    | 'distance'
    | 'metrics'
    | 'overlap'
    | 'resample'
    | 'resampleArgmax'
    | 'surface'
    | 'window';
  /**
   * Holds truth.u8 for components and distance, prediction.u8 too for metrics, overlap and surface, ct.i16 for resample and window, logits.f32
   * with channels last for resampleArgmax.
   */
  readonly folder: string;
  readonly shape: Triple;
  readonly threads: number;
  /** Whether the time of ours includes bringing the result to JS, into fresh memory; else it stays with the device. */
  readonly bring: boolean;
  /** mm along [d, h, w]. */
  readonly spacing?: Triple;
  readonly connectivity?: 6 | 26;
  readonly to?: 'background' | 'foreground';
  /** Of distances. SciPy's are f64; f32 takes half of the memory. */
  readonly dtype?: 'f32' | 'f64';
  /** Of overlap: how many labels there are. */
  readonly labels?: number;
  readonly regions?: readonly {
    readonly name: string;
    readonly labels: readonly number[];
    readonly toleranceMm: number;
  }[];
  /** Of metrics and surface: whether the peer cuts each region to the joint box first, as ours does by itself. */
  readonly crop?: boolean;
  /** Voxels of the result of a resampling. */
  readonly size?: Triple;
  readonly classes?: number;
  readonly window?: { readonly level: number; readonly width: number };
}

/** Figures of `metrics`, by region and name. */
export type Figures = Record<string, Record<string, number>>;
