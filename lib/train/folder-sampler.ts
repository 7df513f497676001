/** Training on a folder of labelled CTs. */
import type { Device } from '../device.js';
import { RenvoxError } from '../errors.js';
import {
  add,
  augmentationAffine,
  cast,
  composeAffine,
  concatChannels,
  connectedComponents,
  maskEquals,
  maskOutside,
  raggedMask,
  randomAugmentation,
  randomNormal,
  resample,
  reshape,
} from '../ops/index.js';
import { Random } from '../phantom/random.js';
import { bodyCentre } from '../pipeline/body.js';
import { scope } from '../scope.js';
import type { Tensor } from '../tensor.js';
import { fixedGrid, type Grid, gridOf, gridToVolume, toWorld } from '../volume/index.js';
import { type Case, forEachCase, LABELS } from './folder-cases.js';
import { cropMargin, type Preset } from './preset.js';
import type { Sample, Sampler } from './sampler.js';
import { type Box, cropGridOf, joined } from './samples/crop.js';

/** What is kept of a case: a piece of it on the network's spacing, somewhat larger than the network sees. */
interface Item {
  case: string;
  image: Float32Array;
  /** 0 background, 1 kidney, 2 mass; for classification 0 or 1: the contour. */
  labels: Uint8Array;
  shape: [number, number, number];
  /** For classification. */
  class?: number;
}

/** Voxels kept on each side beyond what the network sees, so that turning and shifting bring in tissue, not air. */
const RIM = 4;
/** The study's augmentation: 10 degrees, a tenth of the extent, noise (models.md: Front. Oncol. 2023). */
const augmentation = { rotation: [10, 10, 10], translation: [0.1, 0.1, 0.1] } as const;
const NOISE = 0.05;
/** Share of the cases that validation keeps, where there are enough. */
const HELD_OUT = 0.1;
const FEWEST_TO_SPLIT = 5;
/** mm^3 below which a labelled component is no mass but a crumb. */
const CRUMB = 30;

export interface FolderOptions {
  device: Device;
  signal?: AbortSignal | undefined;
  onCase?: ((name: string) => void) | undefined;
}

/**
 * Reads DIR/case_*\/{ct.nii.gz, labels.nii.gz} (labels of `renvox analyze`) once, keeps what the preset's task needs of them in memory, and draws
 * augmented samples from it. A tenth of the cases, at least one, is held out for validation; with fewer than five cases validation looks at
 * those that are trained on, and `source` says so.
 * @throws RenvoxError FileNotFound; InvalidFile listing every problem of the folder; InvalidArgument where nothing in it serves the task
 */
export async function folderSampler(
  preset: Preset,
  folder: string,
  options: FolderOptions,
): Promise<Sampler> {
  const items: Item[] = [];
  const cases: string[] = [];
  await forEachCase(
    folder,
    async (one) => {
      cases.push(one.name);
      items.push(...(await itemsOf(preset, one, options.device)));
      options.onCase?.(one.name);
    },
    options,
  );
  const held = heldOut(cases, preset.seed);
  const of = (wanted: boolean) => items.filter((i) => held.has(i.case) === wanted);
  const [trained, seen] = held.size > 0 ? [of(false), of(true)] : [items, items];
  if (trained.length === 0 || seen.length === 0)
    throw new RenvoxError(
      'InvalidArgument',
      `${cases.length} cases hold ${trained.length} samples to train the task ${preset.task} on and ${seen.length} to validate; at least one of each is needed`,
      { folder, task: preset.task },
    );
  const split = held.size > 0 ? `${held.size} held out` : 'validated on the cases trained on';
  return {
    source: `${cases.length} labelled CTs (${split})`,
    training(device, seed) {
      const r = new Random(seed, 'folder');
      return draw(preset, device, r.pick(trained), r);
    },
    validation: (device, index) => draw(preset, device, seen[index % seen.length] as Item),
    validationCount: seen.length,
  };
}

function heldOut(cases: readonly string[], seed: number): Set<string> {
  if (cases.length < FEWEST_TO_SPLIT) return new Set();
  const r = new Random(seed, 'held out');
  const order = cases.map((name) => ({ name, key: r.bits() })).sort((a, b) => a.key - b.key);
  const count = Math.max(1, Math.round(HELD_OUT * cases.length));
  return new Set(order.slice(0, count).map(({ name }) => name));
}

