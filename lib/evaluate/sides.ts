/** On which side of the patient a kidney or a mass is. */
import type { Device } from '../device.js';
import { distanceTransform } from '../ops/index.js';
import { scope } from '../scope.js';
import { download } from '../tensor.js';
import type { Affine, Triple } from '../volume/index.js';
import { codedVoxels, type Instances } from './instances.js';
import type { Side } from './lesions.js';
import type { LabelScheme } from './scheme.js';

/** How far to the patient's left of the image's mid-plane a voxel index [d, h, w] lies, mm. */
export function leftOfMiddle(affine: Affine, shape: Triple): (index: Triple) => number {
  // RAS: x rises to the patient's right.
  const x = ([d, h, w]: Triple) =>
    (affine[0] as number) * w + (affine[1] as number) * h + (affine[2] as number) * d;
  const middle = x([(shape[0] - 1) / 2, (shape[1] - 1) / 2, (shape[2] - 1) / 2]);
  return (index) => middle - x(index);
}

const CODES: Record<Side, number> = { left: 1, right: 2 };

/**
 * Sides of kidney voxels: 1 left, 2 right, 0 no kidney. A label that names a side decides; else a component lies where its centroid does.
 * @param components - of the kidney labels, in the box
 */
export function kidneySideMap(
  { map, list }: Instances,
  scheme: LabelScheme,
  left: (index: Triple) => number,
): Uint8Array {
  const codes = list.map(({ label, centroid }) => {
    const own = scheme.get(label)?.side;
    return CODES[own ?? (left(centroid) >= 0 ? 'left' : 'right')];
  });
  return codedVoxels(map, [0, ...codes]);
}

/**
 * Labels of kidneys of a named side of which more than a quarter lies, by its components, on the other side of the mid-plane: most likely the map's
 * values are not those of the scheme (KiTS' 1 is both kidneys).
 */
export function misplacedKidneys(
  { list }: Instances,
  scheme: LabelScheme,
  left: (index: Triple) => number,
): { label: number; side: Side; share: number }[] {
  return [...scheme].flatMap(([label, { structure, side }]) => {
    if (structure !== 'kidney' || side === undefined) return [];
    const own = list.filter((component) => component.label === label);
    const count = (of: typeof own) => of.reduce((sum, { voxels }) => sum + voxels, 0);
    const across = own.filter(({ centroid }) => left(centroid) < 0 === (side === 'left'));
    const share = count(across) / count(own);
    return share > 0.25 ? [{ label, side, share }] : [];
  });
}

/**
 * Side of each mass: that of its label; else of the nearer kidney, by the least distance between voxels; where there is no kidney, or both
 * are as near, by where its centroid lies.
 */
export async function massSides(
  masses: Instances,
  kidneys: Uint8Array,
  scheme: LabelScheme,
  left: (index: Triple) => number,
  geometry: { shape: Triple; spacing: Triple },
  device: Device,
): Promise<Side[]> {
  const nearest = masses.list.map(() => [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]);
  const { shape, spacing } = geometry;
  const sides = ([1, 2] as const).filter((code) => kidneys.includes(code));
  // One kidney alone owns all; distances are only needed between two.
  for (const code of masses.list.length > 0 ? sides : []) {
    if (sides.length === 1) {
      for (const pair of nearest) pair[code - 1] = 0;
      continue;
    }
    const distance = await scope(async () => {
      const sites = kidneys.map((side) => (side === code ? 1 : 0));
      const mask = device.tensor(sites, { shape: [...shape] });
      const found = distanceTransform(mask, { spacing: [...spacing], to: 'foreground' });
      return (await download([found]))[0] as Float32Array;
    });
    for (let at = 0; at < distance.length; at++) {
      const i = masses.map[at] as number;
      if (i === 0) continue;
      const pair = nearest[i - 1] as number[];
      pair[code - 1] = Math.min(pair[code - 1] as number, distance[at] as number);
    }
  }
  return masses.list.map(({ label, centroid }, i) => {
    const own = scheme.get(label)?.side;
    if (own) return own;
    const [toLeft = 0, toRight = 0] = nearest[i] ?? [];
    if (toLeft !== toRight) return toLeft < toRight ? 'left' : 'right';
    return left(centroid) >= 0 ? 'left' : 'right';
  });
}
