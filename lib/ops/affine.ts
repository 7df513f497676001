/** Affine maps of three coordinates as 12 numbers. All arithmetic is in double precision. */
import { invalidArgument } from '../errors.js';

/** A 3x4 affine, row-major, the last column the offset: result[r] = m[4r]*a + m[4r+1]*b + m[4r+2]*c + m[4r+3]. */
export type Affine = readonly number[];

export const identityAffine: Affine = Object.freeze([1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0]);

/** `outer` after `inner`: the map that takes a point through `inner` first. */
export function composeAffine(outer: Affine, inner: Affine): number[] {
  const result: number[] = [];
  for (let row = 0; row < 3; row++) {
    for (let column = 0; column < 4; column++) {
      let sum = column === 3 ? at(outer, row, 3) : 0;
      for (let k = 0; k < 3; k++) sum += at(outer, row, k) * at(inner, k, column);
      result.push(sum);
    }
  }
  return result;
}

/**
 * The inverse map, by cofactors.
 * @throws RenvoxError InvalidArgument where there is none
 */
export function invertAffine(m: Affine): number[] {
  const scale = 1 / affineDeterminant(m);
  if (!Number.isFinite(scale)) throw invalidArgument('affine', 'a map that has an inverse', m);
  const result = new Array<number>(12).fill(0);
  for (let row = 0; row < 3; row++) {
    for (let column = 0; column < 3; column++) {
      const [r1, r2] = [(column + 1) % 3, (column + 2) % 3];
      const [c1, c2] = [(row + 1) % 3, (row + 2) % 3];
      result[4 * row + column] =
        (at(m, r1, c1) * at(m, r2, c2) - at(m, r1, c2) * at(m, r2, c1)) * scale;
    }
  }
  for (let row = 0; row < 3; row++) {
    let sum = 0;
    for (let k = 0; k < 3; k++) sum += at(result, row, k) * at(m, k, 3);
    result[4 * row + 3] = -sum;
  }
  return result;
}

/** Volume of the image of a unit cube, negative where the map mirrors. */
export function affineDeterminant(m: Affine): number {
  return (
    at(m, 0, 0) * (at(m, 1, 1) * at(m, 2, 2) - at(m, 1, 2) * at(m, 2, 1)) -
    at(m, 0, 1) * (at(m, 1, 0) * at(m, 2, 2) - at(m, 1, 2) * at(m, 2, 0)) +
    at(m, 0, 2) * (at(m, 1, 0) * at(m, 2, 1) - at(m, 1, 1) * at(m, 2, 0))
  );
}

function at(m: Affine, row: number, column: number): number {
  return m[4 * row + column] as number;
}
