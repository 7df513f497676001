/** The tables again, from a file of lesions alone. */
import { createHash } from 'node:crypto';
import { withFolder } from '../locked-folder.js';
import type { BootstrapOptions } from '../metrics/index.js';
import { bootstrapOptions, checkNames } from './bootstrap-options.js';
import { lesionFigures } from './figures.js';
import { casesOf, frocFigures, frocTable } from './froc-figures.js';
import { lesionTables } from './lesion-tables.js';
import { formatLesions, parseLesions } from './lesions.js';
import { checkOutput } from './output-folder.js';
import { readInput } from './read-input.js';
import { DISCLAIMER, type Software, type Summary, summaryFigure, writeReport } from './report.js';
import type { Table } from './table.js';

export interface LesionEvaluationOptions extends BootstrapOptions {
  /** Said in the summary. */
  software?: Software | undefined;
  signal?: AbortSignal | undefined;
}

export interface LesionEvaluation {
  readonly summary: Summary;
  readonly tables: readonly Table[];
}

/**
 * Reads a lesions.csv, writes summary.json, tables.md, report.html and the lesions as read into `out`.
 * @throws RenvoxError InvalidArgument where `out` holds the file, or results of folders or of a comparison, or another run writes into it;
 * FileNotFound, InvalidFile with every wrong field, WriteFailed, AbortError
 */
export async function evaluateLesions(
  file: string,
  out: string,
  options: LesionEvaluationOptions = {},
): Promise<LesionEvaluation> {
  checkNames(options, ['replicates', 'seed', 'level', 'software', 'signal']);
  const bootstrap = bootstrapOptions(options);
  const { signal } = options;
  await checkOutput(out, 'lesions', [file]);
  const bytes = await readInput(file);
  const lesions = parseLesions(bytes.toString('utf8'), file);
  const cases = casesOf(lesions);
  const figures = new Map([...lesionFigures(lesions, bootstrap), ...frocFigures(cases, bootstrap)]);
  const tables = lesionTables(lesions, figures, [frocTable(cases, figures)]);
  const summary: Summary = {
    ...{ disclaimer: DISCLAIMER, software: options.software ?? null },
    settings: {
      ...{ source: 'lesions', file },
      bootstrap: { ...bootstrap, unit: 'patient' },
      lesions: lesions.length,
      patients: new Set(lesions.map((l) => l.patient)).size,
    },
    inputs: { [file]: createHash('sha256').update(bytes).digest('hex') },
    figures: Object.fromEntries([...figures].map(([path, e]) => [path, summaryFigure(e)])),
  };
  const files = { 'lesions.csv': formatLesions(lesions) };
  // Loaded here, for drawing brings a tenth of a second of modules.
  const { lesionPlots } = await import('./plots.js');
  const plots = lesionPlots(lesions, cases);
  await withFolder(out, () => writeReport(out, { summary, tables, plots, files }, { signal }));
  return { summary, tables };
}
