/** Samples for the classifier: a mass and a contour of it that errs a little, everything else removed or the mask beside it. */
import type { Device } from '../../device.js';
import { acquire } from '../../ops/acquire.js';
import { maskOutside } from '../../ops/maskOutside.js';
import { raggedMask } from '../../ops/raggedMask.js';
import { drawAbdomen } from '../../phantom/abdomen.js';
import {
  type MassClass,
  type MassKind,
  type MassPlan,
  massClasses,
} from '../../phantom/anatomy/masses.js';
import { type Phase, phases } from '../../phantom/palette.js';
import { Random } from '../../phantom/random.js';
import { renderAbdomen } from '../../phantom/render.js';
import { plus } from '../../phantom/vector.js';
import { besideMask } from '../../pipeline/mask-channel.js';
import type { Contour, SecondImage } from '../../pipeline/networks.js';
import { asChannels } from '../../pipeline/second-image.js';
import { scope } from '../../scope.js';
import type { Tensor } from '../../tensor.js';
import { breathed } from './breath.js';
import { boxOf, type CropPlan, cropGridOf } from './crop.js';
import { contourFound, type MassFinder } from './found-contour.js';
import { ViewLabels } from './kidney-view.js';
import { sampleWindow } from './sample.js';

export interface ClassSample {
  /**
   * f32 [1, s, s, s, 1], HU of the window as -1..1, -1 outside of the contour; with the contour as a channel [1, s, s, s, 2], the mask second; with two
   * phases one channel more, the second phase behind the first. The caller disposes it, or has a scope.
   */
  image: Tensor;
  /** 0 aml, 1 cystic, 2 solid. */
  class: number;
  className: MassClass;
  kind: MassKind;
  /** Mean of the mass's three diameters, as drawn. */
  diameterMm: number;
  /** Whether the contour errs by millimetres. */
  rough: boolean;
  /** Whether a mass network drew it, or was asked to. */
  found: boolean;
  /** Of the image, and of the second one where there are two. */
  phases: readonly Phase[];
}

/** How {@link classSample} shows the mass. */
export interface ClassView {
  /** HU; default {@link sampleWindow}. */
  window?: { low: number; high: number } | undefined;
  /** Default cut. */
  contour?: Contour | undefined;
  /** Draws the contours in its share of the samples. */
  finder?: MassFinder | undefined;
  /** Images of the mass, each in another contrast phase: 1, the default, or 2. */
  phases?: 1 | 2 | undefined;
  /** Default image. */
  secondImage?: SecondImage | undefined;
  /** Default usual. */
  kinds?: MassPlan['kinds'] | undefined;
}

/**
 * How a contour errs, in voxels of `step` mm: a little, as a person's; or by millimetres, as those of a mass network on a grid of 2 mm. Never so far in
 * that a small mass is lost.
 */
function contourOf(r: Random, radius: number, step: number, rough: boolean) {
  const [shift, ragged, scale] = rough
    ? [r.normal(0, 1.6, -4, 4), r.uniform(0.15, 0.5) * Math.min(5, radius), r.uniform(4, 10)]
    : [r.uniform(-1.2, 1.4), r.uniform(0, 0.25) * Math.min(2.5, radius), 4];
  const inward = Math.max(shift, -(rough ? 0.35 : 0.3) * (radius - 0.8)) / step;
  return {
    shift: inward,
    ragged: ragged / step,
    scale: Math.max(2, scale / step),
    blur: Math.min(rough ? 4 : 2, Math.max(0.5, (0.25 * radius) / step, Math.abs(inward))),
  };
}

/** Share of the second phases in whose field of view the mass does not lie: the cascade fills them with the window's bottom. */
const outsideShare = 0.06;

/**
 * A mass with real HU, and a contour of it that errs, or with a `finder` in its share of the samples the one that the mass network draws. Classes and phases follow the seed, so that twelve seeds in a row hold each pair once. A second phase is any of the
 * others, of the same patient in another breath, with noise of its own.
 */
