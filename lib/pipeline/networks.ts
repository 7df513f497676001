/** The three networks of the cascade and what their files say about what they expect. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Device } from '../device.js';
import { RenvoxError } from '../errors.js';
import { loadNetwork, type Precision, ResNet3D, UNet3D } from '../nn/index.js';

/** HU window: the bottom becomes `low`, the top `high`. */
export interface NetworkWindow {
  level: number;
  width: number;
  low: number;
  high: number;
}

/** How a classifier is told which mass is meant: all else removed, or the mask as a channel more. */
export type Contour = 'cut' | 'channel';

/**
 * How a classifier of two phases is shown the second one: as it is, or as the change from the first, four times as large and in the mass alone, so that
 * what enhances is what is not 0. Both images are windowed before.
 */
export type SecondImage = 'image' | 'change';

/**
 * Which components of a network's label map are believed: those of which at least `share` (0 to 1) of the voxels have the wanted logit lead any other
 * by `lead`. How sure a network is depends on its training, so its file says it.
 */
export interface Belief {
  lead: number;
  share: number;
  /** What holds instead in a CT that covers fewer than `below` mm from head to foot: so few slices of the spleen or liver may look like a kidney's. */
  thin?: { below: number; lead: number; share: number };
}

/** A stage's network with its grid and window. */
export interface Stage<N> {
  name: string;
  network: N;
  shape: [number, number, number];
  spacing: [number, number, number];
  /** mm that a crop round a kidney or a mass keeps free; undefined where the file does not say. */
  margin: number | undefined;
  window: NetworkWindow;
  contour: Contour;
  /** Images that it sees beside masks: the CT, and behind it a second contrast phase where there are 2. */
  phases: 1 | 2;
  secondImage: SecondImage;
  /** Undefined where the file does not say: every component is believed. */
  belief: Belief | undefined;
  sha256: string;
  /** Whether it was trained on patches, and would have to be led over all of a CT. */
  patches: boolean;
}

export interface CascadeNetworks {
  kidney: Stage<UNet3D>;
  mass: Stage<UNet3D>;
  classifier: Stage<ResNet3D>;
  /** Names the masses instead of `classifier` where there is a second phase. */
  twoPhaseClassifier?: Stage<ResNet3D> | undefined;
  dispose(): void;
}

/** How the networks of a system are loaded. */
export interface LoadOptions {
  /** Default: fp32 on the CPU, bf16 on a GPU. */
  precision?: Precision | undefined;
  /** Also loads class-two-phases.safetensors where the folder has it. Default false. */
  twoPhases?: boolean | undefined;
}

/**
 * The networks that name masses as far as images are there: with a second phase, the classifier that sees both where there is one.
 */
export function forPhases(networks: CascadeNetworks, second: boolean): CascadeNetworks {
  const { classifier, twoPhaseClassifier } = networks;
  return { ...networks, classifier: (second ? twoPhaseClassifier : undefined) ?? classifier };
}

/** Which files the networks are of that made a finding, as findings and reports say it. */
export function weightsOf({
  kidney,
  mass,
  classifier,
}: CascadeNetworks): { name: string; sha256: string }[] {
  return [kidney, mass, classifier].map(({ name, sha256 }) => ({ name, sha256 }));
}

/** The folder of the weights that come with the package. */
export function shippedWeights(): string {
  return join(dirname(fileURLToPath(import.meta.url)), '..', '..', 'weights');
}

/**
 * Loads kidney.safetensors, mass.safetensors and class.safetensors of a folder, and where it is asked for and there, class-two-phases.safetensors.
 * @throws RenvoxError FileNotFound, InvalidWeights
 */
export async function loadCascade(
  device: Device,
  folder = shippedWeights(),
  options: LoadOptions = {},
): Promise<CascadeNetworks> {
  const loaded: { dispose(): void }[] = [];
  const kept = <N extends { dispose(): void }>(stage: Stage<N>): Stage<N> => {
    loaded.push(stage.network);
    return stage;
  };
  const { precision } = options;
  const path = (name: string) => join(folder, `${name}.safetensors`);
  try {
    const dispose = () => {
      for (const n of loaded) n.dispose();
    };
    const kidney = kept(
      await loadStage.unet(device, path('kidney'), 'kidney', 'kidney', { precision }),
    );
    const mass = kept(await loadStage.unet(device, path('mass'), 'mass', 'mass', { precision }));
    const classifiers = await loadClassifiers(device, folder, options, kept);
    return { kidney, mass, ...classifiers, dispose };
  } catch (error) {
    for (const n of loaded) n.dispose();
    throw error;
  }
}

/** Loads what names masses; `kept` is told of each network as soon as it is there. */
export async function loadClassifiers(
  device: Device,
  folder: string,
  options: LoadOptions,
  kept: (stage: Stage<ResNet3D>) => Stage<ResNet3D>,
): Promise<Pick<CascadeNetworks, 'classifier' | 'twoPhaseClassifier'>> {
  const path = (name: string) => join(folder, `${name}.safetensors`);
  const load = async (name: string, phases: 1 | 2) =>
    kept(await loadStage.resnet(device, path(name), name, 'class', { ...options, phases }));
  const classifier = await load('class', 1);
  const both = options.twoPhases === true && existsSync(path(TWO_PHASES));
  return { classifier, twoPhaseClassifier: both ? await load(TWO_PHASES, 2) : undefined };
}

const TWO_PHASES = 'class-two-phases';

type Load<N> = (
  device: Device,
  path: string,
  name: string,
  task: string,
  /** `phases`: images that it must see, 1 by default. */
  options?: { precision?: Precision | undefined; phases?: 1 | 2 | undefined },
) => Promise<Stage<N>>;

