/**
 * Weights of others: MedicalNet's ResNet-10 (Chen et al. 2019, arXiv 1904.00625) as a .pth file of either form, or the same state dict as
 * safetensors. Names are MedicalNet's; `module.`, which nn.DataParallel puts before them, is taken off.
 */
import { createHash } from 'node:crypto';
import { type Device, defaultDevice } from '../device.js';
import { invalidArgument, RenvoxError } from '../errors.js';
import type { DType } from '../native.js';
import type { TorchDType } from './pickle.js';
import { ResNet3D } from './resnet3d.js';
import { parseSafetensors, type StoredTensor } from './safetensors.js';
import { isTorchFile, parseTorchFile, type TorchTensor } from './torch-file.js';
import { readWeightsFile, uploadTensors, type WeightsMetadata } from './weights.js';

export interface ImportOptions {
  /** Which function the weights are: `dilated` is MedicalNet's own, `strided` MONAI's. Default dilated. */
  geometry?: 'dilated' | 'strided';
  /** Of the new head, where the file has none. Defaults 3, 128 and 0.1, the renal study's. */
  classes?: number;
  hidden?: number;
  dropout?: number;
  /** Of the new head's weights. Default 0. */
  seed?: number;
  /** Default: CUDA when one works, else the CPU. */
  device?: Device;
}

/** A tensor of a file or network, by its name there. */
export interface ListedTensor {
  name: string;
  dtype: string;
  shape: readonly number[];
}

/** What became of each key. */
export interface ImportReport {
  file: {
    format: 'torch-zip' | 'torch-legacy' | 'safetensors';
    bytes: number;
    sha256: string;
    /** The key of the state dict in a checkpoint; '' where the file is the state dict. */
    root: string;
    /** What else the checkpoint says. */
    beside: Record<string, string | number | boolean | null>;
  };
  architecture: WeightsMetadata['architecture'];
  /** Names in the network, and in the file as `from`. */
  taken: (ListedTensor & { from: string })[];
  /** In the file, not in the network. */
  leftOut: (ListedTensor & { why: string })[];
  /** In the network, not in the file: drawn from the seed. */
  made: ListedTensor[];
}

/** Keys that a ResNet-10 file may have and a classifier does not need. */
const NOT_NEEDED: readonly [RegExp, string][] = [
  [/(^|\.)num_batches_tracked$/, 'counts batches of training; fixed statistics do not use it'],
  [/^conv_seg\./, "MedicalNet's segmentation head"],
  [/^fc\./, 'the classes of another task'],
];

/**
 * Reads a ResNet-10's weights from a .pth or safetensors file and makes the network: the backbone as in the file, and a head for
 * classes, from the file where it has one, else drawn from the seed.
 * @throws RenvoxError FileNotFound; InvalidWeights for a file that is damaged or holds more than plain data, and, with every
 *   missing, unexpected or misshapen key in `details.faults`, for weights of another network
 */
export async function importWeights(
  path: string,
  options: ImportOptions = {},
): Promise<{ network: ResNet3D; report: ImportReport; metadata: WeightsMetadata }> {
  const { geometry = 'dilated', seed = 0 } = options;
  if (geometry !== 'dilated' && geometry !== 'strided')
    throw invalidArgument('geometry', "'dilated' or 'strided'", geometry);
  const bytes = await readWeightsFile(path);
  const { tensors, ...file } = readForeign(bytes);
  const { named, leftOut } = ownNames(tensors);
  const config = configOf(named, { ...options, geometry });
  const device = options.device ?? defaultDevice();
  const network = new ResNet3D(config, { device, seed });
  try {
    const made = fill(network, named, device);
    const architecture = {
      kind: network.kind,
      config: network.config,
    } as WeightsMetadata['architecture'];
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    const report: ImportReport = {
      file: { ...file, bytes: bytes.byteLength, sha256 },
      architecture,
      taken: [...named].map(([name, { from, tensor }]) => ({ ...listed(name, tensor), from })),
      leftOut,
      made,
    };
    return { network, report, metadata: { architecture, ...origin(report, seed) } };
  } catch (error) {
    network.dispose();
    throw error;
  }
}

/** What a weights file of ours says of imported weights. Its task is none that `analyze` takes: a new head names nothing yet. */
function origin({ file, made }: ImportReport, seed: number): Omit<WeightsMetadata, 'architecture'> {
  return {
    preprocessing: {
      task: 'pretrained',
      intensities:
        "MedicalNet's: zero mean and unit deviation over the voxels above 0; a trainer may use its own window instead",
    },
    training: {
      imported: { format: file.format, sha256: file.sha256, bytes: file.bytes },
      ...(made.length > 0 ? { newHead: { seed, tensors: made.map(({ name }) => name) } } : {}),
    },
  };
}

