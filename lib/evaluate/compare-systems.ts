/** Two systems on the same cases, side by side: one-stage against two-stage and the like. */
import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { invalidArgument, RenvoxError } from '../errors.js';
import {
  type BootstrapOptions,
  bootstrapAll,
  type Estimate,
  holm,
  mean,
  wilcoxonSignedRank,
} from '../metrics/index.js';
import { byPatient } from './by-patient.js';
import { type CaseRecord, REGION_SIDES, REGIONS, type Region } from './case-record.js';
import { LESION_FIGURES } from './figures.js';
import type { Lesion, Side } from './lesions.js';
import {
  DISCLAIMER,
  type Software,
  type Summary,
  type SummaryFigure,
  summaryFigure,
  writeReport,
} from './report.js';
import { pText, type Table, withInterval } from './table.js';

export interface SystemComparisonOptions extends BootstrapOptions {
  /** Said in the summary. */
  software?: Software | undefined;
  signal?: AbortSignal | undefined;
}

export interface SystemComparison {
  readonly summary: Summary;
  readonly tables: readonly Table[];
}

interface Pair {
  readonly a: CaseRecord;
  readonly b: CaseRecord;
}

/**
 * Reads the folders of two evaluations and writes summary.json, tables.md and report.html of their differences (B minus A) over the cases
 * that both have. Paired: Wilcoxon's signed rank test over patients' means, adjusted by Holm over the table; intervals by patient.
 * @throws RenvoxError FileNotFound; InvalidFile where a record is damaged; InvalidArgument where the truths differ or no case is in both
 */
export async function compareSystems(
  folderA: string,
  folderB: string,
  out: string,
  options: SystemComparisonOptions = {},
): Promise<SystemComparison> {
  const { signal, replicates = 2000, seed = 1, level = 0.95 } = options;
  const [recordsA, recordsB] = [await readRecords(folderA), await readRecords(folderB)];
  const pairs: Pair[] = [];
  for (const [id, a] of recordsA) {
    const b = recordsB.get(id);
    if (!b) continue;
    if (a.inputs.truth !== b.inputs.truth)
      throw invalidArgument(
        'the two evaluations',
        `the same truth for case ${id}`,
        `${folderA}: ${a.inputs.truth}, ${folderB}: ${b.inputs.truth}`,
      );
    pairs.push({ a, b });
  }
  if (pairs.length === 0)
    throw invalidArgument('the two evaluations', 'cases that both have', `${folderA}, ${folderB}`);
  const alone = recordsA.size + recordsB.size - 2 * pairs.length;
  const bootstrap = { replicates, seed, level };
  const names: [string, string] = [basename(folderA) || folderA, basename(folderB) || folderB];
  const figures: Record<string, SummaryFigure> = {};
  const tables = [
    segmentation(pairs, names, bootstrap, figures, alone),
    lesions(pairs, names, bootstrap, figures),
  ];
  const summary: Summary = {
    ...{ disclaimer: DISCLAIMER, software: options.software ?? null },
    settings: {
      ...{ source: 'comparison', a: folderA, b: folderB, cases: pairs.length },
      cases_in_one_alone: alone,
      bootstrap: { ...bootstrap, unit: 'patient' },
    },
    inputs: {},
    figures,
  };
  await writeReport(out, { summary, tables, files: {} }, { signal });
  return { summary, tables };
}

async function readRecords(folder: string): Promise<Map<string, CaseRecord>> {
  const cases = join(folder, 'cases');
  const names = await readdir(cases).catch((cause: unknown) => {
    throw new RenvoxError(
      'FileNotFound',
      `${folder} is no folder of an evaluation: it has no cases/`,
      { folder },
      { cause },
    );
  });
  const records = new Map<string, CaseRecord>();
  for (const name of names.filter((n) => n.endsWith('.json') && !n.startsWith('.')).sort()) {
    const file = join(cases, name);
    try {
      const record = JSON.parse(await readFile(file, 'utf8')) as CaseRecord;
      records.set(record.case, record);
    } catch (cause) {
      throw new RenvoxError('InvalidFile', `${file} is no record of a case`, { file }, { cause });
    }
  }
  return records;
}

const clustersOf = (pairs: readonly Pair[]) => byPatient(pairs, ({ a }) => a.patient);

const VALUES = ['dice', 'hausdorff_mm', 'hd95_mm', 'assd_mm'] as const;

/** [A, B] of every side of the pairs where both systems have a figure. */
function paired(
  pairs: readonly Pair[],
  region: Region,
  side: Side | 'both',
  value: (typeof VALUES)[number],
): [number, number][] {
  return pairs.flatMap(({ a, b }) =>
    REGION_SIDES.filter((s) => side === 'both' || s === side).flatMap((s) => {
      const [x, y] = [a.regions[region][s], b.regions[region][s]];
      if (x.state === 'both_empty' && y.state === 'both_empty') return [];
      const [p, q] = [x[value], y[value]];
      return p === null || q === null ? [] : [[p, q] as [number, number]];
    }),
  );
}

