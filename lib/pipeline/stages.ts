/**
 * The stages of the cascade. Each only enqueues: what was found decides on the device what is done next (conditions and affines
 * in device tensors), so nothing comes back to JS in between.
 */

import type { Components, CropFinding, KeepOptions } from '../ops/index.js';
import {
  add,
  argmax,
  boxAffine,
  cast,
  componentTable,
  concatChannels,
  connectedComponents,
  crop,
  flip,
  globalAveragePool,
  keepComponents,
  kidneySides,
  maskEquals,
  maskOutside,
  resample,
  resampleArgmax,
  reshape,
  softmax,
  stack,
} from '../ops/index.js';
import { scope } from '../scope.js';
import type { Tensor } from '../tensor.js';
import { type Grid, gridToVolume, type Volume } from '../volume/index.js';
import { averaged } from './averaged.js';
import { abdomenTiles, headToFoot } from './body.js';
import { besideMask } from './mask-channel.js';
import type { Belief, CascadeNetworks } from './networks.js';
import { isOneStage, logitsOfSide } from './one-stage.js';
import { asChannels } from './second-image.js';

/** Most masses that are told apart on one side. */
export const CAPACITY = 16;
/** mm that a second stage sees around a kidney whose file does not say. */
export const KIDNEY_MARGIN = 8;
/** mm that a classifier sees around a mass whose file does not say. */
const MASS_MARGIN = 2;
/** mL below which a kidney component is a crumb. */
const KIDNEY_CRUMB = 4;
/** Most components of the kidney mask that are looked at, the largest. */
const MOST_PARTS = 255;
/** mL below which a mass component is noise, a ball of 5.8 mm: of what the shipped network marks below it, most is none. */
export const MASS_CRUMB = 0.1;

type Core = NonNullable<KeepOptions['core']>;

export const SIDES = ['left', 'right'] as const;
export type Side = (typeof SIDES)[number];

/** A CT on the device. */
export interface LoadedCt {
  /** [1, D, H, W, 1], i16 or f32, HU. */
  image: Tensor;
  volume: Volume;
  /** A second contrast phase, on its own grid. */
  phase?: LoadedCt | undefined;
}

/** The first stage's result, on the kidney network's grid. */
export interface KidneyStage {
  grid: Grid;
  /** [1, D, H, W, 2] f32. */
  logits: Tensor;
  /** u8: 1 left, 2 right. */
  sides: Tensor;
  /** i32 [2, 8]: voxels and box of each side. */
  table: Tensor;
}

/** Finds both kidneys. */
export function findKidneys(ct: LoadedCt, { kidney }: CascadeNetworks): KidneyStage {
  return scope(() => {
    const { whole, tiles } = abdomenTiles(ct.volume, kidney.shape, kidney.spacing);
    let logits: Tensor | undefined;
    let body: Tensor | undefined;
    for (const tile of tiles) {
      const image = averaged(ct.image, {
        size: kidney.shape,
        affine: gridToVolume(tile.grid, ct.volume),
        window: kidney.window,
      });
      const place = (t: Tensor, fill: number) => {
        if (tiles.length === 1) return t;
        const kept = crop(t, {
          start: [tile.keepFrom, 0, 0],
          size: [tile.keepTo - tile.keepFrom, kidney.shape[1], kidney.shape[2]],
        });
        // Tiles fill disjoint slices of the whole, so their sum is their union.
        return crop(kept, {
          start: [-(tile.start + tile.keepFrom), 0, 0],
          size: [...whole.shape],
          fill,
        });
      };
      const placed = place(kidney.network.infer(image), 0);
      logits = logits ? add(logits, placed) : placed;
      const shown = place(image, 0);
      body = body ? add(body, shown) : shown;
    }
    const found = logits as Tensor;
    const components = believed(
      connectedComponents(argmax(found), { connectivity: 6 }),
      coreOf(found, 1, beliefAt(kidney.belief, headToFoot(ct.volume))),
    );
    const voxel = (kidney.spacing[0] * kidney.spacing[1] * kidney.spacing[2]) / 1000;
    const { sides, table } = kidneySides(components, body as Tensor, {
      bodyThreshold: kidney.window.low + 0.01 * (kidney.window.high - kidney.window.low),
      minimumVoxels: Math.max(1, Math.round(KIDNEY_CRUMB / voxel)),
    });
    return { grid: whole, logits: found, sides, table };
  });
}

