// What every operation's test uses: the devices there are, seeded random arrays, comparison, PyTorch's results.
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { type Device, type DeviceKind, device, type Tensor, type TensorData } from 'renvox';
import type { Test } from 'tap';
import { call, type InstructionSet, native } from '#lib/native.js';
import { noteError, watchErrors, writeErrors } from './errors.js';

let told = false;

/** At the end of a file says what its kernels cost on the simulated GPU; scripts/test.mjs adds the files up. */
function tellKernelTimes(tap: Test): void {
  const { simulator } = native();
  if (!simulator || told) return;
  told = true;
  tap.teardown(() => {
    const times = Object.entries(simulator.times());
    const rows = times.map(([name, { launches, seconds }]) => [name, launches, seconds]);
    tap.comment(`simulated kernels: ${JSON.stringify(rows)}`);
  });
}

/** Runs `body` once on every device that this build and machine have; RENVOX_TEST_DEVICE names one to run alone. */
export function onEveryDevice(
  tap: Test,
  name: string,
  body: (tap: Test, device: Device) => Promise<void>,
): void {
  tellKernelTimes(tap);
  const only = process.env.RENVOX_TEST_DEVICE;
  for (const kind of ['cpu', 'cuda-sim', 'cuda']) {
    if (only && only !== kind) continue;
    let d: Device;
    try {
      d = device(kind as DeviceKind);
    } catch {
      continue;
    }
    tap.test(`${name} on ${kind}`, async (sub) => {
      try {
        watchErrors(d);
        await body(sub, d);
      } finally {
        writeErrors(d);
        d.dispose();
      }
    });
  }
}

/** As {@link onEveryDevice}, on the CPU once under every instruction set of this machine. For what is short there. */
export function onEveryDeviceAndSet(
  tap: Test,
  name: string,
  body: (tap: Test, device: Device) => Promise<void>,
): void {
  onEveryDevice(tap, name, (sub, device) =>
    onEveryInstructionSet(device, async (set) => {
      if (set === 'cuda') return body(sub, device);
      await sub.test(set, (within) => body(within, device));
    }),
  );
}

/** Runs `body` under every instruction set of this machine (once on other devices). */
export async function onEveryInstructionSet(
  device: Device,
  body: (name: InstructionSet | 'cuda') => Promise<void>,
): Promise<void> {
  if (device.kind !== 'cpu') return body('cuda');
  const before = call((addon) => addon.instructionSet());
  try {
    for (const name of call((addon) => addon.instructionSets())) {
      call((addon) => addon.instructionSet(name));
      await body(name);
    }
  } finally {
    call((addon) => addon.instructionSet(before));
  }
}

/** Whether the device's kernels run on simulated threads: slow, so that large cases are cut for it. */
export function simulated(device: Device): boolean {
  return (device.kind as string) === 'cuda-sim';
}

/** Whether the addon is that of scripts/sanitize.sh: several times slower, so that some cases are cut for it. */
export const sanitized = process.env.RENVOX_TEST_PRELOAD !== undefined;

/** Seeded generator of uniform numbers in [0, 1): mulberry32. */
export function generator(seed: number): () => number {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let x = Math.imul(a ^ (a >>> 15), 1 | a);
    x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x;
    return ((x ^ (x >>> 14)) >>> 0) / 4294967296;
  };
}

/** Seeded values, uniform in -1..1. */
export function randomArray(length: number, seed: number): Float32Array {
  const next = generator(seed);
  return Float32Array.from({ length }, () => next() * 2 - 1);
}

export function product(shape: readonly number[]): number {
  return shape.reduce((a, b) => a * b, 1);
}

export function randomTensor(d: Device, shape: readonly number[], seed: number): Tensor {
  return d.tensor(randomArray(product(shape), seed), { shape });
}

