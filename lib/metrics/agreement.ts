/** How two masks agree: figures, what they are where a mask is empty, and their form in JSON. */

/** Which of the two masks have voxels. */
export type MaskState = 'normal' | 'empty_truth' | 'empty_prediction' | 'both_empty';

/**
 * Agreement of a predicted mask with the true one.
 *
 * Where exactly one is empty, dice and iou are 0 and distances Infinity; where both are, dice, iou and distances are NaN. `state` says
 * so, in order that a mean over cases can count what it leaves out.
 */
export interface Agreement {
  /** 2 |A and B| / (|A| + |B|). */
  readonly dice: number;
  /** |A and B| / |A or B|. */
  readonly iou: number;
  /** Larger of the two directed maxima of the distances between surface voxels, mm. */
  readonly hausdorff: number;
  /** Larger of the two directed 95th percentiles (linear interpolation), mm. */
  readonly hd95: number;
  /** Mean over the surface voxels of both, mm: (sum A to B + sum B to A) / (nA + nB). */
  readonly assd: number;
  readonly voxelsTruth: number;
  readonly voxelsPrediction: number;
  readonly state: MaskState;
}

/** {@link Agreement} as the command line prints it: null for what is infinite or undefined. */
export interface AgreementJson {
  readonly dice: number | null;
  readonly iou: number | null;
  readonly voxels_truth: number;
  readonly voxels_prediction: number;
  readonly hausdorff_mm: number | null;
  readonly hd95_mm: number | null;
  readonly assd_mm: number | null;
  readonly state: MaskState;
}

/** Which of two masks have voxels, from their counts. */
export function maskState(voxelsTruth: number, voxelsPrediction: number): MaskState {
  if (voxelsTruth > 0) return voxelsPrediction > 0 ? 'normal' : 'empty_prediction';
  return voxelsPrediction > 0 ? 'empty_truth' : 'both_empty';
}

/** 2 |A and B| / (|A| + |B|) from counts of voxels: 0 where one is empty, NaN where both are. */
export function diceOf(both: number, voxelsA: number, voxelsB: number): number {
  return (2 * both) / (voxelsA + voxelsB);
}

/** |A and B| / |A or B| from counts of voxels: 0 where one is empty, NaN where both are. */
export function iouOf(both: number, voxelsA: number, voxelsB: number): number {
  return both / (voxelsA + voxelsB - both);
}

/** An agreement with null for what is infinite or undefined, as JSON has neither. Lengths in mm. */
export function agreementJson(agreement: Agreement): AgreementJson {
  const finite = (n: number) => (Number.isFinite(n) ? n : null);
  return {
    dice: finite(agreement.dice),
    iou: finite(agreement.iou),
    voxels_truth: agreement.voxelsTruth,
    voxels_prediction: agreement.voxelsPrediction,
    hausdorff_mm: finite(agreement.hausdorff),
    hd95_mm: finite(agreement.hd95),
    assd_mm: finite(agreement.assd),
    state: agreement.state,
  };
}
