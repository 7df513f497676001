/** The table of {@link overlapCounts}, summed over regions: sets of labels. */

/** Labels that a map can hold: 0..255. */
export const LABELS = 256;

const all = Array.from({ length: LABELS }, (_, label) => label);

export class OverlapTable {
  readonly #counts: ArrayLike<number>;

  constructor(counts: ArrayLike<number>) {
    this.#counts = counts;
  }

  #sum(rows: readonly number[], columns: readonly number[]): number {
    let sum = 0;
    for (const i of rows) for (const j of columns) sum += this.at(i, j);
    return sum;
  }

  /** Voxels of truth i and prediction j. */
  at(i: number, j: number): number {
    return this.#counts[i * LABELS + j] as number;
  }

  truth(region: readonly number[]): number {
    return this.#sum(region, all);
  }

  prediction(region: readonly number[]): number {
    return this.#sum(all, region);
  }

  both(region: readonly number[]): number {
    return this.#sum(region, region);
  }

  /** Voxels of the maps. */
  voxels(): number {
    return this.#sum(all, all);
  }

  /** Labels but 0 that occur in either map. */
  present(): number[] {
    return all.slice(1).filter((label) => this.truth([label]) + this.prediction([label]) > 0);
  }
}
