/** Training: presets, samples, the loop. */

export { type FolderOptions, folderSampler } from './folder-sampler.js';
export { phantomSampler } from './phantom-sampler.js';
export { checkPreset, type HounsfieldWindow, type Preset, presets, type Task } from './preset.js';
export { type Sample, type Sampler, trainingSeed, validationSeed } from './sampler.js';
export { type TrainOptions, type TrainProgress, type TrainResult, train } from './trainer.js';
export type { ValidationResult } from './validation.js';
