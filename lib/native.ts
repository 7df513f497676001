/**
 * The one typed border with the native addon. Nothing else loads it, and nothing but this file knows its functions.
 */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { RenvoxError, type RenvoxErrorCode } from './errors.js';

/**
 * Element types of tensors. `bf16` and `f16` are stored as 16-bit patterns; `f64` is for figures (counts, distances in mm), not for networks.
 */
export type DType = 'f32' | 'bf16' | 'f16' | 'u8' | 'i16' | 'i32' | 'f64';

/** The array that holds the values of each element type. */
export const arrayTypes = {
  f32: Float32Array,
  bf16: Uint16Array,
  f16: Uint16Array,
  u8: Uint8Array,
  i16: Int16Array,
  i32: Int32Array,
  f64: Float64Array,
} as const;

/** Instruction sets that the CPU kernels are compiled for. */
export type InstructionSet = 'baseline' | 'avx2' | 'avx512';

declare const brand: unique symbol;
export type TensorHandle = { readonly [brand]: 'tensor' };
export type DeviceHandle = { readonly [brand]: 'device' };
export type TokenHandle = { readonly [brand]: 'token' };

/** A tensor, its type, its axes. */
export type NativeTensor = [handle: TensorHandle, dtype: DType, ...shape: number[]];

export interface NativeDeviceInfo {
  name: string;
  /** CUDA's compute capability, 10 * major + minor; 0 on the CPU. */
  capability: number;
  multiprocessors: number;
  /** Bytes. */
  memory: number;
}

export interface NativeMemory {
  live: number;
  cached: number;
  peak: number;
  limit: number;
}

export interface NativeTransfers {
  uploads: number;
  uploadBytes: number;
  downloads: number;
  downloadBytes: number;
  readbacks: number;
  readbackBytes: number;
}

/** Under which conditions a job runs: none of the tokens cancelled, all of the guards above zero. */
export interface NativeConditions {
  tokens: readonly TokenHandle[];
  guards: readonly { counts: TensorHandle; index: number }[];
}

/** What one launch on a simulated GPU did; see SimulatedLaunch in native/ops/backend.h. */
export interface SimulatedLaunch {
  name: string;
  blocks: number;
  blocksRun: number;
  threads: number;
  sharedBytes: number;
  readRequested: number;
  writeRequested: number;
  readTouched: number;
  writeTouched: number;
  mma: number;
  atomics: number;
  barriers: number;
  sharedAccesses: number;
  bankConflicts: number;
}

/** The hold that tests and benches have on a simulated GPU; see Simulator in native/ops/backend.h. */
export interface Simulator {
  /**
   * The call-th driver call from now fails with this CUDA error code (0: none does), and so do those after it until `times` (1) have, but
   * for calls that give memory back. Mends a lost device for the next one.
   */
  failCall(call: number, code: number, times?: number): void;
  /** Driver calls since then. */
  calls(): number;
  /** Waits since then that found copies under way. */
  waits(): number;
  /** Waits return at once and nothing is done, until the next failCall: as if the backend had forgotten them. */
  forgetWaits(): void;
  schedule(name: 'mixed' | 'roundRobin' | 'warpGreedy', seed: number): void;
  /**
   * Counts launches from now on, running every sample-th block of each; 0 stops. -n: only the first n / 32 of the blocks along x, but at
   * least 32 n.
   */
  count(sample: number): void;
  counted(): SimulatedLaunch[];
  /** Host seconds of each kernel since the start. */
  times(): Record<string, { launches: number; seconds: number }>;
  /** Names of the kernels that try the simulator: `x` is right, `x/broken` lacks what it needs. */
  mutants(): string[];
  /** What is wrong with the result of one of them, or the text of its fault; empty where nothing is. */
  runMutant(name: string): string;
}

/**
 * What native/addon exports. All but `download` and `drain` return at once. A foreign object where a handle belongs is a TypeError.
 */
