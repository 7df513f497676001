/** From lesions to figures: each by a path, with its 95 % interval by patient. */
import { type BootstrapOptions, bootstrapAll, type Estimate, pearson } from '../metrics/index.js';
import { median } from '../metrics/statistics/bootstrap.js';
import { byPatient } from './by-patient.js';
import {
  always,
  count,
  type Figure,
  f1,
  ofSize,
  type Predicate,
  ratio,
  SIZES,
  type Size,
  share,
} from './figure.js';
import { type Lesion, MASS_CLASSES, type MassClass } from './lesions.js';
import { onTruthFigures } from './on-truth-figures.js';
import { scoreFigures } from './score-figures.js';

const isTp: Predicate = (l) => l.status === 'TP';
const isFp: Predicate = (l) => l.status === 'FP';
const isFn: Predicate = (l) => l.status === 'FN';
const isTrue: Predicate = (l) => l.status !== 'FP';
const isPredicted: Predicate = (l) => l.status !== 'FN';
/** A TP that has a class to be called: what classification is measured on. */
const isClassified: Predicate = (l) => l.status === 'TP' && l.truthClass !== null;
const isRight: Predicate = (l) => l.truthClass === l.predictedClass;

function detection(path: string, among: Predicate): Figure[] {
  const both =
    (p: Predicate): Predicate =>
    (l) =>
      among(l) && p(l);
  return [
    share(`${path}.precision`, isTp, both(isPredicted)),
    share(`${path}.recall`, isTp, both(isTrue)),
    f1(`${path}.f1`, both(isTp), both(isFp), both(isFn)),
  ];
}

/** Detection of masses of one true class: precision is that of predictions called so, where the rest of the row has no truth. */
function detectionOfClass(path: string, name: MassClass, size: Size): Figure[] {
  const sized: Predicate = (l) => ofSize(l, size);
  const own: Predicate = (l) => sized(l) && l.truthClass === name;
  const spurious: Predicate = (l) => sized(l) && isFp(l) && l.predictedClass === name;
  const found: Predicate = (l) => own(l) && isTp(l);
  return [
    share(`${path}.precision`, isTp, (l) => found(l) || spurious(l)),
    share(`${path}.recall`, isTp, own),
    f1(`${path}.f1`, found, spurious, (l) => own(l) && isFn(l)),
  ];
}

function classification(size: Size): Figure[] {
  const among: Predicate = (l) => isClassified(l) && ofSize(l, size);
  const path = `classification.${size}`;
  const recalls = MASS_CLASSES.map((name) =>
    share('', isRight, (l) => among(l) && l.truthClass === name),
  );
  const balanced: Figure = {
    path: `${path}.balanced_accuracy`,
    of: (sample) => {
      const found = recalls.map((r) => r.of(sample)).filter((r) => !Number.isNaN(r));
      return found.reduce((a, b) => a + b, 0) / found.length;
    },
    count: (sample) => count(sample, among),
  };
  return [
    share(`${path}.accuracy`, isRight, among),
    balanced,
    ...MASS_CLASSES.flatMap((name) => {
      const truth: Predicate = (l) => among(l) && l.truthClass === name;
      const called: Predicate = (l) => among(l) && l.predictedClass === name;
      return [
        share(`${path}.${name}.precision`, isRight, called),
        share(`${path}.${name}.recall`, isRight, truth),
        f1(`${path}.${name}.f1`, (l) => truth(l) && isRight(l), called, truth),
      ];
    }),
  ];
}

/** Mean and median Dice of the masses found. */
function diceFigures(name: string, among: Predicate): Figure[] {
  const path = `segmentation.mass.dice.${name}`;
  const measured: Predicate = (l) => isTp(l) && l.dice !== null && among(l);
  return [
    ratio(`${path}.mean`, (l) => (measured(l) ? [l.dice as number, 1] : undefined), measured),
    {
      path: `${path}.median`,
      of: (sample) => {
        const values: number[] = [];
        for (const l of sample) if (measured(l)) values.push(l.dice as number);
        return median(values);
      },
      count: (sample) => count(sample, measured),
    },
  ];
}

/** Whether it is right by how well it was delineated: Pearson's r of Dice and rightness over TPs above 5 mm. */
const diceAndRightness: Figure = {
  path: 'correlation.dice_correct.ge5mm.r',
  of: (sample) => {
    const cases = sample.filter(correlated);
    return pearson(
      cases.map((l) => l.dice as number),
      cases.map((l) => (isRight(l) ? 1 : 0)),
    ).r;
  },
  count: (sample) => count(sample, correlated),
};
/** What the correlation above is taken over. */
export function correlated(l: Lesion): boolean {
  return isClassified(l) && l.dice !== null && ofSize(l, 'ge5mm');
}

/**
 * From CT to class: each true mass that has a class, a missed one being wrong, and each false mass one more error. `recall` of a class is
 * the share of its masses that are found and called so; `precision` the share of what is called so that is.
 */
