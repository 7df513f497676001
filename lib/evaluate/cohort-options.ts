/** What may be asked of an evaluation of a cohort, and the checks of it. */
import type { Device } from '../device.js';
import { invalidArgument } from '../errors.js';
import { checkDiameter, type DiameterName } from '../metrics/diameter.js';
import type { BootstrapOptions } from '../metrics/index.js';
import { bootstrapOptions, checkNames } from './bootstrap-options.js';
import { PROTOCOLS, type Protocol } from './case-record.js';
import type { Software } from './report.js';
import { checkScheme, type LabelScheme, SCHEMES } from './scheme.js';

export interface CohortOptions extends BootstrapOptions {
  /** Folder of the true label maps, with kits21 of the references. */
  truth: string;
  /** Folder of the predicted ones; a report.json of `renvox analyze` beside one gives its masses' probabilities. */
  prediction: string;
  /** Folder of label maps that say what the true masses are called on their true contours. */
  onTruth?: string | undefined;
  /** Folder of the CTs: for the pictures of the worst, and for the body's mid-plane where labels name no sides. */
  images?: string | undefined;
  /** What the values mean in all label maps, or in the true ones. Default {@link SCHEMES}.renvox, with a protocol of KiTS {@link SCHEMES}.kits. */
  labels?: LabelScheme | undefined;
  /** What the values of predictions and of labels on true contours mean, where that is something else. */
  predictionLabels?: LabelScheme | undefined;
  /** CSV of case, patient, sex, age, phase. */
  manifest?: string | undefined;
  /** Goes on where an earlier run into the same folder ended. */
  resume?: boolean | undefined;
  /** `kits21`, `kits23`: the official scores too, evaluation.csv; label values are those of KiTS. Default renvox. */
  protocol?: Protocol | undefined;
  /** From this IoU on a mass counts as found. Default 0: any voxel shared. */
  iou?: number | undefined;
  /** What a mass's average diameter is, by name. Default sphere. */
  diameter?: DiameterName | undefined;
  /** Pictures of so many of the worst masses, and half as many kidneys. Default 8. */
  pictures?: number | undefined;
  /** Default: {@link defaultDevice}. */
  device?: Device | undefined;
  /** Said in the summary. */
  software?: Software | undefined;
  signal?: AbortSignal | undefined;
  onProgress?: ((progress: CohortProgress) => void) | undefined;
  /** Told in a few words what is done after the cases, which may take minutes for many of them. */
  onStage?: ((stage: string) => void) | undefined;
}

export interface CohortProgress {
  readonly case: string;
  readonly done: number;
  readonly of: number;
  /** Why the case is a failed row. */
  readonly error?: string | undefined;
  /** Taken from an earlier run. */
  readonly resumed?: boolean | undefined;
}

const NAMES: Readonly<Record<keyof CohortOptions, true>> = {
  ...{ truth: true, prediction: true, onTruth: true, images: true, labels: true },
  ...{ predictionLabels: true, manifest: true, resume: true, protocol: true, iou: true },
  ...{ diameter: true, pictures: true, device: true, software: true, signal: true },
  ...{ onProgress: true, onStage: true, replicates: true, seed: true, level: true },
};

/** The options with their defaults. @throws RenvoxError InvalidArgument naming the first that is wrong, or that there is not */
export function cohortOptions(options: CohortOptions) {
  if (typeof options !== 'object' || options === null)
    throw invalidArgument('options', 'an object with truth and prediction', options);
  checkNames(options, Object.keys(NAMES));
  const { protocol = 'renvox', iou = 0, diameter = 'sphere', pictures = 8 } = options;
  for (const name of ['truth', 'prediction', 'onTruth', 'images', 'manifest'] as const) {
    const path = options[name];
    const wanted = name === 'truth' || name === 'prediction';
    if ((wanted || path !== undefined) && typeof path !== 'string')
      throw invalidArgument(name, 'a path', path);
  }
  checkDiameter(diameter);
  if (!PROTOCOLS.includes(protocol))
    throw invalidArgument('protocol', PROTOCOLS.join(' or '), protocol);
  if (!(typeof iou === 'number' && iou >= 0 && iou <= 1))
    throw invalidArgument('iou', 'a number from 0 to 1', iou);
  if (!(Number.isInteger(pictures) && pictures >= 0))
    throw invalidArgument('pictures', 'an integer of at least 0', pictures);
  const labels = options.labels ?? (protocol === 'renvox' ? SCHEMES.renvox : SCHEMES.kits);
  checkScheme('labels', labels);
  const predictionLabels = options.predictionLabels ?? labels;
  checkScheme('predictionLabels', predictionLabels);
  const bootstrap = bootstrapOptions(options);
  return { protocol, iou, diameter, pictures, labels, predictionLabels, bootstrap };
}
