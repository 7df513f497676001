/** Training on phantoms: a fresh one each time. */

import type { Device } from '../device.js';
import { RenvoxError } from '../errors.js';
import type { UNet3D } from '../nn/index.js';
import type { Stage } from '../pipeline/networks.js';
import { KIDNEY_MARGIN } from '../pipeline/stages.js';
import { cropMargin, maskChannels, type Preset } from './preset.js';
import { type Sample, type Sampler, validationSeed } from './sampler.js';
import { classSample } from './samples/class.js';
import type { MassFinder } from './samples/found-contour.js';
import { kidneySample } from './samples/kidney.js';
import { massSample } from './samples/mass.js';

/** A mass network as its weights file describes it: `loadCascade(device).mass`, say. */
export type Finder = Pick<
  Stage<UNet3D>,
  'network' | 'shape' | 'spacing' | 'margin' | 'window' | 'sha256'
>;

/**
 * Samples of a preset's task and grid, drawn on the device.
 * @param options.finder - draws the contours of a classifier's samples in the share that the preset's `foundContours` says; the caller disposes it
 * when training is over
 * @throws RenvoxError InvalidArgument where the preset asks for what phantoms do not have, or for a finder that is not given, or there is one that it
 * does not ask for
 */
export function phantomSampler(
  preset: Preset,
  { finder }: { finder?: Finder | undefined } = {},
): Sampler {
  const { foundContours = 0 } = preset;
  if (foundContours > 0 !== (finder !== undefined))
    throw new RenvoxError(
      'InvalidArgument',
      finder
        ? `The preset ${preset.name} has no foundContours, so a mass network has nothing to draw`
        : `${foundContours} of the contours of the preset ${preset.name} are drawn by a mass network, and none is given (--mass-weights FILE, or a finder)`,
      { preset: preset.name, foundContours },
    );
  const { low, high } = preset.window;
  const { inputChannels = 1 } = preset.architecture.config;
  if (low !== -1 || high !== 1)
    throw new RenvoxError(
      'InvalidArgument',
      `Phantoms come with their window as -1 to 1; the preset ${preset.name} wants it as ${low} to ${high}`,
      { preset: preset.name, window: preset.window },
    );
  const images = inputChannels - maskChannels(preset);
  const most = preset.task === 'class' ? 2 : 1;
  if (images < 1 || images > most)
    throw new RenvoxError(
      'InvalidArgument',
      `Phantoms of the task ${preset.task} have ${most === 1 ? 'one phase' : 'one or two phases'}${maskChannels(preset) ? ' and a mask' : ''}; the preset ${preset.name} wants ${inputChannels} channels`,
      { preset: preset.name, inputChannels },
    );
  const draw = drawer(preset, finder, preset.kinds);
  const drawUsual = drawer(preset, finder, 'usual');
  const by = finder ? `, ${foundContours} of the contours by mass network ${finder.sha256}` : '';
  return {
    source: `phantoms${by}`,
    ...(images === 2
      ? {
          channels: [
            'CT',
            preset.secondImage === 'change' ? 'second phase less CT' : 'second phase',
          ],
        }
      : {}),
    training: draw,
    validation: (device, index) => drawUsual(device, validationSeed(preset.seed, index)),
  };
}

function drawer(
  preset: Preset,
  finder: Finder | undefined,
  kinds: Preset['kinds'],
): (device: Device, seed: number) => Sample {
  const { task, grid, architecture, contour, secondImage, foundContours = 0 } = preset;
  const { level, width } = preset.window;
  const window = { low: level - width / 2, high: level + width / 2 };
  const crop = { shape: grid.shape, step: grid.spacing[0], margin: cropMargin(grid) };
  if (task === 'kidney') return (device, seed) => kidneySample(device, seed, { grid, window });
  if (task === 'one-stage') {
    const classes = architecture.config.classes === 4 ? 'sides' : 'masses';
    return (device, seed) => kidneySample(device, seed, { grid, window, classes });
  }
  if (task === 'mass') return (device, seed) => massSample(device, seed, crop, window);
  const by = finder && massFinder(finder, foundContours);
  const { inputChannels = 1 } = architecture.config;
  const phases = inputChannels - maskChannels(preset) === 2 ? 2 : 1;
  return (device, seed) => {
    const view = { window, contour, finder: by, phases, secondImage, kinds } as const;
    const { image, class: label } = classSample(device, seed, crop, view);
    return { image, target: device.tensor(Int32Array.of(label)) };
  };
}

function massFinder(
  { network, shape, spacing, margin, window }: Finder,
  share: number,
): MassFinder {
  const { level, width } = window;
  return {
    ...{ network, shape, share, step: spacing[0], margin: margin ?? KIDNEY_MARGIN },
    window: { low: level - width / 2, high: level + width / 2 },
  };
}
