/** Two systems on the same cases, side by side: one-stage against two-stage and the like. */
import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { RenvoxError, unfitArgument } from '../errors.js';
import { withFolder } from '../locked-folder.js';
import type { BootstrapOptions } from '../metrics/index.js';
import { bootstrapOptions, checkNames } from './bootstrap-options.js';
import { sha256Of } from './case-input.js';
import type { CaseRecord } from './case-record.js';
import {
  kitsComparison,
  lesionComparison,
  type Pair,
  segmentationComparison,
} from './compare-tables.js';
import { parseCsv } from './csv.js';
import { checkOutput } from './output-folder.js';
import {
  DISCLAIMER,
  type Software,
  type Summary,
  type SummaryFigure,
  writeReport,
} from './report.js';
import type { Table } from './table.js';

export interface SystemComparisonOptions extends BootstrapOptions {
  /** Said in the summary. */
  software?: Software | undefined;
  signal?: AbortSignal | undefined;
}

export interface SystemComparison {
  readonly summary: Summary;
  readonly tables: readonly Table[];
}

/**
 * Reads the folders of two evaluations and writes summary.json, tables.md and report.html of their differences (B minus A) over the cases
 * that both have, with KiTS' ranking where both have its scores. Paired: Wilcoxon's signed rank test over patients' means, adjusted by Holm over
 * the table; intervals by patient.
 * @throws RenvoxError FileNotFound; InvalidFile where a record is damaged; InvalidArgument where the truths or the rules (IoU, diameter,
 * true labels) differ, cases are of other patients, no case is in both, or `out` is one of the two, holds results of another kind or is written
 * into by another run
 */
export async function compareSystems(
  folderA: string,
  folderB: string,
  out: string,
  options: SystemComparisonOptions = {},
): Promise<SystemComparison> {
  checkNames(options, ['replicates', 'seed', 'level', 'software', 'signal']);
  const bootstrap = bootstrapOptions(options);
  const { signal } = options;
  await checkOutput(out, 'comparison', [folderA, folderB]);
  const [systemA, systemB] = [await readSystem(folderA), await readSystem(folderB)];
  for (const [name, own] of Object.entries(systemA.rules))
    if (systemB.rules[name] !== undefined && systemB.rules[name] !== own)
      throw unfitArgument(
        'the two evaluations',
        `one setting of ${name}`,
        `${folderA}: ${own}, ${folderB}: ${systemB.rules[name]}`,
      );
  const pairs: Pair[] = [];
  for (const [id, a] of systemA.records) {
    const b = systemB.records.get(id);
    if (!b) continue;
    if (a.inputs.truth !== b.inputs.truth)
      throw unfitArgument(
        'the two evaluations',
        `the same truth for case ${id}`,
        `${folderA}: ${a.inputs.truth}, ${folderB}: ${b.inputs.truth}`,
      );
    pairs.push({ a, b });
  }
  samePatients(pairs, folderA, folderB);
  if (pairs.length === 0)
    throw unfitArgument('the two evaluations', 'cases that both have', `${folderA}, ${folderB}`);
  const alone = systemA.records.size + systemB.records.size - 2 * pairs.length;
  const figures: Record<string, SummaryFigure> = {};
  const context = { pairs, names: namesOf(folderA, folderB), bootstrap, figures };
  const tables = [
    segmentationComparison(context, alone),
    ...kitsComparison(context),
    lesionComparison(context),
  ];
  const summary: Summary = {
    ...{ disclaimer: DISCLAIMER, software: options.software ?? null },
    settings: {
      ...{ source: 'comparison', a: folderA, b: folderB, cases: pairs.length },
      ...{ rules: systemA.rules, cases_in_one_alone: alone },
      bootstrap: { ...bootstrap, unit: 'patient' },
      conventions: 'renvox',
    },
    inputs: { ...systemA.hashes, ...systemB.hashes },
    figures,
  };
  // Loaded here, for drawing brings a tenth of a second of modules.
  const { comparisonPlots } = await import('./plots.js');
  const plots = comparisonPlots(pairs, context.names);
  await withFolder(out, () => writeReport(out, { summary, tables, plots, files: {} }, { signal }));
  return { summary, tables };
}

