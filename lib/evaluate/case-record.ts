/** What is known of one case once it is measured: what its journal keeps and all tables are made of. */
import type { AgreementJson } from '../metrics/index.js';
import type { CaseHashes } from './case-input.js';
import type { KitsScores, ReferenceScores } from './kits.js';
import type { Lesion, Side } from './lesions.js';

/**
 * `kits23` and `kits21` add the official scores, by the label values of KiTS: against one reference, or the mean over references sampled from
 * several annotators.
 */
export const PROTOCOLS = ['renvox', 'kits21', 'kits23'] as const;
export type Protocol = (typeof PROTOCOLS)[number];
/** From these IoU on masses count as found in the table of thresholds; 0: any voxel shared. */
export const IOU_SWEEP = [0, 0.1, 0.25, 0.5, 0.75] as const;

export const REGIONS = ['kidney', 'mass'] as const;
export type Region = (typeof REGIONS)[number];
export const REGION_SIDES = ['left', 'right'] as const;

export interface RegionFigures extends AgreementJson {
  readonly truth_ml: number;
  readonly prediction_ml: number;
}

/** What is known of one case, as its journal keeps it. */
export interface CaseRecord {
  readonly case: string;
  readonly patient: string;
  /** SHA-256 of the files that were given. */
  readonly inputs: CaseHashes;
  /** What made the record; another means it is made again. */
  readonly settings: string;
  /** What looks wrong of it. */
  readonly warnings?: readonly string[];
  /** Which plane parts left from right where labels do not; labels: they do. */
  readonly midPlane: 'body' | 'image' | 'labels';
  /** Kidney: with its masses. */
  readonly regions: Readonly<Record<Region, Readonly<Record<Side, RegionFigures>>>>;
  readonly lesions: readonly Lesion[];
  /** Counts at each of {@link IOU_SWEEP}. */
  readonly sweep: readonly IouCounts[];
  /** LPS mm of where each lesion, and the kidney of each side, is worst. */
  readonly places: {
    readonly lesions: readonly Place[];
    readonly kidneys: Readonly<Record<Side, Place>>;
  };
  /** Where a report.json lies beside the prediction: its masses, and how many of the predicted components they are. */
  readonly report?: { readonly masses: number; readonly components: number };
  /** With the protocols of KiTS. */
  readonly kits?: KitsScores;
  /** With kits21, one a sampled reference. */
  readonly references?: readonly ReferenceScores[];
}

export type Place = readonly [number, number, number] | null;

export interface IouCounts {
  readonly tp: number;
  readonly fp: number;
  readonly fn: number;
  /** Sum of the pairs' IoU. */
  readonly iou: number;
}
