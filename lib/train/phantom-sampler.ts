/** Training on phantoms: a fresh one each time. */

import type { Device } from '../device.js';
import { RenvoxError } from '../errors.js';
import { cropMargin, maskChannels, type Preset } from './preset.js';
import { type Sample, type Sampler, validationSeed } from './sampler.js';
import { classSample } from './samples/class.js';
import { kidneySample } from './samples/kidney.js';
import { massSample } from './samples/mass.js';

/**
 * Samples of a preset's task and grid, drawn on the device.
 * @throws RenvoxError InvalidArgument where the preset asks for what phantoms do not have
 */
export function phantomSampler(preset: Preset): Sampler {
  const { low, high } = preset.window;
  const { inputChannels = 1 } = preset.architecture.config;
  if (low !== -1 || high !== 1)
    throw new RenvoxError(
      'InvalidArgument',
      `Phantoms come with their window as -1 to 1; the preset ${preset.name} wants it as ${low} to ${high}`,
      { preset: preset.name, window: preset.window },
    );
  const channels = 1 + maskChannels(preset);
  if (inputChannels !== channels)
    throw new RenvoxError(
      'InvalidArgument',
      `Phantoms of the task ${preset.task} have ${channels} channels; the preset ${preset.name} wants ${inputChannels}`,
      { preset: preset.name, inputChannels },
    );
  const draw = drawer(preset);
  return {
    source: 'phantoms',
    training: draw,
    validation: (device, index) => draw(device, validationSeed(preset.seed, index)),
  };
}

function drawer({
  task,
  grid,
  window: { level, width },
  architecture,
  contour,
}: Preset): (device: Device, seed: number) => Sample {
  const window = { low: level - width / 2, high: level + width / 2 };
  const crop = { shape: grid.shape, step: grid.spacing[0], margin: cropMargin(grid) };
  if (task === 'kidney') return (device, seed) => kidneySample(device, seed, { grid, window });
  if (task === 'one-stage') {
    const classes = architecture.config.classes === 4 ? 'sides' : 'masses';
    return (device, seed) => kidneySample(device, seed, { grid, window, classes });
  }
  if (task === 'mass') return (device, seed) => massSample(device, seed, crop, window);
  return (device, seed) => {
    const { image, class: label } = classSample(device, seed, crop, window, contour);
    return { image, target: device.tensor(Int32Array.of(label)) };
  };
}
