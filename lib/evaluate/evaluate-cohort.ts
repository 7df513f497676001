/** A cohort: folders of true and predicted label maps in, every table out. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolder, writeFileAtomic } from '../atomic-write.js';
import { type Device, defaultDevice } from '../device.js';
import { invalidArgument, isRenvoxError, RenvoxError } from '../errors.js';
import { checkDiameter, type DiameterName } from '../metrics/diameter.js';
import type { BootstrapOptions } from '../metrics/index.js';
import { formatCsv } from './csv.js';
import { lesionFigures } from './figures.js';
import { findCases } from './find-cases.js';
import { evaluationCsv } from './kits.js';
import { lesionTables } from './lesion-tables.js';
import { formatLesions } from './lesions.js';
import { type ManifestEntry, readManifest } from './manifest.js';
import {
  type CaseRecord,
  measureCase,
  type Protocol,
  REGION_SIDES,
  REGIONS,
} from './measure-case.js';
import { type Summary, summaryFigure, writeReport } from './report.js';
import { type LabelScheme, SCHEMES } from './scheme.js';
import {
  cohortTable,
  segmentationFigures,
  segmentationTable,
  volumeTable,
} from './segmentation-tables.js';
import type { Table } from './table.js';

export interface CohortOptions extends BootstrapOptions {
  /** Folder of the true label maps. */
  truth: string;
  /** Folder of the predicted ones. */
  prediction: string;
  /** What the values mean, in both. Default {@link SCHEMES}.renvox. */
  labels?: LabelScheme | undefined;
  /** CSV of case, patient, sex, age, phase. */
  manifest?: string | undefined;
  /** Goes on where an earlier run into the same folder ended. */
  resume?: boolean | undefined;
  /** `kits23`: the official scores too, evaluation.csv; labels are those of KiTS. Default renvox. */
  protocol?: Protocol | undefined;
  /** From this IoU on a mass counts as found. Default 0: any voxel shared. */
  iou?: number | undefined;
  /** What a mass's average diameter is, by name. Default sphere. */
  diameter?: DiameterName | undefined;
  /** Default: {@link defaultDevice}. */
  device?: Device | undefined;
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

/** A case that could not be measured. */
export interface FailedCase {
  readonly case: string;
  readonly status: 'failed' | 'no prediction' | 'no truth';
  readonly reason: string;
}

export interface CohortEvaluation {
  readonly summary: Summary;
  readonly tables: readonly Table[];
  readonly failed: readonly FailedCase[];
}

/** Of a record's meaning: another one makes records of older versions be made again. */
const RECORD_VERSION = 1;
/** Cases in memory at a time: one is read while another is measured. */
const AT_ONCE = 2;
const CASES = 'cases';

/**
 * Measures every case that both folders have and writes OUT/cases/ID.json for each as it is done, then cases.csv, lesions.csv,
 * summary.json, tables.md and report.html. A case that cannot be measured is one failed row with its reason.
 * @throws RenvoxError FileNotFound; InvalidArgument where OUT has records and `resume` is not asked for; InvalidFile for a bad manifest
 * or where no case is in both folders; WriteFailed, AbortError (what was measured stays for `resume`)
 */