/** One sample, augmented where there is a generator. */
function draw(preset: Preset, device: Device, item: Item, r?: Random): Sample {
  const { grid, task, window } = preset;
  const { shape, spacing } = grid;
  return scope(() => {
    const image = device.tensor(item.image, { shape: [1, ...item.shape, 1] });
    const labels = device.tensor(item.labels, { shape: [1, ...item.shape] });
    // Where the network's box begins in the item: in its middle, but anywhere along a body that is longer.
    const room = shape.map((n, axis) => (item.shape[axis] as number) - n);
    const start = room.map((free, axis) =>
      r && axis === 0 && task === 'kidney' ? r.integer(0, free) : free / 2,
    );
    const offset = [1, 0, 0, start[0], 0, 1, 0, start[1], 0, 0, 1, start[2]] as number[];
    const flips = task === 'class' ? ([0.5, 0.5, 0.5] as const) : ([0, 0, 0] as const);
    const moved = r
      ? randomAugmentation(r.bits(), { ...augmentation, flip: flips })
      : { rotation: [0, 0, 0] as const };
    const affine = composeAffine(offset, augmentationAffine({ size: shape, spacing, ...moved }));
    const seen = resample(image, { size: shape, affine, outside: window.low });
    const truth = resample(labels, { size: shape, affine, mode: 'nearest' });
    const noisy = r ? add(seen, noise(device, seen.shape, r)) : seen;
    if (task === 'class')
      return {
        image: maskOutside(noisy, truth, window.low),
        target: device.tensor(Int32Array.of(item.class ?? 0)),
      };
    return { image: task === 'mass' ? withMask(noisy, truth, r) : noisy, target: truth };
  });
}

/** The kidney's mask as second channel; in training its outline errs as a kidney network's does. */
function withMask(image: Tensor, truth: Tensor, r?: Random): Tensor {
  const mask = r
    ? raggedMask(truth, {
        shift: r.normal(0.1, 0.35),
        ragged: r.uniform(0, 0.6),
        scale: r.uniform(2.5, 7),
        blur: r.uniform(0.7, 1.8),
        seed: r.bits(),
      })
    : maskEquals(truth, [1, 2]);
  return concatChannels([image, reshape(cast(mask, 'f32'), image.shape)]);
}

function noise(device: Device, shape: readonly number[], r: Random): Tensor {
  return randomNormal(device, { shape, seed: r.bits(), deviation: r.uniform(0, NOISE) });
}

async function itemsOf(preset: Preset, one: Case, device: Device): Promise<Item[]> {
  const { task, grid } = preset;
  const map = Uint8Array.from(one.labels.values());
  if (task === 'kidney') {
    const foreground = map.map((label) => (label > 0 ? 1 : 0));
    return [await cut(preset, one, device, foreground, bodyGrid(preset, one), {})];
  }
  const found = await components(one, map, device, task === 'class');
  const plan = { shape: grid.shape, step: grid.spacing[0], margin: cropMargin(grid) };
  const items: Item[] = [];
  if (task === 'class') {
    for (const { index, box, label, voxels } of found.list) {
      if (voxels * one.ct.voxelVolume < CRUMB) continue;
      const inside = found.map.map((k) => (k === index ? 1 : 0));
      const extra = { class: label - LABELS.aml };
      items.push(
        await cut(preset, one, device, Uint8Array.from(inside), cropGridOf(box, plan).grid, extra),
      );
    }
    return items;
  }
  for (const side of [LABELS.left, LABELS.right]) {
    const own = found.list.filter((c) => c.side === side);
    if (!own.some((c) => c.kidney)) continue;
    const indices = new Set(own.map((c) => c.index));
    const target = map.map((label, i) =>
      indices.has(found.map[i] as number) ? (label >= LABELS.aml ? 2 : 1) : 0,
    );
    const box = own.map((c) => c.box).reduce(joined);
    // The network sees right kidneys and mirrored left ones.
    const where = cropGridOf(box, plan, side === LABELS.left).grid;
    items.push(await cut(preset, one, device, target, where, {}));
  }
  return items;
}

/** The network's columns round the body, as long as the CT. */
function bodyGrid({ grid }: Preset, { ct }: Case): Grid {
  const slices = Math.ceil((ct.shape[0] * ct.spacing[0]) / grid.spacing[0]);
  const shape = [Math.max(slices, grid.shape[0]), grid.shape[1], grid.shape[2]] as const;
  return fixedGrid({ shape: [...shape], spacing: grid.spacing, centre: bodyCentre(ct) });
}

