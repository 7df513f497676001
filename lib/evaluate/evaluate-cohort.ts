/** A cohort: folders of true and predicted label maps in, every table out. */
import { createHash } from 'node:crypto';
import { type Device, defaultDevice } from '../device.js';
import { invalidArgument, isRenvoxError } from '../errors.js';
import { checkDiameter, type DiameterName } from '../metrics/diameter.js';
import type { BootstrapOptions } from '../metrics/index.js';
import { type CaseInput, sha256Of } from './case-input.js';
import { type CaseRecord, PROTOCOLS, type Protocol } from './case-record.js';
import { cohortReport } from './cohort-report.js';
import { openJournal } from './journal.js';
import { type ManifestEntry, readManifest } from './manifest.js';
import { type CaseSettings, measureCase } from './measure-case.js';
import { type FailedCase, pairCases } from './pair-cases.js';
import { worstPictures } from './pictures.js';
import { readInput } from './read-input.js';
import { type Software, type Summary, writeReport } from './report.js';
import { type LabelScheme, SCHEMES } from './scheme.js';
import type { Table } from './table.js';

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

export interface CohortEvaluation {
  readonly summary: Summary;
  readonly tables: readonly Table[];
  readonly failed: readonly FailedCase[];
}

/** Of a record's meaning: another one makes records of older versions be made again. */
const RECORD_VERSION = 3;
/** Cases in memory at a time: one is read while another is measured. */
const AT_ONCE = 2;

/**
 * Measures every case that both folders have and writes OUT/cases/ID.json for each as it is done, then cases.csv, lesions.csv,
 * summary.json, tables.md, report.html and pictures in worst/. A case that cannot be measured is one failed row with its reason.
 * @throws RenvoxError FileNotFound; InvalidArgument where OUT has records and `resume` is not asked for; InvalidFile for a bad manifest
 * or where no case is in both folders; WriteFailed, AbortError (what was measured stays for `resume`)
 */
export async function evaluateCohort(
  out: string,
  options: CohortOptions,
): Promise<CohortEvaluation> {
  const { protocol = 'renvox', iou = 0, pictures: most = 8, signal } = options;
  const { replicates = 2000, seed = 1, level = 0.95, diameter = 'sphere' } = options;
  checkDiameter(diameter);
  if (!PROTOCOLS.includes(protocol))
    throw invalidArgument('protocol', PROTOCOLS.join(' or '), protocol);
  if (!(iou >= 0 && iou <= 1)) throw invalidArgument('iou', 'a number from 0 to 1', iou);
  if (!(Number.isInteger(most) && most >= 0))
    throw invalidArgument('pictures', 'an integer of at least 0', most);
  const scheme = options.labels ?? (protocol === 'renvox' ? SCHEMES.renvox : SCHEMES.kits);
  const manifest: ReadonlyMap<string, ManifestEntry> = options.manifest
    ? await readManifest(options.manifest)
    : new Map();
  const predictionScheme = options.predictionLabels ?? scheme;
  const { inputs, unpaired } = await pairCases(options, protocol === 'kits21', manifest);
  const settings: CaseSettings = {
    ...{ protocol, scheme, predictionScheme, iou, diameter, signal },
    device: options.device ?? defaultDevice(),
    settings: createHash('sha256')
      .update(
        JSON.stringify([
          RECORD_VERSION,
          protocol,
          iou,
          diameter,
          [...scheme],
          [...predictionScheme],
        ]),
      )
      .digest('hex'),
  };
  const { records, failed } = await measureAll(out, inputs, settings, options);
  failed.push(...unpaired);
  failed.sort((a, b) => (a.case < b.case ? -1 : 1));
  const bootstrap = { replicates, seed, level };
  const report = cohortReport(records, inputs.length, manifest, failed, protocol, bootstrap);
  const { truth, prediction, onTruth, images } = options;
  const summary = report.summary(
    {
      source: 'label maps',
      ...{ truth, prediction, on_truth: onTruth ?? null, images: images ?? null },
      manifest: options.manifest ?? null,
      ...{ protocol, iou, diameter, pictures: most },
      device: settings.device.kind,
      labels: Object.fromEntries(scheme),
      prediction_labels: Object.fromEntries(predictionScheme),
    },
    {
      ...fileHashes(records, inputs),
      ...(options.manifest && { [options.manifest]: sha256Of(await readInput(options.manifest)) }),
    },
    options.software ?? null,
  );
  // Loaded here, for drawing brings a tenth of a second of modules.
  const { casePlots, lesionPlots } = await import('./plots.js');
  const plots = new Map([
    ...casePlots(records),
    ...lesionPlots(report.lesions, report.caseLesions),
  ]);
  const byId = new Map(inputs.map((input) => [input.case, input]));
  const pictures = await worstPictures(records, byId, settings, most);
  const { tables, files } = report;
  await writeReport(out, { summary, tables, plots, pictures, files }, { signal });
  return { summary, tables, failed };
}