function loader<N extends { dispose(): void }>(
  type: abstract new (...args: never[]) => N,
): Load<N> {
  return async (device, path, name, task, options = {}) => {
    const { precision, phases = 1 } = options;
    const { network, metadata, sha256 } = await loadNetwork(path, { precision, device });
    try {
      if (!(network instanceof type) || metadata.preprocessing.task !== task)
        throw new RenvoxError(
          'InvalidWeights',
          `${name}.safetensors is a ${network.kind} for the task ${String(metadata.preprocessing.task)}, expected the task ${task}`,
          { file: name },
        );
      const { preset } = metadata.training as { preset?: { sampling?: unknown } | null };
      const patches = preset?.sampling !== undefined;
      const own = gridAndWindow(metadata.preprocessing, name);
      const stage = { name, network, ...own, phases, sha256, patches };
      checkFit(stage, task);
      return stage;
    } catch (error) {
      network.dispose();
      throw error;
    }
  };
}

/** Loads one stage of a system from its weights file, whose task must be the one given. */
export const loadStage = { unet: loader(UNet3D), resnet: loader(ResNet3D) };

/** The grid and window of a weights file, checked: a damaged file must not surface as nonsense later. */
function gridAndWindow(
  preprocessing: Record<string, unknown>,
  file: string,
): Pick<
  Stage<unknown>,
  'shape' | 'spacing' | 'margin' | 'window' | 'contour' | 'secondImage' | 'belief'
> {
  const {
    grid,
    window,
    contour = 'cut',
    secondImage = 'image',
    belief,
  } = preprocessing as {
    grid?: { shape?: unknown; spacing?: unknown; margin?: unknown } | null;
    contour?: unknown;
    secondImage?: unknown;
    belief?: unknown;
    window?: Partial<Record<keyof NetworkWindow, unknown>> | null;
  };
  const triple = (value: unknown, sound: (n: unknown) => boolean) =>
    Array.isArray(value) && value.length === 3 && value.every(sound);
  const { level, width, low, high } = window ?? {};
  const sound =
    triple(grid?.shape, (n) => Number.isSafeInteger(n) && (n as number) >= 1) &&
    triple(grid?.spacing, (n) => Number.isFinite(n) && (n as number) > 0) &&
    (grid?.margin === undefined ||
      (Number.isFinite(grid.margin) && (grid.margin as number) >= 0)) &&
    (contour === 'cut' || contour === 'channel') &&
    (secondImage === 'image' || secondImage === 'change') &&
    (belief === undefined || soundBelief(belief)) &&
    [level, width, low, high].every(Number.isFinite) &&
    (width as number) > 0 &&
    (high as number) > (low as number);
  if (!sound)
    throw new RenvoxError(
      'InvalidWeights',
      `${file}.safetensors does not say its grid and window: expected grid { shape, spacing, margin or none }, window { level, width, low, high }, contour cut, channel or none, secondImage image, change or none and belief { lead, share, thin or none } or none but received ${JSON.stringify({ grid, window, contour, secondImage, belief })}`,
      { file },
    );
  const { shape, spacing, margin } = grid as Pick<Stage<unknown>, 'shape' | 'spacing' | 'margin'>;
  return {
    ...{ shape, spacing, margin, window: window as NetworkWindow, contour, secondImage },
    belief: belief as Belief | undefined,
  };
}

function soundBelief(belief: unknown): boolean {
  const within = (n: unknown, most: number) =>
    Number.isFinite(n) && (n as number) >= 0 && (n as number) <= most;
  const { lead, share, thin } = (belief ?? {}) as Partial<Record<keyof Belief, unknown>>;
  if (!within(lead, 1e3) || !within(share, 1)) return false;
  if (thin === undefined) return true;
  const { below, lead: thinLead, share: thinShare } = (thin ?? {}) as Record<string, unknown>;
  return within(below, 1e4) && within(thinLead, 1e3) && within(thinShare, 1);
}

/** Outputs of the network of each task; a one-stage network's are told by one-stage.ts. */
const CLASSES: Readonly<Record<string, number>> = { kidney: 2, mass: 3, class: 3 };

/**
 * A system reads one CT, one channel, or two for a classifier of two phases; the mass network's kidney, and the mass of a classifier that is told it by
 * a channel, are one more. Other networks of several phases can be trained and exported, but nothing here would give them their phases.
 */
function checkFit({ network, contour, name, phases }: Stage<unknown>, task: string): void {
  const { inputChannels, classes } = (network as UNet3D | ResNet3D).config;
  const mask = task === 'mass' ? 'kidney' : task === 'class' && contour === 'channel' ? 'mass' : '';
  const channels = phases + (mask ? 1 : 0);
  if (inputChannels !== channels)
    throw new RenvoxError(
      'InvalidWeights',
      `${name}.safetensors has ${inputChannels} input channels, expected ${channels}${task === 'class' ? ` with contour ${contour}` : ''}: analyze reads ${phases === 2 ? 'two phases' : 'one CT'}${mask ? ` and the ${mask}'s mask` : ''}; ${phases === 2 ? '' : `a classifier of two phases is read from ${TWO_PHASES}.safetensors, `}other networks of several phases can be exported only`,
      { file: name, inputChannels, expected: channels, contour },
    );
  const expected = CLASSES[task];
  if (expected !== undefined && classes !== expected)
    throw new RenvoxError(
      'InvalidWeights',
      `${name}.safetensors has ${classes} classes, expected ${expected}`,
      { file: name, classes, expected },
    );
}
