/** The official KiTS23 scores: Dice and surface Dice of three nested regions. */
import type { Device } from '../device.js';
import { measure, type RegionMeasures } from '../metrics/index.js';
import type { Triple } from '../volume/index.js';
import { formatCsv } from './csv.js';

/** Labels of a region, and the tolerance of its surface Dice in mm, as the official tool has them (kits23/evaluation). */
export const KITS_REGIONS = [
  { name: 'kidney', labels: [1, 2, 3], toleranceMm: 1.0330772532390826 },
  { name: 'masses', labels: [2, 3], toleranceMm: 1.1328796488598762 },
  { name: 'tumor', labels: [2], toleranceMm: 1.1498198361434828 },
] as const;

export interface KitsScores {
  /** In the order of {@link KITS_REGIONS}. */
  readonly dice: readonly number[];
  readonly surfaceDice: readonly number[];
}

/** Both masks empty: 1; one alone: 0. */
export async function kitsScores(
  truth: Uint8Array,
  prediction: Uint8Array,
  geometry: { shape: Triple; spacing: Triple },
  device: Device,
): Promise<KitsScores> {
  const { regions } = await measure(truth, prediction, {
    ...{ ...geometry, device, conventions: 'kits', percentiles: [] },
    regions: Object.fromEntries(KITS_REGIONS.map(({ name, labels }) => [name, labels])),
    tolerances: KITS_REGIONS.map(({ toleranceMm }) => toleranceMm),
  });
  const found = KITS_REGIONS.map(({ name }) => regions[name] as RegionMeasures);
  return {
    dice: found.map(({ dice }) => dice),
    // Each region has the tolerance of its own.
    surfaceDice: found.map(({ surfaceDice }, i) => surfaceDice[i] as number),
  };
}

/** evaluation.csv of the official tool: a row a case, then their mean. */
export function evaluationCsv(
  cases: readonly { readonly case: string; readonly kits?: KitsScores }[],
): string {
  const scored = cases.flatMap(({ case: id, kits }) => (kits ? [{ id, kits }] : []));
  const columns = [
    'caseID',
    ...KITS_REGIONS.map(({ name }) => `Dice_${name}`),
    ...KITS_REGIONS.map(({ name }) => `SD_${name}`),
  ];
  const row = (id: string, { dice, surfaceDice }: KitsScores) => {
    const fields: Record<string, string | number> = { caseID: id };
    KITS_REGIONS.forEach(({ name }, i) => {
      fields[`Dice_${name}`] = dice[i] as number;
      fields[`SD_${name}`] = surfaceDice[i] as number;
    });
    return fields;
  };
  const mean = (of: (kits: KitsScores) => number) =>
    scored.reduce((sum, { kits }) => sum + of(kits), 0) / scored.length;
  const average = {
    dice: KITS_REGIONS.map((_, i) => mean((kits) => kits.dice[i] as number)),
    surfaceDice: KITS_REGIONS.map((_, i) => mean((kits) => kits.surfaceDice[i] as number)),
  };
  const rows = scored.map(({ id, kits }) => row(id, kits));
  return formatCsv(columns, scored.length > 0 ? [...rows, row('average', average)] : rows);
}
