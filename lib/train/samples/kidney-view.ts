/** What the mass network sees of a phantom's kidney: a crop of the CT, the left side mirrored, and beside it the mask that a kidney network would give. */
import type { Device } from '../../device.js';
import { acquire } from '../../ops/acquire.js';
import { raggedMask } from '../../ops/raggedMask.js';
import type { Abdomen, SideLabels } from '../../phantom/abdomen.js';
import type { MassClass } from '../../phantom/anatomy/masses.js';
import type { Random } from '../../phantom/random.js';
import { renderAbdomen } from '../../phantom/render.js';
import type { Tensor } from '../../tensor.js';
import type { Grid } from '../../volume/index.js';
import { type Box, boxOf, type CropPlan, cropGridOf, joined } from './crop.js';

type Side = 'left' | 'right';

/** Labels of a kidney that is drawn for a view: the mask is a range of them, of the kidney and what is seen of its masses, or of the pelvis too. */
export const ViewLabel = { hidden: 1, kidney: 2, mass: 3, pelvis: 4 } as const;

/**
 * How often a mass is not in the kidney network's mask at all. Of fat beside fat, on a grid of 6 mm, that network sees nothing: it had a third of the
 * AML's volume, and three quarters of the cysts', in phantoms of the cascade.
 */
const hiddenShare = { aml: 0.55, cystic: 0.2, solid: 0.15 } as const;

/** Labels of the kidneys of some sides, and which of their masses are hidden, in the order in which they are drawn. */
export class ViewLabels {
  readonly #random: Random;
  readonly #hidden: Record<Side, boolean[]> = { left: [], right: [] };

  constructor(random: Random) {
    this.#random = random;
  }

  of(side: Side): SideLabels {
    const mass = (massClass: MassClass): number => {
      const hidden = this.#random.chance(hiddenShare[massClass]);
      this.#hidden[side].push(hidden);
      return hidden ? ViewLabel.hidden : ViewLabel.mass;
    };
    return { kidney: ViewLabel.kidney, mass, pelvis: ViewLabel.pelvis };
  }

  hidden(side: Side): readonly boolean[] {
    return this.#hidden[side];
  }
}

/** How a scan is taken. */
export interface Acquisition {
  /** mm: slices of a scan are often thicker than the voxels of the crop. */
  slice: number;
  /** SD of the blur within a slice, voxels. */
  across: number;
  /** SD, HU. */
  noise: number;
}

/** @returns `image` f32 [1, D, H, W, 2] and `label` u8 [1, D, H, W] of {@link ViewLabel}, on `grid`; the caller disposes them */
export function kidneyView(
  device: Device,
  abdomen: Abdomen,
  side: Side,
  options: {
    random: Random;
    crop: CropPlan;
    window: { low: number; high: number };
    hidden: readonly boolean[];
    /** Slices that the scan has. */
    slices?: (r: Random) => [number, number];
    acquisition: (r: Random) => Acquisition;
  },
): { image: Tensor; label: Tensor; grid: Grid } {
  const { random: r, window } = options;
  const { grid, step } = viewGrid(abdomen, side, r, options);
  const drawn = renderAbdomen(device, abdomen, grid, options.slices?.(r));
  // The wider the pelvis, the more often it is taken for kidney.
  const { hydronephrosis = 0 } = abdomen.kidneys.find((kidney) => kidney.side === side) ?? {};
  const pelvis = r.chance(0.15 + 0.5 * hydronephrosis);
  const mask = raggedMask(drawn.label, {
    labels: [ViewLabel.kidney, pelvis ? ViewLabel.pelvis : ViewLabel.mass],
    ...outlineOf(r, step),
    seed: r.bits(),
  });
  const { slice, across, noise } = options.acquisition(r);
  const image = acquire(drawn.hu, {
    blur: [Math.max(0.2, (0.4 * slice) / step), across, across],
    noise,
    noiseBlur: [(0.3 * slice) / step, 0.4, 0.4],
    seed: r.bits(),
    window,
    mask: { tensor: mask, use: 'channel' },
  });
  for (const t of [drawn.hu, drawn.instance, mask]) t.dispose();
  return { image, label: drawn.label, grid };
}

/** The cascade cuts round the mask: what is not in it may stand out of the crop. */
function viewGrid(
  abdomen: Abdomen,
  side: Side,
  r: Random,
  { crop, hidden }: { crop: CropPlan; hidden: readonly boolean[] },
): { grid: Grid; step: number } {
  let box: Box | undefined;
  for (const kidney of abdomen.kidneys)
    if (kidney.side === side) box = boxOf(abdomen, kidney.centre, kidney.radii, kidney.axes);
  for (const [i, mass] of abdomen.masses.filter((m) => m.side === side).entries())
    if (!hidden[i] && box) box = joined(box, boxOf(abdomen, mass.centre, mass.radii));
  const jitter = [r.normal(0, 3), r.normal(0, 3), r.normal(0, 3)];
  const moved = (x: number, k: number): number => x + (jitter[k] as number);
  const { low, high } = box as Box;
  return cropGridOf(
    {
      low: low.map(moved) as unknown as Box['low'],
      high: high.map(moved) as unknown as Box['high'],
    },
    crop,
    side === 'left',
  );
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
