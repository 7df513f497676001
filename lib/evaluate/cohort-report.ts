/** From measured cases to everything that is written of a cohort. */
import type { BootstrapOptions } from '../metrics/index.js';
import type { CaseRecord, Protocol } from './case-record.js';
import { caseRows } from './case-rows.js';
import { cohortTable } from './cohort-table.js';
import { lesionFigures } from './figures.js';
import { type CaseLesions, frocFigures, frocTable } from './froc-figures.js';
import { evaluationCsv, referencesCsv } from './kits.js';
import { kitsFigures, kitsTables } from './kits-figures.js';
import { lesionTables } from './lesion-tables.js';
import { formatLesions, type Lesion } from './lesions.js';
import type { ManifestEntry } from './manifest.js';
import type { CaseWarning, FailedCase } from './pair-cases.js';
import { phaseFigures, phasesOf, phaseTables } from './phase-figures.js';
import { DISCLAIMER, type Software, type Summary, summaryFigure } from './report.js';
import { segmentationFigures, segmentationTable } from './segmentation-tables.js';
import { sweepFigures, sweepTable } from './sweep-figures.js';
import type { Table } from './table.js';
import { volumeFigures, volumeTable } from './volume-figures.js';
import { worstKidneyTable } from './worst-kidney-table.js';

export interface CohortReport {
  readonly lesions: readonly Lesion[];
  readonly caseLesions: readonly CaseLesions[];
  readonly tables: readonly Table[];
  /** Text files by name; null for one that this run has not. */
  readonly files: Readonly<Record<string, string | null>>;
  summary(
    settings: Readonly<Record<string, unknown>>,
    inputs: Readonly<Record<string, string>>,
    software: Software | null,
  ): Summary;
}

/** What is known of a cohort when it is measured. */
export interface MeasuredCohort {
  readonly records: readonly CaseRecord[];
  /** Cases that were to be measured. */
  readonly paired: number;
  readonly manifest: ReadonlyMap<string, ManifestEntry>;
  readonly failed: readonly FailedCase[];
  readonly warnings: readonly CaseWarning[];
  readonly protocol: Protocol;
}

export function cohortReport(
  { records, paired, manifest, failed, warnings, protocol }: MeasuredCohort,
  bootstrap: BootstrapOptions,
): CohortReport {
  const lesions = records.flatMap((record) => record.lesions);
  const phases = phasesOf(records, manifest);
  const figures = new Map([
    ...segmentationFigures(records, bootstrap),
    ...volumeFigures(records, bootstrap),
    ...lesionFigures(lesions, bootstrap),
    ...sweepFigures(records, bootstrap),
    ...frocFigures(records, bootstrap),
    ...kitsFigures(records, bootstrap),
    ...phaseFigures(phases, bootstrap),
  ]);
  const tables = [
    caseTable(paired, records.length, failed, warnings),
    cohortTable(records, manifest),
    ...kitsTables(records, figures, protocol),
    segmentationTable(records, figures),
    volumeTable(figures),
    ...phaseTables(phases, figures),
    worstKidneyTable(records),
    ...lesionTables(lesions, figures, [sweepTable(records, figures), frocTable(records, figures)]),
  ];
  const reports = records.flatMap(({ report }) => report ?? []);
  const sum = (of: (report: (typeof reports)[number]) => number) =>
    reports.reduce((n, report) => n + of(report), 0);
  return {
    ...{ lesions, tables, caseLesions: records },
    files: {
      'cases.csv': caseRows(records, manifest, failed),
      'lesions.csv': formatLesions(lesions),
      'evaluation.csv': protocol === 'renvox' ? null : evaluationCsv(records),
      'evaluation_references.csv': protocol === 'kits21' ? referencesCsv(records) : null,
    },
    summary: (settings, inputs, software) => ({
      ...{ disclaimer: DISCLAIMER, software },
      settings: {
        ...settings,
        bootstrap: { ...bootstrap, unit: 'patient' },
        conventions: 'renvox',
        cases: records.length,
        // Reports of analyses: how many of their masses were found again among the predicted components.
        reports: {
          cases: reports.length,
          masses: sum(({ masses }) => masses),
          components: sum(({ components }) => components),
        },
        ...{ failed, warnings },
      },
      inputs,
      figures: Object.fromEntries([...figures].map(([path, e]) => [path, summaryFigure(e)])),
    }),
  };
}

function caseTable(
  paired: number,
  measured: number,
  failed: readonly FailedCase[],
  warnings: readonly CaseWarning[],
): Table {
  return {
    id: 'cases',
    title: 'Cases',
    note: `${measured} of ${paired} pairs measured; ${failed.length} cases are in no figure below; ${warnings.length} warnings.`,
    columns: ['case', 'status', 'reason'],
    rows: [
      ...failed.map(({ case: id, status, reason }) => [id, status, reason]),
      ...warnings.map(({ case: id, text }) => [id ?? 'all', 'warning', text]),
    ],
  };
}
