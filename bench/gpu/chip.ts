/** The GPU that is there, as its driver's nvidia-smi tells it, and what is known of such chips. */
import { spawnSync } from 'node:child_process';

export interface Chip {
  /** As in `NVIDIA H100 80GB HBM3`; `CPU` or `simulated GPU` where none is used. */
  name: string;
  /** What nvcc builds for: 90a; empty where there is no GPU. */
  arch: string;
  driver: string;
}

/** `9.0` is built as 90a, whose instructions (wgmma) exist on that chip alone. */
function archOf(capability: string): string {
  const number = capability.trim().replace('.', '');
  return number === '90' ? '90a' : number;
}

/** Undefined where nvidia-smi finds no GPU. */
export function findChip(): Chip | undefined {
  const child = spawnSync(
    'nvidia-smi',
    ['--query-gpu=name,compute_cap,driver_version', '--format=csv,noheader'],
    { encoding: 'utf8' },
  );
  const [name, capability, driver] = (child.stdout ?? '').split('\n')[0]?.split(', ') ?? [];
  if (child.status !== 0 || !name || !capability) return undefined;
  return { name, arch: archOf(capability), driver: driver ?? '' };
}

/** MiB of the GPU in use by anyone, or undefined. */
export function memoryInUse(): number | undefined {
  const child = spawnSync(
    'nvidia-smi',
    ['--query-gpu=memory.used', '--format=csv,noheader,nounits'],
    { encoding: 'utf8' },
  );
  const value = Number.parseInt(child.stdout ?? '', 10);
  return child.status === 0 && Number.isFinite(value) ? value : undefined;
}

/** `NVIDIA H100 80GB HBM3` as `h100`: for the names of files. */
export function shortName(name: string): string {
  const words = name.toLowerCase().replace(/nvidia|geforce|tesla/g, '');
  const model = /\b(?:rtx )?[a-z]*\d{2,}[a-z]*\b/.exec(words)?.[0] ?? words;
  return model.trim().replace(/[^a-z0-9]+/g, '-');
}

export interface Ceilings {
  /** Bytes a second of a device-to-device copy, read and written bytes together. */
  copy: number;
  /** FLOP a second of a large bf16 matrix product. */
  tensor: number;
  source: string;
}

/** Measured on such chips with copies and matrix products; what PyTorch measures in the same run goes before. */
export function knownCeilings(name: string): Ceilings | undefined {
  if (/H100/.test(name)) return { copy: 3.0e12, tensor: 798e12, source: 'measured on an H100' };
  if (/H200/.test(name)) return { copy: 4.3e12, tensor: 788e12, source: 'measured on an H200' };
  return undefined;
}
