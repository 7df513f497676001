/** The official KiTS scores over the cases, with intervals. */
import { type BootstrapOptions, type Estimate, mean } from '../metrics/index.js';
import { caseFigures } from './case-figures.js';
import type { CaseRecord, Protocol } from './case-record.js';
import { KITS_REGIONS, type KitsScores } from './kits.js';
import { type Figures, INTERVAL, type Table, withInterval } from './table.js';

export const KITS_METRICS = [
  ['dice', (s: KitsScores) => s.dice],
  ['surface_dice', (s: KitsScores) => s.surfaceDice],
] as const;

/** Figures by path: `kits.masses.surface_dice.mean`. */
export function kitsFigures(
  records: readonly CaseRecord[],
  options: BootstrapOptions,
): Map<string, Estimate> {
  const scored = records.filter(({ kits }) => kits !== undefined);
  if (scored.length === 0) return new Map();
  const list = KITS_REGIONS.flatMap(({ name }, i) =>
    KITS_METRICS.map(([metric, values]) => ({
      path: `kits.${name}.${metric}.mean`,
      of: (sample: readonly CaseRecord[]) =>
        mean(sample.map(({ kits }) => values(kits as KitsScores)[i] as number)),
      n: (sample: readonly CaseRecord[]) => sample.length,
    })),
  );
  return caseFigures(scored, list, options);
}

/** None with the protocol renvox. */
export function kitsTables(
  records: readonly CaseRecord[],
  figures: Figures,
  protocol: Protocol,
): Table[] {
  if (protocol === 'renvox') return [];
  const references = records.reduce((n, r) => n + (r.references?.length ?? 0), 0);
  const against =
    protocol === 'kits21'
      ? `against ${references} references sampled from several annotators, the mean over those of a case`
      : 'against one reference a case';
  return [
    {
      id: 'kits',
      title: `Official scores (${protocol})`,
      conventions: 'kits',
      note: `Mean over cases, ${against}. Both masks empty: 1; one alone: 0. Surface Dice at ${KITS_REGIONS.map(({ name, toleranceMm }) => `${toleranceMm.toFixed(4)} mm (${name})`).join(', ')}. By case: evaluation.csv. ${INTERVAL}`,
      columns: ['region', 'n', 'Dice', 'surface Dice'],
      rows: KITS_REGIONS.map(({ name }) => {
        const of = (metric: string) => figures.get(`kits.${name}.${metric}.mean`);
        return [
          ...[name === 'kidney' ? 'kidney and masses' : name, `${of('dice')?.n ?? 0}`],
          ...[withInterval(of('dice')), withInterval(of('surface_dice'))],
        ];
      }),
    },
  ];
}
