/** A task that a tiny network learns in a few steps: balls brighter than the noise around them. */
import { type Device, scope, type Tensor } from 'renvox';
import { type Preset, presets, type Sampler, validationSeed } from 'renvox/train';
import { TrainingState } from '#lib/train/state.js';
import { oneStep } from '#lib/train/step.js';
import { generator } from '../ops/harness.js';

const size = 8;

export const toyPreset: Preset = {
  ...(presets.kidney as Preset),
  name: 'toy',
  architecture: { kind: 'unet3d', config: { inputChannels: 1, classes: 2, channels: [4, 6] } },
  grid: { shape: [size, size, size], spacing: [6, 6, 6] },
  steps: 12,
  batch: 2,
  validation: { every: 4, samples: 3 },
  checkpoint: 3,
};

export const toyClasses: Preset = {
  ...(presets.class as Preset),
  name: 'toy-class',
  architecture: {
    kind: 'resnet3d',
    config: { classes: 3, widths: [2, 2, 4, 4], hidden: 4, geometry: 'strided' },
  },
  grid: { shape: [size, size, size], spacing: [1, 1, 1] },
  steps: 12,
  batch: 3,
  validation: { every: 6, samples: 4 },
  checkpoint: 6,
};

function ball(seed: number): { image: Float32Array; inside: Uint8Array; radius: number } {
  const next = generator(seed % 2 ** 32);
  const centre = [0, 1, 2].map(() => 2 + next() * (size - 5));
  const radius = 1 + next() * 2;
  const image = new Float32Array(size ** 3);
  const inside = new Uint8Array(size ** 3);
  for (let i = 0; i < image.length; i++) {
    const at = [Math.floor(i / size ** 2), Math.floor(i / size) % size, i % size];
    const distance = Math.hypot(...at.map((n, a) => n - (centre[a] as number)));
    inside[i] = distance <= radius ? 1 : 0;
    image[i] = (inside[i] as number) + 0.6 * (next() - 0.5);
  }
  return { image, inside, radius };
}

function draw(device: Device, seed: number, classes: boolean) {
  const { image, inside, radius } = ball(seed);
  return {
    image: device.tensor(image, { shape: [1, size, size, size, 1] }),
    target: classes
      ? device.tensor(Int32Array.of(Math.min(2, Math.floor(radius - 1) + (seed % 2))))
      : device.tensor(inside, { shape: [1, size, size, size] }),
  };
}

export function toySampler(
  preset: Preset,
  spoil: (seed: number) => boolean = () => false,
): Sampler {
  const classes = preset.task === 'class';
  return {
    source: 'toy balls',
    training(device, seed) {
      const sample = draw(device, seed, classes);
      if (!spoil(seed)) return sample;
      return { ...sample, image: device.full(sample.image.shape, Number.NaN) };
    },
    validation: (device, index) => draw(device, validationSeed(preset.seed, index), classes),
  };
}

/** All weights after some steps. */
export async function weightsAfter(
  preset: Preset,
  steps: number,
  on: Device,
): Promise<Float32Array> {
  const state = TrainingState.fresh(preset, on);
  try {
    await scope(async () => {
      let alive = on.tensor(Int32Array.of(1));
      for (let k = 0; k < steps; k++, state.step++)
        alive = oneStep(state, toySampler(preset), on, alive).alive;
      await on.drain();
    });
    return await flat([...state.network.parameters.values()]);
  } finally {
    state.dispose();
  }
}

/** Their values one after the other. */
export async function flat(tensors: readonly Tensor[]): Promise<Float32Array> {
  const all = await Promise.all(tensors.map((x) => x.data()));
  return Float32Array.from(all.flatMap((values) => Array.from(values)));
}
