/** The renal study's experiments (Front. Oncol. 2023, doi 10.3389/fonc.2023.1169922) on phantoms. */
export { type CohortOptions, type Series, seriesOf, writeCohort } from './cohort.js';
export {
  type CohortPlan,
  type ScannerLook,
  STUDY_SIZES,
  type StudyPlan,
  type StudyPresets,
  type StudySize,
  studyPlan,
} from './plan.js';
export { runStudy, type StudyOptions, type StudyResult } from './run.js';
