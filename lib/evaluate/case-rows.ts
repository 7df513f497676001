/** cases.csv: a row a case. */
import { type CaseRecord, REGION_SIDES, REGIONS } from './case-record.js';
import { formatCsv } from './csv.js';
import type { ManifestEntry } from './manifest.js';
import type { FailedCase } from './pair-cases.js';

const FIGURES = ['dice', 'iou', 'hausdorff_mm', 'hd95_mm', 'assd_mm', 'truth_ml'] as const;

/** Measured cases first, then those that could not be. */
export function caseRows(
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
  const others = failed.map((f) => ({ ...manifest.get(f.case), ...f }));
  return formatCsv(columns, [...rows, ...others]);
}
