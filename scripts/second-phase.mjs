// `node scripts/second-phase.mjs FROM.safetensors TO.safetensors`: the ResNet of a classifier's weights file with one image more, a second phase behind
// its first, to go on training from (`renvox train --init`). At first it computes what the old one does: the new channel's weights are 0, which
// training moves at once, since the image is not.
import { device } from '../dist/index.js';
import { loadNetwork, ResNet3D, saveNetwork } from '../dist/nn/index.js';
import { download } from '../dist/tensor.js';

const [from, to] = process.argv.slice(2);
const cpu = device('cpu');
const { network: old, metadata } = await loadNetwork(from, { device: cpu });
const before = old.config.inputChannels;
const network = new ResNet3D(
  { ...old.config, inputChannels: before + 1 },
  { device: cpu, seed: 0 },
);
const weights = new Map(old.tensors);
const [narrow, wide] = [old.tensors.get('conv1.weight'), network.tensors.get('conv1.weight')];
const [values] = await download([narrow]);
// [Cout, Cin, D, H, W]
const taps = narrow.shape.slice(2).reduce((a, b) => a * b, 1);
const into = new Float32Array(narrow.shape[0] * (before + 1) * taps);
for (let o = 0; o < narrow.shape[0]; o++)
  for (let c = 0; c < before; c++) {
    const at = (o * before + c) * taps;
    into.set(values.subarray(at, at + taps), (o * (before + 1) + (c === 0 ? 0 : c + 1)) * taps);
  }
weights.set('conv1.weight', cpu.tensor(into, { shape: [...wide.shape] }));
network.load(weights);
await saveNetwork(to, network, {
  preprocessing: metadata.preprocessing,
  training: { secondPhase: { from: metadata.training } },
});
cpu.dispose();
