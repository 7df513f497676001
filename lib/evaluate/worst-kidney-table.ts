import type { CaseRecord } from './case-record.js';
import { type Table, text } from './table.js';
import { worstKidneys } from './worst.js';

/** The kidneys of least Dice. */
export function worstKidneyTable(records: readonly CaseRecord[]): Table {
  return {
    id: 'worst-kidneys',
    title: 'Worst kidneys',
    note: 'Kidneys with their masses, by rising Dice.',
    columns: ['case', 'side', 'Dice', 'Hausdorff (mm)', 'true volume (mL)', 'predicted (mL)'],
    rows: worstKidneys(records).map(({ record, side, dice }) => {
      const { hausdorff_mm: hausdorff, truth_ml, prediction_ml } = record.regions.kidney[side];
      return [
        ...[record.case, side, text(dice, 3), text(hausdorff, 1)],
        ...[text(truth_ml, 1), text(prediction_ml, 1)],
      ];
    }),
  };
}
