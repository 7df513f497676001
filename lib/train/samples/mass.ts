/** Samples for the mass network: one kidney with its masses, and the mask that the kidney network would give. */
import type { Device } from '../../device.js';
import { acquire } from '../../ops/acquire.js';
import { instanceClasses } from '../../ops/instanceClasses.js';
import { raggedMask } from '../../ops/raggedMask.js';
import { drawAbdomen } from '../../phantom/abdomen.js';
import { planKidneys } from '../../phantom/anatomy/kidney-shape.js';
import type { MassClass, MassPlan } from '../../phantom/anatomy/masses.js';
import { Random } from '../../phantom/random.js';
import { renderAbdomen } from '../../phantom/render.js';
import { type Box, boxOf, type CropPlan, cropGridOf, joined } from './crop.js';
import { type Sample, sampleWindow } from './sample.js';

/** Labels until the mask is made, which is a range of them: of the kidney and what is seen of its masses, or of the pelvis too. */
const HIDDEN = 1;
const KIDNEY = 2;
const MASS = 3;
const PELVIS = 4;
/** What they are in the target: instanceClasses counts from the first. Beyond the last is background. */
const TARGETS = Uint8Array.of(1, 0, 1);

/**
 * How often a mass is not in the kidney network's mask at all. Of fat beside fat, on a grid of 6 mm, that network sees nothing: it had a third of the
 * AML's volume, and three quarters of the cysts', in phantoms of the cascade.
 */
const hiddenShare = { aml: 0.55, cystic: 0.2, solid: 0.15 } as const;

const enhanced = ['corticomedullary', 'nephrographic', 'excretory'] as const;

/** Masses of all sizes, more of them than patients have. */
export const trainingMasses: MassPlan = {
  counts: [0.3, 0.28, 0.2, 0.12, 0.06, 0.04],
  classes: [0.33, 0.36, 0.31],
  diameters: [4, 80],
};

/**
 * One kidney, the left one mirrored to look like a right one. The image has two channels: CT, and a mask of kidney and masses whose outline
 * errs by millimetres and leaves out whole masses, those of fat most of all. Target: 0 background, 1 kidney, 2 mass. Half have free HU, in which masses differ from the cortex by 30 HU at least.
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
  const unseen = r.stream('hidden masses');
  // Of the wanted side's masses, in their order.
  const hidden: boolean[] = [];
  const labelOf = (massClass: MassClass): number => {
    const here = unseen.chance(hiddenShare[massClass]);
    hidden.push(here);
    return here ? HIDDEN : MASS;
  };
  const abdomen = drawAbdomen(seed, {
    voxel: crop.step,
    free: r.chance(0.5),
    // Solid masses without contrast look like kidney; more than a few of them teach the network to see masses where there are none.
    phase: r.chance(0.12) ? 'unenhanced' : r.pick(enhanced),
    blobs: 6,
    masses: trainingMasses,
    labels: (s) =>
      s === side
        ? { kidney: KIDNEY, mass: labelOf, pelvis: PELVIS }
        : { kidney: 0, mass: () => 0, pelvis: 0 },
  });
  let box: Box | undefined;
  for (const kidney of abdomen.kidneys)
    if (kidney.side === side) box = boxOf(abdomen, kidney.centre, kidney.radii, kidney.axes);
  // The cascade cuts round the mask: what is not in it may stand out of the crop.
  for (const [i, mass] of abdomen.masses.filter((m) => m.side === side).entries())
    if (!hidden[i] && box) box = joined(box, boxOf(abdomen, mass.centre, mass.radii));
  const jitter = [r.normal(0, 3), r.normal(0, 3), r.normal(0, 3)];
  const moved = (x: number, k: number): number => x + (jitter[k] as number);
  const { low, high } = box as Box;
  const { grid, step } = cropGridOf(
    {
      low: low.map(moved) as unknown as Box['low'],
      high: high.map(moved) as unknown as Box['high'],
    },
    crop,
    side === 'left',
  );
  const drawn = renderAbdomen(device, abdomen, grid, cut(r, crop.shape[0]));
  // The wider the pelvis, the more often it is taken for kidney.
  const { hydronephrosis = 0 } = abdomen.kidneys.find((kidney) => kidney.side === side) ?? {};
  const pelvis = r.chance(0.15 + 0.5 * hydronephrosis);
  const mask = raggedMask(drawn.label, {
    labels: [KIDNEY, pelvis ? PELVIS : MASS],
    ...outlineOf(r, step),
    seed: r.bits(),
  });
  // Slices of a scan are often thicker than the voxels of the crop.
  const slice = r.pick([1, 1.5, 2.5, 3, 5]);
  const across = r.uniform(0.2, 0.6);
  const image = acquire(drawn.hu, {
    blur: [Math.max(0.2, (0.4 * slice) / step), across, across],
    noise: r.uniform(1, 25),
    noiseBlur: [(0.3 * slice) / step, 0.4, 0.4],
    seed: r.bits(),
    window,
    mask: { tensor: mask, use: 'channel' },
  });
  const targets = device.tensor(TARGETS);
  const target = instanceClasses(drawn.label, targets, HIDDEN);
  for (const t of [drawn.hu, drawn.instance, drawn.label, targets, mask]) t.dispose();
  return { image, target };
}

/**
 * How the outline of a kidney network errs, in voxels of `step` mm: a little; with the sinus closed, as on a coarse grid, a wide pelvis most
 * of all; or by millimetres in and out, into muscle and liver beside the kidney and away from masses that stand out.
 */
export function outlineOf(r: Random, step: number) {
  const [shift, ragged, scale, blur] = (
    {
      fine: [r.normal(0.2, 0.9), r.uniform(0, 1.5), r.uniform(6, 18), r.uniform(1.7, 4.5)],
      closed: [r.uniform(0.5, 3), r.uniform(0, 1.5), r.uniform(6, 18), r.uniform(5, 10)],
      coarse: [r.normal(0.5, 1.2), r.uniform(1, 4), r.uniform(8, 22), r.uniform(4, 8)],
    } as const
  )[r.pick(['fine', 'fine', 'closed', 'closed', 'coarse', 'coarse', 'coarse'] as const)];
  // As far as raggedMask goes; only voxels of less than a millimetre come to its limits.
  const most = (mm: number) => Math.min(10, Math.max(-10, mm / step));
  return { shift: most(shift), ragged: most(ragged), scale: scale / step, blur: most(blur) };
}

/** A third of the scans end within the kidney. */
function cut(r: Random, slices: number): [number, number] {
  if (!r.chance(1 / 3)) return [0, slices];
  const part = Math.round(r.uniform(0.1, 0.5) * slices);
  return r.chance(0.5) ? [part, slices] : [0, slices - part];
}
