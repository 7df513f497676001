/** Training: presets, samples, the loop. */

export {
  type AugmentationSettings,
  augment,
  augmentations,
  type Range,
  type Source,
  type View,
} from './augmentation.js';
export { type CaseFiles, type DataSet, findDataSet } from './data/layouts.js';
export { type Parts, type Split, splitPatients } from './data/patients.js';
export { type FindRateOptions, findRate, type RateCurve } from './find-rate.js';
export { checkFolder, type FolderOptions, folderSampler } from './folder-sampler.js';
export { type Finder, phantomSampler } from './phantom-sampler.js';
export {
  checkPreset,
  classNames,
  type HounsfieldWindow,
  type Preset,
  type Task,
} from './preset.js';
export { presets } from './presets.js';
export { previewSamples } from './preview.js';
export type { Software } from './run-folder.js';
export {
  type CaseLists,
  type Sample,
  type Sampler,
  trainingSeed,
  validationSeed,
} from './sampler.js';
export { type TrainOptions, type TrainProgress, type TrainResult, train } from './trainer.js';
export type { ValidationResult } from './validation.js';