export async function evaluateCohort(
  out: string,
  options: CohortOptions,
): Promise<CohortEvaluation> {
  const { protocol = 'renvox', iou = 0, device = defaultDevice(), signal } = options;
  const { replicates = 2000, seed = 1, level = 0.95, diameter = 'sphere' } = options;
  checkDiameter(diameter);
  if (protocol !== 'renvox' && protocol !== 'kits23')
    throw invalidArgument('protocol', 'renvox or kits23', protocol);
  const scheme = options.labels ?? (protocol === 'kits23' ? SCHEMES.kits : SCHEMES.renvox);
  if (!(iou >= 0 && iou <= 1)) throw invalidArgument('iou', 'a number from 0 to 1', iou);
  const [truths, predictions] = [
    await findCases(options.truth),
    await findCases(options.prediction),
  ];
  const manifest = options.manifest ? await readManifest(options.manifest) : new Map();
  const ids = [...truths.keys()].filter((id) => predictions.has(id));
  if (ids.length === 0)
    throw new RenvoxError(
      'InvalidFile',
      `No case is in both folders: ${options.truth} has ${sample(truths)}, ${options.prediction} has ${sample(predictions)}`,
      { truth: [...truths.keys()].slice(0, 20), prediction: [...predictions.keys()].slice(0, 20) },
    );
  const settings = createHash('sha256')
    .update(JSON.stringify([RECORD_VERSION, protocol, iou, diameter, [...scheme]]))
    .digest('hex');
  const folder = join(out, CASES);
  await makeFolder(out);
  await makeFolder(folder);
  const before = (await readdir(folder)).filter((name) => name.endsWith('.json'));
  if (before.length > 0 && !options.resume)
    throw invalidArgument(
      'out',
      'a folder without records of an earlier run, or --resume',
      `${out} with ${before.length} records`,
    );
  const failed = unpaired(truths, predictions);
  const records = new Map<string, CaseRecord>();
  let done = 0;
  const measure = async (id: string) => {
    const input = {
      ...{ case: id, patient: manifest.get(id)?.patient ?? id },
      truth: truths.get(id) as string,
      prediction: predictions.get(id) as string,
    };
    const path = join(folder, `${id}.json`);
    const progress = (more: Partial<CohortProgress>) =>
      options.onProgress?.({ case: id, done: ++done, of: ids.length, ...more });
    const kept = options.resume ? await keptRecord(path, input, settings) : undefined;
    if (kept) {
      records.set(id, { ...kept, patient: input.patient });
      return progress({ resumed: true });
    }
    try {
      const record = await measureCase(input, {
        protocol,
        scheme,
        device,
        settings,
        iou,
        diameter,
        signal,
      });
      await writeFileAtomic(path, [Buffer.from(`${JSON.stringify(record)}\n`)], { signal });
      records.set(id, record);
      progress({});
    } catch (error) {
      if (endsTheRun(error)) throw error;
      const reason = error instanceof Error ? error.message : String(error);
      failed.push({ case: id, status: 'failed', reason });
      progress({ error: reason });
    }
  };
  await eachOf(ids, AT_ONCE, measure);
  const inOrder = ids.map((id) => records.get(id)).filter((r) => r !== undefined);
  failed.sort((a, b) => (a.case < b.case ? -1 : 1));
  const lesions = inOrder.flatMap((record) =>
    record.lesions.map((l) => ({ ...l, patient: record.patient })),
  );
  const bootstrap = { replicates, seed, level };
  const figures = new Map([
    ...segmentationFigures(inOrder, bootstrap),
    ...lesionFigures(lesions, bootstrap),
  ]);
  const tables = [
    caseTable(ids.length, inOrder.length, failed),
    cohortTable(inOrder, manifest),
    segmentationTable(inOrder, figures),
    volumeTable(inOrder),
    ...lesionTables(lesions, figures),
  ];
  const summary: Summary = {
    settings: {
      source: 'label maps',
      ...{ truth: options.truth, prediction: options.prediction, protocol, iou, diameter },
      labels: Object.fromEntries(scheme),
      bootstrap: { ...bootstrap, unit: 'patient' },
      conventions: 'renvox',
      cases: inOrder.length,
      failed,
    },
    inputs: Object.fromEntries(
      inOrder.flatMap((r) => [
        [truths.get(r.case) as string, r.inputs.truth],
        [predictions.get(r.case) as string, r.inputs.prediction],
      ]),
    ),
    figures: Object.fromEntries([...figures].map(([path, e]) => [path, summaryFigure(e)])),
  };
  const files = {
    'cases.csv': caseRows(inOrder, manifest, failed),
    'lesions.csv': formatLesions(lesions),
    ...(protocol === 'kits23' && { 'evaluation.csv': evaluationCsv(inOrder) }),
  };
  // Loaded here, for drawing brings a tenth of a second of modules.
  const { casePlots, lesionPlots } = await import('./plots.js');
  const plots = new Map([...casePlots(inOrder), ...lesionPlots(lesions)]);
  await writeReport(out, { summary, tables, plots, files }, { signal });
  return { summary, tables, failed };
}