/** A piece of a case on a grid, with a rim. */
async function cut(
  { window }: Preset,
  { name, ct }: Case,
  device: Device,
  labels: Uint8Array,
  inner: Grid,
  extra: { class?: number },
): Promise<Item> {
  const shape = inner.shape.map((n) => n + 2 * RIM) as [number, number, number];
  const [x, y, z] = toWorld(inner, [-RIM, -RIM, -RIM]);
  const affine = [...inner.affine];
  [affine[3], affine[7], affine[11]] = [x, y, z];
  const map = gridToVolume({ shape, affine }, ct);
  return scope(async () => {
    const hu = device.tensor(ct.values({ missing: -1024 }), { shape: [1, ...ct.shape, 1] });
    const options = { size: shape, affine: map };
    const image = resample(hu, { ...options, window, outside: window.low });
    const source = device.tensor(labels, { shape: [1, ...ct.shape] });
    const kept = resample(source, { ...options, mode: 'nearest' });
    return {
      case: name,
      image: (await image.data()) as Float32Array,
      labels: (await kept.data()) as Uint8Array,
      shape,
      ...extra,
    };
  });
}

interface Component {
  index: number;
  /** LPS mm. */
  box: Box;
  /** Of its first voxel. */
  label: number;
  voxels: number;
  /** Whether there is kidney in it, and which one it belongs to. */
  kidney: boolean;
  side: number;
}

/** Components of all that is labelled, or of masses of one class each. */
async function components(
  { labels }: Case,
  map: Uint8Array,
  device: Device,
  masses: boolean,
): Promise<{ map: Int32Array; list: Component[] }> {
  const ids = await scope(async () => {
    const all = device.tensor(map, { shape: labels.shape });
    const wanted = masses ? maskEquals(all, [3, 4, 5]) : all;
    const part = masses ? { perLabel: false } : {};
    return (await connectedComponents(wanted, part).components.data()) as Int32Array;
  });
  const [depth, height, width] = labels.shape;
  const found = new Map<number, { low: number[]; high: number[]; counts: number[] }>();
  for (let d = 0, i = 0; d < depth; d++)
    for (let h = 0; h < height; h++)
      for (let w = 0; w < width; w++, i++) {
        const id = ids[i] as number;
        if (id === 0) continue;
        let c = found.get(id);
        if (!c) {
          c = { low: [d, h, w], high: [d, h, w], counts: [0, 0, 0, 0, 0, 0] };
          found.set(id, c);
        }
        const at = [d, h, w];
        for (let a = 0; a < 3; a++) {
          c.low[a] = Math.min(c.low[a] as number, at[a] as number);
          c.high[a] = Math.max(c.high[a] as number, at[a] as number);
        }
        const label = map[i] as number;
        c.counts[label] = (c.counts[label] as number) + 1;
      }
  const grid = gridOf(labels);
  const list = [...found].map(([index, { low, high, counts }]): Component => {
    const corners = [low.map((n) => n - 0.5), high.map((n) => n + 0.5)].map((corner) =>
      toWorld(grid, corner as [number, number, number]),
    ) as [[number, number, number], [number, number, number]];
    const [left, right] = [counts[LABELS.left] as number, counts[LABELS.right] as number];
    return {
      index,
      box: {
        low: corners[0].map((v, a) => Math.min(v, corners[1][a] as number)) as never,
        high: corners[0].map((v, a) => Math.max(v, corners[1][a] as number)) as never,
      },
      label: counts.indexOf(Math.max(...counts)),
      voxels: counts.reduce((a, b) => a + b, 0),
      kidney: left + right > 0,
      side: left >= right ? LABELS.left : LABELS.right,
    };
  });
  // A mass that touches no kidney belongs to the nearest one.
  const kidneys = list.filter((c) => c.kidney);
  const middle = ({ box }: Component) => box.low.map((v, a) => (v + (box.high[a] as number)) / 2);
  for (const c of list.filter((other) => !other.kidney)) {
    const at = middle(c);
    const far = (k: Component) => Math.hypot(...middle(k).map((v, a) => v - (at[a] as number)));
    const nearest = [...kidneys].sort((a, b) => far(a) - far(b))[0];
    if (nearest) c.side = nearest.side;
  }
  return { map: ids, list };
}