/** The second stage's result for one side. */
export interface MassStage extends CropFinding {
  /** i32 [CAPACITY]: voxels of each kept mass, largest first, 0 where there is none. */
  voxels: Tensor;
  /** From the crop's voxels to those of the second phase, f32 [12]. */
  toPhase?: Tensor | undefined;
}

/** Delineates the masses of one kidney, if there is one. */
export function findMasses(
  ct: LoadedCt,
  kidneys: KidneyStage,
  side: Side,
  networks: CascadeNetworks,
): MassStage {
  const { kidney, mass } = networks;
  const row = SIDES.indexOf(side);
  const { device } = ct.image;
  return device.under({ when: { counts: kidneys.table, index: row * 8 } }, () =>
    scope(() => {
      const box = {
        row,
        size: mass.shape,
        spacing: kidney.spacing,
        step: mass.spacing[0],
        margin: mass.margin ?? KIDNEY_MARGIN,
        // The network has seen right kidneys and mirrored left ones.
        mirror: side === 'left',
      };
      const toKidneyGrid = boxAffine(kidneys.table, box);
      const into = (volume: Volume) =>
        boxAffine(kidneys.table, { ...box, base: gridToVolume(kidneys.grid, volume) });
      const affine = into(ct.volume);
      const inKidney = resampleArgmax(kidneys.logits, {
        size: mass.shape,
        affine: toKidneyGrid,
        components: kidneys.sides,
      });
      const seenByMassNetwork = (): Tensor => {
        const image = resample(ct.image, {
          size: mass.shape,
          affine,
          outside: mass.window.low,
          window: mass.window,
        });
        return mass.network.infer(besideMask(image, maskEquals(inKidney, row + 1)));
      };
      const logits = isOneStage(networks)
        ? logitsOfSide(kidneys.logits, inKidney, row + 1, {
            size: mass.shape,
            affine: toKidneyGrid,
          })
        : seenByMassNetwork();
      const massMask = maskEquals(argmax(logits), 2);
      const components = connectedComponents(massMask, { connectivity: 26 });
      const voxel = (mass.spacing[0] * mass.spacing[1] * mass.spacing[2]) / 1000;
      const { kept, voxels } = keepComponents(components, {
        minimumVoxels: Math.max(1, Math.round(MASS_CRUMB / voxel)),
        largest: CAPACITY,
        core: coreOf(logits, 2, mass.belief),
      });
      const toPhase = ct.phase && into(ct.phase.volume);
      return { logits, masses: kept, affine, voxels, toPhase };
    }),
  );
}

/** mm that a classifier sees around a mass. */
export const massMargin = ({ margin }: CascadeNetworks['classifier']): number =>
  margin ?? MASS_MARGIN;

/** What holds in a CT of this length in mm. */
export function beliefAt(belief: Belief | undefined, mm: number): Belief | undefined {
  const thin = belief?.thin;
  return thin && mm < thin.below ? thin : belief;
}

/** Where the logit of a class leads by what its network's file asks for. */
function coreOf(logits: Tensor, wanted: number, belief: Belief | undefined): Core | undefined {
  if (!belief) return undefined;
  const { device, shape } = logits;
  // Filled on the device: an upload would be the second of an analysis.
  const handicap = Array.from({ length: shape[4] as number }, (_, k) =>
    device.full([...shape.slice(0, 4), 1], k === wanted ? -belief.lead : 0),
  );
  const lowered = add(logits, concatChannels(handicap));
  return { mask: maskEquals(argmax(lowered), wanted), leastShare: belief.share };
}

