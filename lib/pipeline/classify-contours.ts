/** Naming masses whose contours are given: what a classifier makes of true contours, without any error of segmentation. */
import { type Device, defaultDevice } from '../device.js';
import { RenvoxError } from '../errors.js';
import { axialAxisOfVolume, type Component, componentsOf } from '../metrics/components.js';
import { hostBox } from '../metrics/device-box.js';
import type { Precision } from '../nn/index.js';
import { maskOutside, resample } from '../ops/index.js';
import { scope } from '../scope.js';
import { download, type Tensor } from '../tensor.js';
import {
  fixedGrid,
  type Grid,
  gridOf,
  gridToVolume,
  sameGrid,
  type Triple,
  toWorld,
  type Volume,
} from '../volume/index.js';
import { LABELS, MASS_CLASSES, type MassClass } from './finding.js';
import { besideMask } from './mask-channel.js';
import { type CascadeNetworks, forPhases } from './networks.js';
import { loadSystem } from './one-stage.js';
import { checkPhaseCt, type SecondPhase } from './phase.js';
import { asChannels } from './second-image.js';
import { massMargin, probabilitiesOf } from './stages.js';

export interface ClassifyOptions {
  /** The values of the contours (1..255) that are masses. Default: 3, 4, 5, as `analyze` writes them. */
  labels?: readonly number[];
  /** Default: {@link defaultDevice}. */
  device?: Device | undefined;
  /** A second contrast phase, of the same patient in the same position: seen too where the weights hold class-two-phases.safetensors. */
  phase?: Pick<SecondPhase, 'ct'> | undefined;
  /** A folder as `analyze` takes it, or networks that are loaded already. Default: the shipped ones. */
  weights?: string | CascadeNetworks | undefined;
  /** Of the networks that are loaded here. Default: fp32 on the CPU, bf16 on a GPU. */
  precision?: Precision | undefined;
  signal?: AbortSignal | undefined;
}

/** A mass as it was given, and what it is called. */
export interface ClassifiedMass {
  /** The value of its voxels in the contours. */
  readonly label: number;
  readonly voxels: number;
  readonly centroidLpsMm: Triple;
  readonly class: MassClass;
  readonly probabilities: Readonly<Record<MassClass, number>>;
}

/**
 * Names each mass of a label map: each component (26 neighbours) of voxels of one value. It is cut out of the CT as the cascade cuts out what it
 * finds, but along the contour that is given.
 *
 * Research software, not a medical device: not for clinical use.
 *
 * @param ct - in HU after its slope and intercept, any orientation and spacing. Not copied on the CPU: until the promise settles its voxels must neither
 * change nor be transferred to another thread; so those of the contours and of a second phase
 * @param contours - a label map on the CT's grid
 * @returns `labels`: {@link LABELS} of the classes where masses are, else 0
 * @throws RenvoxError ShapeMismatch where the two lie on different grids; InvalidArgument for labels outside 0..255 and a phase that is no CT; InvalidWeights,
 * FileNotFound, AbortError, OutOfMemory
 */
export async function classifyContours(
  ct: Volume,
  contours: Volume,
  options: ClassifyOptions = {},
): Promise<{ labels: Volume; masses: ClassifiedMass[] }> {
  if (!sameGrid(ct, contours))
    throw new RenvoxError(
      'ShapeMismatch',
      `Expected CT and contours on one grid but received [${ct.shape.join(', ')}] and [${contours.shape.join(', ')}], or another affine`,
      { shapes: [ct.shape, contours.shape], affines: [ct.affine, contours.affine] },
    );
  const { weights: given, precision, signal, device = defaultDevice(), phase } = options;
  if (phase !== undefined) checkPhaseCt(phase.ct);
  const { labels = [LABELS.aml, LABELS.cystic, LABELS.solid] } = options;
  const box = await hostBox({ contours }, contours.shape, labels, signal);
  const { map, list } = await componentsOf(box.maps[0] as Uint8Array, box.shape, {
    ...{ spacing: ct.spacing, axialAxis: axialAxisOfVolume(ct), offset: box.offset },
    ...{ device, signal, perLabel: true, connectivity: 26, volume: contours },
  });
  const own = given === undefined || typeof given === 'string';
  const twoPhases = phase !== undefined;
  const networks = own ? await loadSystem(device, given, { precision, twoPhases }) : given;
  try {
    const { classifier } = forPhases(networks, twoPhases);
    const scans = phase && classifier.phases === 2 ? [ct, phase.ct] : [ct];
    const contoured = { ...box, map, list };
    const named = await probabilitiesOfAll(scans, contoured, classifier, { device, signal });
    const classes = named.map((p) => p.indexOf(Math.max(...p)));
    return {
      labels: painted(contours, { ...box, map }, classes),
      masses: list.map(({ label, voxels, centroid }, i) => {
        const p = named[i] as number[];
        return {
          ...{ label, voxels, centroidLpsMm: toWorld(gridOf(contours), centroid) },
          class: MASS_CLASSES[classes[i] as number] as MassClass,
          probabilities: { aml: p[0] as number, cystic: p[1] as number, solid: p[2] as number },
        };
      }),
    };
  } finally {
    if (own) networks.dispose();
  }
}

