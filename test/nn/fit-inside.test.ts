// scripts/fit-inside.mjs: a classifier's stages as they were, with the branch for the inside of the mask and a head that is fitted to both.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { device, ops, scope } from 'renvox';
import { loadNetwork, ResNet3D, saveNetwork } from 'renvox/nn';
import { type Preset, phantomSampler, presets, validationSeed } from 'renvox/train';
import t from 'tap';
import { agrees, sameBits } from '../ops/harness.js';

t.test('a head that knows the inside', async (tap) => {
  using cpu = device('cpu');
  const folder = tap.testdir();
  const [from, to, again] = ['from', 'to', 'again'].map((n) =>
    join(folder, `${n}.safetensors`),
  ) as [string, string, string];
  const preset: Preset = {
    ...(presets.class as Preset),
    architecture: {
      kind: 'resnet3d',
      config: {
        ...{ inputChannels: 2, classes: 3, widths: [2, 2, 3, 4], hidden: 5 },
        geometry: 'strided',
      },
    },
    grid: { shape: [16, 16, 16], spacing: [2, 2, 2], margin: 4 },
  };
  const { task, grid, window, contour } = preset;
  using old = new ResNet3D(preset.architecture.config as ResNet3D['config'], {
    device: cpu,
    seed: 3,
  });
  await saveNetwork(from, old, {
    preprocessing: { task, grid, window, contour },
    training: { preset, steps: 7, validation: { score: 0.3 } },
  });
  const run = (out: string) =>
    spawnSync(
      process.execPath,
      ['scripts/fit-inside.mjs', from, '6', '20', '240', '12', '4', out],
      { encoding: 'utf8' },
    );
  const made = run(to);
  tap.equal(made.status, 0, made.stderr);
  tap.match(made.stderr, /epoch 12 of 12, last loss \d/);
  run(again);
  tap.ok(readFileSync(to).equals(readFileSync(again)), 'the same arguments, the same bytes');
  const { network, metadata } = await loadNetwork(to, { device: cpu });
  tap.match(network.config, { inside: 6, hidden: 20, widths: [2, 2, 3, 4], geometry: 'strided' });
  tap.match(metadata.training, { steps: 7, head: { samples: 240, epochs: 12, seed: 4 } });
  tap.notOk('validation' in metadata.training, 'the old figure is not of this network');
  for (const [name, tensor] of old.tensors)
    if (!name.startsWith('head.'))
      sameBits(tap, await network.tensor(name).data(), await tensor.data(), name);
  // 34 numbers of a branch that begins as a histogram tell more than chance, stages of random weights or not.
  const net = network as ResNet3D;
  const sampler = phantomSampler(preset);
  let right = 0;
  for (let k = 0; k < 120; k++) {
    const found = scope(() => {
      const { image, target } = sampler.training(cpu, validationSeed(4, k));
      return ops.concatChannels([net.infer(image), ops.cast(ops.reshape(target, [1, 1]), 'f32')]);
    });
    const [a, b, c, truth] = (await found.data()) as unknown as [number, number, number, number];
    if ([a, b, c].indexOf(Math.max(a, b, c)) === truth) right++;
    found.dispose();
  }
  tap.ok(right > 0.6 * 120, `${right} of 120 right, a third by chance`);
  const image = scope(() => sampler.training(cpu, validationSeed(4, 500)).image);
  const [whole, parts] = scope(
    () => [net.forward(image), net.classify(net.pooled(image))] as const,
  );
  agrees(tap, await parts.data(), await whole.data(), 1e-6, 'pooled, then classified');
  network.dispose();
});
