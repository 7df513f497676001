/** Networks as ONNX files, with what must be done to a CT before them and what their outputs mean. */
import { writeFileAtomic } from '../atomic-write.js';
import { RenvoxError } from '../errors.js';
import { type Network, storedTensors, type WeightsMetadata } from '../nn/index.js';
import { Graph } from './graph.js';
import { addNetwork } from './layers.js';

/** What the outputs of each task are, in their order; which list, their number tells. */
const LABELS: Readonly<Record<string, readonly (readonly string[])[]>> = {
  kidney: [['background', 'kidney (with its masses)']],
  mass: [['background', 'kidney', 'mass']],
  'one-stage': [
    ['background', 'kidney', 'mass'],
    ['background', 'left kidney', 'right kidney', 'mass'],
  ],
  class: [['aml', 'cystic', 'solid']],
};
/** How the grids of the cascade lie in the patient. */
const ORIENTATION =
  "D runs to the patient's head, H to the back, W to the left (SPL); crops round a left kidney or a mass in it are mirrored along W";

export interface OnnxOptions {
  source?: { version: string; commit: string | null; weights_sha256: string };
}

/**
 * A network as an ONNX model (operator set 17, f32): input `image` [N, C, D, H, W], output `logits` [N, classes, D, H, W], or [N, classes]
 * of a classifier; N, D, H and W are free (D, H and W of a U-Net with n levels: multiples of 2^(n - 1)). Weights keep their names.
 * The heads of deep supervision, which training alone reads, are left out.
 * The model's metadata hold, as JSON texts, `architecture`, `preprocessing`, `training`, `grid` (voxels and mm along D, H, W),
 * `window` (HU), `orientation`, `channels` and `labels`. Of a network whose task is none of kidney, mass, one-stage and class (imported weights say
 * "pretrained") the last three are not known, and not there.
 * @param options.source - kept in the metadata: what wrote the file, and of which weights file
 * @returns the file's bytes in pieces
 * @throws RenvoxError InvalidArgument for other networks; InvalidWeights where the network has not its task's number of outputs or channels; DisposedError
 */
export async function formatOnnx(
  network: Network,
  metadata: Omit<WeightsMetadata, 'architecture'>,
  options: OnnxOptions = {},
): Promise<Uint8Array[]> {
  const read = [...network.tensors].filter(([name]) => !name.startsWith('deep.'));
  const graph = new Graph(await storedTensors(new Map(read)));
  const { input, output } = addNetwork(graph, network);
  const { grid, window } = metadata.preprocessing;
  const meaning = meaningOf(network, metadata.preprocessing);
  const parts: Record<string, unknown> = {
    architecture: { kind: network.kind, config: network.config },
    preprocessing: metadata.preprocessing,
    training: metadata.training,
    grid,
    window,
    orientation: meaning && ORIENTATION,
    ...meaning,
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

/** What channels and outputs are, where the task says it. */
function meaningOf(
  network: Network,
  preprocessing: Record<string, unknown>,
): { channels: string[]; labels: readonly string[] } | undefined {
  const { task, contour, channels } = preprocessing;
  if (typeof task !== 'string' || !Object.hasOwn(LABELS, task)) return undefined;
  const { inputChannels, classes } = network.config as { inputChannels: number; classes: number };
  const labels = (LABELS[task] as (readonly string[])[]).find(({ length }) => length === classes);
  const mask =
    task === 'mass'
      ? ['mask of the kidney with its masses, 0 or 1']
      : contour === 'channel'
        ? ['mask of the mass, 0 or 1']
        : [];
  const images = inputChannels - mask.length;
  if (!labels || images < 1)
    throw new RenvoxError(
      'InvalidWeights',
      `The task ${task} has no network of ${inputChannels} input channels and ${classes} classes`,
      { task, inputChannels, classes },
    );
  const cut =
    task === 'class' && mask.length === 0 ? '; outside of the mass the bottom of the window' : '';
  const named = namesOf(channels, images).map((name) => `${name}, windowed${cut}`);
  return { channels: [...named, ...mask], labels };
}

/** Names of the images: as the weights file has them from the data set, or by number. */
function namesOf(known: unknown, images: number): string[] {
  if (Array.isArray(known) && known.length === images && known.every((n) => typeof n === 'string'))
    return known;
  return images === 1 ? ['CT'] : Array.from({ length: images }, (_, k) => `phase ${k + 1}`);
}
