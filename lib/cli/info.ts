/** `renvox info`: the doctor. What there is, which addon was loaded and why, and why CUDA is or is not there. */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { availableParallelism, cpus, freemem, totalmem } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { device } from '../device.js';
import { RenvoxError } from '../errors.js';
import { addonFile, type InstructionSet, native } from '../native.js';
import { EXIT } from './exit.js';
import { softwareVersion } from './version.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const MB = 1e6;

/** Which addon was loaded, from where, and why that one; or why none was. */
export type AddonInfo =
  | { file: string; source: 'build' | 'prebuild' | 'override'; why: string }
  | { file: null; source: null; why: string };

export interface Info {
  version: string;
  commit: string | null;
  node: string;
  platform: string;
  addon: AddonInfo;
  /** Instruction sets that the CPU and the system support, the one in use, and threads of the work pool. Null without an addon. */
  cpu: { available: InstructionSet[]; in_use: InstructionSet; threads: number } | null;
  memory_mb: { total: number; free: number };
  devices: {
    kind: 'cpu' | 'cuda';
    name: string;
    /** Cores, or multiprocessors of a GPU. */
    cores: number;
    memory_mb: number;
    compute_capability?: string;
  }[];
  cuda: { available: boolean; reason: string | null };
  weights: { name: string; bytes: number; sha256: string }[];
}

/** Declares the command. */
export function register(program: Command): void {
  program
    .command('info')
    .description(
      'what this installation has: addon, devices, weights, and why CUDA is or is not there',
    )
    .option('--json', 'as JSON')
    .action((options: { json?: boolean }) => {
      const { text, info } = infoCommand(options);
      console.log(text);
      if (info.addon.file === null) process.exitCode = EXIT.device;
    });
}

/** Collects everything and says it as text or, with `json`, as JSON. Needs no GPU and no working addon. */
export function infoCommand(options: { json?: boolean } = {}): { text: string; info: Info } {
  const info = collect();
  return { info, text: options.json ? JSON.stringify(info, null, 2) : textOf(info) };
}

function collect(): Info {
  const addon = addonInfo();
  const loaded = addon.file === null ? undefined : native();
  const reason = loaded ? loaded.cudaReason() : 'the native addon could not be loaded';
  const [first] = cpus();
  const name = first?.model.trim() || `${process.arch} processor`;
  const memory = { total: Math.round(totalmem() / MB), free: Math.round(freemem() / MB) };
  return {
    ...softwareVersion(),
    node: process.versions.node,
    platform: `${process.platform}-${process.arch}`,
    addon,
    cpu: loaded
      ? {
          available: loaded.instructionSets(),
          in_use: loaded.instructionSet(),
          threads: loaded.threads(),
        }
      : null,
    memory_mb: memory,
    devices: [
      ...(loaded
        ? [{ kind: 'cpu' as const, name, cores: availableParallelism(), memory_mb: memory.total }]
        : []),
      ...(reason === '' ? [cudaInfo()] : []),
    ],
    cuda: { available: reason === '', reason: reason === '' ? null : reason },
    weights: weightsIn(join(root, 'weights')),
  };
}

function cudaInfo(): Info['devices'][number] {
  const gpu = device('cuda');
  try {
    const { name, capability, multiprocessors, memory } = gpu.info;
    return {
      ...{ kind: 'cuda', name, cores: multiprocessors, memory_mb: Math.round(memory / MB) },
      compute_capability: `${Math.floor(capability / 10)}.${capability % 10}`,
    };
  } finally {
    gpu.dispose();
  }
}

function addonInfo(): AddonInfo {
  let file: string;
  try {
    file = addonFile();
  } catch (error) {
    if (!(error instanceof RenvoxError)) throw error;
    return { file: null, source: null, why: error.message };
  }
  const override = process.env.RENVOX_PREBUILD;
  if (override && !relative(override, file).startsWith('..'))
    return { file, source: 'override', why: 'the variable RENVOX_PREBUILD names its folder' };
  if (relative(root, file).startsWith('build'))
    return {
      file,
      source: 'build',
      why: 'it was built from source on this machine, and a build comes before a prebuild',
    };
  return {
    file,
    source: 'prebuild',
    why: `the package brings it for ${process.platform}-${process.arch}, and there is no build of this machine`,
  };
}

function weightsIn(folder: string): Info['weights'] {
  if (!existsSync(folder)) return [];
  const files = readdirSync(folder).filter((name) => name.endsWith('.safetensors'));
  return files.sort().map((name) => {
    const bytes = readFileSync(join(folder, name));
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    return { name, bytes: bytes.length, sha256 };
  });
}

function textOf(info: Info): string {
  const { addon, cpu, cuda, memory_mb: memory } = info;
  const lines = [
    `renvox ${info.version}${info.commit ? ` (commit ${info.commit})` : ''}, Node ${info.node}, ${info.platform}`,
    'Research software: not a medical device, not for clinical use.',
    '',
    addon.file === null ? `addon: none\n${addon.why}` : `addon: ${addon.file}\n       ${addon.why}`,
  ];
  for (const { kind, name, cores, compute_capability: capability } of info.devices)
    lines.push(
      capability === undefined
        ? `${kind}: ${name}, ${cores} cores`
        : `${kind}: ${name}, compute capability ${capability}, ${cores} multiprocessors`,
    );
  if (cpu)
    lines.push(
      `     instruction sets ${cpu.available.join(', ')}; in use ${cpu.in_use}; ${cpu.threads} threads`,
    );
  if (cuda.reason !== null) lines.push(`cuda: not available: ${cuda.reason}`);
  lines.push(`memory: ${memory.total} MB, of which ${memory.free} MB are free`);
  if (info.weights.length === 0) lines.push('weights: none');
  for (const { name, bytes, sha256 } of info.weights)
    lines.push(`weights: ${name}, ${(bytes / MB).toFixed(1)} MB, sha256 ${sha256}`);
  return lines.join('\n');
}
