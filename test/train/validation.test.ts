// Validation samples: kept within a budget, the same figures beyond it.
import { device, liveBytes } from 'renvox';
import { makeNetwork } from 'renvox/nn';
import type { Preset, Sampler } from 'renvox/train';
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
