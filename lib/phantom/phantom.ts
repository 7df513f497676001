/** A whole CT of a phantom, with its truth. */
import { type Device, defaultDevice } from '../device.js';
import { invalidArgument } from '../errors.js';
import { acquire } from '../ops/acquire.js';
import { scope } from '../scope.js';
import { download } from '../tensor.js';
import { fixedGrid, type Grid, type Volume, volumeOnGrid } from '../volume/index.js';
import { type Abdomen, drawAbdomen, ownPhase } from './abdomen.js';
import { type MassPlan, usualMasses } from './anatomy/masses.js';
import { toPatient } from './deformation.js';
import { type Phase, phases } from './palette.js';
import { Random } from './random.js';
import { renderAbdomen } from './render.js';
import { measureTruth, type Truth } from './truth.js';

/** How {@link phantom} draws. */
export interface PhantomOptions {
  /** By default the one that functions share. */
  device?: Device;
  /** Where the voxels lie, LPS mm; by default drawn: slices of 1-5 mm, 192-256 pixels across, kidneys in view. */
  grid?: Grid;
  /** By default one of the four, equally often. The patient of a seed is the same in all of them, and lies on the same grid; the noise differs. */
  phase?: Phase;
  /** Sinus fat, pelvis and hilar vessels belong to the kidney's label, as in the renal study. Default false. */
  sinus?: boolean;
  /** Draws what training draws: any HU for the soft tissues, blobs, stronger deformation. Default false. */
  training?: boolean;
  /** How many masses, which classes and sizes. */
  masses?: MassPlan;
}

/** A CT whose contents are known. */
export interface Phantom extends Truth {
  readonly seed: number;
  readonly phase: Phase;
  /** int16 HU. */
  readonly ct: Volume;
  /** uint8: 0 none, 1 left kidney, 2 right kidney, 3 AML, 4 cystic, 5 solid. */
  readonly labels: Volume;
  /** uint8: the mass's id. */
  readonly instances: Volume;
  /** Volume affine of all three: index (w, h, d) to RAS mm, 4x4 row-major. */
  readonly affine: readonly number[];
}

/**
 * Makes the phantom of a seed: the same seed and options give the same voxels on every machine.
 * @param seed a non-negative integer
 * @throws RenvoxError InvalidArgument, OutOfMemory
 */
export async function phantom(seed: number, options: PhantomOptions = {}): Promise<Phantom> {
  if (!Number.isSafeInteger(seed) || seed < 0)
    throw invalidArgument('seed', 'a non-negative integer', seed);
  if (options.phase !== undefined && !phases.includes(options.phase))
    throw invalidArgument('phase', `one of ${phases.join(', ')}`, options.phase);
  const { device = defaultDevice(), training = false, sinus = false } = options;
  const r = new Random(seed, 'acquisition');
  const abdomen = drawAbdomen(seed, {
    voxel: 1,
    phase: options.phase,
    free: training && r.stream('free').chance(0.5),
    blobs: training ? 14 : 0,
    sinus,
    masses: options.masses ?? usualMasses,
    variation: training ? 1 : 0.6,
  });
  const grid = options.grid ?? clinicalGrid(r.stream('field of view'), abdomen);
  const [hu, label, instance] = await scope(() => {
    const drawn = renderAbdomen(device, abdomen, grid);
    const blur = r.uniform(0.35, 0.7);
    const image = acquire(drawn.hu, {
      blur: [r.uniform(0.2, 0.45), blur, blur],
      noise: r.logUniform(training ? 1 : 5, training ? 25 : 20),
      noiseBlur: [r.uniform(0, 0.4), blur, blur],
      seed: noiseSeed(r, abdomen.palette.phase),
    });
    return download([image, drawn.label, drawn.instance]);
  });
  const ct = volumeOnGrid(hounsfield(hu as Float32Array), grid);
  return {
    ...{ seed, phase: abdomen.palette.phase, ct, affine: ct.affine },
    labels: volumeOnGrid(label as Uint8Array, grid),
    instances: volumeOnGrid(instance as Uint8Array, grid),
    ...measureTruth(label as Uint8Array, instance as Uint8Array, grid, abdomen.masses),
  };
}

/** Of each phase of a patient its own: two scans never share their noise. */
function noiseSeed(r: Random, phase: Phase): number {
  const bits = r.bits();
  return phase === ownPhase(r) ? bits : (bits ^ new Random(r.seed, `noise ${phase}`).bits()) >>> 0;
}

/** Slices and pixels as scanners make them, but few enough pixels to keep files small; the kidneys lie in it. */
function clinicalGrid(r: Random, abdomen: Abdomen): Grid {
  const slice = r.pick([1.5, 2, 2.5, 3, 4, 5]);
  const scale = 1 / abdomen.pose.rate;
  // The whole width of the body, and air or not at the sides.
  const width = 2 * abdomen.halfWidth * scale * r.uniform(1.03, 1.2);
  const across = r.pick([192, 224, 256].filter((n) => width / n < 1.5)) ?? 288;
  const pixel = width / across;
  const height = r.uniform(210, 300);
  const [x, y, z] = toPatient(abdomen.pose, [0, abdomen.middle, 0]);
  return fixedGrid({
    shape: [Math.round(height / slice), across, across],
    spacing: [slice, pixel, pixel],
    centre: [x + r.normal(0, 5), y + r.normal(0, 5), z + r.uniform(-10, 30)],
  });
}

function hounsfield(values: Float32Array): Int16Array {
  const hu = new Int16Array(values.length);
  for (let i = 0; i < hu.length; i++)
    hu[i] = Math.min(3071, Math.max(-1024, Math.round(values[i] as number)));
  return hu;
}
