/** The official scores of KiTS21 and KiTS23: Dice and surface Dice of three nested regions. */
import type { Device } from '../device.js';
import { measure, type RegionMeasures } from '../metrics/index.js';
import type { Triple } from '../volume/index.js';
import { formatCsv } from './csv.js';
import { type Layer, paint, type SampledReference } from './sampled-references.js';

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

/** Scores against one sampled reference of KiTS21. */
export interface ReferenceScores extends KitsScores {
  readonly group: string;
  readonly name: string;
}

/** Scores a prediction against references as they come; equal ones are measured once. */
export class ReferenceScorer {
  readonly scores: ReferenceScores[] = [];
  readonly #known = new Map<string, KitsScores>();
  readonly #prediction: readonly Layer[];
  readonly #spacing: Triple;
  readonly #device: Device;

  constructor(prediction: readonly Layer[], spacing: Triple, device: Device) {
    this.#prediction = prediction;
    this.#spacing = spacing;
    this.#device = device;
  }

  async add({ group, name, key, layers }: SampledReference): Promise<void> {
    let found = this.#known.get(key);
    if (found === undefined) {
      const { shape, maps } = paint([layers, this.#prediction]);
      const geometry = { shape, spacing: this.#spacing };
      const [truth, prediction] = maps as [Uint8Array, Uint8Array];
      found = await kitsScores(truth, prediction, geometry, this.#device);
      this.#known.set(key, found);
    }
    this.scores.push({ group, name, ...found });
  }

  /** Over all references of all groups, as the official tool's evaluate_predictions_on_samples. */
  get mean(): KitsScores {
    const of = (values: (s: ReferenceScores) => readonly number[]) =>
      KITS_REGIONS.map(
        (_, i) =>
          this.scores.reduce((sum, s) => sum + (values(s)[i] as number), 0) / this.scores.length,
      );
    return { dice: of((s) => s.dice), surfaceDice: of((s) => s.surfaceDice) };
  }
}

/** evaluation.csv of the official tool: a row a case, then their mean. */
export function evaluationCsv(
  cases: readonly { readonly case: string; readonly kits?: KitsScores }[],
): string {
  const scored = cases.flatMap(({ case: id, kits }) => (kits ? [{ id, kits }] : []));
  const row = (id: string, scores: KitsScores) => ({ caseID: id, ...scoreFields(scores) });
  const mean = (of: (kits: KitsScores) => number) =>
    scored.reduce((sum, { kits }) => sum + of(kits), 0) / scored.length;
  const average = {
    dice: KITS_REGIONS.map((_, i) => mean((kits) => kits.dice[i] as number)),
    surfaceDice: KITS_REGIONS.map((_, i) => mean((kits) => kits.surfaceDice[i] as number)),
  };
  const rows = scored.map(({ id, kits }) => row(id, kits));
  return formatCsv(
    ['caseID', ...SCORE_COLUMNS],
    scored.length > 0 ? [...rows, row('average', average)] : rows,
  );
}

/** Scores against every reference of KiTS21: evaluation_references.csv, a row a reference. */
export function referencesCsv(
  cases: readonly { readonly case: string; readonly references?: readonly ReferenceScores[] }[],
): string {
  const rows = cases.flatMap(({ case: id, references = [] }) =>
    references.map((r) => ({ caseID: id, group: r.group, reference: r.name, ...scoreFields(r) })),
  );
  return formatCsv(['caseID', 'group', 'reference', ...SCORE_COLUMNS], rows);
}

const SCORE_COLUMNS = [
  ...KITS_REGIONS.map(({ name }) => `Dice_${name}`),
  ...KITS_REGIONS.map(({ name }) => `SD_${name}`),
];

function scoreFields({ dice, surfaceDice }: KitsScores): Record<string, number> {
  return Object.fromEntries(
    SCORE_COLUMNS.map((column, i) => [column, [...dice, ...surfaceDice][i] as number]),
  );
}