/**
 * Both must put the same cases together as one patient's, whatever they call the patient: intervals and tests are by patient.
 * @throws RenvoxError InvalidArgument
 */
function samePatients(pairs: readonly Pair[], folderA: string, folderB: string): void {
  for (const [from, to] of [
    ['a', 'b'],
    ['b', 'a'],
  ] as const) {
    const first = new Map<string, Pair>();
    for (const pair of pairs) {
      const other = first.get(pair[from].patient);
      if (other === undefined) first.set(pair[from].patient, pair);
      else if (other[to].patient !== pair[to].patient)
        throw unfitArgument(
          'the two evaluations',
          'cases of the same patients (evaluate both with one --manifest)',
          `${other.a.case} and ${pair.a.case} of one patient in ${from === 'a' ? folderA : folderB}, of two in ${from === 'a' ? folderB : folderA}`,
        );
    }
  }
}

/** What the two are called: the names of their folders, told apart where these are one. */
function namesOf(folderA: string, folderB: string): [string, string] {
  const [a, b] = [basename(folderA) || folderA, basename(folderB) || folderB];
  return a === b ? [`${a} (A)`, `${b} (B)`] : [a, b];
}

interface System {
  readonly records: ReadonlyMap<string, CaseRecord>;
  /** SHA-256 by path of what was read. */
  readonly hashes: Readonly<Record<string, string>>;
  /** Settings that both must share, as JSON; those that its summary does not say are missing. */
  readonly rules: Readonly<Record<string, string>>;
}

async function readSystem(folder: string): Promise<System> {
  const cases = join(folder, 'cases');
  const entries = await readdir(cases).catch((cause: unknown) => {
    throw new RenvoxError(
      'FileNotFound',
      `${folder} is no folder of an evaluation: it has no cases/`,
      { folder },
      { cause },
    );
  });
  const records = new Map<string, CaseRecord>();
  const hashes: Record<string, string> = {};
  const read = async (file: string): Promise<string> => {
    const bytes = await readFile(file);
    hashes[file] = sha256Of(bytes);
    return bytes.toString('utf8');
  };
  const readJson = async <T>(file: string, what: string): Promise<T> => {
    const text = await read(file);
    try {
      return JSON.parse(text) as T;
    } catch (cause) {
      throw new RenvoxError('InvalidFile', `${file} is no ${what}`, { file }, { cause });
    }
  };
  const there = new Set(await readdir(folder));
  // Records of cases that a later run left out or could not measure stay in the journal, with the patients of then.
  const table = join(folder, 'cases.csv');
  const measured = there.has('cases.csv')
    ? new Map(
        parseCsv(await read(table), table, ['case', 'patient', 'status'])
          .filter(({ fields }) => fields.status === 'measured')
          .map(({ fields }) => [fields.case as string, fields.patient as string]),
      )
    : undefined;
  for (const name of entries.filter((n) => n.endsWith('.json') && !n.startsWith('.')).sort()) {
    if (measured && !measured.has(name.slice(0, -'.json'.length))) continue;
    const record = await readJson<CaseRecord>(join(cases, name), 'record of a case');
    const patient = measured?.get(record.case) ?? record.patient;
    records.set(record.case, { ...record, patient });
  }
  const { settings = {} } = there.has('summary.json')
    ? await readJson<Partial<Summary>>(join(folder, 'summary.json'), 'summary')
    : {};
  const rules = ['iou', 'diameter', 'labels'].flatMap((name) =>
    settings[name] === undefined ? [] : [[name, JSON.stringify(settings[name])] as const],
  );
  return { records, hashes, rules: Object.fromEntries(rules) };
}
