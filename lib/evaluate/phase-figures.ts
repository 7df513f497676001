/** Figures by the phase of the contrast medium, as the manifest names it. */
import type { BootstrapOptions, Estimate } from '../metrics/index.js';
import { caseFigures } from './case-figures.js';
import type { CaseRecord } from './case-record.js';
import { once } from './figure.js';
import { LESION_FIGURES } from './figures.js';
import type { ManifestEntry } from './manifest.js';
import { sideFigure } from './segmentation-tables.js';
import { type Figures, INTERVAL, percentWithInterval, type Table, withInterval } from './table.js';

const LESION_PATHS = [
  ...['detection.overall.precision', 'detection.overall.recall', 'detection.overall.f1'],
  ...['classification.overall.accuracy', 'end_to_end.overall.accuracy'],
];
const SIDE_PATHS = [
  ['kidney', 'hausdorff.median'],
  ['kidney', 'dice.mean'],
  ['mass', 'dice.mean'],
] as const;

/** Cases by phase in order of its name; those whose phase is not known are in none. */
export function phasesOf(
  records: readonly CaseRecord[],
  manifest: ReadonlyMap<string, ManifestEntry>,
): Map<string, CaseRecord[]> {
  const phases = new Map<string, CaseRecord[]>();
  for (const record of records) {
    const phase = manifest.get(record.case)?.phase ?? null;
    if (phase !== null) phases.set(phase, [...(phases.get(phase) ?? []), record]);
  }
  return new Map([...phases].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** As a part of a path: `Corticomedullary phase` is `corticomedullary_phase`. */
const slug = (phase: string) => phase.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, '_');
const pathOf = (phase: string, path: string) => `phase.${slug(phase)}.${path}`;

/** Figures by path: `phase.nephrographic.detection.overall.recall`, `phase.nephrographic.segmentation.kidney.overall.dice.mean`. */
export function phaseFigures(
  phases: ReadonlyMap<string, readonly CaseRecord[]>,
  options: BootstrapOptions,
): Map<string, Estimate> {
  const found = new Map<string, Estimate>();
  for (const [phase, records] of phases) {
    const lesions = once((sample: readonly CaseRecord[]) => sample.flatMap((r) => r.lesions));
    const list = [
      ...SIDE_PATHS.map(([region, name]) => sideFigure(region, 'overall', name)),
      ...LESION_FIGURES.filter(({ path }) => LESION_PATHS.includes(path)).map((figure) => ({
        path: figure.path,
        of: (sample: readonly CaseRecord[]) => figure.of(lesions(sample)),
        n: (sample: readonly CaseRecord[]) => figure.count(lesions(sample)),
      })),
    ];
    for (const [path, estimate] of caseFigures(records, list, options))
      found.set(pathOf(phase, path), estimate);
  }
  return found;
}

/** None where the manifest names no phase. */
export function phaseTables(
  phases: ReadonlyMap<string, readonly CaseRecord[]>,
  figures: Figures,
): Table[] {
  if (phases.size === 0) return [];
  return [
    {
      id: 'phases',
      title: 'By phase of the contrast medium',
      note: `Phases as the manifest names them; cases without one are left out. ${INTERVAL}`,
      columns: [
        ...['phase', 'cases', 'true masses', 'kidney: Dice', 'kidney: Hausdorff, median'],
        ...['mass: Dice', 'precision', 'recall', 'F1', 'accuracy', 'accuracy, end to end'],
      ],
      rows: [...phases].map(([phase, records]) => {
        const of = (path: string) => figures.get(pathOf(phase, path));
        const masses = records.flatMap((r) => r.lesions).filter((l) => l.status !== 'FP');
        return [
          ...[phase, `${records.length}`, `${masses.length}`],
          withInterval(of('segmentation.kidney.overall.dice.mean')),
          withInterval(of('segmentation.kidney.overall.hausdorff.median'), 2),
          withInterval(of('segmentation.mass.overall.dice.mean')),
          percentWithInterval(of('detection.overall.precision')),
          percentWithInterval(of('detection.overall.recall')),
          withInterval(of('detection.overall.f1'), 2),
          percentWithInterval(of('classification.overall.accuracy')),
          percentWithInterval(of('end_to_end.overall.accuracy')),
        ];
      }),
    },
  ];
}
