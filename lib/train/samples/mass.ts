/** Samples for the mass network: one kidney with its masses, and the mask that the kidney network would give. */
import type { Device } from '../../device.js';
import { instanceClasses } from '../../ops/instanceClasses.js';
import { drawAbdomen } from '../../phantom/abdomen.js';
import { planKidneys } from '../../phantom/anatomy/kidney-shape.js';
import type { MassPlan } from '../../phantom/anatomy/masses.js';
import { Random } from '../../phantom/random.js';
import type { CropPlan } from './crop.js';
import { kidneyView, ViewLabel, ViewLabels } from './kidney-view.js';
import { type Sample, sampleWindow } from './sample.js';

const enhanced = ['corticomedullary', 'nephrographic', 'excretory'] as const;

/** 2, 1 and 2 for hidden masses, kidney and other masses: instanceClasses counts from the first. The pelvis, beyond them, is background. */
const TARGETS = Uint8Array.of(1, 0, 1);

/** Masses of all sizes, more of them than patients have. */
export const trainingMasses: MassPlan = {
  counts: [0.3, 0.28, 0.2, 0.12, 0.06, 0.04],
  classes: [0.33, 0.36, 0.31],
  diameters: [4, 80],
};

/**
 * One kidney, the left one mirrored to look like a right one. The image has two channels: CT, and a mask of kidney and masses whose outline
 * errs by millimetres and leaves out whole masses, those of fat most of all. Target: 0 background, 1 kidney, 2 mass. Half have free HU, in which
 * masses differ from the cortex by 30 HU at least.
 */
export function massSample(
  device: Device,
  seed: number,
  crop: CropPlan,
  window: { low: number; high: number } = sampleWindow,
): Sample {
  const r = new Random(seed, 'mass sample');
  const wanted = r.pick(['left', 'right'] as const);
  const sides = planKidneys(new Random(seed)).map((kidney) => kidney.side);
  // Where the wanted kidney is missing, the other one is drawn.
  const side = sides.includes(wanted) ? wanted : (sides[0] as 'left' | 'right');
  const labels = new ViewLabels(r.stream('hidden masses'));
  const abdomen = drawAbdomen(seed, {
    voxel: crop.step,
    free: r.chance(0.5),
    // Solid masses without contrast look like kidney; more than a few of them teach the network to see masses where there are none.
    phase: r.chance(0.12) ? 'unenhanced' : r.pick(enhanced),
    blobs: 6,
    masses: trainingMasses,
    labels: (s) => (s === side ? labels.of(s) : { kidney: 0, mass: () => 0, pelvis: 0 }),
  });
  const { image, label } = kidneyView(device, abdomen, side, {
    ...{ random: r, crop, window, hidden: labels.hidden(side) },
    slices: (r) => cut(r, crop.shape[0]),
    acquisition: (r) => ({
      slice: r.pick([1, 1.5, 2.5, 3, 5]),
      across: r.uniform(0.2, 0.6),
      noise: r.uniform(1, 25),
    }),
  });
  const targets = device.tensor(TARGETS);
  const target = instanceClasses(label, targets, ViewLabel.hidden);
  label.dispose();
  targets.dispose();
  return { image, target };
}

/** A third of the scans end within the kidney. */
function cut(r: Random, slices: number): [number, number] {
  if (!r.chance(1 / 3)) return [0, slices];
  const part = Math.round(r.uniform(0.1, 0.5) * slices);
  return r.chance(0.5) ? [part, slices] : [0, slices - part];
}
