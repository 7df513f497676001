// The kidney network alone on samples like those of its training, half of them slabs: components that are no kidney, and what `belief` does to them.
import { argmax, connectedComponents } from '../../dist/ops/index.js';
import { beliefAt } from '../../dist/pipeline/stages.js';
import { scope } from '../../dist/scope.js';
import { download } from '../../dist/tensor.js';
import { kidneySample } from '../../dist/train/samples/kidney.js';
import { countOf } from './figures.mjs';

/** Smaller ones are crumbs, mL. */
const SMALLEST = 4;

/** mm from head to foot of which a sample shows anything. */
function shownMm(image, [depth], [step]) {
  const slice = image.length / depth;
  const shows = (d) => image.subarray(d * slice, (d + 1) * slice).some((x) => x > -0.99);
  return Array.from({ length: depth }, (_, d) => +shows(d)).reduce((a, b) => a + b, 0) * step;
}

/** Each component of one sample: its mL, whether it holds a voxel of a kidney, whether the file's `belief` keeps it, whether the sample is a thin slab. */
async function componentsOf(seed, device, { network, shape, spacing, window, belief }) {
  const { level, width } = window;
  const [pixels, logits, numbers, truth] = await scope(async () => {
    const { image, target } = kidneySample(device, seed, {
      grid: { shape, spacing },
      window: { low: level - width / 2, high: level + width / 2 },
    });
    const logits = network.infer(image);
    const { components } = connectedComponents(argmax(logits), { connectivity: 6 });
    return download([image, logits, components, target]);
  });
  const rule = beliefAt(belief, shownMm(pixels, shape, spacing));
  const thin = rule !== belief;
  const found = [];
  numbers.forEach((n, i) => {
    if (n === 0) return;
    found[n - 1] ??= { voxels: 0, sure: 0, kidney: false };
    const c = found[n - 1];
    c.voxels++;
    if (!rule || logits[2 * i + 1] - logits[2 * i] > rule.lead) c.sure++;
    if (truth[i] > 0) c.kidney = true;
  });
  const ml = spacing.reduce((a, b) => a * b, 1) / 1000;
  return found.map(({ voxels, sure, kidney }) => ({
    ...{ kidney, thin, ml: voxels * ml },
    believed: sure >= (rule?.share ?? 0) * voxels,
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
  const { thin } = weights.kidney.belief ?? {};
  if (!thin) return;
  console.log(`  of these, in samples that show fewer than ${thin.below} mm`);
  say('no voxel of a kidney, without belief', (c) => c.thin && !c.kidney);
  say('no voxel of a kidney, with belief', (c) => c.thin && !c.kidney && c.believed);
  say('of a kidney', (c) => c.thin && c.kidney);
  say('of a kidney, dropped by belief', (c) => c.thin && c.kidney && !c.believed);
}
