/** Operations on tensors, one file each. All return at once; errors of execution arrive where a result is read. */

export * from './add.js';
export * from './batchNorm.js';
export type { Triple } from './check.js';
export * from './instanceNorm.js';
export * from './leakyRelu.js';
export * from './reshape.js';