type Foreign = StoredTensor | TorchTensor;
type Named = Map<string, { from: string; tensor: Foreign }>;

function readForeign(
  bytes: Uint8Array,
): { tensors: Map<string, Foreign> } & Pick<ImportReport['file'], 'format' | 'root' | 'beside'> {
  if (isTorchFile(bytes)) {
    const { form, tensors, root, beside } = parseTorchFile(bytes);
    return { tensors, format: `torch-${form}`, root, beside: Object.fromEntries(beside) };
  }
  return { tensors: parseSafetensors(bytes).tensors, format: 'safetensors', root: '', beside: {} };
}

function listed(name: string, { dtype, shape }: { dtype: string; shape: readonly number[] }) {
  return { name, dtype, shape: [...shape] };
}

function ownNames(tensors: ReadonlyMap<string, Foreign>) {
  const wrapped = [...tensors.keys()].every((name) => name.startsWith('module.'));
  const named: Named = new Map();
  const leftOut: ImportReport['leftOut'] = [];
  for (const [from, tensor] of tensors) {
    const name = wrapped ? from.slice('module.'.length) : from;
    const why = NOT_NEEDED.find(([pattern]) => pattern.test(name))?.[1];
    if (why) leftOut.push({ ...listed(from, tensor), why });
    else named.set(name, { from, tensor });
  }
  return { named, leftOut };
}

/** The network that the shapes tell; a fault of one tensor is found later, by its name. */
function configOf(named: Named, options: ImportOptions & { geometry: 'dilated' | 'strided' }) {
  const extent = (name: string, axis: number): number => {
    const found = named.get(name)?.tensor.shape[axis];
    if (found === undefined || found < 1 || found > 2048)
      throw new RenvoxError(
        'InvalidWeights',
        `These are not the weights of a ResNet-10: ${name} ${found === undefined ? 'is missing' : `has ${found} channels, expected 1 to 2048`}; the file's first keys are ${[...named.keys()].slice(0, 5).join(', ') || 'none'}`,
        { name },
      );
    return found;
  };
  const stages = [1, 2, 3, 4];
  const hasHead = named.has('head.0.weight');
  return {
    inputChannels: Math.min(extent('conv1.weight', 1), 64),
    widths: stages.map((stage) => extent(`layer${stage}.0.conv1.weight`, 0)),
    geometry: options.geometry,
    classes: hasHead ? Math.max(2, extent('head.2.weight', 0)) : (options.classes ?? 3),
    hidden: hasHead ? extent('head.0.weight', 0) : (options.hidden ?? 128),
    dropout: options.dropout ?? 0.1,
  };
}

/** Loads what is there and returns what the network keeps from its seed: the head as a whole, if the file has none of it. */
function fill(network: ResNet3D, named: Named, device: Device): ListedTensor[] {
  const hasHead = [...named.keys()].some((name) => name.startsWith('head.'));
  const own = [...network.tensors].filter(([name]) => !hasHead && name.startsWith('head.'));
  const faults: string[] = [];
  const stored = new Map<string, StoredTensor>();
  for (const [name, { from, tensor }] of named) {
    const floats = asFloats(tensor);
    if (floats) stored.set(name, floats);
    else faults.push(`${from} is ${tensor.dtype}, expected floats`);
  }
  const made = new Set(own.map(([name]) => name));
  for (const [name, shape] of network.shapes) {
    const given = named.get(name)?.tensor;
    if (!given) {
      if (!made.has(name)) faults.push(`${name} is missing`);
    } else if (String(given.shape) !== String(shape))
      faults.push(`${name} has shape [${given.shape.join(', ')}], expected [${shape.join(', ')}]`);
  }
  for (const [name, { from }] of named)
    if (!network.shapes.has(name)) faults.push(`${from} is not part of a ResNet-10`);
  if (faults.length > 0)
    throw new RenvoxError(
      'InvalidWeights',
      `These are not the weights of a ResNet-10: ${faults.length} keys do not fit: ${faults.slice(0, 5).join('; ')}${faults.length > 5 ? '; …' : ''}`,
      { faults },
    );
  network.load(new Map([...uploadTensors(device, stored), ...own]));
  return own.map(([name, tensor]) => listed(name, tensor));
}

const FLOATS: ReadonlySet<string> = new Set<DType | TorchDType>(['f32', 'f16', 'bf16']);

function asFloats({ dtype, shape, bytes }: Foreign): StoredTensor | undefined {
  if (FLOATS.has(dtype)) return { dtype: dtype as DType, shape, bytes };
  if (dtype !== 'f64') return undefined;
  const doubles = new Float64Array(new Uint8Array(bytes).buffer);
  return { dtype: 'f32', shape, bytes: new Uint8Array(Float32Array.from(doubles).buffer) };
}
