/** The one-stage system: one network for kidneys and masses on the whole CT, then the same classifier as the cascade's. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Device } from '../device.js';
import { RenvoxError } from '../errors.js';
import { maskEquals, maskOutside, resample } from '../ops/index.js';
import type { Tensor } from '../tensor.js';
import {
  type CascadeNetworks,
  type LoadOptions,
  loadCascade,
  loadClassifiers,
  loadStage,
} from './networks.js';

/** Voxels and mm of the crop round a kidney in which the one network's logits are interpolated. */
const CROP = { shape: [64, 64, 64], spacing: [2.5, 2.5, 2.5] } as const;

/**
 * Loads one-stage.safetensors (classes background, kidney, mass) and class.safetensors of a folder, for {@link analyze}'s `weights`.
 * @throws RenvoxError FileNotFound; InvalidWeights, also for a network of four classes, as the preset `nnunet` has, and for one trained on patches:
 * nothing here leads a network over a CT patch by patch
 */
export async function loadOneStage(
  device: Device,
  folder: string,
  options: LoadOptions = {},
): Promise<CascadeNetworks> {
  const path = join(folder, 'one-stage.safetensors');
  const { precision } = options;
  const loaded = await loadStage.unet(device, path, 'one-stage', 'one-stage', { precision });
  // Of a network that does both, a kidney's logit need not lead a mass's.
  const kidney = { ...loaded, belief: undefined };
  const networks: { dispose(): void }[] = [kidney.network];
  try {
    const { classes } = kidney.network.config;
    if (classes !== 3 || kidney.patches)
      throw new RenvoxError(
        'InvalidWeights',
        `one-stage.safetensors has ${classes} classes${kidney.patches ? ' and was trained on patches' : ''}, expected background, kidney, mass, trained on boxes round the body; others can be exported only (docs/training.md)`,
        { classes, patches: kidney.patches },
      );
    const classifiers = await loadClassifiers(device, folder, options, (stage) => {
      networks.push(stage.network);
      return stage;
    });
    return {
      kidney,
      mass: { ...kidney, shape: [...CROP.shape], spacing: [...CROP.spacing] },
      ...classifiers,
      dispose() {
        for (const network of networks) network.dispose();
      },
    };
  } catch (error) {
    for (const network of networks) network.dispose();
    throw error;
  }
}

/**
 * Loads the system that a folder holds: the one-stage one where one-stage.safetensors is there and kidney.safetensors is not, else the cascade.
 * @throws RenvoxError FileNotFound, InvalidWeights
 */
export async function loadSystem(
  device: Device,
  folder: string | undefined,
  options: LoadOptions = {},
): Promise<CascadeNetworks> {
  const has = (name: string) =>
    folder !== undefined && existsSync(join(folder, `${name}.safetensors`));
  return !has('kidney') && has('one-stage')
    ? loadOneStage(device, folder as string, options)
    : loadCascade(device, folder, options);
}

/** Whether one network does both. */
export function isOneStage({ kidney, mass }: CascadeNetworks): boolean {
  return kidney.network === mass.network;
}

/**
 * The one network's logits in the crop round a kidney, background outside of this side's kidney and masses.
 * @param logits - [1, D, H, W, 3], on the network's grid
 * @param inSide - u8, the crop: the side (1 left, 2 right) of each voxel
 */
export function logitsOfSide(
  logits: Tensor,
  inSide: Tensor,
  side: number,
  crop: { size: [number, number, number]; affine: Tensor },
): Tensor {
  const seen = resample(logits, { ...crop, outside: 'border' });
  // Equal logits are background, the first class.
  return maskOutside(seen, maskEquals(inSide, side), 0);
}
