/** What a weights file holds, without making a network of it. */
import { createHash } from 'node:crypto';
import { parseSafetensors } from './safetensors.js';
import { isTorchFile, parseTorchFile } from './torch-file.js';
import { readWeightsFile } from './weights.js';

export interface WeightsDescription {
  format: 'safetensors' | 'torch-zip' | 'torch-legacy' | 'onnx';
  bytes: number;
  sha256: string;
  /** The network, where the file says it. */
  architecture: unknown;
  /** Values of all tensors. */
  values: number;
  /** In the file's order; `shape` as in the file, PyTorch's [Cout, Cin, kD, kH, kW]. */
  tensors: { name: string; dtype: string; shape: readonly number[] }[];
  /** What else the file says: parts that are JSON as what they mean, others as text. */
  metadata: Record<string, unknown>;
}

/**
 * Describes a .safetensors or .pth file, told apart by their first bytes.
 * @throws RenvoxError FileNotFound, InvalidWeights
 */
export async function describeWeights(path: string): Promise<WeightsDescription> {
  const bytes = await readWeightsFile(path);
  const { format, tensors, metadata } = contentOf(bytes);
  const list = [...tensors].map(([name, { dtype, shape }]) => ({ name, dtype, shape }));
  const { architecture = null, ...rest } = metadata;
  return {
    format,
    bytes: bytes.byteLength,
    sha256: createHash('sha256').update(bytes).digest('hex'),
    architecture,
    values: list.reduce((n, { shape }) => n + shape.reduce((a, b) => a * b, 1), 0),
    tensors: list,
    metadata: rest,
  };
}

function contentOf(bytes: Uint8Array): Pick<WeightsDescription, 'format' | 'metadata'> & {
  tensors: ReadonlyMap<string, { dtype: string; shape: readonly number[] }>;
} {
  if (isTorchFile(bytes)) {
    const { form, tensors, root, beside } = parseTorchFile(bytes);
    const metadata = { ...(root ? { root } : {}), ...Object.fromEntries(beside) };
    return { format: `torch-${form}`, tensors, metadata };
  }
  const { tensors, metadata } = parseSafetensors(bytes);
  return { format: 'safetensors', tensors, metadata: readJsonParts(metadata) };
}

/** Texts that are JSON as what they mean. */
export function readJsonParts(metadata: Readonly<Record<string, string>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(metadata).map(([key, text]) => {
      try {
        return [key, JSON.parse(text) as unknown];
      } catch {
        return [key, text];
      }
    }),
  );
}
