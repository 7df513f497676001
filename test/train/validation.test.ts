// Validation samples: kept within a budget, the same figures beyond it.
import { join } from 'node:path';
import { device, liveBytes } from 'renvox';
import { describeWeights, makeNetwork } from 'renvox/nn';
import { type Preset, type Sampler, train } from 'renvox/train';
import t from 'tap';
import { ValidationSet } from '#lib/train/validation.js';
import { toyClasses, toyPreset, toySampler } from './toy.js';

const d = device('cpu');
t.teardown(() => d.dispose());

t.test('what does not fit the budget is made anew and gives the same figures', async (tap) => {
  for (const base of [toyPreset, toyClasses]) {
    const preset: Preset = { ...base, validation: { every: 1, samples: 6 } };
    using network = makeNetwork(preset.architecture, { device: d, seed: 4 });
    const sampler = toySampler(preset);
    const made: number[] = [];
    const counting: Sampler = {
      ...sampler,
      validation(on, index) {
        made.push(index);
        return sampler.validation(on, index);
      },
    };
    const target = preset.task === 'class' ? 1 : 8 ** 3;
    const bytes = 4 * 8 ** 3 + target;
    // Packed weights stay with the network from its first use on.
    await new ValidationSet(preset, sampler, d, 0).evaluate(network);
    // All of them, two of them, none.
    const results: unknown[] = [];
    for (const kept of [6, 2, 0]) {
      await d.drain();
      const before = liveBytes();
      const set = new ValidationSet(preset, counting, d, kept * bytes + 1);
      results.push(await set.evaluate(network));
      await d.drain();
      const held = liveBytes() - before;
      tap.ok(held >= kept * bytes && held < (kept + 0.9) * bytes + 4096, `${held} bytes held`);
      made.length = 0;
      results.push(await set.evaluate(network));
      tap.same(made, [0, 1, 2, 3, 4, 5].slice(kept), `${kept} are kept`);
      set.dispose();
      await d.drain();
      tap.equal(liveBytes(), before, 'and given back');
    }
    for (const result of results) tap.same(result, results[0]);
  }
});

t.test('a class that no sample has does not decide', async (tap) => {
  // Three classes on balls whose voxels are of class 1 alone, or of none.
  const config = { inputChannels: 1, classes: 3, channels: [4, 6] };
  const preset: Preset = {
    ...toyPreset,
    architecture: { kind: 'unet3d', config },
    task: 'one-stage',
    loss: { dice: {} },
    steps: 24,
    stop: { patience: 2 },
    validation: { every: 2, samples: 3 },
    checkpoint: 12,
  };
  const sampler = toySampler(preset);
  const folder = tap.testdir();
  const told = await train(preset, { out: join(folder, 'told'), sampler, device: d });
  const { score, perClass } = told.validation;
  tap.same([perClass.length, perClass[1]], [2, null], 'no sample has a mass');
  tap.equal(score, perClass[0], 'the kidney decides');
  tap.ok((score ?? 0) > 0.1, `it is learnt: ${score}`);
  const stepsOf = async (file: string) => {
    const { training } = (await describeWeights(file)).metadata;
    return (training as { steps: number }).steps;
  };
  tap.ok((await stepsOf(told.best)) > 2, 'the best is not the first');

  const empty: Sampler = {
    ...sampler,
    validation(on, index) {
      const sample = sampler.validation(on, index);
      return { ...sample, target: on.full(sample.target.shape, 0, 'u8') };
    },
  };
  const blind = await train(preset, { out: join(folder, 'blind'), sampler: empty, device: d });
  tap.same(blind.validation, { score: null, perClass: [null, null] });
  tap.match(blind, { stoppedEarly: false, steps: 24 });
  tap.equal(await stepsOf(blind.best), 24, 'the newest is kept');
});
