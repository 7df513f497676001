/** Where training samples come from. */
import type { Device } from '../device.js';
import { invalidArgument } from '../errors.js';
import type { Tensor } from '../tensor.js';

export interface Sample {
  /** [1, D, H, W, C] f32. */
  image: Tensor;
  /** [1, D, H, W] u8 for segmentation, [1] i32 for classification. */
  target: Tensor;
}

/** Names of a folder's cases by what they are for; those of `test` are never looked at. */
export interface CaseLists {
  training: string[];
  validation: string[];
  test: string[];
}

/**
 * A source of samples. A training sample depends on its seed alone, so that a run can stop and go on and any sample can be made again;
 * what validation sees is never trained on.
 */
export interface Sampler {
  /** What it draws from, for the log and the weights file. */
  readonly source: string;
  training(device: Device, seed: number): Sample;
  validation(device: Device, index: number): Sample;
  /** How many validation samples there are; without it, any number. */
  readonly validationCount?: number;
  /** Names of the images' channels, such as CMP and NP, where there are several. */
  readonly channels?: readonly string[];
  readonly cases?: CaseLists;
  /**
   * What identifies the content of each of `cases`, by name: of a folder a SHA-256 over the case's files and the meaning of their labels. A run
   * that is resumed refuses other cases, parts and content.
   */
  readonly content?: Readonly<Record<string, string>>;
}

/** Seeds that belong to one run. */
const SEEDS_OF_A_RUN = 1e9;

/** The largest seed of a run all of whose samples' seeds are whole numbers that differ: beyond 2^53 neighbours would be one. */
export const LARGEST_SEED = Math.floor(Number.MAX_SAFE_INTEGER / SEEDS_OF_A_RUN) - 1;

/**
 * The seed of sample `index` of a step's batch: no two steps of a run share one.
 * @throws RenvoxError InvalidArgument for a run's seed above {@link LARGEST_SEED}
 */
export function trainingSeed(runSeed: number, step: number, index: number, batch: number): number {
  return firstSeed(runSeed) + step * batch + index;
}

/**
 * Seeds of validation never meet those of training, up to 5e8 samples.
 * @throws RenvoxError InvalidArgument for a run's seed above {@link LARGEST_SEED}
 */
export function validationSeed(runSeed: number, index: number): number {
  return firstSeed(runSeed) + SEEDS_OF_A_RUN / 2 + index;
}

function firstSeed(runSeed: number): number {
  if (!(runSeed <= LARGEST_SEED))
    throw invalidArgument('seed', `an integer from 0 to ${LARGEST_SEED}`, runSeed);
  return runSeed * SEEDS_OF_A_RUN;
}
