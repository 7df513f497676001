/** Metrics: labels in, numbers out. Definitions are those of docstrings here; every rule for empty masks is stated and counted. */
export {
  type Agreement,
  type AgreementJson,
  agreementJson,
  diceOf,
  iouOf,
  type MaskState,
  maskState,
} from './agreement.js';
export {
  type CompareOptions,
  type Comparison,
  type ComparisonJson,
  compare,
  comparisonJson,
} from './compare.js';
export type { LabelSource, LabelVolume } from './label-source.js';
