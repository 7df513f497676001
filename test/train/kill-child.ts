// A training run that kill.test.ts starts, kills and starts again: node kill-child.js FOLDER STEPS SEED
import { device } from 'renvox';
import { train } from 'renvox/train';
import { toyPreset, toySampler } from './toy.js';

const [out = '', steps, seed] = process.argv.slice(2);
const preset = {
  ...toyPreset,
  ...{ steps: Number(steps), seed: Number(seed), checkpoint: 7 },
  validation: { every: 10, samples: 1 },
};
const d = device('cpu');
await train(preset, {
  ...{ out, sampler: toySampler(preset), device: d, resume: true },
  onProgress: ({ done }) => process.stdout.write(`${done}\n`),
});
d.dispose();
