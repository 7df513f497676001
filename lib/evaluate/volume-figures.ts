/** Agreement of volumes (Bland & Altman 1986, doi 10.1016/S0140-6736(86)90837-8). */
import { type BootstrapOptions, type Estimate, mean, variance } from '../metrics/index.js';
import { caseFigures } from './case-figures.js';
import { type CaseRecord, REGION_SIDES, REGIONS, type Region } from './case-record.js';
import { once } from './figure.js';
import { type Figures, INTERVAL, type Table, withInterval } from './table.js';

/** Predicted minus true volume, mL, of each side where either has any. */
function differencesOf(records: readonly CaseRecord[], region: Region): number[] {
  const found: number[] = [];
  for (const { regions } of records)
    for (const side of REGION_SIDES) {
      const own = regions[region][side];
      if (own.state !== 'both_empty') found.push(own.prediction_ml - own.truth_ml);
    }
  return found;
}

const deviation = (values: readonly number[]) => Math.sqrt(variance(values));
const FIGURES: readonly (readonly [string, (values: readonly number[]) => number])[] = [
  ['bias', mean],
  ['lower_limit', (v) => mean(v) - 1.96 * deviation(v)],
  ['upper_limit', (v) => mean(v) + 1.96 * deviation(v)],
];

/** Figures by path, mL: `volume.kidney.bias`, `volume.mass.upper_limit`. */
export function volumeFigures(
  records: readonly CaseRecord[],
  options: BootstrapOptions,
): Map<string, Estimate> {
  const list = REGIONS.flatMap((region) => {
    const differences = once((sample: readonly CaseRecord[]) => differencesOf(sample, region));
    return FIGURES.map(([name, of]) => ({
      path: `volume.${region}.${name}`,
      of: (sample: readonly CaseRecord[]) => of(differences(sample)),
      n: (sample: readonly CaseRecord[]) => differences(sample).length,
    }));
  });
  return caseFigures(records, list, options);
}

export function volumeTable(figures: Figures): Table {
  return {
    id: 'volumes',
    title: 'Volumes: agreement (Bland and Altman)',
    note: `Predicted minus true volume, mL, of each side; limits: mean ± 1.96 standard deviations. ${INTERVAL}`,
    columns: ['structure', 'n', 'mean difference', 'lower limit', 'upper limit'],
    rows: REGIONS.map((region) => {
      const of = (name: string) => figures.get(`volume.${region}.${name}`);
      return [
        ...[region, `${of('bias')?.n ?? 0}`],
        ...FIGURES.map(([name]) => withInterval(of(name), 2)),
      ];
    }),
  };
}
