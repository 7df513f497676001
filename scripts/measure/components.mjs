// The kidney network alone on samples like those of its training, half of them slabs: components that are no kidney, and what `belief` does to them.
import { argmax, connectedComponents } from '../../dist/ops/index.js';
import { scope } from '../../dist/scope.js';
import { download } from '../../dist/tensor.js';
import { kidneySample } from '../../dist/train/samples/kidney.js';
import { countOf } from './figures.mjs';

/** Smaller ones are crumbs, mL. */
const SMALLEST = 4;

/** Each component of one sample: its mL, whether it holds a voxel of a kidney, whether the file's `belief` keeps it. */
async function componentsOf(seed, device, { network, shape, spacing, window, belief }) {
  const { level, width } = window;
  const [logits, numbers, truth] = await scope(async () => {
    const { image, target } = kidneySample(device, seed, {
      grid: { shape, spacing },
      window: { low: level - width / 2, high: level + width / 2 },
    });
    const logits = network.infer(image);
    const { components } = connectedComponents(argmax(logits), { connectivity: 6 });
    return download([logits, components, target]);
  });
  const found = [];
  numbers.forEach((n, i) => {
    if (n === 0) return;
    found[n - 1] ??= { voxels: 0, sure: 0, kidney: false };
    const c = found[n - 1];
    c.voxels++;
    if (!belief || logits[2 * i + 1] - logits[2 * i] > belief.lead) c.sure++;
    if (truth[i] > 0) c.kidney = true;
  });
  const ml = spacing.reduce((a, b) => a * b, 1) / 1000;
  return found.map(({ voxels, sure, kidney }) => ({
    ...{ kidney, ml: voxels * ml },
    believed: sure >= (belief?.share ?? 0) * voxels,
  }));
}

/** @param seeds - of the samples, one each */
export async function measureComponents(seeds, { device, weights }) {
  const samples = [];
  for (const seed of seeds) samples.push(await componentsOf(seed, device, weights.kidney));
  const large = samples.map((list) => list.filter((c) => c.ml >= SMALLEST));
  const say = (what, keep) => console.log(`  ${what}: ${countOf(large, keep)}`);
  console.log(`  components of at least ${SMALLEST} mL; counts`);
  say('no voxel of a kidney, without belief', (c) => !c.kidney);
  say('no voxel of a kidney, with belief', (c) => !c.kidney && c.believed);
  say('of a kidney', (c) => c.kidney);
  say('of a kidney, dropped by belief', (c) => c.kidney && !c.believed);
  say('  larger than 30 mL', (c) => c.kidney && !c.believed && c.ml > 30);
}
