/** What training keeps of a case: pieces of it on the network's spacing, cut as the preset's task sees them. */
import type { Device } from '../../device.js';
import { concatChannels, connectedComponents, resample } from '../../ops/index.js';
import { averaged } from '../../pipeline/averaged.js';
import { bodyCentre } from '../../pipeline/body.js';
import { scope } from '../../scope.js';
import {
  fixedGrid,
  type Grid,
  gridOf,
  gridToVolume,
  toWorld,
  type Volume,
} from '../../volume/index.js';
import { cropMargin, type Preset } from '../preset.js';
import { type Box, cropGridOf, joined } from '../samples/crop.js';
import { LABELS } from './labels.js';
import type { Case } from './read-case.js';
import { rimOf } from './rim.js';

/** A piece of a case on the network's spacing, somewhat larger than the network sees. */
export interface Item {
  case: string;
  /** [D, H, W, channels], in the preset's window. */
  image: Float32Array;
  channels: number;
  /**
   * [D, H, W]: 0 background, 1 kidney, 2 mass; for networks of four classes 1 left kidney, 2 right kidney, 3 mass; for classification 0
   * or 1: the contour.
   */
  labels: Uint8Array;
  shape: [number, number, number];
  /** For classification: 0 AML, 1 cystic, 2 solid. */
  class?: number;
}

/** mm^3 below which a labelled component is no mass but a crumb. */
const CRUMB = 30;

