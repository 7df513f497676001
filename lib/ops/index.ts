/** Operations on tensors, one file each. All return at once; errors of execution arrive where a result is read. */

export * from './add.js';
export * from './affine.js';
export * from './augmentation.js';
export * from './batchNorm.js';
export * from './boxAffine.js';
export type { Triple } from './check.js';
export * from './componentTable.js';
export * from './composeFindings.js';
export * from './connectedComponents.js';
export * from './conv3d.js';
export * from './convTranspose3d.js';
export * from './crop.js';
export * from './flip.js';
export * from './gaussianBlur.js';
export { type HounsfieldWindow, hounsfieldWindow, type StoredScale } from './hounsfieldWindow.js';
export * from './instanceClasses.js';
export * from './instanceNorm.js';
export * from './keepComponents.js';
export * from './kidneySides.js';
export * from './leakyRelu.js';
export * from './overlapCounts.js';
export * from './randomNormal.js';
export { coveringAffine, type ResampleOptions, resample } from './resample.js';
export * from './reshape.js';
export type { AlongAxes } from './volume-axes.js';
