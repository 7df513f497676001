/** What an analysis would do and take, from the CT's header alone. */
import { type HeaderSummary, readHeader } from '../volume/index.js';
import { GRAD_CAM_FILE, OUTPUT_FILES } from './output.js';
import { CAPACITY } from './stages.js';

export interface AnalysisPlan {
  input: { shape: number[]; spacing_mm: number[]; voxels: number };
  stages: string[];
  memory_mb: { ct: number; labels: number; networks: number; node: number; total: number };
  outputs: string[];
}

/** The networks' tensors and weights at their largest, and Node itself, on the CPU: measured on the shipped networks, rounded up. */
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
  const header = await readHeader(path);
  const { fileShape, fileSpacing } = header;
  const voxels = fileShape.reduce((a, b) => a * b, 1);
  const mb = (bytes: number) => Math.ceil(bytes / 1e6);
  // As stored and, where that is not int16 in HU, as values.
  const held = (of: HeaderSummary) =>
    of.fileShape.reduce((a, b) => a * b, of.bytesPerVoxel + of.bytesPerValue);
  const { phase, gradCam = false } = options;
  const second = phase === undefined ? undefined : await readHeader(phase);
  const ct = mb(held(header) + (second ? held(second) : 0));
  // The label map and the map of Grad-CAM, four bytes a voxel, of which most is never written and takes nothing.
  const labels = mb((gradCam ? 2 : 1) * voxels);
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
    memory_mb: {
      ...{ ct, labels, networks: NETWORKS_MB, node: NODE_MB },
      total: ct + labels + NETWORKS_MB + NODE_MB,
    },
    outputs: [...OUTPUT_FILES, ...(gradCam ? [GRAD_CAM_FILE] : [])],
  };
}
