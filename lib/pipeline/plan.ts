/** What an analysis would do and take, from the CT's header alone. */
import { readHeader } from '../volume/index.js';
import { GRAD_CAM_FILE, OUTPUT_FILES } from './output.js';
import { CAPACITY } from './stages.js';

export interface AnalysisPlan {
  input: { shape: number[]; spacing_mm: number[]; voxels: number };
  stages: string[];
  memory_mb: { ct: number; labels: number; networks: number; total: number };
  outputs: string[];
}

/** The networks' tensors and weights at their largest, and Node itself: measured on the shipped networks, rounded up. */
const NETWORKS_MB = 160;
const NODE_MB = 90;

/**
 * Plans an analysis.
 * @param options.phase - path of a second phase
 * @param options.gradCam - whether the map of Grad-CAM is asked for
 * @throws RenvoxError as readVolume, as far as the header tells
 */
export async function planAnalysis(
  path: string,
  options: { phase?: string | undefined; gradCam?: boolean } = {},
): Promise<AnalysisPlan> {
  const { fileShape, fileSpacing, bytesPerVoxel } = await readHeader(path);
  const voxels = fileShape.reduce((a, b) => a * b, 1);
  const mb = (bytes: number) => Math.ceil(bytes / 1e6);
  // On the host and, as int16 or float, on the device; then instances and labels there and labels here.
  const held = (n: number, bytes: number) => n * (bytes + (bytes <= 2 ? 2 : 4));
  const { phase, gradCam = false } = options;
  const second = phase === undefined ? undefined : await readHeader(phase);
  // A second phase is held like the CT and, unless it has its grid, once more on that, in floats.
  const ofSecond = second
    ? held(
        second.fileShape.reduce((a, b) => a * b, 1),
        second.bytesPerVoxel,
      ) +
      4 * voxels
    : 0;
  const ct = mb(held(voxels, bytesPerVoxel) + ofSecond);
  const labels = mb((gradCam ? 7 : 3) * voxels);
  return {
    input: { shape: fileShape, spacing_mm: fileSpacing, voxels },
    stages: [
      'window and resample to the kidney network’s grid, find both kidneys, decide sides by position',
      'crop each kidney, delineate masses',
      `crop each mass (at most ${CAPACITY} a side) with its contour, classify AML / cystic / solid`,
      'bring labels and figures back to the grid of the CT',
      ...(second ? ['bring the second phase to that grid, measure enhancement'] : []),
      ...(gradCam ? ['explain the class of each mass by Grad-CAM'] : []),
    ],
    memory_mb: { ct, labels, networks: NETWORKS_MB, total: ct + labels + NETWORKS_MB + NODE_MB },
    outputs: [...OUTPUT_FILES, ...(gradCam ? [GRAD_CAM_FILE] : [])],
  };
}
