// scripts/widen.mjs: a U-Net with more channels a level that at first computes what the narrow one does.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { device, ops, type Tensor } from 'renvox';
import { loadNetwork, saveNetwork, UNet3D, type UNet3DConfig } from 'renvox/nn';
import t from 'tap';
import { agrees } from '../ops/harness.js';

const cases: [string, UNet3DConfig, number[]][] = [
  [
    'instance norm, biases',
    {
      inputChannels: 2,
      classes: 3,
      channels: [4, 6, 10],
      convolutions: { encoder: 2, decoder: 1 },
    },
    [6, 11, 16],
  ],
  [
    'batch norm, no biases, one level as it was',
    {
      ...{ inputChannels: 1, classes: 2, channels: [5, 4, 7], norm: 'batch' },
      ...{ convolutions: { encoder: 1, decoder: 2 }, convolutionBias: false },
    },
    [5, 9, 8],
  ],
];

for (const [name, config, channels] of cases)
  t.test(name, async (tap) => {
    using cpu = device('cpu');
    const folder = tap.testdir();
    const [from, to] = [join(folder, 'narrow.safetensors'), join(folder, 'wide.safetensors')];
    using narrow = new UNet3D(config, { device: cpu, seed: 1 });
    // A fresh network's norms and biases are the identity; these are not.
    narrow.load(
      new Map(
        [...narrow.tensors].map(([name, tensor], stream): [string, Tensor] => {
          if (!/norm|bias|running/.test(name)) return [name, tensor];
          const base = /norm\.weight|var/.test(name) ? 1 : 0;
          const range = { low: base - 0.5, high: base + 0.5 };
          return [name, ops.randomUniform(cpu, { shape: tensor.shape, seed: 2, stream, ...range })];
        }),
      ),
    );
    const metadata = { preprocessing: { task: 'kidney' }, training: { steps: 7 } };
    await saveNetwork(from, narrow, metadata);
    const script = ['scripts/widen.mjs', from, channels.join(','), '3', to];
    const { status, stderr } = spawnSync(process.execPath, script, { encoding: 'utf8' });
    tap.equal(status, 0, stderr);

    const { network, metadata: read } = await loadNetwork(to, { device: cpu });
    using wide = network as UNet3D;
    tap.same(wide.config, { ...narrow.config, channels });
    tap.same(read.preprocessing, metadata.preprocessing);
    tap.same(read.training, { widened: { from: metadata.training, channels, seed: 3 } });
    using x = ops.randomNormal(cpu, { shape: [2, 8, 12, 4, config.inputChannels], seed: 5 });
    using logits = wide.infer(x, { precision: 'fp32' });
    using expected = narrow.infer(x, { precision: 'fp32' });
    agrees(tap, await logits.data(), await expected.data(), 2e-6, 'logits');

    // What is new has something to learn with: zeros would stay alike.
    const level = channels.findIndex((count, i) => count > (config.channels[i] as number));
    const values = await wide.tensor(`encoder.${level}.0.conv.weight`).data();
    const perChannel = values.length / (channels[level] as number);
    const added = values.slice(perChannel * (config.channels[level] as number));
    tap.ok(added.length > 0 && added.every((v) => v !== 0), 'new channels have weights');
  });
