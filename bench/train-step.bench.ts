/** One training step of each preset that ships weights, and its parts, each enqueued and drained by itself. */
import { type Device, device, gradients, ops, scope, type Tensor } from 'renvox';
import { makeNetwork } from 'renvox/nn';
import { type Preset, phantomSampler, presets, type Sample } from 'renvox/train';
import type { Row } from './row.js';

const REPEATS = 5;

async function median(d: Device, body: (k: number) => unknown): Promise<number> {
  const times: number[] = [];
  for (let k = 0; k < REPEATS + 1; k++) {
    const begun = performance.now();
    scope(() => void body(k));
    await d.drain();
    // The first one fills the allocator's cache.
    if (k > 0) times.push((performance.now() - begun) / 1000);
  }
  return times.sort((a, b) => a - b)[REPEATS >> 1] as number;
}

function loss(preset: Preset, logits: Tensor, target: Tensor): Tensor {
  const entropy = ops.crossEntropy(logits, target);
  return preset.loss.dice ? ops.add(entropy, ops.softDice(logits, target)) : entropy;
}

export async function* bench(): AsyncIterable<Row> {
  for (const name of ['kidney', 'mass', 'class']) {
    const preset = presets[name] as Preset;
    const d = device('cpu');
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
    const phantom = await median(d, batch);
    const forward = await median(d, () => net.forward(held.image, { training: true }));
    const both = await median(d, () => pass(held));
    const whole = await median(d, (k) => {
      const made = pass(batch(k));
      ops.clipGradients(made, preset.clip);
      ops.adam(parameters, made, first, second, { lr: 1e-9, step: k + 1 });
    });
    yield {
      name: `train-step/${name}`,
      seconds: whole,
      phantom_seconds: phantom,
      forward_seconds: forward,
      backward_seconds: both - forward,
      peak_mb: d.memory.peak / 2 ** 20,
    };
    d.dispose();
  }
}
