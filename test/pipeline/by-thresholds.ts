// A patient of balls, and systems whose networks are made by thresholds of HU, so that what they find is known.
import { join } from 'node:path';
import { type Device, type Tensor, Volume } from 'renvox';
import { type Network, ResNet3D, saveNetwork, UNet3D } from 'renvox/nn';
import type { Test } from 'tap';

export const SPACING = 4;
export const SHAPE = [44, 40, 48] as const;
/** Places [x, y, z] and radii in voxels: two kidneys, three masses, of which two are so close that the crop of one shows the other. */
const KIDNEYS = [
  [34, 24, 20, 6],
  [13, 24, 20, 6],
] as const;
export const MASSES = [
  [38, 24, 19, 3],
  [34, 24, 26, 3],
  [13, 24, 26, 3],
] as const;
/** HU between what a network calls background, kidney and mass. */
const [KIDNEY_FROM, MASS_FROM] = [80, 170];

/** Muscle of 40 HU, kidneys of 120, masses of 220; labels 1 kidney, 3 mass. */
export function patient(): { ct: Volume; labels: Volume } {
  const [depth, height, width] = SHAPE;
  const hu = new Int16Array(depth * height * width);
  const labels = new Uint8Array(hu.length);
  for (let z = 0, i = 0; z < depth; z++)
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++, i++) {
        const among = (balls: readonly (readonly [number, number, number, number])[]) =>
          balls.some(([cx, cy, cz, r]) => Math.hypot(x - cx, y - cy, z - cz) <= r);
        hu[i] = Math.hypot((x - 24) / 22, (y - 20) / 18) < 1 ? 40 : -1000;
        if (among(KIDNEYS)) [hu[i], labels[i]] = [120, 1];
        if (among(MASSES)) [hu[i], labels[i]] = [220, 3];
      }
  const affine = [-SPACING, 0, 0, 0, 0, -SPACING, 0, 0, 0, 0, SPACING, 0];
  return {
    ct: new Volume({ data: hu, shape: SHAPE, affine }),
    labels: new Volume({ data: labels, shape: SHAPE, affine }),
  };
}
/** A network all of whose values are 0 but those given by `of`, and norms that leave all as it is. */
function filled<N extends Network>(
  device: Device,
  network: N,
  of: (name: string, values: Float32Array) => void,
): N {
  const tensors = [...network.shapes].map(([name, shape]): [string, Tensor] => {
    const values = new Float32Array(shape.reduce((a, b) => a * b, 1));
    if (/(norm|bn\d|downsample\.1)\.weight|running_var/.test(name)) values.fill(1);
    of(name, values);
    return [name, device.tensor(values, { shape })];
  });
  network.load(new Map(tensors));
  return network;
}

/** 1 where HU come to KIDNEY_FROM, and with three classes 2 from MASS_FROM on, of the first channel. */
function byThresholds(device: Device, inputChannels: number, classes: number): UNet3D {
  const config = { inputChannels, classes, channels: [1, 1], norm: 'batch' as const };
  const one = { convolutions: { encoder: 1, decoder: 1 }, convolutionBias: false };
  // HU in the window as 0..2, then lines that cross at the thresholds.
  const [kidney, mass] = [KIDNEY_FROM, MASS_FROM].map((v) => (v - 40) / 200 + 1) as [
    number,
    number,
  ];
  return filled(device, new UNet3D({ ...config, ...one }, { device }), (name, values) => {
    // The first channel of the image, and the second of the decoder's: the skip.
    if (name === 'encoder.0.0.conv.weight') values[13] = 1;
    if (name === 'encoder.0.0.norm.bias') values[0] = 1;
    if (name === 'decoder.0.0.conv.weight') values[27 + 13] = 1;
    if (name === 'head.weight') values.set([0, 1, 2].slice(0, classes));
    if (name === 'head.bias') values.set([0, -kidney, -kidney - mass].slice(0, classes));
  });
}

/** A classifier whose layers pass one channel on, and whose logit of AML is its mean. */
export function passing(device: Device, channel: number, inputChannels = 2): ResNet3D {
  const config = { inputChannels, classes: 3, widths: [1, 1, 1, 1], hidden: 1 };
  return filled(
    device,
    new ResNet3D({ ...config, geometry: 'dilated' }, { device }),
    (name, values) => {
      if (name === 'conv1.weight') values[343 * channel + 171] = 1;
      // The image's window begins at -1.
      if (name === 'bn1.bias') values[0] = channel === 0 ? 1 : 0;
      if (/downsample\.0\.weight|head\.0\.weight/.test(name)) values.fill(1);
      if (name === 'head.2.weight') values[0] = 1;
    },
  );
}

const window = { level: 40, width: 400, low: -1, high: 1 };
export const crop = { shape: [32, 32, 32], spacing: [1, 1, 1], margin: 12 };

/**
 * A folder with the weights files of both systems; their networks are disposed of.
 * @param second - the classifier of two phases
 */
export async function folderOf(
  t: Test,
  device: Device,
  classifier: ResNet3D,
  { contour, second }: { contour?: 'cut' | 'channel' | undefined; second?: ResNet3D } = {},
): Promise<string> {
  const folder = t.testdir();
  const body = { shape: [48, 48, 64], spacing: [4, 4, 4] };
  const round = { shape: [32, 32, 32], spacing: [2.5, 2.5, 2.5], margin: 8 };
  const classified = { grid: crop, ...(contour ? { contour } : {}) };
  const files: [string, string, Network, object][] = [
    ['kidney', 'kidney', byThresholds(device, 1, 2), { grid: body }],
    ['mass', 'mass', byThresholds(device, 2, 3), { grid: round }],
    ['one-stage', 'one-stage', byThresholds(device, 1, 3), { grid: body }],
    ['class', 'class', classifier, classified],
    ...(second
      ? [['class-two-phases', 'class', second, classified] as [string, string, Network, object]]
      : []),
  ];
  for (const [name, task, network, more] of files) {
    const preprocessing = { task, window, ...more };
    await saveNetwork(join(folder, `${name}.safetensors`), network, {
      preprocessing,
      training: {},
    });
    network.dispose();
  }
  return folder;
}