function sample(cases: ReadonlyMap<string, string>): string {
  const names = [...cases.keys()];
  if (names.length === 0) return 'no label map';
  return `${names.slice(0, 3).join(', ')}${names.length > 3 ? `, … (${names.length})` : ''}`;
}

function unpaired(
  truths: ReadonlyMap<string, string>,
  predictions: ReadonlyMap<string, string>,
): FailedCase[] {
  const missing: FailedCase[] = [];
  for (const id of truths.keys())
    if (!predictions.has(id))
      missing.push({ case: id, status: 'no prediction', reason: 'no predicted label map' });
  for (const id of predictions.keys())
    if (!truths.has(id))
      missing.push({ case: id, status: 'no truth', reason: 'no true label map' });
  return missing;
}

/** A device that is gone or a full disk would fail all cases to come. */
function endsTheRun(error: unknown): boolean {
  if (!isRenvoxError(error)) return true;
  return ['AbortError', 'DeviceLost', 'WriteFailed', 'InternalError'].includes(error.code);
}

/** The record of an earlier run, where it is whole and of the same files and settings. */
async function keptRecord(
  path: string,
  input: { truth: string; prediction: string },
  settings: string,
): Promise<CaseRecord | undefined> {
  const text = await readFile(path, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  let record: CaseRecord;
  try {
    record = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (record.settings !== settings) return undefined;
  try {
    const same =
      record.inputs.truth === (await sha256(input.truth)) &&
      record.inputs.prediction === (await sha256(input.prediction));
    return same ? record : undefined;
  } catch {
    // The file cannot be read now: measuring it says why.
    return undefined;
  }
}

async function sha256(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const piece of createReadStream(file)) hash.update(piece as Buffer);
  return hash.digest('hex');
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

function caseTable(paired: number, measured: number, failed: readonly FailedCase[]): Table {
  return {
    id: 'cases',
    title: 'Cases',
    note: `${measured} of ${paired} pairs measured; ${failed.length} cases are in no figure below.`,
    columns: ['case', 'status', 'reason'],
    rows: failed.map(({ case: id, status, reason }) => [id, status, reason]),
  };
}

const FIGURES = ['dice', 'iou', 'hausdorff_mm', 'hd95_mm', 'assd_mm', 'truth_ml'] as const;

function caseRows(
  records: readonly CaseRecord[],
  manifest: ReadonlyMap<string, ManifestEntry>,
  failed: readonly FailedCase[],
): string {
  const figures = [...FIGURES, 'prediction_ml', 'state'] as const;
  const columns = [
    ...['case', 'patient', 'sex', 'age', 'phase', 'status', 'reason'],
    ...REGIONS.flatMap((r) => REGION_SIDES.flatMap((s) => figures.map((f) => `${r}_${s}_${f}`))),
    ...['tp', 'fp', 'fn'],
  ];
  const rows = records.map((record) => {
    const { sex, age, phase } = manifest.get(record.case) ?? {};
    const row: Record<string, string | number | null | undefined> = {
      ...{ case: record.case, patient: record.patient, sex, age, phase, status: 'measured' },
    };
    for (const region of REGIONS)
      for (const side of REGION_SIDES)
        for (const name of figures)
          row[`${region}_${side}_${name}`] = record.regions[region][side][name];
    for (const status of ['TP', 'FP', 'FN'] as const)
      row[status.toLowerCase()] = record.lesions.filter((l) => l.status === status).length;
    return row;
  });
  return formatCsv(columns, [...rows, ...failed.map((f) => ({ ...f }))]);
}
