/** What the HU of a mass say: figures of its voxels, from the counts of whole HU that the device makes (labelHistograms). */

/** The HU that are counted: below and above they count as the ends. */
export const HU_RANGE = { low: -1024, bins: 4096 } as const;
/** HU below which a voxel is fat, above which calcification, and by which it must rise to count as enhancing. */
export const FAT_HU = -20;
export const CALCIUM_HU = 130;
export const ENHANCEMENT_HU = 20;

/** How values are spread, in HU; null where there is no voxel. */
export interface Spread {
  /** Voxels that were counted: those with a value. */
  voxels: number;
  mean: number | null;
  /** Of the voxels, not of their mean. */
  sd: number | null;
  median: number | null;
  p5: number | null;
  p95: number | null;
}

/** Of the HU of a mass. */
export interface Intensities extends Spread {
  /** Share of voxels below {@link FAT_HU}. */
  fatFraction: number | null;
  /** Share of voxels above {@link CALCIUM_HU}. */
  calcifiedFraction: number | null;
}

/** Of the HU by which the later phase is above the earlier one. */
export interface Enhancement extends Spread {
  /**
   * Share of voxels that change by more than {@link ENHANCEMENT_HU}: up, where one of the two scans is known as unenhanced; between two enhanced
   * phases up (enhancement) or down (washout), whichever is the larger share.
   */
  enhancingFraction: number | null;
  /** Share that changes by more than that the other way: what noise does to either side. */
  oppositeFraction: number | null;
}

/** A histogram of whole values, one label's. */
export class Histogram {
  readonly voxels: number;

  /** @param counts - of the values low, low + 1, … */
  constructor(
    readonly counts: ArrayLike<number>,
    readonly low: number,
  ) {
    let voxels = 0;
    for (let i = 0; i < counts.length; i++) voxels += counts[i] as number;
    this.voxels = voxels;
  }

  moments(): { mean: number | null; sd: number | null } {
    if (this.voxels === 0) return { mean: null, sd: null };
    const sum = (f: (value: number) => number) => {
      let total = 0;
      for (let i = 0; i < this.counts.length; i++)
        total += (this.counts[i] as number) * f(this.low + i);
      return total;
    };
    const mean = sum((v) => v) / this.voxels;
    return { mean, sd: Math.sqrt(sum((v) => (v - mean) ** 2) / this.voxels) };
  }

  /** The q-th quantile, linear between order statistics: numpy's default, Hyndman and Fan's type 7. */
  quantile(q: number): number | null {
    if (this.voxels === 0) return null;
    const place = q * (this.voxels - 1);
    const below = this.#ordered(Math.floor(place));
    return below + (place - Math.floor(place)) * (this.#ordered(Math.ceil(place)) - below);
  }

  /** The value of rank r, from 0. */
  #ordered(r: number): number {
    let before = 0;
    for (let i = 0; i < this.counts.length; i++) {
      before += this.counts[i] as number;
      if (before > r) return this.low + i;
    }
    return this.low + this.counts.length - 1;
  }

  /** Share of the values that `take` takes. */
  share(take: (value: number) => boolean): number | null {
    if (this.voxels === 0) return null;
    let taken = 0;
    for (let i = 0; i < this.counts.length; i++)
      if (take(this.low + i)) taken += this.counts[i] as number;
    return taken / this.voxels;
  }
}

function spread(of: Histogram): Spread {
  const quantiles = { median: of.quantile(0.5), p5: of.quantile(0.05), p95: of.quantile(0.95) };
  return { voxels: of.voxels, ...of.moments(), ...quantiles };
}

export function intensities(of: Histogram): Intensities {
  return {
    ...spread(of),
    fatFraction: of.share((hu) => hu < FAT_HU),
    calcifiedFraction: of.share((hu) => hu > CALCIUM_HU),
  };
}

/**
 * @param unenhanced - whether one of the two scans is known to be without contrast: then only a rise is enhancement. The median says nothing of
 *   the direction: where less than half of a mass enhances, it is that of the rest, a few HU up or down from scan to scan.
 */
export function enhancement(of: Histogram, unenhanced = false): Enhancement {
  const up = of.share((change) => change > ENHANCEMENT_HU);
  const down = of.share((change) => change < -ENHANCEMENT_HU);
  const rises = unenhanced || (up ?? 0) >= (down ?? 0);
  const [enhancingFraction, oppositeFraction] = rises ? [up, down] : [down, up];
  return { ...spread(of), enhancingFraction, oppositeFraction };
}
