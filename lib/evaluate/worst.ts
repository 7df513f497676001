/** Which masses and kidneys went worst. */
import type { CaseRecord } from './case-record.js';
import type { Lesion, Side } from './lesions.js';

/** Indices of the lesions that went worst: missed by size, then called wrong, false, and the worst delineated. */
export function worstLesions(lesions: readonly Lesion[], most = 20): number[] {
  const rank = (l: Lesion) => {
    const size = l.averageDiameterMm ?? 0;
    if (l.status === 'FN') return 3e6 + size;
    if (l.status === 'FP') return 1e6 + size;
    return l.truthClass !== l.predictedClass ? 2e6 + size : 1 - (l.dice ?? 1);
  };
  const ranks = lesions.map(rank);
  return lesions
    .map((_, k) => k)
    .sort((a, b) => (ranks[b] as number) - (ranks[a] as number) || a - b)
    .slice(0, most);
}

export interface WorstKidney {
  readonly record: CaseRecord;
  readonly side: Side;
  readonly dice: number;
}

/** Kidneys by rising Dice. */
export function worstKidneys(records: readonly CaseRecord[], most = 10): WorstKidney[] {
  return records
    .flatMap((record) =>
      (['left', 'right'] as const).flatMap((side) => {
        const { dice, state } = record.regions.kidney[side];
        return state === 'both_empty' || dice === null ? [] : [{ record, side, dice }];
      }),
    )
    .sort((a, b) => a.dice - b.dice)
    .slice(0, most);
}
