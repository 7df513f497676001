/**
 * Forward passes of one network against onnxruntime-node in alternating child processes: the same weights and input, logits compared (relative
 * RMS at most 1e-3, else the bench fails), as many threads each.
 */
import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { device, ops, scope, threads } from 'renvox';
import {
  makeNetwork,
  type Network,
  type ResNet3DConfig,
  saveNetwork,
  type UNet3DConfig,
} from 'renvox/nn';
import { CeilingSamples } from '../ceilings.js';
import { Contestant, closed, contest } from '../contest.js';
import { withFiles } from '../files.js';
import { resnetFlops, unetFlops } from '../flops.js';
import type { Weight } from '../onnx/graph.js';
import { resnetModel, unetModel } from '../onnx/networks.js';
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
  readonly form?: Task['form'];
  readonly goal: { readonly ratio?: number; readonly rss?: number };
}

/** Normal numbers, the same in every run. */
async function writeInput(path: string, shape: readonly number[]): Promise<void> {
  const cpu = device('cpu');
  const x = ops.randomNormal(cpu, { shape, seed: 7 });
  await writeFile(path, (await x.data()) as Float32Array);
  cpu.dispose();
}

/** Weights as they are after one step of running statistics, so that a norm is more than copying. */
async function prepare(
  c: NetworkCase,
  folder: string,
): Promise<{ flops: number; channels: number }> {
  const cpu = device('cpu');
  const network = makeNetwork(c.architecture, { device: cpu, seed: 3 }) as Network;
  const { inputChannels } = network.config as { inputChannels: number };
  scope(() => {
    const x = ops.randomNormal(cpu, { shape: [2, 32, 32, 32, inputChannels], seed: 5 });
    network.forward(x, { training: true });
  });
  await saveNetwork(join(folder, 'weights.safetensors'), network, {
    preprocessing: {},
    training: {},
  });
  const weights = new Map<string, Weight>();
  for (const [name, tensor] of network.tensors)
    weights.set(name, { data: (await tensor.data()) as Float32Array, shape: tensor.shape });
  await writeInput(join(folder, 'input.f32'), [1, ...c.size, inputChannels]);
  const [flops, model] =
    network.kind === 'unet3d'
      ? [
          unetFlops(network.config as Required<UNet3DConfig>, c.size),
          unetModel(network.config as Required<UNet3DConfig>, weights, c.size),
        ]
      : [
          resnetFlops(network.config as Required<ResNet3DConfig>, c.size),
          resnetModel(network.config as Required<ResNet3DConfig>, weights, c.size),
        ];
  await writeFile(join(folder, 'model.onnx'), model);
  cpu.dispose();
  return { flops, channels: inputChannels };
}

/** The row of a case. */
export function measureNetwork(c: NetworkCase, options: BenchOptions): AsyncGenerator<Row> {
  return withFiles({}, async function* (folder) {
    const version = await findPeer('onnxruntime', options);
    const count = threads();
    const { flops, channels } = await prepare(c, folder);
    if (channels !== 1)
      throw new Error('Only volumes of one channel lie alike in NDHWC and in NCDHW');
    const task: Task = {
      weights: join(folder, 'weights.safetensors'),
      input: join(folder, 'input.f32'),
      shape: [1, ...c.size, channels],
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
          input: task.input,
          shape: [1, channels, ...c.size],
          threads: count,
        }),
      );
    yield await closed(contestants, async () => {
      const peak = new CeilingSamples('fma', count);
      const taken = await contest(contestants, {
        ...{ samples: options.samples, patience: Number.POSITIVE_INFINITY },
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
