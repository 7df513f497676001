// Figures with their intervals of 95 %, as they are printed.
import { bootstrap, wilson } from '../../dist/metrics/index.js';
import { median } from '../../dist/metrics/statistics/bootstrap.js';

/** Dice of two sets of voxels, of those that `known` marks where it is given. */
export function dice(truth, found, known) {
  let [a, b, both] = [0, 0, 0];
  for (let i = 0; i < truth.length; i++) {
    if (known && !known[i]) continue;
    if (truth[i]) a++;
    if (found[i]) b++;
    if (truth[i] && found[i]) both++;
  }
  return a + b > 0 ? (2 * both) / (a + b) : Number.NaN;
}

const bounds = ({ low, high }, digits) => `[${low.toFixed(digits)}, ${high.toFixed(digits)}]`;

/** The mean of a figure over the items that are kept; `groups` (patients, samples) of items are resampled whole. */
export function meanOf(groups, keep, of) {
  const n = groups.flat().filter(keep).length;
  if (n === 0) return 'none';
  const mean = (list) => list.reduce((sum, x) => sum + of(x), 0) / list.length;
  const estimate = bootstrap(groups, (all) => mean(all.filter(keep)));
  return `${estimate.value.toFixed(3)} ${bounds(estimate, 3)} of ${n}`;
}

/** How many items are kept, groups resampled whole. */
export function countOf(groups, keep) {
  const estimate = bootstrap(groups, (all) => all.filter(keep).length);
  return `${estimate.value} ${bounds(estimate, 0)}`;
}

/** The share of independent items for which something holds, by Wilson's interval. */
export function shareOf(items, holds) {
  if (items.length === 0) return 'none';
  const right = items.filter(holds).length;
  const estimate = wilson(right, items.length);
  return `${right} of ${items.length} = ${estimate.value.toFixed(3)} ${bounds(estimate, 3)}`;
}

/** Median and lowest of a list. */
export function middleAndWorst(list) {
  if (list.length === 0) return 'none';
  return `median ${median(list).toFixed(3)}, worst ${Math.min(...list).toFixed(3)}`;
}

export const SIZES = ['< 5', '5-10', '10-20', '> 20'];

/** Which of {@link SIZES} a diameter in mm belongs to. */
export const sizeOf = (mm) => SIZES[mm < 5 ? 0 : mm < 10 ? 1 : mm < 20 ? 2 : 3];
