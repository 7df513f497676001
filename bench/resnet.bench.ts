/**
 * MedicalNet's ResNet-10 in both geometries against onnxruntime-node (which folds batch norms; ours are applied on load), in processes of their own: time of a forward pass, share
 * of the multiply-add peak, and the most memory.
 */
import { measureNetwork, type NetworkCase } from './networks/versus-onnxruntime.js';
import type { BenchOptions, Row } from './row.js';

const widths = [64, 128, 256, 512];
const network = (geometry: 'dilated' | 'strided') =>
  ({ kind: 'resnet3d', config: { classes: 3, widths, geometry } }) as const;
const CASES: readonly NetworkCase[] = [
  {
    name: 'resnet/128^3 64..512 dilated',
    why: "MedicalNet's own geometry: dilated convolutions of 256 and 512 channels at 16^3 are most of it",
    architecture: network('dilated'),
    size: [128, 128, 128],
    goal: { ratio: 0.5 },
  },
  {
    name: 'resnet/128^3 64..512 strided',
    why: "MONAI's geometry: the 7x7x7 layer of stride 2 is most of it, and the deep layers have few voxels a weight",
    architecture: network('strided'),
    size: [128, 128, 128],
    goal: { ratio: 0.5 },
  },
  {
    name: 'resnet/32^3 16..128 strided',
    why: 'the shipped classifier but for its second channel: a call of milliseconds, where what a call costs by itself shows',
    architecture: {
      kind: 'resnet3d',
      config: { classes: 3, widths: [16, 32, 64, 128], geometry: 'strided', hidden: 64 },
    },
    size: [32, 32, 32],
    goal: { ratio: 0.5 },
  },
  {
    name: 'resnet/8x32^3x2 16..128 strided',
    why: 'the shipped classifier as the cascade calls it: CT and mask of a mass, its eight mirror images at once',
    architecture: {
      kind: 'resnet3d',
      config: {
        ...{ inputChannels: 2, classes: 3, hidden: 64 },
        ...{ widths: [16, 32, 64, 128], geometry: 'strided' },
      },
    },
    size: [32, 32, 32],
    batch: 8,
    goal: { ratio: 0.5 },
  },
];

export async function* bench(options: BenchOptions): AsyncGenerator<Row> {
  for (const c of CASES) yield* measureNetwork(c, options);
}
