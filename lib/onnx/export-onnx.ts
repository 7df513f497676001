/** Networks as ONNX files, with what must be done to a CT before them and what their outputs mean. */
import { writeFileAtomic } from '../atomic-write.js';
import { type Network, storedTensors, type WeightsMetadata } from '../nn/index.js';
import { Graph } from './graph.js';
import { addNetwork } from './layers.js';

/** What the outputs of each task are, in their order. */
const LABELS: Readonly<Record<string, readonly string[]>> = {
  kidney: ['background', 'kidney (with its masses)'],
  mass: ['background', 'kidney', 'mass'],
  class: ['aml', 'cystic', 'solid'],
};
/** What the channels of the image are. */
const CHANNELS: Readonly<Record<string, readonly string[]>> = {
  kidney: ['CT, windowed'],
  mass: ['CT, windowed', 'mask of the kidney with its masses, 0 or 1'],
  class: ['CT, windowed; outside of the mass the bottom of the window'],
};
/** Of a classifier that is told its mass by a channel. */
const WITH_MASK = ['CT, windowed', 'mask of the mass, 0 or 1'];
/** How the grids of the cascade lie in the patient. */
const ORIENTATION =
  "D runs to the patient's head, H to the back, W to the left (SPL); crops round a left kidney or a mass in it are mirrored along W";

export interface OnnxOptions {
  source?: { version: string; commit: string | null; weights_sha256: string };
}

/**
 * A network as an ONNX model (operator set 17, f32): input `image` [N, C, D, H, W], output `logits` [N, classes, D, H, W], or [N, classes]
 * of a classifier; N, D, H and W are free (D, H and W of a U-Net with n levels: multiples of 2^(n - 1)). Weights keep their names.
 * The model's metadata hold, as JSON texts, `architecture`, `preprocessing`, `training`, `grid` (voxels and mm along D, H, W),
 * `window` (HU), `orientation`, `channels` and `labels`, as far as they are known.
 * @param options.source - kept in the metadata: what wrote the file, and of which weights file
 * @returns the file's bytes in pieces
 * @throws RenvoxError InvalidArgument for other networks; DisposedError
 */
export async function formatOnnx(
  network: Network,
  metadata: Omit<WeightsMetadata, 'architecture'>,
  options: OnnxOptions = {},
): Promise<Uint8Array[]> {
  const graph = new Graph(await storedTensors(network.tensors));
  const { input, output } = addNetwork(graph, network);
  const { task, grid, window, contour } = metadata.preprocessing as Record<string, unknown>;
  const own = (table: Readonly<Record<string, readonly string[]>>) =>
    typeof task === 'string' && Object.hasOwn(table, task) ? table[task] : undefined;
  const labels = own(LABELS);
  const parts: Record<string, unknown> = {
    architecture: { kind: network.kind, config: network.config },
    preprocessing: metadata.preprocessing,
    training: metadata.training,
    grid,
    window,
    orientation: labels && ORIENTATION,
    channels: contour === 'channel' && own(CHANNELS) ? WITH_MASK : own(CHANNELS),
    labels,
    source: options.source,
    disclaimer: 'Research software, not a medical device.',
  };
  const known = Object.entries(parts).filter(([, value]) => value !== undefined);
  return graph.model({
    ...{ name: network.kind, input, output },
    metadata: Object.fromEntries(
      known.map(([key, value]) => [key, typeof value === 'string' ? value : JSON.stringify(value)]),
    ),
    producerVersion: options.source?.version ?? '',
  });
}

/**
 * Writes a network as an ONNX file, as {@link formatOnnx} makes it; it appears whole or not at all.
 * @throws RenvoxError WriteFailed, FileNotFound for the folder, and as formatOnnx
 */
export async function saveOnnx(
  path: string,
  network: Network,
  metadata: Omit<WeightsMetadata, 'architecture'>,
  options: OnnxOptions = {},
): Promise<void> {
  await writeFileAtomic(path, await formatOnnx(network, metadata, options));
}
