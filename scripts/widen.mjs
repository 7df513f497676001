// `node scripts/widen.mjs FROM.safetensors CHANNELS SEED TO.safetensors`: the U-Net of a weights file with more channels a level (comma-separated),
// to go on training from (`renvox train --init`). At first it computes what the narrow one does: the old channels see nothing of the new ones,
// whose own weights are random (Net2Net, Chen et al. 2016, arXiv 1511.05641, with zeros instead of copies, which would stay alike).
import { device } from '../dist/index.js';
import { loadNetwork, saveNetwork, UNet3D } from '../dist/nn/index.js';
import { download } from '../dist/tensor.js';

const [from, list, seed, to] = process.argv.slice(2);
const cpu = device('cpu');
const { network: narrow, metadata } = await loadNetwork(from, { device: cpu });
const config = { ...narrow.config, channels: list.split(',').map(Number) };
const wide = new UNet3D(config, { device: cpu, seed: Number(seed) });

/** Where the channels that one tensor has begin in the other: the decoder's input is two sources, up first. */
const sources = (name, old, now) => {
  const level = /^decoder\.(\d+)\.0\.conv\.weight$/.exec(name)?.[1];
  if (level === undefined) return [{ old: 0, now: 0, length: old }];
  return [
    { old: 0, now: 0, length: old / 2 },
    { old: old / 2, now: now / 2, length: old / 2 },
  ];
};

const weights = new Map();
for (const [name, before] of narrow.tensors) {
  const after = wide.tensors.get(name);
  const [a, b] = await download([before, after]);
  // A transposed convolution's weight is [Cin, Cout, ...], every other [Cout, Cin, ...], or [C].
  const transposed = name.startsWith('up.') && before.shape.length > 1;
  const [rows, columns] = before.shape.length > 1 ? before.shape : [before.shape[0], 1];
  const [wideRows, wideColumns] = after.shape.length > 1 ? after.shape : [after.shape[0], 1];
  const taps = before.shape.slice(2).reduce((x, y) => x * y, 1);
  const at = (r, c) => (r * wideColumns + c) * taps;
  const outputs = transposed ? columns : rows;
  // No old output sees a new input.
  for (let r = 0; r < wideRows; r++)
    for (let c = 0; c < wideColumns; c++)
      if ((transposed ? c : r) < outputs && after.shape.length > 1)
        b.fill(0, at(r, c), at(r, c) + taps);
  const inputs = transposed
    ? [{ old: 0, now: 0, length: rows }]
    : sources(name, columns, wideColumns);
  for (let o = 0; o < outputs; o++)
    for (const { old, now, length } of inputs)
      for (let i = 0; i < length; i++) {
        const [r, c] = transposed ? [old + i, o] : [o, old + i];
        const place = transposed ? at(now + i, o) : at(o, now + i);
        b.set(a.subarray((r * columns + c) * taps, (r * columns + c + 1) * taps), place);
      }
  weights.set(name, cpu.tensor(b, { shape: [...after.shape] }));
}
wide.load(weights);
await saveNetwork(to, wide, {
  preprocessing: metadata.preprocessing,
  training: { widened: { from: metadata.training, channels: config.channels, seed: Number(seed) } },
});
cpu.dispose();