function segmentation(
  pairs: readonly Pair[],
  [nameA, nameB]: [string, string],
  bootstrap: BootstrapOptions,
  figures: Record<string, SummaryFigure>,
  alone: number,
): Table {
  const clusters = clustersOf(pairs);
  const specs = REGIONS.flatMap((region) =>
    ([...REGION_SIDES, 'both'] as const).flatMap((side) =>
      VALUES.map((value) => ({ region, side, value })),
    ),
  );
  const of = ({ region, side, value }: (typeof specs)[number], sample: readonly Pair[]) =>
    paired(sample, region, side, value);
  const estimates = bootstrapAll(
    clusters,
    specs.flatMap((spec) => [
      (sample: readonly Pair[]) => mean(of(spec, sample).map(([a]) => a)),
      (sample: readonly Pair[]) => mean(of(spec, sample).map(([, b]) => b)),
      (sample: readonly Pair[]) => mean(of(spec, sample).map(([a, b]) => b - a)),
    ]),
    bootstrap,
  );
  const p = specs.map((spec) => {
    // A patient's cases are not independent: each patient is one pair.
    const means = clusters
      .map((cluster) => of(spec, cluster))
      .filter((list) => list.length > 0)
      .map((list) => [mean(list.map(([a]) => a)), mean(list.map(([, b]) => b))] as const);
    return wilcoxonSignedRank(
      means.map(([a]) => a),
      means.map(([, b]) => b),
    ).p;
  });
  const adjusted = holm(p);
  const rows = specs.map((spec, k) => {
    const [a, b, difference] = estimates.slice(3 * k, 3 * k + 3) as [Estimate, Estimate, Estimate];
    const n = of(spec, pairs).length;
    const path = `segmentation.${spec.region}.${spec.side}.${spec.value}`;
    figures[`${path}.a`] = summaryFigure({ ...a, n });
    figures[`${path}.b`] = summaryFigure({ ...b, n });
    figures[`${path}.difference`] = summaryFigure({ ...difference, n });
    return [
      ...[spec.region, spec.side, spec.value.replace('_mm', ' (mm)'), `${n}`],
      ...[withInterval(a), withInterval(b), withInterval(difference)],
      ...[pText(p[k] as number), pText(adjusted[k] as number)],
    ];
  });
  return {
    id: 'segmentation',
    title: `Segmentation: ${nameA} against ${nameB}`,
    note: `${pairs.length} cases that both have; ${alone} cases are in one alone and left out. Difference: ${nameB} minus ${nameA}. p: Wilcoxon's signed rank test over patients; adjusted: Holm over this table. Distances over sides where both systems have one. 95 % intervals: percentile bootstrap by patient.`,
    columns: ['structure', 'side', 'figure', 'n', nameA, nameB, 'difference', 'p', 'adjusted p'],
    rows,
  };
}

function lesions(
  pairs: readonly Pair[],
  [nameA, nameB]: [string, string],
  bootstrap: BootstrapOptions,
  figures: Record<string, SummaryFigure>,
): Table {
  const list = (sample: readonly Pair[], which: 'a' | 'b'): Lesion[] =>
    sample.flatMap((pair) => pair[which].lesions);
  const wanted = LESION_FIGURES.filter(({ path }) =>
    /^(detection\.(overall|left|right|lt5mm|ge5mm)|classification\.\w+\.(accuracy|balanced_accuracy)|end_to_end\.\w+\.accuracy)/.test(
      path,
    ),
  );
  const estimates = bootstrapAll(
    clustersOf(pairs),
    wanted.flatMap(({ of }) => [
      (sample: readonly Pair[]) => of(list(sample, 'a')),
      (sample: readonly Pair[]) => of(list(sample, 'b')),
      (sample: readonly Pair[]) => of(list(sample, 'b')) - of(list(sample, 'a')),
    ]),
    bootstrap,
  );
  const rows = wanted.map(({ path, count }, k) => {
    const [a, b, difference] = estimates.slice(3 * k, 3 * k + 3) as [Estimate, Estimate, Estimate];
    const [nA, nB] = [count(list(pairs, 'a')), count(list(pairs, 'b'))];
    figures[`${path}.a`] = summaryFigure({ ...a, n: nA });
    figures[`${path}.b`] = summaryFigure({ ...b, n: nB });
    figures[`${path}.difference`] = summaryFigure({ ...difference, n: Math.min(nA, nB) });
    return [path, withInterval(a), withInterval(b), withInterval(difference)];
  });
  return {
    id: 'lesions',
    title: `Detection and classification: ${nameA} against ${nameB}`,
    note: `Difference: ${nameB} minus ${nameA}, with its 95 % interval on the same replicates, by patient: where it leaves out 0 the two differ.`,
    columns: ['figure', nameA, nameB, 'difference'],
    rows,
  };
}
