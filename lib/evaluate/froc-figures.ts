/** Detection by score: sensitivity against false positives per case, and average precision. */
import {
  averagePrecision,
  type BootstrapOptions,
  type Estimate,
  type FrocPoint,
  froc,
  type ScoredDetection,
} from '../metrics/index.js';
import { byPatient } from './by-patient.js';
import { caseFigures } from './case-figures.js';
import { once } from './figure.js';
import type { Lesion } from './lesions.js';
import { type Figures, INTERVAL, percentWithInterval, type Table, withInterval } from './table.js';

/** False positives per case at which the sensitivity is told (LUNA16: Setio et al. 2017, doi 10.1016/j.media.2017.06.015). */
export const FROC_AT = [0.125, 0.25, 0.5, 1, 2, 4, 8] as const;

/** The lesions of one case; a case may have none. */
export interface CaseLesions {
  readonly case: string;
  readonly patient: string;
  readonly lesions: readonly Lesion[];
}

/** Cases as a file of lesions alone knows them: those that have a row. */
export function casesOf(lesions: readonly Lesion[]): CaseLesions[] {
  return byPatient(lesions, (l) => l.case).map((own) => ({
    case: own[0]?.case as string,
    patient: own[0]?.patient as string,
    lesions: own,
  }));
}

/** Whether a detector scored any mass. */
function detectorScores(cases: readonly CaseLesions[]): boolean {
  return cases.some(({ lesions }) => lesions.some((l) => l.score !== undefined));
}

/** The score of a mass: a detector's where any mass has one, else its greatest class probability: how sure the classifier is. */
function scoreOf({ score, probabilities }: Lesion, detector: boolean): number | undefined {
  if (detector) return score;
  return probabilities ? Math.max(...probabilities) : undefined;
}

/** Predicted masses by their scores ({@link scoreOf}); those without come last. */
function detectionsOf(
  cases: readonly CaseLesions[],
  detector: boolean,
): { found: ScoredDetection[]; truths: number } {
  const found: ScoredDetection[] = [];
  let truths = 0;
  for (const { lesions } of cases)
    for (const lesion of lesions) {
      const { status } = lesion;
      if (status !== 'FP') truths++;
      if (status === 'FN') continue;
      const score = scoreOf(lesion, detector) ?? Number.NEGATIVE_INFINITY;
      found.push({ score, hit: status === 'TP' });
    }
  return { found, truths };
}

/** Points of the curve; none where no predicted mass has a score or there is nothing to find. */
export function frocPoints(cases: readonly CaseLesions[]): FrocPoint[] {
  if (!hasScores(cases)) return [];
  const { found, truths } = detectionsOf(cases, detectorScores(cases));
  return truths === 0 ? [] : froc(found, truths, cases.length);
}

function hasScores(cases: readonly CaseLesions[]): boolean {
  const detector = detectorScores(cases);
  return cases.some(({ lesions }) => lesions.some((l) => scoreOf(l, detector) !== undefined));
}

const pathOf = (rate: number) => `detection.froc.sensitivity_at_${`${rate}`.replace('.', '_')}_fp`;

/** Figures by path: `detection.froc.sensitivity_at_0_5_fp`, `detection.froc.mean_sensitivity`, `detection.average_precision`. */
export function frocFigures(
  cases: readonly CaseLesions[],
  options: BootstrapOptions,
): Map<string, Estimate> {
  // Without scores there is no curve; a replicate that drew no scored mass must not be one where others are.
  const scores = hasScores(cases);
  const detector = detectorScores(cases);
  const state = once((sample: readonly CaseLesions[]) => {
    const { found, truths } = detectionsOf(sample, detector);
    return { found, truths, points: truths > 0 ? froc(found, truths, sample.length) : [] };
  });
  const at = (sample: readonly CaseLesions[], rate: number) => {
    if (!scores || state(sample).truths === 0) return Number.NaN;
    let best = 0;
    for (const { sensitivity, falsePositivesPerCase } of state(sample).points)
      if (falsePositivesPerCase <= rate) best = Math.max(best, sensitivity);
    return best;
  };
  const list: [string, (sample: readonly CaseLesions[]) => number][] = [
    ...FROC_AT.map((rate) => [pathOf(rate), (s) => at(s, rate)] as (typeof list)[number]),
    [
      'detection.froc.mean_sensitivity',
      (s) => FROC_AT.reduce((sum, rate) => sum + at(s, rate), 0) / FROC_AT.length,
    ],
    [
      'detection.average_precision',
      (s) => (scores ? averagePrecision(state(s).found, state(s).truths) : Number.NaN),
    ],
  ];
  const n = (sample: readonly CaseLesions[]) => state(sample).truths;
  return caseFigures(
    cases,
    list.map(([path, of]) => ({ path, of, n })),
    options,
  );
}

export function frocTable(cases: readonly CaseLesions[], figures: Figures): Table {
  const detector = detectorScores(cases);
  const { found, truths } = detectionsOf(cases, detector);
  const scoredOnes = found.filter(({ score }) => score !== Number.NEGATIVE_INFINITY).length;
  return {
    id: 'froc',
    title: 'Detection by score (FROC, average precision)',
    note: `${truths} true masses in ${cases.length} cases; ${scoredOnes} of ${found.length} predicted masses have a score, the others come last. The score of a mass is ${detector ? "that of the file's score column" : 'its greatest class probability: that of a classifier, not of a detector'}. ${INTERVAL}`,
    columns: ['false positives per case, at most', 'sensitivity'],
    rows: [
      ...FROC_AT.map((rate) => [`${rate}`, percentWithInterval(figures.get(pathOf(rate)))]),
      ['mean of these', percentWithInterval(figures.get('detection.froc.mean_sensitivity'))],
      ['average precision', withInterval(figures.get('detection.average_precision'))],
    ],
  };
}
