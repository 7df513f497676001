/** What an analysis would do and take, from the CT's header alone. */
import { readHeader } from '../volume/index.js';
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
 * @throws RenvoxError as readVolume, as far as the header tells
 */
export async function planAnalysis(path: string): Promise<AnalysisPlan> {
  const { fileShape, fileSpacing, bytesPerVoxel } = await readHeader(path);
  const voxels = fileShape.reduce((a, b) => a * b, 1);
  const mb = (bytes: number) => Math.ceil(bytes / 1e6);
  // On the host and, as int16 or float, on the device; then instances and labels there and labels here.
  const ct = mb(voxels * (bytesPerVoxel + (bytesPerVoxel <= 2 ? 2 : 4)));
  const labels = mb(3 * voxels);
  return {
    input: { shape: fileShape, spacing_mm: fileSpacing, voxels },
    stages: [
      'window and resample to the kidney network’s grid, find both kidneys, decide sides by position',
      'crop each kidney, delineate masses',
      `crop each mass (at most ${CAPACITY} a side) by its contour, classify AML / cystic / solid`,
      'bring labels and figures back to the grid of the CT',
    ],
    memory_mb: { ct, labels, networks: NETWORKS_MB, total: ct + labels + NETWORKS_MB + NODE_MB },
    outputs: ['labels.nii.gz', 'report.json', 'preview.png'],
  };
}
