/** The study's tables: what phantoms gave, beside what the study published. */
import type { Summary, SummaryFigure, SystemComparison } from '../evaluate/index.js';
import { type CohortName, OWN, PUBLISHED } from './published.js';

export const SYSTEMS = ['two-stage', 'one-stage'] as const;
export type System = (typeof SYSTEMS)[number];
export const COHORTS = ['internal', 'external'] as const satisfies readonly CohortName[];

export interface StudyResults {
  size: string;
  /** By cohort and system. */
  summaries: Readonly<Record<CohortName, Readonly<Record<System, Summary>>>>;
  /** One-stage minus two-stage. */
  comparisons: Readonly<Record<CohortName, SystemComparison>>;
  /** How many a cohort's figures rest on. */
  patients: Readonly<Record<CohortName, number>>;
  /** How many of what, for the head of the tables. */
  facts: readonly string[];
}

export type Verdict = 'two-stage' | 'one-stage' | 'neither' | 'too few';

/** Patients below which an interval by patient says nothing. */
const FEWEST_PATIENTS = 6;

/** Which system segments masses better, by the interval of the paired difference of Dice. */
export function verdict(comparison: SystemComparison, patients: number): Verdict {
  if (patients < FEWEST_PATIENTS) return 'too few';
  const difference = comparison.summary.figures[VERDICT];
  if (!difference || difference.low === null || difference.high === null) return 'neither';
  // One-stage minus two-stage.
  if (difference.high < 0) return 'two-stage';
  return difference.low > 0 ? 'one-stage' : 'neither';
}
const VERDICT = 'segmentation.mass.both.dice.difference';

/** Markdown. */
export function studyTables({
  size,
  summaries,
  comparisons,
  patients,
  facts,
}: StudyResults): string {
  const lines = [
    '# The renal study’s experiments, on PHANTOMS',
    '',
    'All figures of renvox below are of **phantoms**: drawn abdomens, no patients. They say how the two systems compare on what was drawn, and nothing about CTs of people. ' +
      'Published figures: Front. Oncol. 2023, doi 10.3389/fonc.2023.1169922, measured on patients. Research software, not a medical device.',
    '',
    `Size: ${size}.${size === 'tiny' ? ' Networks of a few steps: these figures show that all works, and nothing else.' : ''}`,
    '',
    ...facts.map((fact) => `- ${fact}`),
  ];
  for (const cohort of COHORTS) {
    const found = summaries[cohort];
    lines.push(
      '',
      `## ${cohort === 'internal' ? 'Held-out phantoms' : 'Shifted phantoms: another scanner look, another prevalence'}`,
      '',
      '| figure | two-stage, phantoms | one-stage, phantoms | published, patients (two-stage) |',
      '| --- | --- | --- | --- |',
    );
    const row = (what: string, path: string, digits: number, published: string) => {
      const cells = SYSTEMS.map((system) => shown(found[system].figures[path], digits));
      lines.push(`| ${what} | ${cells.join(' | ')} | ${published || '-'} |`);
    };
    for (const { what, path, digits, ...of } of PUBLISHED) row(what, path, digits, of[cohort]);
    for (const { what, path, digits } of OWN) row(what, path, digits, '');
    lines.push('', statement(cohort, comparisons[cohort], patients[cohort]));
  }
  return `${lines.join('\n')}\n`;
}

function statement(cohort: CohortName, comparison: SystemComparison, patients: number): string {
  const where = cohort === 'internal' ? 'held-out phantoms' : 'shifted phantoms';
  const { figures } = comparison.summary;
  const [two, one, difference] = ['a', 'b', 'difference'].map(
    (name) => figures[VERDICT.replace('difference', name)],
  );
  const figure = `mass Dice ${shown(two, 3)} two-stage, ${shown(one, 3)} one-stage, difference (one minus two) ${shown(difference, 3)}, n = ${difference?.n ?? 0} sides`;
  const says = {
    'two-stage': 'two-stage beats one-stage',
    'one-stage': 'one-stage beats two-stage',
    neither: 'two-stage does not beat one-stage beyond chance, nor the other way round',
    'too few': `whether two-stage beats one-stage cannot be said of ${patients} patients`,
  }[verdict(comparison, patients)];
  return `**On ${where}, ${says}**: ${figure}. 95 % intervals by patient.`;
}

function shown(figure: SummaryFigure | undefined, digits: number): string {
  if (!figure || figure.value === null) return 'n/a';
  const { value, low, high } = figure;
  const interval =
    low === null || high === null
      ? ''
      : ` (${low.toFixed(digits - 1)} to ${high.toFixed(digits - 1)})`;
  return `${value.toFixed(digits)}${interval}`;
}
