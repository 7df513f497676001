/**
 * Times by the device's own events (the monotonic clock on the CPU): networks, a training step, sampling and label operations at the sizes
 * of use, next to the least that they could take and to PyTorch, CuPy and SciPy where python3 has them. Inputs are random, not zeros. On
 * devices other than a GPU all sizes shrink, so that the check itself can be tried; such rows say nothing about speed.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import {
  type Device,
  type DeviceKind,
  device,
  gradients,
  isRenvoxError,
  ops,
  scope,
  Tensor,
} from 'renvox';
import { type Precision, ResNet3D, UNet3D } from 'renvox/nn';
import { call } from '#lib/native.js';
import { type Layer, resnetLayers, unetLayers } from '../kernel-layers.js';
import { kidneys, noise } from '../label-maps.js';
import type { Size } from './cases.js';
import { type Ceilings, knownCeilings } from './chip.js';
import { endTree } from './processes.js';
import { left, messageOf, type Row, report, type Task } from './settings.js';

const CHANNELS = [16, 32, 64, 128, 256] as const;
const WIDTHS = [64, 128, 256, 512] as const;
const CLASSES = 3;
export const SPACING = [3, 0.75, 0.75] as const;

/** What a bench moves and computes at least; of a network layer by layer, since each is bound by one or the other. */
interface Work {
  name: string;
  floors: readonly { bytes: number; flops: number }[];
  /** Makes the inputs; the result is timed, and what it returns thrown away. */
  prepare(d: Device): () => unknown;
}

interface Sizes {
  network: number;
  ct: Size;
}

const voxels = ([d, h, w]: Size): number => d * h * w;
const cube = (n: number): Size => [n, n, n];

function networkFloors(layers: readonly Layer[], batch: number): Work['floors'] {
  return layers.map((l) => ({ bytes: batch * l.leastBytes, flops: batch * l.usefulFlops }));
}