/** The components of which enough lies in the core. */
function believed(found: Components, core: Core | undefined): Components {
  if (!core) return found;
  const { kept } = keepComponents(found, { largest: MOST_PARTS, core });
  return connectedComponents(kept, { connectivity: 6, perLabel: true });
}

/** The classifier's crop round the mass of place k of a side, as boxAffine takes it. */
export function classifierBox({ mass, classifier }: CascadeNetworks, k: number) {
  return {
    row: k + 1,
    size: classifier.shape,
    spacing: mass.spacing,
    step: classifier.spacing[0],
    margin: massMargin(classifier),
  };
}

/** What the classifier sees of one mass, [1, D, H, W, 1 to 3]; it is where both masks, u8 [1, D, H, W], are 1. */
export function massCrop(
  ct: LoadedCt,
  found: MassStage,
  table: Tensor,
  k: number,
  networks: CascadeNetworks,
): { image: Tensor; anyMass: Tensor; nearest: Tensor } {
  const { classifier } = networks;
  return scope(() => {
    const box = classifierBox(networks, k);
    const seen = ({ image }: LoadedCt, through: Tensor) =>
      resample(image, {
        size: classifier.shape,
        affine: boxAffine(table, { ...box, through }),
        outside: classifier.window.low,
        window: classifier.window,
      });
    const images = [seen(ct, found.affine)];
    if (classifier.phases === 2 && ct.phase && found.toPhase)
      images.push(seen(ct.phase, found.toPhase));
    // The contour is where the interpolated logits change class, not the steps of the crop's voxels.
    const here = { size: classifier.shape, affine: boxAffine(table, box) };
    const anyMass = maskEquals(resampleArgmax(found.logits, here), 2);
    const components = resampleArgmax(found.logits, { ...here, components: found.masses });
    const nearest = maskEquals(components, k + 1);
    const within = (x: Tensor, outside: number) =>
      maskOutside(maskOutside(x, anyMass, outside), nearest, outside);
    if (classifier.contour === 'cut') {
      const cut = images.map((image) => within(image, classifier.window.low));
      return {
        image: asChannels(cut, classifier.secondImage, (x) => within(x, 0)),
        anyMass,
        nearest,
      };
    }
    const mask = within(reshape(cast(anyMass, 'f32'), [1, ...classifier.shape, 1]), 0);
    const seenImages = asChannels(images, classifier.secondImage, (x) => within(x, 0));
    return { image: besideMask(seenImages, mask), anyMass, nearest };
  });
}

/** Probabilities [CAPACITY, 3] (aml, cystic, solid) of one side's masses; zeros where there is none. */
export function classifyMasses(
  ct: LoadedCt,
  found: MassStage,
  networks: CascadeNetworks,
): Tensor[] {
  const { device } = ct.image;
  return scope(() => {
    const table = componentTable(found.masses, { capacity: CAPACITY });
    return Array.from({ length: CAPACITY }, (_, k) =>
      device.under({ when: { counts: found.voxels, index: k } }, () =>
        scope(() => {
          const { image } = massCrop(ct, found, table, k, networks);
          return probabilitiesOf(networks.classifier.network, image);
        }),
      ),
    );
  });
}

const MIRRORS = [
  [],
  ['d'],
  ['h'],
  ['w'],
  ['d', 'h'],
  ['d', 'w'],
  ['h', 'w'],
  ['d', 'h', 'w'],
] as const;

/**
 * Probabilities [1, 3] of a mass, the mean over its eight mirror images: a mass has no sides, and the mean errs less than one of them (74
 * wrong classes of 600 phantom masses instead of 85).
 */
export function probabilitiesOf(
  network: CascadeNetworks['classifier']['network'],
  image: Tensor,
): Tensor {
  const views = MIRRORS.map((axes) => (axes.length > 0 ? flip(image, axes) : image));
  const each = softmax(network.infer(stack(views)));
  return globalAveragePool(reshape(each, [1, 2, 2, 2, 3]));
}
