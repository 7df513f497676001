/** Figures of what was found: counted on the device in the box of the crops, read on the host into kidneys and masses of the CT. */
import { sphereDiameterMm } from '../metrics/diameter.js';
import { crop, labelHistograms, labelMeasures } from '../ops/index.js';
import { scope } from '../scope.js';
import type { Tensor } from '../tensor.js';
import { gridOf, type Triple, toWorld, type Volume } from '../volume/index.js';
import type { VoxelBox } from './crops-box.js';
import { type KidneyFinding, MASS_CLASSES, type MassFinding } from './finding.js';
import { enhancement, Histogram, HU_RANGE, intensities } from './intensities.js';
import { covers, isEarlier, onCtGrid, type PhaseName, type SecondPhase } from './phase.js';
import { secondOpinion } from './second-opinion.js';
import { CAPACITY, type LoadedCt, SIDES, type Side } from './stages.js';

/** Values of the map of instances: the two kidneys, then the masses of each side. */
export const INSTANCES = 2 + 2 * CAPACITY;

/**
 * Counts of whole HU of every instance, of all of it and of its interior; with a second phase also of the later phase less the earlier
 * one, and of the second phase.
 * @param instances - in the box
 */
export function countHu(
  ct: LoadedCt,
  instances: Tensor,
  box: VoxelBox,
  { phase, ownPhase }: Phases,
): Tensor[] {
  return scope(() => {
    const both = (image: Tensor, minus?: Tensor) =>
      [false, true].map((interior) =>
        labelHistograms(instances, image, { labels: INSTANCES, ...HU_RANGE, minus, interior }),
      );
    const image = crop(ct.image, box);
    const counts = both(image);
    if (!phase || !ct.phase) return counts;
    const other = onCtGrid(ct, ct.phase, box);
    const change = isEarlier(phase.name, ownPhase) ? both(image, other) : both(other, image);
    return [...counts, ...change, ...both(other)];
  });
}

/** What is known of the phases. */
export type Phases = Record<'phase', SecondPhase | undefined> &
  Record<'ownPhase', PhaseName | undefined>;

/** What {@link countHu} counted, and what of. */
export interface Counted extends Phases {
  counts: readonly Int32Array[];
}

/** What the HU of an instance say; `covered`: whether all of it lies in the second phase's field of view. */
function readHu({ counts, phase, ownPhase }: Counted, label: number, covered: boolean) {
  const { low, bins } = HU_RANGE;
  const [whole, core, change, coreChange, inPhase, coreInPhase] = counts.map(
    (all) => new Histogram(all.subarray((label - 1) * bins, label * bins), low),
  );
  const hu = { whole: intensities(whole as Histogram), core: intensities(core as Histogram) };
  const second = covered
    ? { whole: intensities(inPhase as Histogram), core: intensities(coreInPhase as Histogram) }
    : null;
  const unenhanced = [phase?.name, ownPhase].includes('unenhanced');
  const changed = (of: Histogram | undefined) => enhancement(of as Histogram, unenhanced);
  const enhanced = second && {
    ...{ whole: changed(change), core: changed(coreChange) },
    unenhanced: phase?.name === 'unenhanced' ? second : null,
  };
  return {
    ...{ intensities: hu.whole, coreIntensities: hu.core },
    ...{ phaseIntensities: second?.whole ?? null, corePhaseIntensities: second?.core ?? null },
    ...{ enhancement: enhanced?.whole ?? null, coreEnhancement: enhanced?.core ?? null },
    secondOpinion: secondOpinion(hu, enhanced, ownPhase),
  };
}

/**
 * The finding's figures, from what came back.
 * @param table - of measureLabels, in the box
 * @param probabilities - [2 * CAPACITY, 3]
 */
export function readFigures(
  ct: Volume,
  table: ArrayLike<number>,
  probabilities: Float32Array,
  /** The CT's voxel where the measured box begins. */
  start: Triple,
  counted: Counted,
) {
  const measures = labelMeasures(table);
  const grid = gridOf(ct);
  const measured = (label: number) => {
    const found = measures[label - 1];
    const voxels = found?.voxels ?? 0;
    const inCt = ([d, h, w]: Triple): Triple => [d + start[0], h + start[1], w + start[2]];
    return {
      ...{ voxels, box: found ? ([inCt(found.low), inCt(found.high)] as const) : null },
      volumeMl: (voxels * ct.voxelVolume) / 1000,
      centroidLpsMm: found ? toWorld(grid, inCt(found.centroid)) : null,
      maxDiameterMm: found?.greatestDiameter ?? 0,
    };
  };
  const kidney = (label: number): KidneyFinding => {
    const { voxels, volumeMl, centroidLpsMm } = measured(label);
    return { voxels, volumeMl, centroidLpsMm };
  };
  const masses: MassFinding[] = [];
  // Where the stages keep each mass of the list.
  const places: { side: number; index: number }[] = [];
  const { phase } = counted;
  const inPhase = ([low, high]: readonly [Triple, Triple]) =>
    phase !== undefined && covers(ct, phase, low, high);
  let truncated = false;
  SIDES.forEach((side, s) => {
    const found: (Omit<MassFinding, 'id'> & { index: number })[] = [];
    for (let k = 0; k < CAPACITY; k++) {
      const label = 3 + s * CAPACITY + k;
      const { voxels, volumeMl, centroidLpsMm, maxDiameterMm, box } = measured(label);
      if (!box || !centroidLpsMm) continue;
      found.push({
        index: k,
        side,
        ...named(probabilities.subarray((s * CAPACITY + k) * 3)),
        voxels,
        volumeMl,
        averageDiameterMm: sphereDiameterMm(volumeMl),
        maxDiameterMm,
        centroidLpsMm,
        ...readHu(counted, label, inPhase(box)),
      });
    }
    truncated ||= found.length === CAPACITY;
    found.sort((a, b) => b.voxels - a.voxels);
    for (const { index, ...mass } of found) {
      masses.push({ id: masses.length + 1, ...mass });
      places.push({ side: s, index });
    }
  });
  return {
    kidneys: { left: kidney(1), right: kidney(2) } as Record<Side, KidneyFinding>,
    masses,
    places,
    truncated,
  };
}

/** The class is the one whose label the map holds: the first of the greatest probabilities. */
function named(p: Float32Array): Pick<MassFinding, 'class' | 'probabilities'> {
  const values = MASS_CLASSES.map((_, i) => p[i] as number);
  const best = values.indexOf(Math.max(...values));
  return {
    class: MASS_CLASSES[best] as MassFinding['class'],
    probabilities: {
      aml: values[0] as number,
      cystic: values[1] as number,
      solid: values[2] as number,
    },
  };
}
