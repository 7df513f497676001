/** Samples for the kidney network: a phantom drawn straight on the network's grid. */
import type { Device } from '../../device.js';
import { acquire } from '../../ops/acquire.js';
import { type Abdomen, drawAbdomen } from '../../phantom/abdomen.js';
import { toPatient } from '../../phantom/deformation.js';
import { Random } from '../../phantom/random.js';
import { renderAbdomen } from '../../phantom/render.js';
import { fixedGrid } from '../../volume/index.js';
import { trainingMasses } from './mass.js';
import { type Sample, type SampleGrid, sampleWindow, voxelOf } from './sample.js';

/** What a {@link kidneySample} shows, and how. */
export interface KidneySampleOptions {
  grid: SampleGrid;
  /** HU that become -1 and 1. */
  window?: { low: number; high: number };
  /**
   * `kidney`: 1 is a kidney with its masses. `masses`: 1 kidney, 2 mass. `sides`: 1 left kidney, 2 right kidney, 3 mass; both with the
   * masses that the mass network learns from. Default `kidney`.
   */
  classes?: 'kidney' | 'masses' | 'sides';
}

const labels = {
  kidney: () => ({ kidney: 1, mass: () => 1 }),
  masses: () => ({ kidney: 1, mass: () => 2 }),
  sides: (side: 'left' | 'right') => ({ kidney: side === 'left' ? 1 : 2, mass: () => 3 }),
};

/**
 * A phantom and where its kidneys are. Half have free HU. The caller disposes both tensors (or has a scope).
 * Axes run along the patient's: D to the head, H to the back, W to the left.
 */
export function kidneySample(device: Device, seed: number, options: KidneySampleOptions): Sample {
  const { grid, window = sampleWindow, classes = 'kidney' } = options;
  const r = new Random(seed, 'kidney sample');
  const abdomen = drawAbdomen(seed, {
    voxel: voxelOf(grid),
    free: r.chance(0.5),
    blobs: 14,
    labels: labels[classes],
    ...(classes === 'kidney' ? {} : { masses: trainingMasses }),
  });
  const slab = r.chance(0.5);
  const view = slab ? slabView(r, abdomen, grid) : fieldOfView(r, abdomen, grid);
  const slices = slab ? slabSlices(r, grid) : cut(r, grid.shape[0]);
  const drawn = renderAbdomen(device, abdomen, view, slices);
  const blur = r.uniform(0.25, 0.8);
  const image = acquire(drawn.hu, {
    blur: [blur, blur * r.uniform(0.7, 1), blur * r.uniform(0.7, 1)],
    noise: r.uniform(1, 25),
    noiseBlur: r.chance(0.5) ? [0, 0, 0] : [0.4, 0.4, 0.4],
    seed: r.bits(),
    window,
  });
  drawn.hu.dispose();
  drawn.instance.dispose();
  return { image, target: drawn.label };
}

/** A grid with the kidneys anywhere in it, and now and then not at all. */
function fieldOfView(r: Random, abdomen: Abdomen, { shape, spacing }: SampleGrid) {
  const height = shape[0] * spacing[0];
  const [x, y, z] = toPatient(abdomen.pose, [0, abdomen.middle, 0]);
  // Top of the field 40-175 mm above the kidneys, for a field of 240 mm.
  let lift = r.uniform(40, 175) - height / 2;
  // Scans of the chest or of the pelvis.
  if (r.chance(0.06)) lift = r.pick([-1, 1]) * r.uniform(190, 260);
  return fixedGrid({
    shape,
    spacing,
    centre: [x + r.normal(0, 14), y + r.normal(0, 14), z + lift],
  });
}

/**
 * A scan of few slices anywhere between chest and pelvis, half of them between the kidneys and the diaphragm, which may hold a piece of kidney or
 * none: without them, a network finds kidneys in the liver and spleen of a scan that ends above them.
 */
function slabView(r: Random, abdomen: Abdomen, { shape, spacing }: SampleGrid) {
  const [x, y, z] = toPatient(abdomen.pose, [0, abdomen.middle, 0]);
  const level = r.chance(0.5) ? r.uniform(-200, 260) : r.uniform(30, 180);
  return fixedGrid({
    shape,
    spacing,
    centre: [x + r.normal(0, 14), y + r.normal(0, 14), z + level],
  });
}

/** The slab's slices, 12 to 110 mm in the middle of the field. */
function slabSlices(r: Random, { shape, spacing }: SampleGrid): [number, number] {
  const thickness = Math.min(shape[0], Math.round(r.logUniform(12, 110) / spacing[0]));
  const from = Math.floor((shape[0] - thickness) / 2);
  return [from, from + thickness];
}

/** Which slices a whole scan has: mostly all, else a part, down to 60 mm of a field of 240. */
function cut(r: Random, slices: number): [number, number] {
  if (!r.chance(0.25)) return [0, slices];
  const [below, above] = r.pick([
    [1, 0],
    [0, 1],
    [1, 1],
  ] as const);
  const most = below && above ? 0.36 : 0.6;
  return [
    Math.round(below * r.uniform(0, most) * slices),
    slices - Math.round(above * r.uniform(0, most) * slices),
  ];
}
