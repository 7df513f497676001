/** What of a phantom's kidneys and masses lies in an image: counted from its label and instance maps. */
import { sphereDiameterMm } from '../metrics/diameter.js';
import type { Grid, Triple } from '../volume/index.js';
import { toWorld } from '../volume/index.js';
import type { MassClass, MassKind, PlannedMass } from './anatomy/masses.js';

/** Size and place of a region. */
export interface Extent {
  voxels: number;
  volumeMl: number;
  /** LPS mm; null where there are no voxels. */
  centroidLpsMm: Triple | null;
}

/** A mass as it lies in the image. */
export interface PhantomMass extends Extent {
  /** Number in the instance map. */
  id: number;
  side: 'left' | 'right';
  class: MassClass;
  /** What was drawn: 'simple cyst', 'clear cell', ... */
  kind: MassKind;
  centroidLpsMm: Triple;
  /** Diameter of the sphere of equal volume. */
  averageDiameterMm: number;
}

export interface Truth {
  /** Parenchyma without masses. */
  kidneys: { left: Extent; right: Extent };
  /** Those with at least one voxel, by id. */
  masses: PhantomMass[];
}

class Sum {
  voxels = 0;
  d = 0;
  h = 0;
  w = 0;

  extent(grid: Grid, voxelMl: number): Extent {
    const n = this.voxels;
    return {
      voxels: n,
      volumeMl: n * voxelMl,
      centroidLpsMm: n === 0 ? null : toWorld(grid, [this.d / n, this.h / n, this.w / n]),
    };
  }
}

/**
 * @param labels 0 none, 1 left kidney, 2 right kidney, 3.. masses; @param instances which mass
 * @param masses what was drawn
 */
export function measureTruth(
  labels: Uint8Array,
  instances: Uint8Array,
  grid: Grid,
  masses: readonly PlannedMass[],
): Truth {
  const kidneys = [new Sum(), new Sum()];
  const each = new Map(masses.map((m) => [m.instance, new Sum()]));
  const [, height, width] = grid.shape;
  for (let v = 0; v < labels.length; v++) {
    const label = labels[v] as number;
    if (label === 0) continue;
    const sum = label <= 2 ? kidneys[label - 1] : each.get(instances[v] as number);
    if (!sum) continue;
    const row = Math.floor(v / width);
    sum.voxels++;
    sum.d += Math.floor(row / height);
    sum.h += row % height;
    sum.w += v % width;
  }
  const voxelMl = voxelVolume(grid) / 1000;
  const [left, right] = kidneys as [Sum, Sum];
  return {
    kidneys: { left: left.extent(grid, voxelMl), right: right.extent(grid, voxelMl) },
    masses: masses.flatMap((m) => {
      const extent = (each.get(m.instance) as Sum).extent(grid, voxelMl);
      if (extent.centroidLpsMm === null) return [];
      return {
        id: m.instance,
        ...{ side: m.side, class: m.class, kind: m.kind },
        ...{ voxels: extent.voxels, volumeMl: extent.volumeMl },
        centroidLpsMm: extent.centroidLpsMm,
        averageDiameterMm: sphereDiameterMm(extent.volumeMl),
      };
    }),
  };
}

/** mm^3. */
function voxelVolume({ affine }: Grid): number {
  const m = (r: number, c: number) => affine[4 * r + c] as number;
  return Math.abs(
    m(0, 0) * (m(1, 1) * m(2, 2) - m(1, 2) * m(2, 1)) -
      m(0, 1) * (m(1, 0) * m(2, 2) - m(1, 2) * m(2, 0)) +
      m(0, 2) * (m(1, 0) * m(2, 1) - m(1, 1) * m(2, 0)),
  );
}
