/** Training on phantoms: a fresh one each time. */

import type { Device } from '../device.js';
import { RenvoxError } from '../errors.js';
import { cropMargin, type Preset } from './preset.js';
import { type Sample, type Sampler, validationSeed } from './sampler.js';
import { classSample } from './samples/class.js';
import { kidneySample } from './samples/kidney.js';
import { massSample } from './samples/mass.js';
import { sampleWindow } from './samples/sample.js';

/**
 * Samples of a preset's task and grid, drawn on the device.
 * @throws RenvoxError InvalidArgument where the preset asks for what phantoms do not have
 */
export function phantomSampler(preset: Preset): Sampler {
  const { level, width, low, high } = preset.window;
  const bottom = level - width / 2;
  if (
    bottom !== sampleWindow.low ||
    bottom + width !== sampleWindow.high ||
    low !== -1 ||
    high !== 1
  )
    throw new RenvoxError(
      'InvalidArgument',
      `Phantoms come with ${sampleWindow.low} to ${sampleWindow.high} HU as -1 to 1; the preset ${preset.name} wants ${bottom} to ${bottom + width} HU as ${low} to ${high}`,
      { preset: preset.name, window: preset.window },
    );
  const draw = drawer(preset);
  return {
    source: 'phantoms',
    training: draw,
    validation: (device, index) => draw(device, validationSeed(preset.seed, index)),
  };
}

function drawer({ task, grid }: Preset): (device: Device, seed: number) => Sample {
  const crop = { shape: grid.shape, step: grid.spacing[0], margin: cropMargin(grid) };
  if (task === 'kidney') return (device, seed) => kidneySample(device, seed, grid);
  if (task === 'mass') return (device, seed) => massSample(device, seed, crop);
  return (device, seed) => {
    const { image, class: label } = classSample(device, seed, crop);
    return { image, target: device.tensor(Int32Array.of(label)) };
  };
}
