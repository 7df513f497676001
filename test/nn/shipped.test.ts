import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { device, scope } from 'renvox';
import { loadNetwork, parseSafetensors } from 'renvox/nn';
import { type Preset, presets } from 'renvox/train';
import t from 'tap';

for (const name of ['kidney', 'mass', 'class']) {
  t.test(`weights/${name}.safetensors`, async (tap) => {
    using d = device('cpu');
    const preset = presets[name] as Preset;
    const path = `weights/${name}.safetensors`;
    const bytes = readFileSync(path);
    tap.ok(bytes.length < 8e6, `${bytes.length} bytes`);
    for (const [tensor, { dtype }] of parseSafetensors(bytes).tensors)
      if (dtype !== 'f16') tap.fail(`${tensor} is ${dtype}`);
    const { network, metadata, sha256 } = await loadNetwork(path, { device: d });
    const { task, grid, window, contour } = preset;
    const { belief, ...preprocessing } = metadata.preprocessing;
    tap.same(preprocessing, { task, grid, window, ...(contour ? { contour } : {}) });
    tap.equal(belief !== undefined, name !== 'class', 'which components are believed');
    const made = metadata.training.preset as Preset;
    const apart = { seed: 0, steps: 0, loss: 0, optimiser: 0, schedule: 0, average: 0 };
    if (name === 'class') tap.same(made, preset, 'the preset of the package made these weights');
    else
      tap.same(
        { ...made, ...apart },
        { ...preset, ...apart, validation: made.validation, checkpoint: made.checkpoint },
        'the preset of the package, but for how the last part went on from earlier weights',
      );
    const shape = [1, ...grid.shape, preset.architecture.config.inputChannels ?? 1];
    const logits = scope(() => network.infer(d.full(shape, -1)));
    tap.ok((await logits.data()).every(Number.isFinite));
    network.dispose();

    tap.equal(sha256, createHash('sha256').update(bytes).digest('hex'));
    const card = readFileSync(`weights/${name}.md`, 'utf8');
    tap.match(card, /[Tt]rained on phantoms only/);
    tap.match(card, /not a medical device/i);
    tap.match(card, sha256, 'the card is of this file');
  });
}
