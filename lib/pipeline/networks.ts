/** The three networks of the cascade and what their files say about what they expect. */
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Device } from '../device.js';
import { RenvoxError } from '../errors.js';
import { loadNetwork, ResNet3D, UNet3D } from '../nn/index.js';

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
 * @throws RenvoxError FileNotFound, InvalidWeights
 */
export async function loadCascade(
  device: Device,
  folder = shippedWeights(),
): Promise<CascadeNetworks> {
  const loaded: { dispose(): void }[] = [];
  try {
    const stage = async <N>(
      file: string,
      task: string,
      type: abstract new (...args: never[]) => N,
    ): Promise<Stage<N>> => {
      const { network, metadata, sha256 } = await loadNetwork(join(folder, `${file}.safetensors`), {
        device,
      });
      loaded.push(network);
      if (!(network instanceof type) || metadata.preprocessing.task !== task)
        throw new RenvoxError(
          'InvalidWeights',
          `${file}.safetensors is a ${network.kind} for the task ${String(metadata.preprocessing.task)}, expected the task ${task}`,
          {
            file,
          },
        );
      const { grid, window } = metadata.preprocessing as {
        grid: { shape: [number, number, number]; spacing: [number, number, number] };
        window: NetworkWindow;
      };
      return { name: file, network, shape: grid.shape, spacing: grid.spacing, window, sha256 };
    };
    const dispose = () => {
      for (const n of loaded) n.dispose();
    };
    const kidney = await stage('kidney', 'kidney', UNet3D);
    const mass = await stage('mass', 'mass', UNet3D);
    const classifier = await stage('class', 'class', ResNet3D);
    return { kidney, mass, classifier, dispose };
  } catch (error) {
    for (const n of loaded) n.dispose();
    throw error;
  }
}