function works({ network: n, ct }: Sizes): Work[] {
  const list: Work[] = [];
  const whole = n === 128;
  const random = (d: Device, shape: readonly number[], stream = 1): Tensor =>
    ops.randomNormal(d, { shape, seed: 11, stream });
  const unet = (d: Device) =>
    new UNet3D({ inputChannels: 1, classes: CLASSES, channels: CHANNELS }, { device: d, seed: 5 });
  for (const batch of [1, 4])
    for (const precision of ['bf16', 'fp16'] as const satisfies readonly Precision[]) {
      list.push({
        name: `unet forward ${n}^3 batch ${batch} ${precision}`,
        floors: whole ? networkFloors(unetLayers(), batch) : [],
        prepare: (d) => {
          const net = unet(d);
          const x = random(d, [batch, n, n, n, 1]);
          return () => net.infer(x, { precision });
        },
      });
      list.push({
        name: `resnet10 forward ${n}^3 batch ${batch} ${precision}`,
        floors: whole ? networkFloors(resnetLayers(), batch) : [],
        prepare: (d) => {
          const net = new ResNet3D({ classes: CLASSES, widths: WIDTHS }, { device: d, seed: 5 });
          const x = random(d, [batch, n, n, n, 1]);
          return () => net.infer(x, { precision });
        },
      });
    }
  list.push({
    name: `unet forward ${n}^3 batch 1 fp32`,
    floors: [],
    prepare: (d) => {
      const net = unet(d);
      const x = random(d, [1, n, n, n, 1]);
      return () => net.infer(x, { precision: 'fp32' });
    },
  });
  list.push({
    name: `unet training step ${n}^3 batch 1 bf16`,
    // Backward makes two products for each of the forward pass, over twice its tensors.
    floors: whole
      ? networkFloors(unetLayers(), 1).map((l) => ({ bytes: 3 * l.bytes, flops: 3 * l.flops }))
      : [],
    prepare: (d) => {
      const net = unet(d);
      const x = random(d, [1, n, n, n, 1]);
      const target = d.tensor(kidneys(cube(n)), { shape: [1, n, n, n] });
      const parameters = [...net.parameters.values()];
      const [first, second] = [0, 0].map(() => parameters.map((p) => d.full(p.shape))) as [
        Tensor[],
        Tensor[],
      ];
      let step = 0;
      return () => {
        const { value, gradients: made } = gradients(() => {
          const logits = net.forward(x, { training: true, precision: 'bf16' });
          return ops.add(ops.crossEntropy(logits, target), ops.softDice(logits, target));
        }, parameters);
        ops.adam(parameters, made, first, second, { lr: 1e-9, step: ++step });
        return [value, ...made, ...parameters];
      };
    },
  });

  const grid = cube(n);
  const text = `${ct[2]}x${ct[1]}x${ct[0]}`;
  const one = (bytes: number) => [{ bytes, flops: 0 }];
  const map = (d: Device, data: Uint8Array) => d.tensor(data, { shape: [1, ...ct] });
  list.push({
    name: `resample ${text} i16 to ${n}^3`,
    floors: one(2 * voxels(ct) + 4 * voxels(grid)),
    prepare: (d) => {
      const x = ops.cast(ops.scaleBy(random(d, [1, ...ct, 1]), 300), 'i16');
      const options = { size: grid, affine: ops.coveringAffine(ct, grid) };
      return () => ops.resample(x, { ...options, window: { level: 30, width: 300 } });
    },
  });
  list.push({
    name: `resample back ${n}^3 x2 to ${text} and argmax`,
    floors: one(8 * voxels(grid) + voxels(ct)),
    prepare: (d) => {
      const logits = random(d, [1, ...grid, 2]);
      const affine = ops.coveringAffine(grid, ct);
      return () => ops.resampleArgmax(logits, { size: ct, affine });
    },
  });
  for (const connectivity of [6, 26] as const) {
    list.push({
      name: `components ${connectivity} ${text}`,
      floors: one(5 * voxels(ct)),
      prepare: (d) => {
        const x = map(d, kidneys(ct));
        return () => ops.connectedComponents(x, { connectivity });
      },
    });
    list.push({
      name: `components ${connectivity} ${n}^3 noise`,
      floors: one(5 * voxels(grid)),
      prepare: (d) => {
        const x = d.tensor(noise(grid), { shape: [1, ...grid] });
        return () => ops.connectedComponents(x, { connectivity });
      },
    });
  }
  list.push({
    name: `distance transform ${text}`,
    floors: one(5 * voxels(ct)),
    prepare: (d) => {
      const x = map(d, kidneys(ct));
      return () => ops.distanceTransform(x, { spacing: SPACING, to: 'foreground' });
    },
  });
  list.push({
    name: `overlap of labels ${text}`,
    floors: one(2 * voxels(ct)),
    prepare: (d) => {
      const [a, b] = [map(d, kidneys(ct)), map(d, kidneys(ct, 2))];
      return () => ops.overlapCounts(a, b, { labels: 3 });
    },
  });
  return list;
}

export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] as number;
}

interface Times {
  median_ms: number;
  /** Range of the middle four fifths over the median: a few outliers are the machine's. */
  spread: number;
  n: number;
}

function figures(values: readonly number[]): Times {
  const sorted = [...values].sort((a, b) => a - b);
  const cut = Math.floor(sorted.length / 10);
  const [low, high] = [sorted[cut] as number, sorted[sorted.length - 1 - cut] as number];
  const middle = median(sorted);
  return { median_ms: middle, spread: (high - low) / middle, n: sorted.length };
}

/** Times between marks of the device round `repeats` runs that are enqueued without a pause. */
async function timed(d: Device, run: () => unknown, repeats: number): Promise<number[]> {
  const mark = () => call((addon) => addon.mark(d.handle));
  mark();
  for (let k = 0; k < repeats; k++) {
    scope(() => void run());
    mark();
  }
  await d.drain();
  const at = call((addon) => addon.takeMarks(d.handle));
  return at.slice(1).map((time, k) => time - (at[k] as number));
}

async function measure(d: Device, work: Work, budget: number): Promise<Times> {
  return scope(async () => {
    const run = work.prepare(d);
    // Modules are loaded, weights packed and the allocator filled; an error comes out here.
    for (let k = 0; k < 2; k++) {
      scope(() => void run());
      await d.drain();
    }
    await scope(async () => {
      const made = run();
      const list = made instanceof Tensor ? [made] : Object.values(made as object);
      for (const tensor of list) if (tensor instanceof Tensor) await tensor.data();
    });
    const [once] = (await timed(d, run, 1)) as [number];
    const repeats = Math.max(3, Math.min(50, Math.floor(budget / Math.max(once, 0.01))));
    return figures(await timed(d, run, repeats));
  });
}

