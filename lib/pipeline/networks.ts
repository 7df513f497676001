/** The three networks of the cascade and what their files say about what they expect. */
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

/** A stage's network with its grid and window. */
export interface Stage<N> {
  name: string;
  network: N;
  shape: [number, number, number];
  spacing: [number, number, number];
  window: NetworkWindow;
  sha256: string;
}

export interface CascadeNetworks {
  kidney: Stage<UNet3D>;
  mass: Stage<UNet3D>;
  classifier: Stage<ResNet3D>;
  dispose(): void;
}

/** The folder of the weights that come with the package. */
export function shippedWeights(): string {
  return join(dirname(fileURLToPath(import.meta.url)), '..', '..', 'weights');
}

/**
 * Loads kidney.safetensors, mass.safetensors and class.safetensors of a folder.
 * @param options.precision - of the networks; default: fp32 on the CPU, bf16 on a GPU
 * @throws RenvoxError FileNotFound, InvalidWeights
 */
export async function loadCascade(
  device: Device,
  folder = shippedWeights(),
  options: { precision?: Precision | undefined } = {},
): Promise<CascadeNetworks> {
  const loaded: { dispose(): void }[] = [];
  const kept = <N extends { dispose(): void }>(stage: Stage<N>): Stage<N> => {
    loaded.push(stage.network);
    return stage;
  };
  const path = (name: string) => join(folder, `${name}.safetensors`);
  try {
    const dispose = () => {
      for (const n of loaded) n.dispose();
    };
    const kidney = kept(await loadStage.unet(device, path('kidney'), 'kidney', 'kidney', options));
    const mass = kept(await loadStage.unet(device, path('mass'), 'mass', 'mass', options));
    const classifier = kept(
      await loadStage.resnet(device, path('class'), 'class', 'class', options),
    );
    return { kidney, mass, classifier, dispose };
  } catch (error) {
    for (const n of loaded) n.dispose();
    throw error;
  }
}

type Load<N> = (
  device: Device,
  path: string,
  name: string,
  task: string,
  options?: { precision?: Precision | undefined },
) => Promise<Stage<N>>;

function loader<N extends { dispose(): void }>(
  type: abstract new (...args: never[]) => N,
): Load<N> {
  return async (device, path, name, task, options = {}) => {
    const { network, metadata, sha256 } = await loadNetwork(path, { ...options, device });
    try {
      if (!(network instanceof type) || metadata.preprocessing.task !== task)
        throw new RenvoxError(
          'InvalidWeights',
          `${name}.safetensors is a ${network.kind} for the task ${String(metadata.preprocessing.task)}, expected the task ${task}`,
          { file: name },
        );
      return { name, network, ...gridAndWindow(metadata.preprocessing, name), sha256 };
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
): Pick<Stage<unknown>, 'shape' | 'spacing' | 'window'> {
  const { grid, window } = preprocessing as {
    grid?: { shape?: unknown; spacing?: unknown } | null;
    window?: Partial<Record<keyof NetworkWindow, unknown>> | null;
  };
  const triple = (value: unknown, sound: (n: unknown) => boolean) =>
    Array.isArray(value) && value.length === 3 && value.every(sound);
  const { level, width, low, high } = window ?? {};
  const sound =
    triple(grid?.shape, (n) => Number.isSafeInteger(n) && (n as number) >= 1) &&
    triple(grid?.spacing, (n) => Number.isFinite(n) && (n as number) > 0) &&
    [level, width, low, high].every(Number.isFinite) &&
    (width as number) > 0 &&
    (high as number) > (low as number);
  if (!sound)
    throw new RenvoxError(
      'InvalidWeights',
      `${file}.safetensors does not say its grid and window: expected grid { shape, spacing } and window { level, width, low, high } but received ${JSON.stringify({ grid, window })}`,
      { file },
    );
  const { shape, spacing } = grid as Pick<Stage<unknown>, 'shape' | 'spacing'>;
  return { shape, spacing, window: window as NetworkWindow };
}
