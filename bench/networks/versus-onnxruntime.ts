/**
 * Forward passes of one network against onnxruntime-node in alternating child processes: the same weights and input, logits compared (relative
 * RMS at most 1e-3, else the bench fails), as many threads each.
 */
import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Device, device, ops, scope, threads } from 'renvox';
import {
  makeNetwork,
  type Network,
  type ResNet3DConfig,
  saveNetwork,
  type UNet3DConfig,
} from 'renvox/nn';
import { saveOnnx } from 'renvox/onnx';
import { CeilingSamples } from '../ceilings.js';
import { Contestant, closed, contest } from '../contest.js';
import { withFiles } from '../files.js';
import { resnetFlops, unetFlops } from '../flops.js';
import { findPeer, peerPackages } from '../peers.js';
import { type BenchOptions, type Row, rowOf } from '../row.js';
import type { Task } from './ours.js';

const here = dirname(fileURLToPath(import.meta.url));
/** Far above what sums in another order differ by (5e-5 with instance norm), far below what another function would. */
const TOLERANCE = 1e-3;

/** A network on a volume, why it is measured, and what it shall reach. */
export interface NetworkCase {
  readonly name: string;
  readonly why: string;
  readonly architecture: Parameters<typeof makeNetwork>[0];
  readonly size: readonly [number, number, number];
  /** Volumes at once; default 1. */
  readonly batch?: number;
  readonly form?: Task['form'];
  readonly goal: { readonly ratio?: number; readonly rss?: number };
}

/** N, D, H, W, C. */
type Shape = readonly [number, number, number, number, number];

/** Normal numbers, the same in every run: [N, D, H, W, C] for us, [N, C, D, H, W] for onnxruntime. */
async function writeInputs(cpu: Device, folder: string, shape: Shape): Promise<void> {
  using x = ops.randomNormal(cpu, { shape, seed: 7 });
  const last = (await x.data()) as Float32Array;
  await writeFile(join(folder, 'input.f32'), last);
  const [batch, depth, height, width, channels] = shape;
  const voxels = depth * height * width;
  const first = new Float32Array(last.length);
  for (let n = 0, at = 0; n < batch; n++)
    for (let v = 0; v < voxels; v++)
      for (let c = 0; c < channels; c++)
        first[(n * channels + c) * voxels + v] = last[at++] as number;
  await writeFile(join(folder, 'channels-first.f32'), first);
}

/** Weights as they are after one step of running statistics, so that a norm is more than copying. */
async function prepare(c: NetworkCase, folder: string): Promise<{ flops: number; shape: Shape }> {
  const cpu = device('cpu');
  const network = makeNetwork(c.architecture, { device: cpu, seed: 3 }) as Network;
  const { inputChannels } = network.config as { inputChannels: number };
  scope(() => {
    const x = ops.randomNormal(cpu, { shape: [2, 32, 32, 32, inputChannels], seed: 5 });
    network.forward(x, { training: true });
  });
  const metadata = { preprocessing: {}, training: {} };
  await saveNetwork(join(folder, 'weights.safetensors'), network, metadata);
  await saveOnnx(join(folder, 'model.onnx'), network, metadata);
  const shape: Shape = [c.batch ?? 1, ...c.size, inputChannels];
  await writeInputs(cpu, folder, shape);
  const flops =
    network.kind === 'unet3d'
      ? unetFlops(network.config as Required<UNet3DConfig>, c.size)
      : resnetFlops(network.config as Required<ResNet3DConfig>, c.size);
  cpu.dispose();
  return { flops: shape[0] * flops, shape };
}

/** The row of a case. */
export function measureNetwork(c: NetworkCase, options: BenchOptions): AsyncGenerator<Row> {
  return withFiles({}, async function* (folder) {
    const version = await findPeer('onnxruntime', options);
    const count = threads();
    const { flops, shape } = await prepare(c, folder);
    const [batch, , , , channels] = shape;
    const task: Task = {
      weights: join(folder, 'weights.safetensors'),
      input: join(folder, 'input.f32'),
      shape,
      threads: count,
      form: c.form ?? 'infer',
    };
    const node = (name: string, file: string, told: object) =>
      new Contestant(name, process.execPath, [
        '--expose-gc',
        join(here, file),
        JSON.stringify(told),
      ]);
    const contestants = [node('renvox', 'ours.js', task)];
    if (version !== undefined)
      contestants.push(
        node('onnxruntime', join('..', 'peers', 'onnxruntime.js'), {
          packages: peerPackages,
          model: join(folder, 'model.onnx'),
          input: join(folder, 'channels-first.f32'),
          shape: [batch, channels, ...c.size],
          threads: count,
        }),
      );
    yield await closed(contestants, async () => {
      const peak = new CeilingSamples('fma', count);
      const taken = await contest(contestants, {
        samples: version === undefined ? options.samples : options.networkSamples,
        patience: Number.POSITIVE_INFINITY,
        ceilings: [peak],
      });
      const [ours, peer] = contestants as [Contestant, Contestant?];
      const left = join(folder, 'logits.f32');
      let difference: number | null = null;
      if (peer) {
        await ours.leave(left);
        difference = await peer.compare(left);
        if (!(difference <= TOLERANCE))
          throw new Error(`${c.name}: logits and those of onnxruntime differ by ${difference}`);
      }
      const [own, other] = taken as [(typeof taken)[0], (typeof taken)[0]?];
      return rowOf({
        ...{ name: c.name, why: c.why, threads: count, own, flops, goal: c.goal },
        ceilings: peak.ceilings,
        peer: other && { ...other, name: `onnxruntime-node ${version}` },
        more: { device_peak_mb: own.facts.device_peak_mb ?? null, worst_difference: difference },
      });
    });
  });
}
