/** A cohort: folders of true and predicted label maps in, every table out. */
import { createHash } from 'node:crypto';
import { defaultDevice } from '../device.js';
import { isRenvoxError } from '../errors.js';
import { withFolder } from '../locked-folder.js';
import { type CaseInput, sha256Of } from './case-input.js';
import type { CaseRecord } from './case-record.js';
import { type CohortOptions, type CohortProgress, cohortOptions } from './cohort-options.js';
import { cohortReport } from './cohort-report.js';
import { openJournal } from './journal.js';
import { type ManifestEntry, readManifest } from './manifest.js';
import { type CaseSettings, measureCase } from './measure-case.js';
import { checkOutput } from './output-folder.js';
import { type CaseWarning, type FailedCase, pairCases } from './pair-cases.js';
import { worstPictures } from './pictures.js';
import { readInput } from './read-input.js';
import { type Summary, writeReport } from './report.js';
import type { Table } from './table.js';

export interface CohortEvaluation {
  readonly summary: Summary;
  readonly tables: readonly Table[];
  readonly failed: readonly FailedCase[];
  /** What was measured though something looks wrong, or done without a file that was given. */
  readonly warnings: readonly CaseWarning[];
}

/** Of a record's meaning: another one makes records of older versions be made again. */
const RECORD_VERSION = 4;
/** Cases in memory at a time: one is read while another is measured. */
const AT_ONCE = 2;

/**
 * Measures every case that both folders have and writes OUT/cases/ID.json for each as it is done, then cases.csv, lesions.csv,
 * summary.json, tables.md, report.html and pictures in worst/. A case that cannot be measured is one failed row with its reason.
 * @throws RenvoxError FileNotFound; InvalidArgument for options, and where OUT has records and `resume` is not asked for, is one of the inputs,
 * holds results of another kind or is written into by another run; InvalidFile for a bad manifest or where no case is in both folders;
 * WriteFailed, AbortError (what was measured stays for `resume`)
 */
export async function evaluateCohort(
  out: string,
  options: CohortOptions,
): Promise<CohortEvaluation> {
  const asked = cohortOptions(options);
  const { protocol, iou, diameter, labels: scheme, predictionLabels: predictionScheme } = asked;
  const { truth, prediction, onTruth, images, signal } = options;
  await checkOutput(out, 'label maps', [truth, prediction, onTruth, images, options.manifest]);
  const manifest: ReadonlyMap<string, ManifestEntry> = options.manifest
    ? await readManifest(options.manifest)
    : new Map();
  const paired = await pairCases(options, protocol, manifest);
  const { inputs, unpaired } = paired;
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
  return withFolder(out, async () => {
    const { records, failed } = await measureAll(out, inputs, settings, options);
    failed.push(...unpaired);
    failed.sort((a, b) => (a.case < b.case ? -1 : 1));
    const warnings = [
      ...paired.warnings,
      ...records.flatMap((own) => (own.warnings ?? []).map((text) => ({ case: own.case, text }))),
    ];
    const { bootstrap } = asked;
    options.onStage?.(`intervals of ${records.length} cases, ${bootstrap.replicates} replicates`);
    const report = cohortReport(
      { records, paired: inputs.length, manifest, failed, warnings, protocol },
      bootstrap,
    );
    const summary = report.summary(
      {
        source: 'label maps',
        ...{ truth, prediction, on_truth: onTruth ?? null, images: images ?? null },
        manifest: options.manifest ?? null,
        ...{ protocol, iou, diameter, pictures: asked.pictures },
        device: settings.device.kind,
        labels: Object.fromEntries(scheme),
        prediction_labels: Object.fromEntries(predictionScheme),
      },
      {
        ...fileHashes(records, inputs),
        ...(options.manifest && {
          [options.manifest]: sha256Of(await readInput(options.manifest)),
        }),
      },
      options.software ?? null,
    );
    options.onStage?.('plots and pictures');
    // Loaded here, for drawing brings a tenth of a second of modules.
    const { casePlots, lesionPlots } = await import('./plots.js');
    const plots = new Map([
      ...casePlots(records),
      ...lesionPlots(report.lesions, report.caseLesions),
    ]);
    const byId = new Map(inputs.map((input) => [input.case, input]));
    const pictures = await worstPictures(records, byId, settings, asked.pictures);
    const { tables, files } = report;
    await writeReport(out, { summary, tables, plots, pictures, files }, { signal });
    return { summary, tables, failed, warnings };
  });
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
