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
  type Auc,
  type Calibration,
  type CalibrationBin,
  type Call,
  type ClassFigures,
  type ClassificationReport,
  calibration,
  classificationReport,
  type OperatingPoint,
  oneVsRestAuc,
  operatingPoint,
  rocAuc,
  rocCurve,
} from './classification.js';
export {
  type CompareOptions,
  type Comparison,
  type ComparisonJson,
  compare,
  comparisonJson,
} from './compare.js';
export {
  type CompareInstancesOptions,
  compareInstances,
  type InstanceComparison,
  type InstancePair,
} from './compare-instances.js';
export type { Axis, ComponentShape } from './component-shapes.js';
export { type Component, type DescribeOptions, describeComponents } from './components.js';
export {
  CONVENTIONS,
  type Convention,
  type ConventionName,
  type EmptyValue,
} from './conventions.js';
export { DIAMETERS, type DiameterName, sphereDiameterMm } from './diameter.js';
export type { LabelSource, LabelVolume } from './label-source.js';
export {
  averagePrecision,
  type FrocPoint,
  froc,
  type InstanceOverlap,
  type Matching,
  type MatchingOptions,
  matchInstances,
  type Pair,
  type ScoredDetection,
} from './matching.js';
export {
  type MeasureOptions,
  type Measures,
  measure,
  type RegionMeasures,
} from './measure.js';
export type { RegionSize } from './region-sizes.js';
export * from './statistics/index.js';
export {
  type SurfaceElementFigures,
  type SurfaceElementOptions,
  surfaceElements,
} from './surface-elements.js';