export interface NativeAddon {
  createDevice(kind: 'cpu' | 'cuda' | 'cuda-sim'): DeviceHandle;
  closeDevice(device: DeviceHandle): void;
  deviceInfo(device: DeviceHandle): NativeDeviceInfo;
  memory(device: DeviceHandle): NativeMemory;
  setMemoryLimit(device: DeviceHandle, bytes: number): void;
  resetPeak(device: DeviceHandle): void;
  releaseCache(device: DeviceHandle): void;
  transfers(device: DeviceHandle): NativeTransfers;
  upload(
    device: DeviceHandle,
    data: ArrayBufferView,
    shape: readonly number[],
    dtype: DType,
    borrow: boolean,
    conditions?: NativeConditions,
  ): NativeTensor;
  reshape(tensor: TensorHandle, shape: readonly number[]): NativeTensor;
  download(device: DeviceHandle, tensors: TensorHandle[], into: ArrayBufferView[]): Promise<void>;
  drain(device: DeviceHandle): Promise<void>;
  /** For benches: notes the moment when all that is enqueued now is done, by the GPU's own events or the CPU's monotonic clock. */
  mark(device: DeviceHandle): void;
  /** Milliseconds from the first mark to each, and forgets them. After a drain. */
  takeMarks(device: DeviceHandle): number[];
  dispose(tensor: TensorHandle): void;
  createToken(): TokenHandle;
  /** The box's value becomes the `cause` of the AbortErrors. */
  cancel(token: TokenHandle, reason: { value: unknown }): void;
  liveBytes(): number;
  threads(count?: number): number;
  instructionSet(wanted?: InstructionSet): InstructionSet;
  instructionSets(): InstructionSet[];
  /** All threads multiply and add on registers alone for about so many seconds: the peak that kernels are measured against. */
  fmaPeak(seconds: number): { flops: number; seconds: number };
  cudaReason(): string;
  /** Only in a test build. */
  readonly simulator?: Simulator;
  /** The fields of an operation in the order that `operations` says, undefined where one is left out. */
  run(
    device: DeviceHandle,
    name: string,
    conditions: NativeConditions | undefined,
    ...fields: readonly unknown[]
  ): (NativeTensor | null)[];
  /** All operations by name, and the names of their fields. */
  operations(): Record<string, readonly string[]>;
}

interface Loaded {
  addon: NativeAddon;
  /** The file that was loaded. */
  file: string;
}

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
let loaded: Loaded | undefined;

function load(): Loaded {
  if (loaded) return loaded;
  const require = createRequire(import.meta.url);
  try {
    const build = require('node-gyp-build') as ((dir: string) => NativeAddon) & {
      path(dir: string): string;
    };
    const file = build.path(root);
    loaded = { addon: require(file) as NativeAddon, file };
    return loaded;
  } catch (error) {
    throw new RenvoxError(
      'AddonNotFound',
      [
        `The native addon of renvox could not be loaded on ${process.platform}-${process.arch} with Node ${process.versions.node}.`,
        `Looked for: build/Release/renvox.node, then prebuilds/${process.platform}-${process.arch}/ in the package's folder.`,
        `Found: ${error instanceof Error ? error.message.split('\n')[0] : String(error)}`,
        'What helps: (1) install again on this machine, not from a copied node_modules; (2) build it: "npm rebuild renvox" ' +
          '(npm 11 asks first: "npm install-scripts approve renvox"), with a C++ compiler and Python 3 at hand; ' +
          '(3) in a clone of the repository, "npm ci".',
      ].join('\n'),
      {},
      { cause: error },
    );
  }
}

/** The addon. Throws AddonNotFound, saying what was looked for and what helps. */
export function native(): NativeAddon {
  return load().addon;
}

/** The file that the addon was loaded from. */
export function addonFile(): string {
  return load().file;
}

/** Makes a RenvoxError of an error that the addon threw; leaves others as they are. */
export function typed(error: unknown): unknown {
  if (error instanceof RenvoxError || !(error instanceof Error)) return error;
  const { code, operation, reason } = error as Error & {
    code?: unknown;
    operation?: string;
    reason?: { value: unknown };
  };
  if (typeof code !== 'string') return error;
  return new RenvoxError(
    code as RenvoxErrorCode,
    error.message,
    operation === undefined ? {} : { operation },
    { cause: reason ? reason.value : error },
  );
}

let operations: ReadonlyMap<string, readonly string[]> | undefined;

/** The names of an operation's fields, in the order in which the addon takes them; of one that there is not, none. */
export function fieldsOf(operation: string): readonly string[] {
  operations ??= new Map(Object.entries(native().operations()));
  return operations.get(operation) ?? [];
}

/** Calls into the addon and makes its errors typed. */
export function call<T>(f: (addon: NativeAddon) => T): T {
  const addon = native();
  try {
    return f(addon);
  } catch (error) {
    throw typed(error);
  }
}