interface Contours {
  readonly shape: Triple;
  readonly offset: Triple;
  /** Components, 1.., in the box. */
  readonly map: Int32Array;
}

/** @param scans - the CT, on whose grid the contours lie, and what else the classifier sees */
async function probabilitiesOfAll(
  scans: readonly Volume[],
  contours: Contours & { list: readonly Component[] },
  classifier: CascadeNetworks['classifier'],
  { device, signal }: { device: Device; signal: AbortSignal | undefined },
): Promise<number[][]> {
  if (contours.list.length === 0) return [];
  const { network, shape: size, spacing, window, secondImage } = classifier;
  const room = { step: spacing[0], margin: massMargin(classifier) };
  const ct = scans[0] as Volume;
  return scope(async () => {
    const images = scans.map((scan) =>
      device.tensor(scan.values({ missing: -1024 }), {
        ...{ shape: [1, ...scan.shape, 1], borrow: true },
      }),
    );
    const found = contours.list.map((component, i): Tensor => {
      const grid = cropOf(component, gridOf(ct), size, room);
      const { inside, shape } = maskOf(component, i + 1, contours);
      return device.under({ signal }, () =>
        scope(() => {
          const affine = gridToVolume(grid, ct);
          const seen = images.map((image, i) =>
            resample(image, {
              ...{ size, affine: gridToVolume(grid, scans[i] as Volume) },
              ...{ outside: window.low, window },
            }),
          );
          const mask = resample(device.tensor(inside, { shape: [1, ...shape] }), {
            ...{ size, mode: 'nearest' },
            // Into the mass's own box.
            affine: affine.map((x, k) =>
              k % 4 === 3 ? x - (component.low[(k - 3) / 4] as number) : x,
            ),
          });
          const inMass = (x: Tensor, outside = 0) => maskOutside(x, mask, outside);
          const cut = classifier.contour === 'cut';
          const shown = cut ? seen.map((x) => inMass(x, window.low)) : seen;
          const channels = asChannels(shown, secondImage, inMass);
          const told = cut ? channels : besideMask(channels, mask);
          return probabilitiesOf(network, told);
        }),
      );
    });
    return (await download(found)).map((p) => Array.from(p as Float32Array));
  });
}

/** One mass in its own box. */
function maskOf(
  { low, high }: Component,
  id: number,
  { shape: whole, offset, map }: Contours,
): { inside: Uint8Array; shape: Triple } {
  const shape: Triple = [high[0] - low[0] + 1, high[1] - low[1] + 1, high[2] - low[2] + 1];
  const [d, h, w] = [low[0] - offset[0], low[1] - offset[1], low[2] - offset[2]];
  const inside = new Uint8Array(shape[0] * shape[1] * shape[2]);
  for (let z = 0, to = 0; z < shape[0]; z++)
    for (let y = 0; y < shape[1]; y++) {
      const from = ((z + d) * whole[1] + y + h) * whole[2] + w;
      for (let x = 0; x < shape[2]; x++, to++) if (map[from + x] === id) inside[to] = 1;
    }
  return { inside, shape };
}

/** The cube round a mass, as `ops.boxAffine` makes it: voxels of a step, larger where the box with its margin would not fit. */
function cropOf(
  { low, high }: Component,
  grid: Grid,
  size: Triple,
  { step, margin }: { step: number; margin: number },
): Grid {
  const corners = [0, 1, 2, 3, 4, 5, 6, 7].map((bits) => {
    const edge = (k: 0 | 1 | 2) => ((bits >> k) & 1 ? high[k] + 0.5 : low[k] - 0.5);
    return toWorld(grid, [edge(0), edge(1), edge(2)]);
  });
  const ends = ([0, 1, 2] as const).map((axis) => {
    const along = corners.map((corner) => corner[axis]);
    return [Math.min(...along), Math.max(...along)] as const;
  });
  // Axes d, h, w are z, y, x.
  const wide = ends.map(([a, b], axis) => (b - a + 2 * margin) / (size[2 - axis] as number));
  const mm = Math.max(step, ...wide);
  const [x, y, z] = ends.map(([a, b]) => (a + b) / 2) as [number, number, number];
  return fixedGrid({ shape: size, spacing: [mm, mm, mm], centre: [x, y, z] });
}

/** The masses with the labels of their classes, on the whole grid. */
function painted(like: Volume, { shape, offset, map }: Contours, classes: number[]): Volume {
  const [, height, width] = like.shape;
  const labels = new Uint8Array(like.data.length);
  for (let d = 0, at = 0; d < shape[0]; d++)
    for (let h = 0; h < shape[1]; h++) {
      const row = ((d + offset[0]) * height + h + offset[1]) * width + offset[2];
      for (let w = 0; w < shape[2]; w++, at++) {
        const i = map[at] as number;
        if (i > 0) labels[row + w] = LABELS.aml + (classes[i - 1] as number);
      }
    }
  return like.like(labels);
}
