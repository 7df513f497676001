/** The evaluation harness: a cohort in, the study's tables out, every figure with its interval. */
export { type AnnotatedCase, readAnnotations } from './annotations.js';
export { PROTOCOLS, type Protocol } from './case-record.js';
export type { CohortOptions, CohortProgress } from './cohort-options.js';
export {
  compareSystems,
  type SystemComparison,
  type SystemComparisonOptions,
} from './compare-systems.js';
export { type CohortEvaluation, evaluateCohort } from './evaluate-cohort.js';
export {
  evaluateLesions,
  type LesionEvaluation,
  type LesionEvaluationOptions,
} from './evaluate-lesions.js';
export { KITS_REGIONS, type KitsScores, kitsScores, type ReferenceScores } from './kits.js';
export { type KitsRank, kitsRanking } from './kits-ranking.js';
export {
  formatLesions,
  LESION_COLUMNS,
  type Lesion,
  type LesionStatus,
  MASS_CLASSES,
  type MassClass,
  parseLesions,
  type Side,
} from './lesions.js';
export type { CaseWarning, FailedCase } from './pair-cases.js';
export type { Software, Summary, SummaryFigure } from './report.js';
export { type LabelMeaning, type LabelScheme, parseScheme, SCHEMES } from './scheme.js';
export type { Table } from './table.js';
