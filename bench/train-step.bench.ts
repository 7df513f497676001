/**
 * One training step (forward, cross entropy and soft Dice, backward, clipping, Adam) of the study's U-Net against PyTorch on the CPU in alternating
 * child processes: the same weights, images and targets; loss and norm of the gradient are compared to 1e-3. Then one step of each preset that
 * ships weights, and its parts, each enqueued and drained by itself: drawing the phantoms and making samples of them shall take a tenth of the
 * step's processor time at most.
 */
import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Device, device, gradients, ops, scope, type Tensor, threads } from 'renvox';
import { makeNetwork, saveNetwork, UNet3D } from 'renvox/nn';
import { type Preset, phantomSampler, presets, type Sample } from 'renvox/train';
import { CeilingSamples } from './ceilings.js';
import { Contestant, closed, contest } from './contest.js';
import { withFiles } from './files.js';
import { convFlops, unetFlops } from './flops.js';
import { kidneys } from './label-maps.js';
import { findPeer, peerFolder } from './peers.js';
import { type BenchOptions, type Row, rowOf, type Turn } from './row.js';
import { median } from './statistics.js';
import type { Task } from './train/ours.js';

const TOLERANCE = 1e-3;
const EDGE = 64;
const BATCH = 2;
/** Of the processor time of a step with fresh phantoms. */
const PHANTOM_SHARE = 0.1;

/** Target: two kidneys; image: the target under noise. */
async function writeSample(task: Task): Promise<void> {
  const cpu = device('cpu');
  const label = kidneys([EDGE, EDGE, EDGE]).map((v) => (v > 0 ? 1 : 0));
  const target = new Uint8Array(BATCH * EDGE ** 3);
  for (let n = 0; n < BATCH; n++) target.set(label, n * EDGE ** 3);
  const noise = (await ops
    .randomNormal(cpu, { shape: [target.length], seed: 11 })
    .data()) as Float32Array;
  await writeFile(task.target, target);
  await writeFile(
    task.input,
    noise.map((v, i) => v + (target[i] as number)),
  );
  const network = new UNet3D(
    { inputChannels: 1, classes: 2, channels: [16, 32, 64, 128, 256] },
    { device: cpu, seed: 3 },
  );
  await saveNetwork(task.weights, network, { preprocessing: {}, training: {} });
  cpu.dispose();
}

/** Operations of a step: each convolution forward, by its weight and, but for the first layer, by its input. */
function stepFlops(): number {
  const size = [EDGE, EDGE, EDGE];
  const config = {
    ...{ inputChannels: 1, classes: 2, channels: [16, 32, 64, 128, 256], slope: 0.01 },
    ...{ convolutions: { encoder: 2, decoder: 2 }, norm: 'instance' as const },
    convolutionBias: true,
  };
  return BATCH * (3 * unetFlops(config, size) - convFlops(size, 1, 16, 3));
}

async function* versusPytorch(folder: string, options: BenchOptions): AsyncGenerator<Row> {
  const python = await findPeer('pytorch', options);
  const task: Task = {
    weights: join(folder, 'weights.safetensors'),
    input: join(folder, 'input.f32'),
    target: join(folder, 'target.u8'),
    shape: [BATCH, EDGE, EDGE, EDGE],
    ...{ threads: threads(), learningRate: 1e-9, clip: 12 },
  };
  await writeSample(task);
  const told = JSON.stringify(task);
  const ours = join(dirname(fileURLToPath(import.meta.url)), 'train', 'ours.js');
  const contestants = [new Contestant('renvox', process.execPath, ['--expose-gc', ours, told])];
  if (python !== undefined)
    contestants.push(
      new Contestant('PyTorch', python, [join(peerFolder, 'pytorch_train.py'), told]),
    );
  yield await closed(contestants, async () => {
    const peak = new CeilingSamples('fma', task.threads);
    const taken = await contest(contestants, {
      samples: options.samples,
      // A step of PyTorch is seconds long.
      patience: options.brief ? options.patience : Number.POSITIVE_INFINITY,
      ceilings: [peak],
    });
    const [own, other] = taken as [(typeof taken)[0], (typeof taken)[0]?];
    const [first, second] = contestants as [Contestant, Contestant?];
    let worst: number | null = null;
    if (second) {
      await first.leave(join(folder, 'result'));
      worst = await second.compare(join(folder, 'result'));
      if (!(worst <= TOLERANCE))
        throw new Error(`train-step: loss or gradient differ from PyTorch's by ${worst}`);
    }
    return rowOf({
      name: `train-step/U-Net 16..256, ${BATCH} x ${EDGE}^3`,
      why: "the study's network on two patches: forward, backward, clipping and Adam",
      ...{
        threads: task.threads,
        own,
        flops: stepFlops(),
        ceilings: peak.ceilings,
        goal: { ratio: 0.4 },
      },
      peer: other && { ...other, name: `PyTorch ${other.facts.version} ${other.facts.layout}` },
      more: { device_peak_mb: own.facts.device_peak_mb ?? null, worst_difference: worst },
    });
  });
}