/** sqrt(sum (a - b)^2 / sum b^2); absolute where the reference is zero. */
export function relativeRms(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Number.POSITIVE_INFINITY;
  let error = 0;
  let norm = 0;
  for (let i = 0; i < expected.length; i++) {
    const d = (actual[i] as number) - (expected[i] as number);
    if (!Number.isFinite(actual[i] as number)) return Number.POSITIVE_INFINITY;
    error += d * d;
    norm += (expected[i] as number) ** 2;
  }
  return norm > 0 ? Math.sqrt(error / norm) : Math.sqrt(error);
}

/** Asserts that two arrays agree to a relative RMS error. */
export function agrees(
  tap: Test,
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: number,
  what: string,
): void {
  const error = noteError(relativeRms(actual, expected));
  tap.ok(
    error <= tolerance,
    `${what}: relative RMS error ${error.toExponential(1)} of at most ${tolerance}`,
  );
}

/** Asserts that two arrays have the same bits. */
export function sameBits(tap: Test, a: TensorData, b: TensorData, what: string): void {
  const bytes = (x: TensorData) => Buffer.from(x.buffer, x.byteOffset, x.byteLength);
  tap.ok(bytes(a).equals(bytes(b)), `${what}: same bits`);
}

export interface Reference {
  shape: number[];
  data: Float32Array | Int32Array;
}

/** A safetensors file of the PyTorch fixtures, by tensor name. */
export function torchTensors(file: string): Map<string, Reference> {
  const bytes = readFileSync(resolve('test/fixtures/torch', `${file}.safetensors`));
  const length = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + length)) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >;
  const result = new Map<string, Reference>();
  for (const [name, entry] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    const [from, to] = entry.data_offsets;
    const copy = Uint8Array.from(bytes.subarray(8 + length + from, 8 + length + to)).buffer;
    result.set(name, {
      shape: entry.shape,
      data: entry.dtype === 'I32' ? new Int32Array(copy) : new Float32Array(copy),
    });
  }
  return result;
}

/** The settings of the PyTorch fixtures' operations (ops.json). */
export function torchCases(): ({ name: string; op: string } & Record<string, unknown>)[] {
  return JSON.parse(readFileSync(resolve('test/fixtures/torch/ops.json'), 'utf8')).cases;
}

/** NC(DHW) to N(DHW)C, as renvox lays tensors out. */
export function channelsLast<A extends Float32Array | Int32Array>(
  data: A,
  shape: readonly number[],
): { data: A; shape: number[] } {
  const [n, c] = shape as [number, number];
  const space = shape.slice(2);
  const voxels = product(space);
  const out = data.slice() as A;
  for (let i = 0; i < n; i++)
    for (let k = 0; k < c; k++)
      for (let v = 0; v < voxels; v++)
        out[(i * voxels + v) * c + k] = data[(i * c + k) * voxels + v] as number;
  return { data: out, shape: [n, ...space, c] };
}

/** N(DHW)C back to NC(DHW). */
export function channelsFirst(data: ArrayLike<number>, shape: readonly number[]): Float32Array {
  const n = shape[0] as number;
  const c = shape[shape.length - 1] as number;
  const voxels = product(shape.slice(1, -1));
  const out = new Float32Array(data.length);
  for (let i = 0; i < n; i++)
    for (let v = 0; v < voxels; v++)
      for (let k = 0; k < c; k++)
        out[(i * c + k) * voxels + v] = data[(i * voxels + v) * c + k] as number;
  return out;
}

/** Counts reference tensors that were compared, and says so at the end of the file. */
export class ReferenceCount {
  count = 0;
  constructor(tap: Test) {
    tap.teardown(() => tap.comment(`reference tensors compared: ${this.count}`));
  }
  compare(
    tap: Test,
    actual: ArrayLike<number>,
    expected: ArrayLike<number>,
    tolerance: number,
    what: string,
  ): void {
    this.count++;
    agrees(tap, actual, expected, tolerance, what);
  }
}
