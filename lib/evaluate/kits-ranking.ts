/** The order of systems in a KiTS challenge. */
import { invalidArgument } from '../errors.js';
import { mean } from '../metrics/index.js';
import { KITS_REGIONS, type KitsScores } from './kits.js';

/** A system's place. */
export interface KitsRank {
  /** Over the three regions. */
  readonly meanDice: number;
  readonly meanSurfaceDice: number;
  /** 1 is best; equal figures share the better rank. */
  readonly diceRank: number;
  readonly surfaceDiceRank: number;
  /** Mean of the two ranks. */
  readonly meanRank: number;
  /** Its place by the mean rank, ties parted by the Dice of tumours; systems equal in that too share a place. */
  readonly place: number;
}

/**
 * Ranks systems as KiTS21 and KiTS23 do: by the mean Dice over the regions and by the mean surface Dice, each with the rule 'min' for ties; the
 * two ranks are averaged, and the Dice of tumours parts what is tied.
 * @param systems - of each its mean scores over the cases, in the order of {@link KITS_REGIONS}
 * @returns in the order of `systems`
 * @throws RenvoxError InvalidArgument where a score is missing or not finite
 */
export function kitsRanking(systems: readonly KitsScores[]): KitsRank[] {
  for (const [i, { dice, surfaceDice }] of systems.entries())
    for (const scores of [dice, surfaceDice])
      if (scores.length !== KITS_REGIONS.length || !scores.every(Number.isFinite))
        throw invalidArgument(`systems[${i}]`, `${KITS_REGIONS.length} finite scores`, scores);
  const dice = systems.map((s) => mean(s.dice));
  const surfaceDice = systems.map((s) => mean(s.surfaceDice));
  const [diceRank, surfaceDiceRank] = [ranks(dice), ranks(surfaceDice)];
  const meanRank = systems.map((_, i) =>
    mean([diceRank[i] as number, surfaceDiceRank[i] as number]),
  );
  const tumour = KITS_REGIONS.findIndex(({ name }) => name === 'tumor');
  const better = (i: number, j: number) => {
    const [a, b] = [meanRank[i] as number, meanRank[j] as number];
    return a < b || (a === b && (systems[i]?.dice[tumour] ?? 0) > (systems[j]?.dice[tumour] ?? 0));
  };
  return systems.map((_, j) => ({
    meanDice: dice[j] as number,
    meanSurfaceDice: surfaceDice[j] as number,
    diceRank: diceRank[j] as number,
    surfaceDiceRank: surfaceDiceRank[j] as number,
    meanRank: meanRank[j] as number,
    place: 1 + systems.filter((_, i) => better(i, j)).length,
  }));
}

/** 1 for the greatest; of equal values each has the least rank of them. */
function ranks(values: readonly number[]): number[] {
  return values.map((value) => 1 + values.filter((other) => other > value).length);
}
