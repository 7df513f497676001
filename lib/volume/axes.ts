/**
 * Which direction of the patient each index axis follows. A volume that was tilted in the scanner (an oblique one) gets
 * the assignment of index axes to patient axes with the largest sum of |cosine|, so no patient axis is used twice.
 */
import { type Affine, columnLengths } from './affine.js';

/** Where an index axis leads. `patient`: 0 left/right, 1 front/back, 2 foot/head. */
export interface AxisDirection {
  readonly patient: 0 | 1 | 2;
  /** 1 where a higher index lies further to the patient's right, front or head (the + of RAS), else -1. */
  readonly sign: 1 | -1;
}

const PERMUTATIONS: readonly (readonly [0 | 1 | 2, 0 | 1 | 2, 0 | 1 | 2])[] = [
  [0, 1, 2],
  [0, 2, 1],
  [1, 0, 2],
  [1, 2, 0],
  [2, 0, 1],
  [2, 1, 0],
];
/** Letters toward which an axis increases: LETTERS[patient axis] = [minus, plus] in RAS. */
const LETTERS = ['LR', 'PA', 'IS'] as const;

/** The direction of each index axis of an index-to-RAS affine, in the affine's column order. */
export function axisDirections(
  affine: Affine,
): readonly [AxisDirection, AxisDirection, AxisDirection] {
  const lengths = columnLengths(affine);
  const cosine = (patient: number, column: 0 | 1 | 2): number =>
    (affine[4 * patient + column] as number) / lengths[column];
  let best = PERMUTATIONS[0] as readonly [0 | 1 | 2, 0 | 1 | 2, 0 | 1 | 2];
  let bestSum = -1;
  for (const candidate of PERMUTATIONS) {
    const sum =
      Math.abs(cosine(candidate[0], 0)) +
      Math.abs(cosine(candidate[1], 1)) +
      Math.abs(cosine(candidate[2], 2));
    // The margin keeps exact 45-degree ties at the first permutation, whatever the rounding.
    if (sum > bestSum + 1e-9) [best, bestSum] = [candidate, sum];
  }
  const direction = (column: 0 | 1 | 2): AxisDirection => ({
    patient: best[column],
    sign: cosine(best[column], column) < 0 ? -1 : 1,
  });
  return [direction(0), direction(1), direction(2)];
}

/** The letters toward which each index axis increases, in column order: 'LPS', 'RAS', 'IPL' and so on. */
export function axisCodes(affine: Affine): string {
  return axisDirections(affine)
    .map(({ patient, sign }) => LETTERS[patient][sign < 0 ? 0 : 1])
    .join('');
}

/** The directions that a code such as 'LPS' names, or undefined where it is none of the 48. */
export function parseAxisCodes(code: string): AxisDirection[] | undefined {
  const directions: AxisDirection[] = [];
  for (const letter of code) {
    const patient = LETTERS.findIndex((pair) => pair.includes(letter));
    if (patient < 0 || directions.some((other) => other.patient === patient)) return undefined;
    directions.push({
      patient: patient as 0 | 1 | 2,
      sign: LETTERS[patient as 0 | 1 | 2][0] === letter ? -1 : 1,
    });
  }
  return directions.length === 3 ? directions : undefined;
}