async function turnsOf(d: Device, samples: number, body: (k: number) => unknown): Promise<Turn[]> {
  const turns: Turn[] = [];
  for (let k = 0; k < samples + 1; k++) {
    const before = process.cpuUsage();
    const begun = performance.now();
    scope(() => void body(k));
    await d.drain();
    const seconds = (performance.now() - begun) / 1000;
    const { user, system } = process.cpuUsage(before);
    // The first one fills the allocator's cache.
    if (k > 0) turns.push({ seconds, cpu: (user + system) / 1e6 });
  }
  return turns;
}

const middle = (turns: readonly Turn[]): number => median(turns.map((turn) => turn.seconds));
const worked = (turns: readonly Turn[]): number => median(turns.map((turn) => turn.cpu as number));

function loss(preset: Preset, logits: Tensor, target: Tensor): Tensor {
  const entropy = ops.crossEntropy(logits, target);
  return preset.loss.dice ? ops.add(entropy, ops.softDice(logits, target)) : entropy;
}

async function ofPreset(name: string, { samples }: BenchOptions): Promise<Row> {
  const preset = presets[name] as Preset;
  using d = device('cpu');
  const net = makeNetwork(preset.architecture, { device: d });
  const parameters = [...net.parameters.values()];
  const [first, second] = [0, 0].map(() => parameters.map((p) => d.full(p.shape))) as [
    Tensor[],
    Tensor[],
  ];
  const sampler = phantomSampler(preset);
  const batch = (k: number): Sample => {
    const list = Array.from({ length: preset.batch }, (_, i) =>
      sampler.training(d, k * preset.batch + i),
    );
    const [image, target] = [list.map((s) => s.image), list.map((s) => s.target)];
    return { image: ops.stack(image), target: ops.stack(target) };
  };
  const held = batch(0);
  const pass = ({ image, target }: Sample) =>
    gradients(() => loss(preset, net.forward(image, { training: true }), target), parameters)
      .gradients;
  const phantom = await turnsOf(d, samples, batch);
  const forward = await turnsOf(d, samples, () => net.forward(held.image, { training: true }));
  const both = await turnsOf(d, samples, () => pass(held));
  const whole = await turnsOf(d, samples, (k) => {
    const made = pass(batch(k));
    ops.clipGradients(made, preset.clip);
    ops.adam(parameters, made, first, second, { lr: 1e-9, step: k + 1 });
  });
  return rowOf({
    name: `train-step/preset ${name}`,
    why: 'what a step of the shipped network costs, phantom included',
    ...{ threads: threads(), own: { turns: whole, rssMb: null } },
    goal: { phantom: PHANTOM_SHARE },
    more: {
      phantom_s: middle(phantom),
      phantom_share: worked(phantom) / worked(whole),
      forward_s: middle(forward),
      backward_s: middle(both) - middle(forward),
      device_peak_mb: d.memory.peak / 2 ** 20,
    },
  });
}

export async function* bench(options: BenchOptions): AsyncGenerator<Row> {
  yield* withFiles({}, (folder) => versusPytorch(folder, options));
  if (options.peer === undefined || options.peer === 'none')
    for (const name of ['kidney', 'mass', 'class']) yield await ofPreset(name, options);
}