/** Seconds that the floors add up to. */
export function floorSeconds(floors: Work['floors'], ceilings: Ceilings): number {
  return floors.reduce(
    (sum, { bytes, flops }) => sum + Math.max(bytes / ceilings.copy, flops / ceilings.tensor),
    0,
  );
}

/** The other libraries' times, as rivals.py reports them, and what it measured of the chip. */
async function rivals(
  task: Task,
  sizes: Sizes,
  names: readonly string[],
): Promise<Ceilings | undefined> {
  const folder = mkdtempSync(join(tmpdir(), 'renvox-gpu-check-'));
  let ceilings: Ceilings | undefined;
  try {
    const { ct, network } = sizes;
    writeFileSync(join(folder, 'a.u8'), kidneys(ct));
    writeFileSync(join(folder, 'b.u8'), kidneys(ct, 2));
    writeFileSync(join(folder, 'noise.u8'), noise(cube(network)));
    const options = {
      ...{ folder, ct, network, names, spacing: SPACING, classes: CLASSES },
      ...{ cuda: task.kind === 'cuda', deadline: task.deadline / 1000 - 3 },
    };
    const program = join(task.root, 'bench', 'gpu', 'rivals.py');
    const child = spawn('python3', [program, JSON.stringify(options)], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, PYTHONUNBUFFERED: '1' },
    });
    const closed = new Promise<string>((done) => {
      child.on('error', (error) => done(error.message));
      child.on('close', (code, signal) => done(signal ?? String(code ?? 1)));
    });
    // PyTorch compiles in processes of its own.
    const timer = setTimeout(() => endTree(child.pid), left(task));
    for await (const line of createInterface({ input: child.stdout })) {
      if (!line.startsWith('{')) {
        console.log(line);
        continue;
      }
      const said = JSON.parse(line) as Record<string, unknown>;
      if (said.ceilings) ceilings = said.ceilings as Ceilings;
      else report(said as unknown as Row);
    }
    const end = await closed;
    clearTimeout(timer);
    if (end !== '0')
      report({
        name: 'rivals',
        ok: null,
        note: `python3 ended by ${end}; what it timed before is kept`,
      });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return ceilings;
}

export async function times(task: Task): Promise<void> {
  const sizes: Sizes =
    task.kind === 'cuda'
      ? { network: 128, ct: [300, 512, 512] }
      : { network: 16, ct: [12, 48, 40] };
  const wanted = new RegExp(task.filter);
  const list = works(sizes).filter(({ name }) => wanted.test(name));
  if (list.length === 0)
    return report({ name: 'benches', ok: null, note: 'none matches the filter' });
  // Half of the time for ourselves at most, the rest for the others.
  const until = task.rivals ? Date.now() + left(task) / 2 : task.deadline;
  const d = device(task.kind as DeviceKind);
  const done: { work: Work; times: Times }[] = [];
  let lost = false;
  for (const [i, work] of list.entries()) {
    if (lost || Date.now() > until) {
      if (lost) report({ name: work.name, ok: false, note: 'the device is lost' });
      else report({ name: work.name, ok: null, reached: false, note: 'not reached' });
      continue;
    }
    try {
      const share = (until - Date.now()) / (list.length - i);
      const times = await measure(d, work, Math.min(1000, share / 4));
      done.push({ work, times });
      report({ name: work.name, ok: true, library: 'renvox', ...times });
    } catch (error) {
      report({ name: work.name, ok: false, note: messageOf(error) });
      lost = isRenvoxError(error, 'DeviceLost');
    }
    if (!lost) d.releaseCache();
  }
  const chip = d.info.name;
  d.dispose();
  const measured = task.rivals
    ? await rivals(
        task,
        sizes,
        list.map(({ name }) => name),
      )
    : undefined;
  const ceilings = measured ?? knownCeilings(chip);
  if (!ceilings) return;
  report({ name: 'ceilings', ok: null, ...ceilings });
  for (const { work, times } of done) {
    const floor = floorSeconds(work.floors, ceilings) * 1000;
    if (floor > 0 && task.kind === 'cuda')
      report({
        ...{ name: work.name, ok: null, library: 'floor' },
        ...{ floor_ms: floor, share_of_roofline: floor / times.median_ms },
      });
  }
}
