/** From cases to figures and tables of whole kidneys and of all masses of a side, and who the cases are of. */
import {
  type BootstrapOptions,
  bootstrapAll,
  chiSquare,
  type Estimate,
  kruskalWallis,
  mean,
  variance,
} from '../metrics/index.js';
import { median } from '../metrics/statistics/bootstrap.js';
import { byPatient } from './by-patient.js';
import type { Figures } from './figures.js';
import { MASS_CLASSES, type Side } from './lesions.js';
import type { ManifestEntry } from './manifest.js';
import { type CaseRecord, REGION_SIDES, REGIONS, type Region } from './measure-case.js';
import { pText, type Table, withInterval } from './table.js';

type Value = 'dice' | 'iou' | 'hausdorff_mm' | 'hd95_mm' | 'assd_mm';
type Which = Side | 'overall';

/** One side of one case, where there is something to compare. */
interface Item {
  readonly record: CaseRecord;
  readonly side: Side;
}

function valuesOf(items: readonly Item[], region: Region, which: Which, value: Value): number[] {
  const found: number[] = [];
  for (const { record, side } of items) {
    if (which !== 'overall' && side !== which) continue;
    const figures = record.regions[region][side];
    const v = figures[value];
    if (figures.state !== 'both_empty' && v !== null) found.push(v);
  }
  return found;
}

interface Spec {
  readonly path: string;
  readonly of: (items: readonly Item[]) => number;
  readonly n: (items: readonly Item[]) => number;
}

function specs(): Spec[] {
  const list: Spec[] = [];
  for (const region of REGIONS)
    for (const which of ['overall', ...REGION_SIDES] as const) {
      const path = `segmentation.${region}.${which}`;
      const add = (name: string, value: Value, of: (v: readonly number[]) => number) =>
        list.push({
          path: `${path}.${name}`,
          of: (items) => of(valuesOf(items, region, which, value)),
          n: (items) => valuesOf(items, region, which, value).length,
        });
      add('dice.mean', 'dice', mean);
      add('dice.median', 'dice', median);
      add('iou.mean', 'iou', mean);
      add('hausdorff.mean', 'hausdorff_mm', mean);
      add('hausdorff.median', 'hausdorff_mm', median);
      add('hd95.mean', 'hd95_mm', mean);
      add('hd95.median', 'hd95_mm', median);
      add('assd.mean', 'assd_mm', mean);
    }
  return list;
}

/** Figures by path, `segmentation.kidney.left.dice.mean`. Distances are over cases where neither mask is empty: `n` says how many. */
export function segmentationFigures(
  records: readonly CaseRecord[],
  options: BootstrapOptions,
): Map<string, Estimate> {
  const items = records.flatMap((record) => REGION_SIDES.map((side) => ({ record, side })));
  const clusters = byPatient(items, ({ record }) => record.patient);
  const list = specs();
  const estimates = bootstrapAll(
    clusters,
    list.map((spec) => spec.of),
    options,
  );
  return new Map(
    list.map((spec, k) => [spec.path, { ...(estimates[k] as Estimate), n: spec.n(items) }]),
  );
}

export function segmentationTable(records: readonly CaseRecord[], figures: Figures): Table {
  const rows = REGIONS.flatMap((region) =>
    ([...REGION_SIDES, 'overall'] as const).map((which) => {
      const states = records.flatMap((record) =>
        REGION_SIDES.filter((side) => which === 'overall' || side === which).map(
          (side) => record.regions[region][side].state,
        ),
      );
      const count = (state: string) => `${states.filter((s) => s === state).length}`;
      const of = (name: string) => figures.get(`segmentation.${region}.${which}.${name}`);
      return [
        ...[region, which === 'overall' ? 'both' : which],
        ...['normal', 'empty_prediction', 'empty_truth', 'both_empty'].map(count),
        ...[withInterval(of('dice.mean')), withInterval(of('dice.median'))],
        ...[withInterval(of('hausdorff.mean'), 2), withInterval(of('hausdorff.median'), 2)],
        ...[withInterval(of('hd95.median'), 2), withInterval(of('assd.mean'), 2)],
      ];
    }),
  );
  return {
    id: 'segmentation',
    title: 'Segmentation of kidneys and masses, by side',
    note: 'Kidney: with its masses. Dice is 0 where one mask alone is empty (missed, false); where both are there is nothing to compare. Distances in mm, over the compared alone: where one mask is empty the distance is infinite and counted, never dropped. Values with 95 % intervals: percentile bootstrap by patient.',
    columns: [
      ...['structure', 'side', 'compared', 'missed', 'false', 'neither'],
      ...['Dice, mean', 'Dice, median', 'Hausdorff, mean', 'Hausdorff, median'],
      ...['HD95, median', 'ASSD, mean'],
    ],
    rows,
  };
}

