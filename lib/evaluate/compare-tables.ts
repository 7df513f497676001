/** The tables of two systems on the same cases, and the figures in them. */
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
import { KITS_REGIONS, type KitsScores } from './kits.js';
import { KITS_METRICS } from './kits-figures.js';
import { kitsRanking } from './kits-ranking.js';
import type { Lesion, Side } from './lesions.js';
import { type SummaryFigure, summaryFigure } from './report.js';
import { INTERVAL, pText, type Table, text, withInterval } from './table.js';

/** The records of one case by both systems. */
export interface Pair {
  readonly a: CaseRecord;
  readonly b: CaseRecord;
}

/** What all tables of a comparison are made with. */
export interface ComparisonContext {
  readonly pairs: readonly Pair[];
  readonly names: readonly [string, string];
  readonly bootstrap: BootstrapOptions;
  /** Takes the figures, by path. */
  readonly figures: Record<string, SummaryFigure>;
}

const clustersOf = (pairs: readonly Pair[]) => byPatient(pairs, ({ a }) => a.patient);

/** A figure that both systems have of some things, and which. */
interface PairedFigure {
  readonly path: string;
  /** The first cells of its row. */
  readonly cells: readonly string[];
  /** [A, B] of each thing that both have a figure of. */
  of(sample: readonly Pair[]): [number, number][];
}

/** Values of A, of B and their difference with intervals, and the paired test over patients; adjusted by Holm over all figures given. */
function pairedRows(
  { pairs, bootstrap, figures }: ComparisonContext,
  specs: readonly PairedFigure[],
): string[][] {
  const clusters = clustersOf(pairs);
  const estimates = bootstrapAll(
    clusters,
    specs.flatMap(({ of }) => [
      (sample: readonly Pair[]) => mean(of(sample).map(([a]) => a)),
      (sample: readonly Pair[]) => mean(of(sample).map(([, b]) => b)),
      (sample: readonly Pair[]) => mean(of(sample).map(([a, b]) => b - a)),
    ]),
    bootstrap,
  );
  const p = specs.map(({ of }) => {
    // A patient's cases are not independent: each patient is one pair.
    const means = clusters
      .map(of)
      .filter((list) => list.length > 0)
      .map((list) => [mean(list.map(([a]) => a)), mean(list.map(([, b]) => b))] as const);
    return wilcoxonSignedRank(
      means.map(([a]) => a),
      means.map(([, b]) => b),
    ).p;
  });
  const adjusted = holm(p);
  return specs.map(({ path, cells, of }, k) => {
    const [a, b, difference] = estimates.slice(3 * k, 3 * k + 3) as [Estimate, Estimate, Estimate];
    const n = of(pairs).length;
    figures[`${path}.a`] = summaryFigure({ ...a, n });
    figures[`${path}.b`] = summaryFigure({ ...b, n });
    figures[`${path}.difference`] = summaryFigure({ ...difference, n });
    return [
      ...[...cells, `${n}`, withInterval(a), withInterval(b), withInterval(difference)],
      ...[pText(p[k] as number), pText(adjusted[k] as number)],
    ];
  });
}

const PAIRED = "p: Wilcoxon's signed rank test over patients; adjusted: Holm over this table.";

const VALUES = ['dice', 'hausdorff_mm', 'hd95_mm', 'assd_mm'] as const;
type Value = (typeof VALUES)[number];

/** Of every side of the pairs where either system has something to compare, both figures; null where a system has none. */
function sidesOf(pairs: readonly Pair[], region: Region, side: Side | 'both', value: Value) {
  return pairs.flatMap(({ a, b }) =>
    REGION_SIDES.filter((s) => side === 'both' || s === side).flatMap((s) => {
      const [x, y] = [a.regions[region][s], b.regions[region][s]];
      if (x.state === 'both_empty' && y.state === 'both_empty') return [];
      return [[x[value], y[value]] as const];
    }),
  );
}

