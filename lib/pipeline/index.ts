/** From a CT to findings. */
export type { AnalyzeOptions, AnalyzeProgress } from './analyze.js';
export {
  type ClassifiedMass,
  type ClassifyOptions,
  classifyContours,
} from './classify-contours.js';
export { analyze } from './deferred.js';
export type { GradCamFinding, GradCamRequest, MassExplanation } from './explain.js';
export {
  type Finding,
  type KidneyFinding,
  LABELS,
  MASS_CLASSES,
  type MassClass,
  type MassFinding,
  type Provenance,
  type Timings,
} from './finding.js';
export type { Enhancement, Intensities, Spread } from './intensities.js';
export {
  type Belief,
  type CascadeNetworks,
  type Contour,
  type LoadOptions,
  loadCascade,
  type NetworkWindow,
  type SecondImage,
  type Stage,
  shippedWeights,
} from './networks.js';
export { loadOneStage, loadSystem } from './one-stage.js';
export { filesOf, OUTPUT_FILES, writeFinding } from './output.js';
export { PHASES, type PhaseName, type SecondPhase } from './phase.js';
export { type AnalysisPlan, planAnalysis } from './plan.js';
export { encodePng } from './png.js';
export { type PreviewMass, type PreviewOptions, previewPng } from './preview.js';
export { DISCLAIMER, makeReport, REPORT_SCHEMA, type Report, reportText } from './report.js';
export { type SecondOpinion, secondOpinion } from './second-opinion.js';
export type { Side } from './stages.js';
