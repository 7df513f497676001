/** renvox: kidneys and renal masses on CT. This entry exports what most programs need; the rooms have entries of their own. */

export { gradients } from './autograd/index.js';
export * from './device.js';
export * from './errors.js';
export * as ops from './ops/index.js';
export { analyze } from './pipeline/deferred.js';
export type {
  AnalyzeOptions,
  AnalyzeProgress,
  Finding,
  KidneyFinding,
  MassClass,
  MassFinding,
} from './pipeline/index.js';
export { scope } from './scope.js';
export * from './tensor.js';
export {
  type ReadOptions,
  readVolume,
  Volume,
  type VolumeInit,
  writeVolume,
} from './volume/index.js';