/** Bland-Altman: mean difference and limits of agreement of volumes. */
export function volumeTable(records: readonly CaseRecord[]): Table {
  const rows = REGIONS.map((region) => {
    const differences = records.flatMap((record) =>
      REGION_SIDES.map((side) => record.regions[region][side])
        .filter((f) => f.state !== 'both_empty')
        .map((f) => f.prediction_ml - f.truth_ml),
    );
    const bias = mean(differences);
    const deviation = Math.sqrt(variance(differences));
    const text = (x: number) => (Number.isFinite(x) ? x.toFixed(2) : 'n/a');
    return [
      ...[region, `${differences.length}`, text(bias)],
      ...[text(bias - 1.96 * deviation), text(bias + 1.96 * deviation)],
    ];
  });
  return {
    id: 'volumes',
    title: 'Volumes: agreement (Bland and Altman)',
    note: 'Predicted minus true volume, mL, of each side; limits: mean ± 1.96 standard deviations.',
    columns: ['structure', 'n', 'mean difference', 'lower limit', 'upper limit'],
    rows,
  };
}

/** Who the cases are of; sex and age of the patients with masses of each type, compared. */
export function cohortTable(
  records: readonly CaseRecord[],
  manifest: ReadonlyMap<string, ManifestEntry>,
): Table {
  const groups = [
    ['all', () => true],
    ...MASS_CLASSES.map((name) => [
      name,
      (r: CaseRecord) => r.lesions.some((l) => l.truthClass === name),
    ]),
    ['no mass', (r: CaseRecord) => r.lesions.every((l) => l.status === 'FP')],
  ] as [string, (r: CaseRecord) => boolean][];
  const members = groups.map(([, among]) => {
    const own = records.filter(among);
    const patients = new Map(own.map((r) => [r.patient, manifest.get(r.case)]));
    const known = [...patients.values()];
    const ages = known.map((p) => p?.age ?? null).filter((age) => age !== null);
    const sexes = (sex: string) => known.filter((p) => p?.sex === sex).length;
    return { own, patients, ages, female: sexes('female'), male: sexes('male') };
  });
  const compared = members.slice(1, 4);
  const sex = chiSquare(compared.map(({ female, male }) => [female, male])).p;
  const age = kruskalWallis(compared.map(({ ages }) => ages)).p;
  return {
    id: 'cohort',
    title: 'Cohort',
    note: `Patients by the types of mass they have (one may have several). Across AML, cystic and solid: sex p ${pText(sex)} (chi-square), age p ${pText(age)} (Kruskal-Wallis). n/a: the manifest does not say.`,
    columns: ['group', 'patients', 'cases', 'true masses', 'female', 'male', 'age, mean ± SD'],
    rows: groups.map(([name], i) => {
      const { own, patients, ages, female, male } = members[i] as (typeof members)[0];
      const masses = own
        .flatMap((r) => r.lesions)
        .filter((l) => l.status !== 'FP' && (i === 0 || i === 4 || l.truthClass === name));
      return [
        ...[name, `${patients.size}`, `${own.length}`, `${masses.length}`],
        ...(female + male > 0 ? [`${female}`, `${male}`] : ['n/a', 'n/a']),
        ages.length > 1
          ? `${mean(ages).toFixed(1)} ± ${Math.sqrt(variance(ages)).toFixed(1)}`
          : 'n/a',
      ];
    }),
  };
}
