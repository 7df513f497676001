/** From cases to figures and tables of whole kidneys and of all masses of a side. */
import { type BootstrapOptions, type Estimate, type MaskState, mean } from '../metrics/index.js';
import { median } from '../metrics/statistics/bootstrap.js';
import { type CaseFigure, caseFigures } from './case-figures.js';
import {
  type CaseRecord,
  REGION_SIDES,
  REGIONS,
  type Region,
  type RegionFigures,
} from './case-record.js';
import { once } from './figure.js';
import type { Side } from './lesions.js';
import { type Figures, type Table, withInterval } from './table.js';

type Value = (typeof VALUES)[number];
type Which = Side | 'overall';

type BySide<T> = Readonly<Record<Which, T[]>>;

/** What each side of a region has, in the order of the records; kept for the figures that are asked of one sample in turn. */
function bySide<T>(region: Region, of: (figures: RegionFigures) => T | null) {
  return once((records: readonly CaseRecord[]): BySide<T> => {
    const found: BySide<T> = { overall: [], left: [], right: [] };
    for (const { regions } of records)
      for (const side of REGION_SIDES) {
        const own = of(regions[region][side]);
        if (own === null) continue;
        found[side].push(own);
        found.overall.push(own);
      }
    return found;
  });
}

const VALUES = ['dice', 'iou', 'hausdorff_mm', 'hd95_mm', 'assd_mm'] as const;
const collectors = Object.fromEntries(
  REGIONS.map((region) => [
    region,
    {
      states: bySide(region, ({ state }) => state),
      values: Object.fromEntries(
        VALUES.map((value) => [
          value,
          bySide(region, (f) => (f.state === 'both_empty' ? null : f[value])),
        ]),
      ) as Record<Value, (records: readonly CaseRecord[]) => BySide<number>>,
    },
  ]),
) as Record<
  Region,
  {
    states: (records: readonly CaseRecord[]) => BySide<MaskState>;
    values: Record<Value, (records: readonly CaseRecord[]) => BySide<number>>;
  }
>;

function valuesOf(
  records: readonly CaseRecord[],
  region: Region,
  which: Which,
  value: Value,
): readonly number[] {
  return collectors[region].values[value](records)[which];
}

function statesOf(
  records: readonly CaseRecord[],
  region: Region,
  which: Which,
): readonly MaskState[] {
  return collectors[region].states(records)[which];
}

/** Names of the figures of each structure and side. */
const FIGURES = {
  'dice.mean': ['dice', mean],
  'dice.median': ['dice', median],
  'iou.mean': ['iou', mean],
  'hausdorff.mean': ['hausdorff_mm', mean],
  'hausdorff.median': ['hausdorff_mm', median],
  'hd95.mean': ['hd95_mm', mean],
  'hd95.median': ['hd95_mm', median],
  'assd.mean': ['assd_mm', mean],
} as const satisfies Record<string, readonly [Value, (v: readonly number[]) => number]>;

/** A figure of a structure on a side, or on both: its path, and what it is of cases. */
export function sideFigure(region: Region, which: Which, name: keyof typeof FIGURES) {
  const [value, of] = FIGURES[name];
  return {
    path: `segmentation.${region}.${which}.${name}`,
    of: (records: readonly CaseRecord[]) => of(valuesOf(records, region, which, value)),
    n: (records: readonly CaseRecord[]) => valuesOf(records, region, which, value).length,
  };
}

/**
 * Which shares of a structure's sides are missed, of those where it is, and are false, of those where something is predicted: what the figures
 * of distance leave out.
 */
function emptyFigures(region: Region, which: Which): CaseFigure<CaseRecord>[] {
  return (
    [
      ['missed', 'empty_prediction'],
      ['false', 'empty_truth'],
    ] as const
  ).map(([name, state]) => {
    const among = (records: readonly CaseRecord[]) =>
      statesOf(records, region, which).filter((own) => own === 'normal' || own === state);
    return {
      path: `segmentation.${region}.${which}.${name}`,
      of: (records) => {
        const own = among(records);
        return own.filter((s) => s === state).length / own.length;
      },
      n: (records) => among(records).length,
    };
  });
}

/**
 * Figures by path, `segmentation.kidney.left.dice.mean`. Distances are over cases where neither mask is empty: `n` says how many, `.missed` and
 * `.false` the share of the others.
 */
export function segmentationFigures(
  records: readonly CaseRecord[],
  options: BootstrapOptions,
): Map<string, Estimate> {
  const list = REGIONS.flatMap((region) =>
    (['overall', ...REGION_SIDES] as const).flatMap((which) => [
      ...(Object.keys(FIGURES) as (keyof typeof FIGURES)[]).map((name) =>
        sideFigure(region, which, name),
      ),
      ...emptyFigures(region, which),
    ]),
  );
  return caseFigures(records, list, options);
}

export function segmentationTable(records: readonly CaseRecord[], figures: Figures): Table {
  const rows = REGIONS.flatMap((region) =>
    ([...REGION_SIDES, 'overall'] as const).map((which) => {
      const states = statesOf(records, region, which);
      const count = (state: string) => `${states.filter((s) => s === state).length}`;
      const of = (name: string) => figures.get(`segmentation.${region}.${which}.${name}`);
      return [
        ...[region, which === 'overall' ? 'both' : which],
        ...['normal', 'empty_prediction', 'empty_truth', 'both_empty'].map(count),
        ...[withInterval(of('dice.mean')), withInterval(of('dice.median'))],
        ...[withInterval(of('hausdorff.mean'), 2), withInterval(of('hausdorff.median'), 2)],
        ...[withInterval(of('hd95.median'), 2), withInterval(of('assd.mean'), 2)],
      ];
    }),
  );
  const parted = (by: CaseRecord['midPlane']) => records.filter((r) => r.midPlane === by).length;
  const sides =
    parted('body') + parted('image') === 0
      ? ''
      : ` Where labels name no side, it is that of the body's mid-plane (${parted('body')} cases) or the image's (${parted('image')}).`;
  return {
    id: 'segmentation',
    title: 'Segmentation of kidneys and masses, by side',
    note: `Kidney: with its masses. Dice is 0 where one mask alone is empty (missed, false); where both are there is nothing to compare. Distances in mm, over the compared alone: where one mask is empty the distance is infinite and counted, never dropped. Values with 95 % intervals: percentile bootstrap by patient.${sides}`,
    columns: [
      ...['structure', 'side', 'compared', 'missed', 'false', 'neither'],
      ...['Dice, mean', 'Dice, median', 'Hausdorff, mean', 'Hausdorff, median'],
      ...['HD95, median', 'ASSD, mean'],
    ],
    rows,
  };
}