/** Dice and distances by side. @param alone - cases that one system alone has */
export function segmentationComparison(context: ComparisonContext, alone: number): Table {
  const { pairs, names } = context;
  const [nameA, nameB] = names;
  const specs = REGIONS.flatMap((region) =>
    ([...REGION_SIDES, 'both'] as const).flatMap((side) =>
      VALUES.map((value) => ({ region, side, value })),
    ),
  );
  const rows = pairedRows(
    context,
    specs.map(({ region, side, value }): PairedFigure => {
      const none = (which: 0 | 1) =>
        sidesOf(pairs, region, side, value).filter((both) => both[which] === null).length;
      return {
        path: `segmentation.${region}.${side}.${value}`,
        cells: [region, side, value.replace('_mm', ' (mm)'), `${none(0)}`, `${none(1)}`],
        of: (sample) =>
          sidesOf(sample, region, side, value).flatMap(([p, q]) =>
            p === null || q === null ? [] : [[p, q] as [number, number]],
          ),
      };
    }),
  );
  return {
    id: 'segmentation',
    title: `Segmentation: ${nameA} against ${nameB}`,
    note: `${pairs.length} cases that both have; ${alone} cases are in one alone and left out. Difference: ${nameB} minus ${nameA}. ${PAIRED} Distances over sides where both systems have one; how many each system is without (missed, false, or nothing to compare) stands beside. ${INTERVAL}`,
    columns: [
      ...['structure', 'side', 'figure', `without: ${nameA}`, `without: ${nameB}`, 'n'],
      ...[nameA, nameB, 'difference', 'p', 'adjusted p'],
    ],
    rows,
  };
}

/** The official scores, where both systems have them, and how KiTS would rank the two. */
export function kitsComparison(context: ComparisonContext): Table[] {
  const scored = context.pairs.filter(({ a, b }) => a.kits && b.kits);
  if (scored.length === 0) return [];
  const { names } = context;
  const own = { ...context, pairs: scored };
  const value = (record: CaseRecord, of: (s: KitsScores) => readonly number[], i: number) =>
    of(record.kits as KitsScores)[i] as number;
  const rows = pairedRows(
    own,
    KITS_REGIONS.flatMap(({ name }, i) =>
      KITS_METRICS.map(
        ([metric, of]): PairedFigure => ({
          path: `kits.${name}.${metric}`,
          cells: [name === 'kidney' ? 'kidney and masses' : name, metric.replace('_', ' ')],
          of: (sample) => sample.map(({ a, b }) => [value(a, of, i), value(b, of, i)]),
        }),
      ),
    ),
  );
  const means = (['a', 'b'] as const).map((which): KitsScores => {
    const over = (of: (s: KitsScores) => readonly number[]) =>
      KITS_REGIONS.map((_, i) => mean(scored.map((pair) => value(pair[which], of, i))));
    return { dice: over((s) => s.dice), surfaceDice: over((s) => s.surfaceDice) };
  });
  return [
    {
      id: 'kits',
      title: `Official scores of KiTS: ${names[0]} against ${names[1]}`,
      conventions: 'kits',
      note: `${scored.length} cases that both have scores of. Difference: ${names[1]} minus ${names[0]}. Both masks empty: 1; one alone: 0. ${PAIRED} ${INTERVAL}`,
      columns: ['region', 'score', 'n', ...names, 'difference', 'p', 'adjusted p'],
      rows,
    },
    {
      id: 'kits-ranking',
      title: 'Ranking of KiTS',
      conventions: 'kits',
      note: 'By the mean Dice and the mean surface Dice over the three regions, each ranked (equal ones share the better rank); the ranks are averaged, ties parted by the Dice of tumours.',
      columns: ['system', 'mean Dice', 'rank', 'mean surface Dice', 'rank', 'mean rank', 'place'],
      rows: kitsRanking(means).map((r, i) => [
        ...[names[i] as string, text(r.meanDice, 4), `${r.diceRank}`],
        ...[text(r.meanSurfaceDice, 4), `${r.surfaceDiceRank}`, text(r.meanRank, 1), `${r.place}`],
      ]),
    },
  ];
}

/** Detection and classification. */
export function lesionComparison({
  pairs,
  names: [nameA, nameB],
  bootstrap,
  figures,
}: ComparisonContext): Table {
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
