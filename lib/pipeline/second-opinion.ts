/**
 * A second opinion on a mass by rule: what the definitions of the classes say of its HU. It stands beside the network's class and never
 * replaces it. Definitions: AML has macroscopic fat without calcification; a cystic mass has less than about 25 % enhancing tissue, a solid one
 * more (Bosniak 2019: Silverman et al. 2019, doi 10.1148/radiol.2019182646); tissue enhances where it rises by more than 20 HU; what is
 * homogeneous and at most 20 HU is a simple cyst's fluid.
 */
import type { MassClass } from './finding.js';
import type { Enhancement, Intensities } from './intensities.js';
import type { PhaseName } from './phase.js';

/** The line of Bosniak 2019 between cystic and solid: share of enhancing tissue. */
export const BOSNIAK_ENHANCING_FRACTION = 0.25;
/**
 * Share of fat from which a mass holds macroscopic fat, and share of calcification up to which that makes it an AML. The definition gives no
 * numbers; a tenth of the mass without its border told AML from others in a trial on phantoms.
 */
export const AML_FAT_FRACTION = 0.1;
export const AML_CALCIFIED_FRACTION = 0.01;
/** HU up to which a median is a fluid's. */
export const FLUID_HU = 20;
/** Voxels that a mass without its border must have for that part alone to be judged: fewer, and the whole is. */
export const LEAST_CORE_VOXELS = 20;

export interface SecondOpinion {
  /** Null where the rule cannot tell; `because` says why. */
  class: MassClass | null;
  because: string;
  /** Whether the border's voxels, which share their HU with what lies beside the mass, were left out. */
  judged: 'core' | 'whole';
}

/** The HU of a mass: of all of it, and of what is left without its border. */
export interface MassIntensities {
  whole: Intensities;
  core: Intensities;
}

/** How a second phase differs, likewise. */
export interface MassEnhancement {
  whole: Enhancement;
  core: Enhancement;
  /** The HU of the second phase, where it was taken without contrast. */
  unenhanced: MassIntensities | null;
}

/**
 * @param change - how a second phase differs
 * @param own - the phase that `hu` are of, where it is known: `unenhanced` tells calcification from vessels and enhancement from a dense cyst
 */
export function secondOpinion(
  hu: MassIntensities,
  change?: MassEnhancement | null,
  own?: PhaseName,
): SecondOpinion {
  const judged = hu.core.voxels >= LEAST_CORE_VOXELS ? 'core' : 'whole';
  const { fatFraction, median } = hu[judged];
  // With contrast, what is above 130 HU may be vessels: calcification is told on an unenhanced scan.
  const unenhanced = own === 'unenhanced' ? hu : change?.unenhanced;
  const native = unenhanced?.[judged].calcifiedFraction ?? null;
  const dense = native ?? hu[judged].calcifiedFraction;
  const say = (name: MassClass | null, because: string) =>
    ({ class: name, because, judged }) as const;
  if (fatFraction === null || dense === null || median === null)
    return say(null, 'no voxel has a value');
  const fat = `${percent(fatFraction)} fat (below -20 HU)`;
  if (fatFraction >= AML_FAT_FRACTION) {
    const above = `${percent(dense)} above 130 HU`;
    if (dense <= AML_CALCIFIED_FRACTION) return say('aml', `${fat}, at least 10 %; ${above}`);
    return native === null
      ? say(
          'aml',
          `${fat}, at least 10 %; ${above}: vessels, or calcification, which would be against it`,
        )
      : say(
          null,
          `${fat}, but ${above} without contrast: fat with calcification is no sign of AML`,
        );
  }
  const fluid = median <= FLUID_HU;
  const middle = `median ${median.toFixed(0)} HU`;
  const figures = change?.[judged];
  if (
    !change ||
    !figures ||
    figures.enhancingFraction === null ||
    figures.oppositeFraction === null
  )
    return fluid
      ? say('cystic', `${fat}; ${middle}, at most 20 HU: fluid`)
      : say(null, `${fat}; ${middle}: one phase cannot tell enhancement from a dense cyst`);
  // Noise is as likely to push a voxel up as down; without it the other side would be empty.
  const net = Math.max(0, figures.enhancingFraction - figures.oppositeFraction);
  const shares = `${percent(net)} of it changes by more than 20 HU (${percent(figures.enhancingFraction)} less ${percent(figures.oppositeFraction)} the other way)`;
  if (
    unenhanced &&
    figures.oppositeFraction - figures.enhancingFraction > BOSNIAK_ENHANCING_FRACTION
  )
    return say(
      null,
      `${percent(figures.oppositeFraction)} of it is more than 20 HU darker with contrast than without: another place or another phase`,
    );
  if (net > BOSNIAK_ENHANCING_FRACTION)
    return say('solid', `${shares}: above the 25 % line of Bosniak 2019`);
  if (unenhanced || fluid) return say('cystic', `${shares}: below the 25 % line of Bosniak 2019`);
  return say(
    null,
    `${shares}, between two enhanced phases, yet ${middle}: an unenhanced scan would tell`,
  );
}

function percent(share: number): string {
  return `${(100 * share).toFixed(0)} %`;
}
