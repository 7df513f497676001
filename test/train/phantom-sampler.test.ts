import { device, scope } from 'renvox';
import { type Preset, phantomSampler, presets, trainingSeed, validationSeed } from 'renvox/train';
import t from 'tap';
import { sameBits } from '../ops/harness.js';

t.test('samples fit the preset and depend on the seed alone', async (tap) => {
  using d = device('cpu');
  for (const name of ['kidney', 'mass', 'class']) {
    const preset = presets[name] as Preset;
    const { grid, architecture, seed } = preset;
    const sampler = phantomSampler(preset);
    await scope(async () => {
      const sample = sampler.training(d, trainingSeed(seed, 3, 0, preset.batch));
      const again = sampler.training(d, trainingSeed(seed, 3, 0, preset.batch));
      const held = sampler.validation(d, 0);
      const channels = architecture.config.inputChannels ?? 1;
      tap.same(sample.image.shape, [1, ...grid.shape, channels], name);
      tap.same(sample.target.shape, name === 'class' ? [1] : [1, ...grid.shape]);
      const values = await sample.image.data();
      sameBits(tap, values, await again.image.data(), `${name}, the same seed`);
      const other = await held.image.data();
      tap.ok(
        values.some((v, i) => v !== other[i]),
        'validation sees others',
      );
      const labels = await sample.target.data();
      tap.ok(labels.every((v) => v < architecture.config.classes));
    });
  }
});

t.test('seeds of training and validation never meet', async (tap) => {
  const { seed, steps, batch } = presets.class as Preset;
  const last = trainingSeed(seed, steps - 1, batch - 1, batch);
  tap.ok(last < validationSeed(seed, 0));
  tap.ok(validationSeed(seed, 1e6) < trainingSeed(seed + 1, 0, 0, batch));
  // The last seed of the largest run is a whole number, which the one beside it is not.
  const largest = 9_007_198;
  tap.ok(Number.isSafeInteger(validationSeed(largest, 5e8 - 1)));
  tap.equal(trainingSeed(largest, 0, 1, 4) - trainingSeed(largest, 0, 0, 4), 1);
  for (const beyond of [() => trainingSeed(largest + 1, 0, 0, 4), () => validationSeed(2e7, 0)])
    tap.throws(beyond, {
      code: 'InvalidArgument',
      message: /from 0 to 9007198 for parameter seed/,
    });
});

t.test('another scale or other channels are refused', async (tap) => {
  const kidney = presets.kidney as Preset;
  const window = { level: 30, width: 300, low: 0, high: 1 };
  tap.throws(() => phantomSampler({ ...kidney, window }), {
    code: 'InvalidArgument',
    message: /as -1 to 1; the preset kidney wants it as 0 to 1/,
  });
  const config = { inputChannels: 2, classes: 2, channels: [4, 8] };
  const architecture = { kind: 'unet3d', config } as Preset['architecture'];
  tap.throws(() => phantomSampler({ ...kidney, architecture }), { message: /have one phase/ });
});
