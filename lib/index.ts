/** renvox: kidneys and renal masses on CT. This entry exports what most programs need; the rooms have entries of their own. */

export * from './errors.js';
export {
  type ReadOptions,
  readVolume,
  Volume,
  type VolumeInit,
  writeVolume,
} from './volume/index.js';