/** Cuts a case into the items of a preset's task; none where there is nothing to learn from. */
export async function itemsOf(preset: Preset, one: Case, device: Device): Promise<Item[]> {
  const { task, grid } = preset;
  const map = await withSides(one, device);
  if (task === 'kidney' || task === 'one-stage') {
    const four = preset.architecture.config.classes === 4;
    const target = map.map((label) => {
      if (task === 'kidney') return label > 0 ? 1 : 0;
      if (label >= LABELS.aml) return four ? 3 : 2;
      return four ? label : Math.min(label, 1);
    });
    const where = preset.sampling ? wholeGrid(preset, one) : bodyGrid(preset, one);
    return [await cut(preset, one, device, target, where, {})];
  }
  const found = await components(one, map, device, task === 'class');
  const plan = { shape: grid.shape, step: grid.spacing[0], margin: cropMargin(grid) };
  const items: Item[] = [];
  if (task === 'class') {
    for (const { index, box, label, voxels } of found.list) {
      if (label > LABELS.solid || voxels * one.labels.voxelVolume < CRUMB) continue;
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
function bodyGrid({ grid }: Preset, { images }: Case): Grid {
  const ct = images[0] as Volume;
  const slices = Math.ceil((ct.shape[0] * ct.spacing[0]) / grid.spacing[0]);
  const shape = [Math.max(slices, grid.shape[0]), grid.shape[1], grid.shape[2]] as const;
  return fixedGrid({ shape: [...shape], spacing: grid.spacing, centre: bodyCentre(ct) });
}

/** The whole CT, at least as large as a patch. */
function wholeGrid({ grid }: Preset, { images }: Case): Grid {
  const ct = images[0] as Volume;
  const shape = grid.shape.map((n, a) =>
    Math.max(
      n,
      Math.ceil(
        ((ct.shape[a] as number) * (ct.spacing[a] as number)) / (grid.spacing[a] as number),
      ),
    ),
  ) as [number, number, number];
  const middle = ct.shape.map((n) => (n - 1) / 2) as [number, number, number];
  return fixedGrid({ shape, spacing: grid.spacing, centre: toWorld(gridOf(ct), middle) });
}

/** A piece of a case on a grid, with a rim. */
async function cut(
  preset: Preset,
  { name, images, labels: { shape: stored } }: Case,
  device: Device,
  labels: Uint8Array,
  inner: Grid,
  extra: { class?: number },
): Promise<Item> {
  const rim = rimOf(preset);
  const shape = inner.shape.map((n, a) => n + 2 * (rim[a] as number)) as [number, number, number];
  const [x, y, z] = toWorld(inner, [-rim[0], -rim[1], -rim[2]]);
  const affine = [...inner.affine];
  [affine[3], affine[7], affine[11]] = [x, y, z];
  return scope(async () => {
    const options = (volume: Volume) => ({
      size: shape,
      affine: gridToVolume({ shape, affine }, volume),
    });
    const seen = images.map((ct) => windowed(device, ct, options(ct), preset));
    const image = seen.length === 1 ? seen[0] : concatChannels(seen);
    const source = device.tensor(labels, { shape: [1, ...stored] });
    const kept = resample(source, { ...options(images[0] as Volume), mode: 'nearest' });
    return {
      case: name,
      image: (await image?.data()) as Float32Array,
      channels: images.length,
      labels: (await kept.data()) as Uint8Array,
      shape,
      ...extra,
    };
  });
}

function windowed(
  device: Device,
  ct: Volume,
  options: { size: [number, number, number]; affine: number[] },
  { window, task }: Preset,
) {
  const hu = device.tensor(ct.values({ missing: -1024 }), { shape: [1, ...ct.shape, 1] });
  // As the pipeline's stages sample: the body with averaged voxels, crops without.
  if (task === 'kidney' || task === 'one-stage') return averaged(hu, { ...options, window });
  return resample(hu, { ...options, window, outside: window.low });
}

/** The label map with a side for each kidney; where the data set has none, that of the body on which its component lies. */
async function withSides({ images, labels }: Case, device: Device): Promise<Uint8Array> {
  const map = labels.data as Uint8Array;
  if (!map.includes(LABELS.kidney)) return map;
  const ids = await componentsOf(device, map, labels.shape, false);
  const ct = images[0] as Volume;
  const [middle] = bodyCentre(ct);
  const grid = gridOf(labels);
  const sums = new Map<number, { n: number; x: number }>();
  visit(labels.shape, (i, d, h, w) => {
    if (map[i] !== LABELS.kidney) return;
    const sum = sums.get(ids[i] as number) ?? { n: 0, x: 0 };
    sum.n++;
    sum.x += toWorld(grid, [d, h, w])[0];
    sums.set(ids[i] as number, sum);
  });
  return map.map((label, i) => {
    if (label !== LABELS.kidney) return label;
    const sum = sums.get(ids[i] as number) as { n: number; x: number };
    return sum.x / sum.n > middle ? LABELS.left : LABELS.right;
  });
}

function visit(
  [depth, height, width]: readonly [number, number, number],
  each: (i: number, d: number, h: number, w: number) => void,
): void {
  for (let d = 0, i = 0; d < depth; d++)
    for (let h = 0; h < height; h++) for (let w = 0; w < width; w++, i++) each(i, d, h, w);
}

/** Component numbers (26 neighbours) of all that is labelled, as one or each label by itself. */
function componentsOf(
  device: Device,
  map: Uint8Array,
  shape: readonly number[],
  perLabel: boolean,
): Promise<Int32Array> {
  return scope(async () => {
    const { components } = connectedComponents(device.tensor(map, { shape }), { perLabel });
    return (await components.data()) as Int32Array;
  });
}

interface Component {
  index: number;
  /** LPS mm. */
  box: Box;
  /** The one of most of its voxels. */
  label: number;
  voxels: number;
  /** Whether there is kidney in it, and which one it belongs to. */
  kidney: boolean;
  side: number;
}

/** Components of all that is labelled, or of masses, of one class each whatever they touch: the parts that `classifyContours` names. */
async function components(
  { labels }: Case,
  map: Uint8Array,
  device: Device,
  masses: boolean,
): Promise<{ map: Int32Array; list: Component[] }> {
  const shown = masses
    ? map.map((label) => (label < LABELS.aml || label === LABELS.kidney ? 0 : label))
    : map;
  const ids = await componentsOf(device, shown, labels.shape, masses);
  const found = new Map<number, { low: number[]; high: number[]; counts: number[] }>();
  visit(labels.shape, (i, d, h, w) => {
    const id = ids[i] as number;
    if (id === 0) return;
    let c = found.get(id);
    if (!c) {
      c = { low: [d, h, w], high: [d, h, w], counts: new Array<number>(8).fill(0) };
      found.set(id, c);
    }
    const at = [d, h, w];
    for (let a = 0; a < 3; a++) {
      c.low[a] = Math.min(c.low[a] as number, at[a] as number);
      c.high[a] = Math.max(c.high[a] as number, at[a] as number);
    }
    const label = map[i] as number;
    c.counts[label] = (c.counts[label] as number) + 1;
  });
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
