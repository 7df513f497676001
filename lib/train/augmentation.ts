/** Augmentation of samples: settings as data, drawn from a seed, applied on the device with one resampling. */
import type { Device } from '../device.js';
import { invalidArgument } from '../errors.js';
import {
  add,
  adjustIntensity,
  augmentationAffine,
  composeAffine,
  coveringAffine,
  gaussianBlur,
  randomNormal,
  resample,
} from '../ops/index.js';
import { Random } from '../phantom/random.js';
import { scope } from '../scope.js';
import type { Tensor } from '../tensor.js';
import type { Triple } from '../volume/index.js';

/** A figure drawn uniformly from low..high, with a probability (default 1); else the step is left out. */
export interface Range {
  readonly range: readonly [number, number];
  readonly probability?: number;
}

/**
 * What augmentation does, in this order; what is left out is not done. Intensities are those of the preset's window, `low` to `high`.
 * Images of several channels are changed alike in all, but for noise.
 */
export interface AugmentationSettings {
  /** Degrees about D, H and W, each drawn from the range. */
  readonly rotation?: Range;
  /** Fractions of the extents along D, H and W, each drawn from the range. */
  readonly translation?: Range;
  /** Above 1 the content grows; drawn so that halving and doubling are alike. */
  readonly scale?: Range;
  /** Probabilities of mirroring along D, H, W. */
  readonly mirror?: readonly [number, number, number];
  /**
   * Pairs of labels that change places where W, the patient's left and right, is mirrored: of a preset [[1, 2]] where left and right kidney are
   * classes (`one-stage` with four), else none.
   */
  readonly swap?: readonly (readonly [number, number])[];
  /** Variance of Gaussian noise, in units of the window's half width squared. */
  readonly noise?: Range;
  /** SD in voxels of a Gaussian blur. */
  readonly blur?: Range;
  /** What intensities are multiplied by. */
  readonly brightness?: Range;
  /** What distances from the mean are multiplied by; the window's ends stay. */
  readonly contrast?: Range;
  /** Fraction of the voxels along each axis that are sampled (nearest) and then brought back (trilinear). */
  readonly lowResolution?: Range;
  /** Exponents on the scale of the window; `invertedGamma` bends the bright end. */
  readonly invertedGamma?: Range;
  readonly gamma?: Range;
}

/**
 * Named settings: the study's (Front. Oncol. 2023: rotation, translation, noise) and nnU-Net's list (Isensee et al. 2021). nnU-Net's is for networks with
 * left and right as classes; others take it with `swap: []`.
 */
export const augmentations = Object.freeze({
  study: {
    rotation: { range: [-10, 10] },
    translation: { range: [-0.1, 0.1] },
    noise: { range: [0, 0.0025] },
  },
  nnunet: {
    rotation: { range: [-30, 30], probability: 0.2 },
    scale: { range: [0.7, 1.4], probability: 0.2 },
    mirror: [0.5, 0.5, 0.5],
    swap: [[1, 2]],
    noise: { range: [0, 0.1], probability: 0.1 },
    blur: { range: [0.5, 1], probability: 0.2 },
    brightness: { range: [0.75, 1.25], probability: 0.15 },
    contrast: { range: [0.75, 1.25], probability: 0.15 },
    lowResolution: { range: [0.5, 1], probability: 0.25 },
    invertedGamma: { range: [0.7, 1.5], probability: 0.1 },
    gamma: { range: [0.7, 1.5], probability: 0.3 },
  },
} as const satisfies Record<string, AugmentationSettings>);

/** An image with its labels on the host, as it is kept in memory. */
export interface Source {
  /** [D, H, W, channels]. */
  readonly image: Float32Array;
  readonly channels: number;
  /** [D, H, W]. */
  readonly labels: Uint8Array;
  readonly shape: Triple;
}

/** What part of a source a sample shows. */
export interface View {
  /** Voxels of the sample along D, H, W. */
  readonly size: Triple;
  /** mm along D, H, W, so that rotations keep angles. */
  readonly spacing: Triple;
  /** First voxel of the source along D, H, W; need not be whole. */
  readonly start: Triple;
  /** Intensities of the window's ends; `low` is also what lies outside. */
  readonly low: number;
  readonly high: number;
}

/**
 * A sample from a source: moved, turned, scaled and mirrored in one resampling, then changed in its intensities. The same source, view, settings
 * and seed give the same bits on a device whatever the number of threads; without settings the view is only cut out.
 * @returns image [1, D, H, W, channels] f32, labels [1, D, H, W] u8; the caller disposes both, or has a scope
 */
export function augment(
  device: Device,
  source: Source,
  view: View,
  settings: AugmentationSettings = {},
  seed = 0,
): { image: Tensor; labels: Tensor } {
  const { size, spacing, start, low } = view;
  return scope(() => {
    const moved = spatial(settings, seed);
    const mirrored = moved.flip.includes('w');
    const from = mirrored ? swapped(source.labels, settings.swap ?? []) : source.labels;
    const image = device.tensor(source.image, { shape: [1, ...source.shape, source.channels] });
    const labels = device.tensor(from, { shape: [1, ...source.shape] });
    const offset = [1, 0, 0, start[0], 0, 1, 0, start[1], 0, 0, 1, start[2]];
    const affine = composeAffine(offset, augmentationAffine({ size, spacing, ...moved }));
    const seen = resample(image, { size, affine, outside: low });
    return {
      image: intensities(device, seen, view, settings, seed),
      labels: resample(labels, { size, affine, mode: 'nearest' }),
    };
  });
}

