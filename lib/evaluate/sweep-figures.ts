/** Detection at rising IoU: how much of it hangs on what counts as found. */
import type { BootstrapOptions, Estimate } from '../metrics/index.js';
import { caseFigures } from './case-figures.js';
import { type CaseRecord, IOU_SWEEP, type IouCounts } from './case-record.js';
import { once } from './figure.js';
import { type Figures, INTERVAL, percentWithInterval, type Table, withInterval } from './table.js';

type Sum = { tp: number; fp: number; fn: number; iou: number };

function sumAt(records: readonly CaseRecord[], k: number): Sum {
  const sum = { tp: 0, fp: 0, fn: 0, iou: 0 };
  for (const { sweep } of records) {
    const own = sweep[k] as IouCounts;
    for (const name of ['tp', 'fp', 'fn', 'iou'] as const) sum[name] += own[name];
  }
  return sum;
}

const FIGURES: readonly (readonly [string, (s: Sum) => number, (s: Sum) => number])[] = [
  ['precision', (s) => s.tp / (s.tp + s.fp), (s) => s.tp + s.fp],
  ['recall', (s) => s.tp / (s.tp + s.fn), (s) => s.tp + s.fn],
  ['f1', (s) => (2 * s.tp) / (2 * s.tp + s.fp + s.fn), (s) => s.tp + s.fp + s.fn],
  ['panoptic_quality', (s) => s.iou / (s.tp + s.fp / 2 + s.fn / 2), (s) => s.tp + s.fp + s.fn],
];

const pathOf = (least: number, name: string) => `detection.iou_${100 * least}.${name}`;

/** Figures by path: `detection.iou_50.recall`, in per cent of IoU; `iou_0` is any voxel shared. */
export function sweepFigures(
  records: readonly CaseRecord[],
  options: BootstrapOptions,
): Map<string, Estimate> {
  const list = IOU_SWEEP.flatMap((least, k) => {
    const sum = once((sample: readonly CaseRecord[]) => sumAt(sample, k));
    return FIGURES.map(([name, of, count]) => ({
      path: pathOf(least, name),
      of: (sample: readonly CaseRecord[]) => of(sum(sample)),
      n: (sample: readonly CaseRecord[]) => count(sum(sample)),
    }));
  });
  return caseFigures(records, list, options);
}

export function sweepTable(records: readonly CaseRecord[], figures: Figures): Table {
  return {
    id: 'detection-by-iou',
    title: 'Detection of masses, by the IoU from which on a mass is found',
    note: `Matched anew at each threshold, one-to-one, as many pairs as there can be. Panoptic quality: sum of the pairs' IoU / (TP + FP / 2 + FN / 2). ${INTERVAL}`,
    columns: ['IoU', 'TP', 'FP', 'FN', 'precision', 'recall', 'F1', 'panoptic quality'],
    rows: IOU_SWEEP.map((least, k) => {
      const { tp, fp, fn } = sumAt(records, k);
      const of = (name: string) => figures.get(pathOf(least, name));
      return [
        ...[least === 0 ? 'any voxel' : `≥ ${least}`, `${tp}`, `${fp}`, `${fn}`],
        ...[percentWithInterval(of('precision')), percentWithInterval(of('recall'))],
        ...[withInterval(of('f1'), 2), withInterval(of('panoptic_quality'))],
      ];
    }),
  };
}
