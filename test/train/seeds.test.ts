import { createHash } from 'node:crypto';
import { device as open } from 'renvox';
import { type Preset, phantomSampler, presets } from 'renvox/train';
import t from 'tap';

// Cards of weights name the seeds of their samples, and a run that is resumed draws on: what a seed draws is never changed.
// The digests are those of the code that drew the samples of the shipped weights.
const digests = {
  kidney: '046a9f4698b3c9b0628afd8b25cae9210e61c22658f1e07480419726f6d7e1be',
  mass: '311b6b11ba7a39b98b01e37ae41358f29007b3f4c3de0f35d42f9350e40a97d4',
  class: '083b51774f0d9a807d061427d3b0cf132f6ff7bf3a091b1ce97bfe883f5a405b',
  'class-two-phases': 'a74a156bb1967bbb349b6726fab5349fa8893371fbc905dcbf43a9326188d07c',
};

/** 24 seeds, small and large ones. */
const seeds = Array.from({ length: 24 }, (_, i) => (i < 12 ? i : i * 7919 + 123456789));

for (const [name, digest] of Object.entries(digests))
  t.test(`the samples of ${name} are the bits that they have always been`, async (t) => {
    using device = open('cpu');
    const sampler = phantomSampler(presets[name] as Preset);
    const hash = createHash('sha256');
    for (const seed of seeds) {
      const sample = sampler.training(device, seed);
      for (const tensor of [sample.image, sample.target]) {
        const { buffer, byteOffset, byteLength } = await tensor.data();
        hash.update(new Uint8Array(buffer, byteOffset, byteLength));
        tensor.dispose();
      }
    }
    t.equal(hash.digest('hex'), digest);
  });
