/** Two scans of a patient are two breaths. */
import type { Random } from '../../phantom/random.js';
import type { Grid } from '../../volume/index.js';

/**
 * The grid of a scan in another breath: half of the time the kidneys lie where they lay but for a fraction of a mm, else as one holds one's breath twice,
 * more along the body than across. Nothing is registered in the cascade.
 */
export function breathed(grid: Grid, r: Random): Grid {
  const [across, along] = r.chance(0.5) ? [0.4, 0.6] : [1.5, 3];
  const shift = [r.normal(0, across, -4, 4), r.normal(0, across, -4, 4), r.normal(0, along, -8, 8)];
  return {
    ...grid,
    affine: grid.affine.map((x, i) => (i % 4 === 3 ? x + (shift[(i - 3) / 4] as number) : x)),
  };
}
