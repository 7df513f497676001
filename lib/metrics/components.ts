/** Connected components of a label map: how many, how large, where. */
import type { Device } from '../device.js';
import { invalidArgument } from '../errors.js';
import { type Connectivity, connectedComponents } from '../ops/index.js';
import { scope } from '../scope.js';
import { download } from '../tensor.js';
import { gridOf, type Triple, toWorld, Volume } from '../volume/index.js';
import { type Axis, type ComponentShape, componentShapes } from './component-shapes.js';
import { hostBox } from './device-box.js';
import { deviceFor, type LabelSource, oneGeometry } from './label-source.js';

export interface DescribeOptions {
  /** Voxels along [d, h, w]; needed where the map is a plain array. */
  shape?: Triple;
  /** mm along [d, h, w]; needed where the map is no volume. */
  spacing?: Triple;
  /** The labels (1..255) to describe. Default: all that occur. */
  labels?: readonly number[];
  /** Whether neighbouring voxels of different labels are apart. Default true. */
  perLabel?: boolean;
  /** Neighbours of a voxel: over faces (6), and edges (18), and corners (26). Default 26. */
  connectivity?: Connectivity;
  /** The axis of [d, h, w] along which axial slices follow each other. Default: by the affine of a {@link Volume}, else 0. */
  axialAxis?: Axis;
  /** Default: that of a tensor, else {@link defaultDevice}. */
  device?: Device;
  /** Stops between operations. */
  signal?: AbortSignal;
}

/** Voxel indices are those of the whole map. */
export interface Component extends ComponentShape {
  /** That of its voxels; the smallest of theirs where labels were not kept apart. */
  readonly label: number;
  /** {@link ComponentShape.centroid} times the spacing, [d, h, w] in mm. */
  readonly centroidMm: Triple;
  /** The same place in the patient, [x, y, z] in RAS mm; only where the map is a {@link Volume}. */
  readonly centroidRas?: Triple;
}

/**
 * Describes every connected component of a label map, in raster order (w fastest) of their first voxels.
 *
 * The map is cut to the box of its labels; components are found on the device, measured on the host in one pass.
 * @throws RenvoxError ShapeMismatch (also for 2^31 voxels or more); DtypeMismatch; InvalidArgument for labels outside 0..255; AbortError,
 * OutOfMemory
 */
export async function describeComponents(
  map: LabelSource,
  options: DescribeOptions = {},
): Promise<Component[]> {
  const { shape, spacing } = oneGeometry('map', map, options);
  const axialAxis = axialAxisOf(options.axialAxis, map);
  const device = deviceFor(options.device, map);
  const box = await hostBox({ map }, shape, options.labels, options.signal);
  const { list } = await componentsOf(box.maps[0] as Uint8Array, box.shape, {
    ...{ spacing, axialAxis, device, offset: box.offset, signal: options.signal },
    ...{ perLabel: options.perLabel ?? true, connectivity: options.connectivity ?? 26 },
    volume: map instanceof Volume ? map : undefined,
  });
  return list;
}

/** The axis asked for; else the one of a volume among the maps that runs along the patient; else the first. */
export function axialAxisOf(asked: Axis | undefined, ...maps: readonly LabelSource[]): Axis {
  if (asked !== undefined) {
    if (asked !== 0 && asked !== 1 && asked !== 2)
      throw invalidArgument('axialAxis', '0, 1 or 2 (d, h or w)', asked);
    return asked;
  }
  const volume = maps.find((map) => map instanceof Volume);
  return volume ? axialAxisOfVolume(volume) : 0;
}

/** The axis of [d, h, w] that runs from foot to head, or closest to it. */
export function axialAxisOfVolume({ orientation }: Pick<Volume, 'orientation'>): Axis {
  // The orientation's letters are in the file's order, w first.
  return (2 - orientation.search(/[SI]/)) as Axis;
}

/** Where the labels lie. */
interface Place {
  readonly spacing: Triple;
  readonly axialAxis: Axis;
  /** First voxel of the labels in the whole map. */
  readonly offset: Triple;
  readonly volume: Volume | undefined;
}

interface Wanted extends Place {
  readonly device: Device;
  readonly signal?: AbortSignal | undefined;
  readonly perLabel: boolean;
  readonly connectivity: Connectivity;
}

/** Components of labels cut out of a map. */
export interface FoundComponents {
  /** 0 background, 1.. the components, on the grid of the labels. */
  readonly map: Int32Array;
  /** Component i is element i - 1. */
  readonly list: Component[];
}

export async function componentsOf(
  labels: Uint8Array,
  shape: Triple,
  wanted: Wanted,
): Promise<FoundComponents> {
  const map = await componentMap(labels, shape, wanted);
  return { map, list: componentList(map, labels, shape, wanted) };
}

/** Per voxel its component, 1.. in raster order of their first voxels; 0 none. */
export async function componentMap(
  labels: Uint8Array,
  shape: Triple,
  { device, signal, perLabel, connectivity }: Omit<Wanted, keyof Place>,
): Promise<Int32Array> {
  return scope(async () => {
    const tensor = device.tensor(labels, { shape: [...shape], borrow: true });
    const { components } = device.under({ signal }, () =>
      connectedComponents(tensor, { perLabel, connectivity }),
    );
    return (await download([components]))[0] as Int32Array;
  });
}

/** Describes components of a map that are numbered already. */
export function componentList(
  map: Int32Array,
  labels: Uint8Array,
  shape: Triple,
  { spacing, axialAxis, offset, volume }: Place,
): Component[] {
  const label: number[] = [];
  for (let at = 0; at < map.length; at++) {
    const i = (map[at] as number) - 1;
    if (i >= 0) label[i] = Math.min(label[i] ?? 255, labels[at] as number);
  }
  const whole = ([d, h, w]: Triple): Triple => [d + offset[0], h + offset[1], w + offset[2]];
  return componentShapes(map, shape, spacing, axialAxis, label.length).map((found, i) => {
    const own = found as ComponentShape;
    const centroid = whole(own.centroid);
    const [d, h, w] = centroid;
    return {
      label: label[i] as number,
      ...own,
      ...{ centroid, low: whole(own.low), high: whole(own.high) },
      centroidMm: [d * spacing[0], h * spacing[1], w * spacing[2]],
      ...(volume && { centroidRas: ras(volume, centroid) }),
    };
  });
}

function ras(volume: Volume, index: Triple): Triple {
  const [x, y, z] = toWorld(gridOf(volume), index);
  return [-x, -y, z];
}
