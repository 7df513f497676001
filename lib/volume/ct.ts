/** Whether a volume can be a CT in HU at all. */
import { unfitArgument } from '../errors.js';
import type { Volume } from './volume.js';

/** HU that a CT's voxels span at least, air and tissue: what spans less is a label map or an empty field. */
export const LEAST_CT_SPAN = 100;

/** @throws RenvoxError InvalidArgument for what spans fewer HU than any CT, a label map say */
export function checkCt(parameter: string, ct: Volume): void {
  const span = ctSpan(ct);
  if (!(span >= LEAST_CT_SPAN))
    throw unfitArgument(
      parameter,
      `a CT in HU, of values at least ${LEAST_CT_SPAN} apart`,
      `values ${span} apart, as of a label map`,
    );
}

/** HU from the least to the greatest value, what is no number aside (0 where there is no other); looks no further once it is what a CT spans. */
export function ctSpan({ data, slope }: Volume): number {
  const scale = Math.abs(slope);
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < data.length; i++) {
    const value = data[i] as number;
    if (value < low) low = value;
    if (value > high) high = value;
    if (scale * (high - low) >= LEAST_CT_SPAN) break;
  }
  return high < low ? 0 : scale * (high - low);
}