export function classSample(
  device: Device,
  seed: number,
  crop: CropPlan,
  view: ClassView = {},
): ClassSample {
  const { window = sampleWindow, contour = 'cut', finder, phases: count = 1 } = view;
  const { secondImage = 'image', kinds = 'usual' } = view;
  const r = new Random(seed, 'class sample');
  const wanted = seed % 3;
  const drawIn = (phase: Phase, labels: ViewLabels) =>
    drawAbdomen(seed, {
      voxel: crop.step,
      phase,
      masses: {
        counts: [0, 0.7, 0.3],
        classes: [+(wanted === 0), +(wanted === 1), +(wanted === 2)],
        diameters: [4, 80],
        kinds,
      },
      variation: 0.8,
      labels: (side) => labels.of(side),
    });
  const viewLabels = () => new ViewLabels(r.stream('hidden masses'));
  const labels = viewLabels();
  const phase = phases[Math.floor(seed / 3) % 4] as Phase;
  const abdomen = drawIn(phase, labels);
  const mass = r.pick(abdomen.masses);
  const found = finder !== undefined && r.stream('found').chance(finder.share);
  const radius = Math.min(...mass.radii);
  // What is found of a mass seldom has its middle.
  const away = r.stream('place');
  const centre = plus(mass.centre, away.direction(), found ? away.uniform(0, 0.3) * radius : 0);
  const { grid, step } = cropGridOf(boxOf(abdomen, centre, mass.radii), crop);
  const drawn = renderAbdomen(device, abdomen, grid);
  const rough = r.stream('contour').chance(1 / 3);
  const errs = { ...contourOf(r, radius, step, rough), seed: r.bits() };
  const slice = r.pick([1, 1.5, 2.5, 3, 5]);
  const across = r.uniform(0.4, 0.9) / step;
  const noise = r.logUniform(3, 25);
  const erring = () =>
    raggedMask(drawn.instance, { labels: [mass.instance, mass.instance], ...errs });
  const mask = found
    ? contourFound(device, abdomen, mass, {
        ...{ finder, grid, step, instances: drawn.instance, otherwise: erring },
        ...{ random: r.stream('view'), hidden: labels.hidden(mass.side) },
        acquisition: { slice, across: (across * step) / finder.step, noise },
      })
    : erring();
  const acquired = (hu: Tensor, seed: number, sd: number) =>
    acquire(hu, {
      blur: [(0.38 * slice) / step, across, across],
      noise: sd,
      noiseBlur: [(0.38 * slice) / step, across, across],
      seed,
      window,
      ...(contour === 'cut' ? { mask: { tensor: mask, use: 'keep' } as const } : {}),
    });
  const shown = (images: Tensor[]) => {
    const all = asChannels(images, secondImage, (x) => maskOutside(x, mask));
    return contour === 'cut' ? all : besideMask(all, mask);
  };
  const other = r.stream('second phase');
  const second = count === 2 ? other.pick(phases.filter((p) => p !== phase)) : undefined;
  const image = scope(() => {
    const images = [acquired(drawn.hu, r.bits(), noise)];
    if (second === undefined) return shown(images);
    if (other.chance(outsideShare))
      return shown([...images, device.full([1, ...grid.shape, 1], -1)]);
    const { hu } = renderAbdomen(device, drawIn(second, viewLabels()), breathed(grid, other));
    return shown([...images, acquired(hu, other.bits(), noise * other.uniform(0.75, 1.35))]);
  });
  for (const t of [drawn.hu, drawn.label, drawn.instance, mask]) t.dispose();
  return {
    image,
    phases: second ? [phase, second] : [phase],
    class: wanted,
    className: massClasses[wanted] as MassClass,
    kind: mass.kind,
    ...{ rough, found },
    diameterMm: (2 * (mass.radii[0] + mass.radii[1] + mass.radii[2])) / 3,
  };
}
