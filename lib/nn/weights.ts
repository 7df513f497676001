/** Weights files: safetensors with PyTorch's names and order, and metadata that say which network they belong to. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { writeFileAtomic } from '../atomic-write.js';
import { type Device, defaultDevice } from '../device.js';
import { isRenvoxError, RenvoxError } from '../errors.js';
import type { DType } from '../native.js';
import { cast } from '../ops/index.js';
import { scope } from '../scope.js';
import { download, type Tensor, type TensorData } from '../tensor.js';
import type { Network, NetworkOptions } from './network.js';
import { ResNet3D, type ResNet3DConfig } from './resnet3d.js';
import { formatSafetensors, parseSafetensors, type StoredTensor } from './safetensors.js';
import { UNet3D, type UNet3DConfig } from './unet3d.js';

/** What a weights file says of itself, besides the tensors. */
export interface WeightsMetadata {
  /** The network's kind and configuration. */
  architecture:
    | { kind: 'unet3d'; config: UNet3DConfig }
    | { kind: 'resnet3d'; config: ResNet3DConfig };
  /** Grid, window and meaning of the classes: what a pipeline must do before and after. */
  preprocessing: Record<string, unknown>;
  /** How it was trained: preset, seed, steps, data, figures. */
  training: Record<string, unknown>;
}

export interface LoadedNetwork<N extends Network = UNet3D | ResNet3D> {
  network: N;
  metadata: WeightsMetadata;
  /** SHA-256 of the file. */
  sha256: string;
}

/** A network as its description says. */
export function makeNetwork(
  architecture: WeightsMetadata['architecture'],
  options: NetworkOptions = {},
): UNet3D | ResNet3D {
  if (architecture.kind === 'unet3d') return new UNet3D(architecture.config, options);
  if (architecture.kind === 'resnet3d') return new ResNet3D(architecture.config, options);
  throw new RenvoxError(
    'InvalidWeights',
    `There is no network of kind ${String((architecture as { kind: unknown }).kind)}`,
  );
}

/**
 * Reads a weights file and makes its network on a device.
 * @throws RenvoxError FileNotFound, InvalidWeights
 */
export async function loadNetwork(
  path: string,
  options: Omit<NetworkOptions, 'seed'> = {},
): Promise<LoadedNetwork> {
  const bytes = await readWeightsFile(path);
  const { tensors, metadata } = parseSafetensors(bytes);
  const described = describe(metadata, path);
  const device = options.device ?? defaultDevice();
  const network = networkOf(described.architecture, { ...options, device }, path);
  try {
    network.load(uploadTensors(device, tensors));
  } catch (error) {
    network.dispose();
    throw error;
  }
  return { network, metadata: described, sha256: createHash('sha256').update(bytes).digest('hex') };
}

/**
 * A weights file's bytes.
 * @throws RenvoxError FileNotFound
 */
export async function readWeightsFile(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new RenvoxError(
      'FileNotFound',
      `Cannot read the weights file ${path}`,
      { path },
      { cause: error },
    );
  }
}

/** The network that a file describes; a configuration that is none is the file's fault, not the caller's. */
function networkOf(
  architecture: WeightsMetadata['architecture'],
  options: NetworkOptions,
  path: string,
): UNet3D | ResNet3D {
  try {
    return makeNetwork(architecture, options);
  } catch (error) {
    if (!isRenvoxError(error, 'InvalidArgument')) throw error;
    throw new RenvoxError(
      'InvalidWeights',
      `The weights file ${path} describes no network: ${error.message}`,
      { path },
      { cause: error },
    );
  }
}

/** Stored tensors as f32 tensors on a device. */
export function uploadTensors(
  device: Device,
  tensors: ReadonlyMap<string, StoredTensor>,
): Map<string, Tensor> {
  return scope(
    () =>
      new Map(
        [...tensors].map(([name, { dtype, shape, bytes }]) => {
          const raw = device.tensor(arrayOf(dtype, bytes), { shape, dtype });
          return [name, dtype === 'f32' ? raw : cast(raw, 'f32')];
        }),
      ),
  );
}

/** Brings tensors to the host, for a file; floats as `dtype`. */
export async function storedTensors(
  tensors: ReadonlyMap<string, Tensor>,
  dtype: 'f32' | 'f16' = 'f32',
): Promise<Map<string, StoredTensor>> {
  return scope(async () => {
    const names = [...tensors.keys()];
    const sources = [...tensors.values()].map((t) =>
      t.dtype === 'f32' && dtype !== 'f32' ? cast(t, dtype) : t,
    );
    const data = await download(sources);
    return new Map(
      names.map((name, i) => {
        const array = data[i] as TensorData;
        const source = sources[i] as Tensor;
        return [
          name,
          {
            dtype: source.dtype,
            shape: [...source.shape],
            bytes: new Uint8Array(array.buffer, array.byteOffset, array.byteLength),
          },
        ];
      }),
    );
  });
}

/**
 * Writes a network's weights; the file appears whole or not at all.
 * @param options.dtype - f16 halves the file; running statistics and all else are rounded alike
 */
export async function saveNetwork(
  path: string,
  network: Network,
  metadata: Omit<WeightsMetadata, 'architecture'>,
  options: { dtype?: 'f32' | 'f16' } = {},
): Promise<void> {
  const stored = await storedTensors(network.tensors, options.dtype ?? 'f32');
  const pieces = formatSafetensors(stored, {
    format: 'pt',
    renvox: '1',
    architecture: JSON.stringify({ kind: network.kind, config: network.config }),
    preprocessing: JSON.stringify(metadata.preprocessing),
    training: JSON.stringify(metadata.training),
    disclaimer: 'Research software, not a medical device.',
  });
  await writeFileAtomic(path, pieces);
}

function describe(metadata: Record<string, string>, path: string): WeightsMetadata {
  const part = (name: string): Record<string, unknown> => {
    try {
      const value: unknown = JSON.parse(metadata[name] ?? '');
      if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
    } catch {
      // Reported below, with the name of the part.
    }
    throw new RenvoxError('InvalidWeights', `The weights file ${path} does not say its ${name}`, {
      path,
      part: name,
    });
  };
  return {
    architecture: part('architecture') as unknown as WeightsMetadata['architecture'],
    preprocessing: part('preprocessing'),
    training: part('training'),
  };
}

function arrayOf(dtype: DType, bytes: Uint8Array): TensorData {
  // A copy, because a file's bytes need not be aligned. (slice() of a Buffer would be a view.)
  const { buffer } = new Uint8Array(bytes);
  if (dtype === 'f32') return new Float32Array(buffer);
  if (dtype === 'i32') return new Int32Array(buffer);
  if (dtype === 'i16') return new Int16Array(buffer);
  if (dtype === 'u8') return new Uint8Array(buffer);
  return new Uint16Array(buffer);
}