/** Records in the order of the inputs, taken from the journal or measured. */
async function measureAll(
  out: string,
  inputs: readonly CaseInput[],
  settings: CaseSettings,
  { resume = false, signal, onProgress }: CohortOptions,
): Promise<{ records: CaseRecord[]; failed: FailedCase[] }> {
  const journal = await openJournal(out, resume);
  const found = new Map<string, CaseRecord>();
  const failed: FailedCase[] = [];
  let done = 0;
  await eachOf(inputs, AT_ONCE, async (input) => {
    const id = input.case;
    const progress = (more: Partial<CohortProgress>) =>
      onProgress?.({ case: id, done: ++done, of: inputs.length, ...more });
    const kept = await journal.kept(input, settings);
    if (kept) {
      found.set(id, kept);
      return progress({ resumed: true });
    }
    try {
      const record = await measureCase(input, settings);
      await journal.keep(record, { signal });
      found.set(id, record);
      progress({});
    } catch (error) {
      if (endsTheRun(error)) throw error;
      const reason = error instanceof Error ? error.message : String(error);
      failed.push({ case: id, status: 'failed', reason });
      progress({ error: reason });
    }
  });
  // A manifest may name another patient than that of an earlier run.
  const records = inputs.flatMap(({ case: id, patient }) => {
    const record = found.get(id);
    const lesions = record?.lesions.map((l) => ({ ...l, patient }));
    return record && lesions ? [{ ...record, patient, lesions }] : [];
  });
  return { records, failed };
}

/** SHA-256 by path as given, of what was measured; references of several files by the folder of their case. */
function fileHashes(
  records: readonly CaseRecord[],
  inputs: readonly CaseInput[],
): Record<string, string> {
  const byId = new Map(inputs.map((input) => [input.case, input]));
  const found: Record<string, string> = {};
  for (const { case: id, inputs: hashes } of records) {
    const input = byId.get(id) as CaseInput;
    found[input.truth ?? `references of ${id}`] = hashes.truth;
    found[input.prediction] = hashes.prediction;
    if (input.report && hashes.report) found[input.report] = hashes.report;
    if (input.image && hashes.image) found[input.image] = hashes.image;
    if (input.onTruth && hashes.on_truth) found[input.onTruth] = hashes.on_truth;
  }
  return found;
}

/** A device that is gone or a full disk would fail all cases to come. */
function endsTheRun(error: unknown): boolean {
  if (!isRenvoxError(error)) return true;
  return ['AbortError', 'DeviceLost', 'WriteFailed', 'InternalError'].includes(error.code);
}

/** Runs `body` over the items, `width` at a time; the first error stops the start of others and is thrown when those under way are done. */
async function eachOf<T>(
  items: readonly T[],
  width: number,
  body: (item: T) => Promise<void>,
): Promise<void> {
  const rest = items.values();
  const errors: unknown[] = [];
  const worker = async () => {
    for (const item of rest) {
      if (errors.length > 0) return;
      try {
        await body(item);
      } catch (error) {
        errors.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: width }, worker));
  if (errors.length > 0) throw errors[0];
}
