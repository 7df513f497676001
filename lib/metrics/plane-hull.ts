/** The convex hull of what a component has on one slice, and the two diameters that are drawn there. */

/**
 * Corners of the hull of pixels that come row by row: by Andrew's monotone chains (1979, doi 10.1016/0020-0190(79)90072-3), one along the
 * first pixels of the rows and one along the last. Exact: in integers, before any spacing (scaling an axis keeps a hull a hull).
 */
export class PlaneHull {
  /** Row, column, row, column, … */
  readonly #low: number[] = [];
  readonly #high: number[] = [];

  /** @param row - greater than the last one */
  add(row: number, first: number, last: number): void {
    extend(this.#low, row, first, 1);
    extend(this.#high, row, last, -1);
  }

  /** Row, column of each corner; some twice. */
  corners(): number[] {
    return [...this.#low, ...this.#high];
  }

  clear(): void {
    this.#low.length = 0;
    this.#high.length = 0;
  }
}

function extend(chain: number[], row: number, column: number, side: 1 | -1): void {
  while (chain.length >= 4) {
    const n = chain.length;
    const [ar, ac] = [chain[n - 4] as number, chain[n - 3] as number];
    const [br, bc] = [chain[n - 2] as number, chain[n - 1] as number];
    if (side * ((br - ar) * (column - ac) - (bc - ac) * (row - ar)) > 0) break;
    chain.length = n - 2;
  }
  chain.push(row, column);
}

/** Lengths that differ by less than this share are one: rounding must not choose among equals. */
const EQUAL = 1e-12;

/** The two diameters of a slice, edge to edge of its pixels, mm. */
export interface Calipers {
  readonly long: number;
  /** Extent perpendicular to the long axis; of long axes of equal length the one where it is greatest counts. */
  readonly short: number;
}

/** The greater of two: by the long axis, then by the short. */
export function greater(a: Calipers, b: Calipers): Calipers {
  if (Math.abs(a.long - b.long) <= EQUAL * a.long) return a.short >= b.short ? a : b;
  return a.long > b.long ? a : b;
}

/**
 * Of the pixels whose hull has these corners. The long axis is the largest distance between two corners of pixels (the hull of those is the
 * hull of the centres, grown by a pixel), the short one the width of all pixels across it.
 * @param corners - row, column, row, column, …
 */
export function calipers(corners: readonly number[], rowMm: number, columnMm: number): Calipers {
  let longest = 0;
  const pairs = (visit: (length2: number, i: number, j: number) => void) => {
    for (let i = 0; i < corners.length; i += 2)
      for (let j = i; j < corners.length; j += 2) {
        const a = across(corners, i, j, rowMm);
        const b = across(corners, i + 1, j + 1, columnMm);
        visit(a * a + b * b, i, j);
      }
  };
  pairs((length2) => {
    if (length2 > longest) longest = length2;
  });
  let short = 0;
  pairs((length2, i, j) => {
    if (length2 < longest * (1 - EQUAL)) return;
    const rows = (corners[j] as number) - (corners[i] as number);
    const columns = (corners[j + 1] as number) - (corners[i + 1] as number);
    const a = across(corners, i, j, rowMm) / Math.sqrt(length2);
    const b = across(corners, i + 1, j + 1, columnMm) / Math.sqrt(length2);
    // Within one row or column both diagonals are as long.
    for (const sign of rows * columns === 0 ? [1, -1] : [Math.sign(rows * columns)])
      short = Math.max(short, width(corners, -sign * b * rowMm, a * columnMm));
  });
  return { long: Math.sqrt(longest), short };
}

/** From edge to edge along one axis, mm. */
function across(corners: readonly number[], i: number, j: number, mm: number): number {
  return (Math.abs((corners[j] as number) - (corners[i] as number)) + 1) * mm;
}

/** Extent of all pixels along (row, column), which is a unit vector times the spacing. */
function width(corners: readonly number[], row: number, column: number): number {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < corners.length; i += 2) {
    const at = (corners[i] as number) * row + (corners[i + 1] as number) * column;
    if (at < low) low = at;
    if (at > high) high = at;
  }
  return high - low + Math.abs(row) + Math.abs(column);
}