/** Each step has a stream of random numbers of its own, so that one more step changes no other. */
function drawn(seed: number, name: string, setting: Range | undefined): Random | undefined {
  if (!setting) return undefined;
  const random = new Random(seed, `augment ${name}`);
  return random.chance(setting.probability ?? 1) ? random : undefined;
}

function spatial(settings: AugmentationSettings, seed: number) {
  const three = (name: 'rotation' | 'translation'): Triple => {
    const random = drawn(seed, name, settings[name]);
    const [low, high] = settings[name]?.range ?? [0, 0];
    if (!random) return [0, 0, 0];
    return [random.uniform(low, high), random.uniform(low, high), random.uniform(low, high)];
  };
  const scale = drawn(seed, 'scale', settings.scale)?.logUniform(
    ...(settings.scale?.range ?? [1, 1]),
  );
  const mirror = new Random(seed, 'augment mirror');
  const flip = (['d', 'h', 'w'] as const).filter((_, a) =>
    mirror.chance(settings.mirror?.[a] ?? 0),
  );
  return {
    rotation: three('rotation'),
    translation: three('translation'),
    scale: scale ?? 1,
    flip,
  };
}

function swapped(labels: Uint8Array, pairs: readonly (readonly [number, number])[]): Uint8Array {
  const to = Uint8Array.from({ length: 256 }, (_, i) => i);
  for (const [a, b] of pairs) [to[a], to[b]] = [b, a];
  return labels.map((label) => to[label] as number);
}

function intensities(
  device: Device,
  seen: Tensor,
  { size, low, high }: View,
  settings: AugmentationSettings,
  seed: number,
): Tensor {
  const range = [low, high] as const;
  const pick = (name: keyof Omit<AugmentationSettings, 'mirror' | 'swap'>) => {
    const setting = settings[name];
    return drawn(seed, name, setting)?.uniform(...((setting as Range).range as [number, number]));
  };
  let x = seen;
  const variance = pick('noise');
  if (variance) {
    const deviation = (Math.sqrt(variance) * (high - low)) / 2;
    const bits = new Random(seed, 'augment noise values').bits();
    x = add(x, randomNormal(device, { shape: x.shape, seed: bits, deviation }));
  }
  const sigma = pick('blur');
  if (sigma) x = gaussianBlur(x, [sigma, sigma, sigma]);
  const [brightness, contrast] = [pick('brightness'), pick('contrast')];
  if (brightness !== undefined || contrast !== undefined)
    x = adjustIntensity(x, { ...given({ brightness, contrast }), range });
  const share = pick('lowResolution');
  if (share) {
    const coarse = size.map((n) => Math.max(1, Math.round(n * share))) as unknown as Triple;
    const few = resample(x, { size: coarse, mode: 'nearest' });
    x = resample(few, { size, affine: coveringAffine(coarse, size), outside: 'border' });
  }
  const inverted = pick('invertedGamma');
  if (inverted) x = adjustIntensity(x, { gamma: inverted, invert: true, range });
  const gamma = pick('gamma');
  return gamma ? adjustIntensity(x, { gamma, range }) : x;
}

/** Without what is undefined. */
function given<T extends object>(fields: T): { [K in keyof T]?: NonNullable<T[K]> } {
  return Object.fromEntries(Object.entries(fields).filter(([, v]) => v !== undefined)) as never;
}

/**
 * Checks settings, from a JSON file say.
 * @throws RenvoxError InvalidArgument naming the first field that is wrong
 */
export function checkAugmentation(value: unknown): void {
  if (typeof value !== 'object' || value === null)
    throw invalidArgument('augmentation', 'an object', value);
  for (const [name, setting] of Object.entries(value)) {
    const field = `augmentation.${name}`;
    const numbers = (list: unknown, length: number): list is number[] =>
      Array.isArray(list) && list.length === length && list.every((n) => Number.isFinite(n));
    if (name === 'mirror') {
      if (!numbers(setting, 3) || !setting.every((p) => p >= 0 && p <= 1))
        throw invalidArgument(field, 'three probabilities', setting);
    } else if (name === 'swap') {
      const pair = (p: unknown) =>
        numbers(p, 2) && p.every((n) => Number.isInteger(n) && n >= 0 && n <= 255);
      if (!Array.isArray(setting) || !setting.every(pair))
        throw invalidArgument(field, 'pairs of labels', setting);
    } else {
      const least = LEAST[name];
      if (least === undefined)
        throw invalidArgument(
          'augmentation',
          `the steps ${Object.keys(LEAST).join(', ')}, mirror and swap`,
          name,
        );
      const { range, probability = 1 } = (setting ?? {}) as Partial<Range>;
      if (
        !numbers(range, 2) ||
        !((range[0] as number) >= least) ||
        !((range[1] as number) >= (range[0] as number))
      )
        throw invalidArgument(
          `${field}.range`,
          `two numbers, the first ${Number.isFinite(least) ? `at least ${least} and ` : ''}not above the second`,
          range,
        );
      const odd = Object.keys(setting as object).find(
        (key) => !['range', 'probability'].includes(key),
      );
      if (odd !== undefined) throw invalidArgument(field, 'range and probability', odd);
      if (!(probability >= 0 && probability <= 1))
        throw invalidArgument(`${field}.probability`, 'a number from 0 to 1', probability);
    }
  }
}

/** The least value that a step's range may begin with. */
const LEAST: Record<string, number> = {
  rotation: Number.NEGATIVE_INFINITY,
  translation: Number.NEGATIVE_INFINITY,
  scale: 1e-3,
  noise: 0,
  blur: 0,
  brightness: 0,
  contrast: 0,
  lowResolution: 0.01,
  invertedGamma: 0.01,
  gamma: 0.01,
};
