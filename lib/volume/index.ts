/**
 * Volumes: voxels with their place in the patient, read from and written to NIfTI files, turned, and mapped onto grids.
 *
 * Conventions: array axes [d, h, w], slowest first; `Volume.affine` leads from the file's index (w, h, d) to RAS mm as in
 * NIfTI; a {@link Grid} leads from (d, h, w) to LPS mm. Left and right are the patient's, decided by the affine.
 */
export type { Affine, Triple } from './affine.js';
export {
  cropGrid,
  fixedGrid,
  type Grid,
  gridCentre,
  gridOf,
  gridToVolume,
  indexMap,
  toIndex,
  toWorld,
  volumeOnGrid,
  volumeToGrid,
} from './grid.js';
export { type HeaderSummary, type ReadOptions, readHeader, readVolume } from './io.js';
export { parseNifti } from './nifti.js';
export { niftiBytes, type WriteOptions, writeVolume } from './nifti-write.js';
export { leftRightAxis, reorient, reorientLike, sameGrid } from './orientation.js';
export {
  type AffineSource,
  type NiftiTemplate,
  Volume,
  type VolumeInit,
  type VoxelArray,
} from './volume.js';