function endToEnd(size: Size): Figure[] {
  const sized: Predicate = (l) => ofSize(l, size);
  const path = `end_to_end.${size}`;
  const known: Predicate = (l) => sized(l) && isTrue(l) && l.truthClass !== null;
  return [
    share(`${path}.accuracy`, (l) => isTp(l) && isRight(l), known),
    ...MASS_CLASSES.flatMap((name) => {
      const truth: Predicate = (l) => known(l) && l.truthClass === name;
      const called: Predicate = (l) => sized(l) && isPredicted(l) && l.predictedClass === name;
      const right: Predicate = (l) => truth(l) && isTp(l) && isRight(l);
      return [
        share(`${path}.${name}.precision`, right, called),
        share(`${path}.${name}.recall`, right, truth),
        f1(`${path}.${name}.f1`, right, called, truth),
      ];
    }),
  ];
}

/** Every figure that lesions alone give. */
export const LESION_FIGURES: readonly Figure[] = [
  ...detection('detection.overall', always),
  ...detection('detection.left', (l) => l.side === 'left'),
  ...detection('detection.right', (l) => l.side === 'right'),
  ...detection('detection.lt5mm', (l) => ofSize(l, 'lt5mm')),
  ...detection('detection.ge5mm', (l) => ofSize(l, 'ge5mm')),
  ...MASS_CLASSES.flatMap((name) =>
    SIZES.flatMap((size) => detectionOfClass(`detection.${name}.${size}`, name, size)),
  ),
  ...SIZES.flatMap(classification),
  ...diceFigures('tp', always),
  ...MASS_CLASSES.flatMap((name) => diceFigures(name, (l) => l.truthClass === name)),
  ...(['lt5mm', 'ge5mm'] as const).flatMap((size) => diceFigures(size, (l) => ofSize(l, size))),
  diceAndRightness,
  ...SIZES.flatMap(endToEnd),
  ...SIZES.flatMap(scoreFigures),
  ...SIZES.flatMap(onTruthFigures),
];

/** With intervals by patient, by path: `n` is the figure's denominator. */
export function lesionFigures(
  lesions: readonly Lesion[],
  options: BootstrapOptions = {},
): Map<string, Estimate> {
  const patients = byPatient(lesions, (l) => l.patient);
  const ratios = LESION_FIGURES.filter((figure) => figure.terms !== undefined);
  const others = LESION_FIGURES.filter((figure) => figure.terms === undefined);
  // The seed and the number of patients decide what is drawn, so both draw the same replicates.
  const estimates = [
    ...bootstrapAll(
      patients.map((own) => [sumsOf(own, ratios)]),
      ratios.map((_, k) => (sample: readonly Float64Array[]) => {
        let above = 0;
        let below = 0;
        for (const sums of sample) {
          above += sums[2 * k] as number;
          below += sums[2 * k + 1] as number;
        }
        return above / below;
      }),
      options,
    ),
    ...bootstrapAll(
      patients,
      others.map((figure) => figure.of),
      options,
    ),
  ];
  return new Map(
    [...ratios, ...others].map((figure, k) => [
      figure.path,
      { ...(estimates[k] as Estimate), n: figure.count(lesions) },
    ]),
  );
}

/** Sums of a patient's lesions, two a figure. */
function sumsOf(lesions: readonly Lesion[], ratios: readonly Figure[]): Float64Array {
  const sums = new Float64Array(2 * ratios.length);
  ratios.forEach(({ terms }, k) => {
    for (const lesion of lesions) {
      const own = terms?.(lesion);
      if (own === undefined) continue;
      sums[2 * k] = (sums[2 * k] as number) + own[0];
      sums[2 * k + 1] = (sums[2 * k + 1] as number) + own[1];
    }
  });
  return sums;
}

/** Counts of lesions by what happened to them. */
export function countsOf(lesions: readonly Lesion[], among: Predicate = always) {
  return {
    tp: count(lesions, (l) => among(l) && isTp(l)),
    fp: count(lesions, (l) => among(l) && isFp(l)),
    fn: count(lesions, (l) => among(l) && isFn(l)),
  };
}

/** Rows of {@link confusionOf}: true classes, and nothing where a false positive is. */
export const CONFUSION_ROWS = [...MASS_CLASSES, 'none'] as const;
/** Columns: what a mass was called, that it was called nothing, that it was missed. */
export const CONFUSION_COLUMNS = [...MASS_CLASSES, 'unclassified', 'missed'] as const;

/** What became of each lesion, by {@link CONFUSION_ROWS} and {@link CONFUSION_COLUMNS}; lesions whose true class is not known are left out. */
export function confusionOf(lesions: readonly Lesion[]): number[][] {
  const counts = CONFUSION_ROWS.map(() => CONFUSION_COLUMNS.map(() => 0));
  for (const l of lesions) {
    const truth = l.status === 'FP' ? 'none' : l.truthClass;
    if (truth === null) continue;
    const called = l.status === 'FN' ? 'missed' : (l.predictedClass ?? 'unclassified');
    const row = counts[CONFUSION_ROWS.indexOf(truth)] as number[];
    const column = CONFUSION_COLUMNS.indexOf(called);
    row[column] = (row[column] as number) + 1;
  }
  return counts;
}
