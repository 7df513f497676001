/** Who the cases are of. */
import { chiSquare, kruskalWallis, mean, variance } from '../metrics/index.js';
import type { CaseRecord } from './case-record.js';
import { MASS_CLASSES } from './lesions.js';
import type { ManifestEntry } from './manifest.js';
import { pText, type Table } from './table.js';

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
  // The groups of a test must not share patients: those with masses of one type alone.
  const types = new Map<string, Set<string>>();
  for (const { patient, lesions } of records)
    for (const { truthClass } of lesions)
      if (truthClass !== null)
        types.set(patient, (types.get(patient) ?? new Set()).add(truthClass));
  const compared = members.slice(1, 4).map(({ patients }) => {
    const own = [...patients].filter(([patient]) => types.get(patient)?.size === 1);
    const entries = own.map(([, entry]) => entry);
    const sexes = (sex: string) => entries.filter((p) => p?.sex === sex).length;
    return {
      sexes: [sexes('female'), sexes('male')],
      ages: entries.map((p) => p?.age ?? null).filter((age) => age !== null),
    };
  });
  const pure = [...types.values()].filter((own) => own.size === 1).length;
  const sex = chiSquare(compared.map(({ sexes }) => sexes)).p;
  const age = kruskalWallis(compared.map(({ ages }) => ages)).p;
  return {
    id: 'cohort',
    title: 'Cohort',
    note: `Patients by the types of mass they have (one may have several). Across AML, cystic and solid, over the ${pure} patients with masses of one type alone: sex p ${pText(sex)} (chi-square), age p ${pText(age)} (Kruskal-Wallis). n/a: the manifest does not say.${unknownCases(records, manifest)}`,
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

/** Which cases the manifest and the folders do not share. */
function unknownCases(
  records: readonly CaseRecord[],
  manifest: ReadonlyMap<string, ManifestEntry>,
): string {
  if (manifest.size === 0) return '';
  const measured = new Set(records.map((r) => r.case));
  const list = (ids: readonly string[]) =>
    `${ids.length}${ids.length > 0 ? ` (${ids.slice(0, 5).join(', ')}${ids.length > 5 ? ', …' : ''})` : ''}`;
  const without = [...measured].filter((id) => !manifest.has(id));
  const others = [...manifest.keys()].filter((id) => !measured.has(id));
  return ` Measured cases that the manifest does not name: ${list(without)}; cases of the manifest that were not measured: ${list(others)}.`;
}
