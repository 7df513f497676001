/** Class on true contours against class on predicted components: how much segmentation errors cost classification. */
import {
  type Figure,
  f1,
  ofSize,
  type Predicate,
  ratio,
  SIZES,
  type Size,
  share,
} from './figure.js';
import { type Lesion, MASS_CLASSES } from './lesions.js';
import {
  type Figures,
  INTERVAL,
  percentWithInterval,
  pointsWithInterval,
  SIZE_NAMES,
  type Table,
} from './table.js';

/** A true mass of a known class that was classified on its true contours, found or not. */
const asked: Predicate = (l) =>
  l.status !== 'FP' && l.truthClass !== null && l.classOnTruth !== undefined;
const rightOnTruth: Predicate = (l) => l.classOnTruth === l.truthClass;
const rightEndToEnd: Predicate = (l) => l.status === 'TP' && l.predictedClass === l.truthClass;

/** Share of `among` that is right on true contours less the share that is right end to end. */
function lossOf(path: string, among: Predicate): Figure {
  const gain = (l: Lesion) => (rightOnTruth(l) ? 1 : 0) - (rightEndToEnd(l) ? 1 : 0);
  return ratio(path, (l) => (among(l) ? [gain(l), 1] : undefined), among);
}

/** Figures by path: `on_truth.ge5mm.accuracy`, `on_truth.ge5mm.aml.recall`, `on_truth.ge5mm.loss.accuracy`. */
export function onTruthFigures(size: Size): Figure[] {
  const path = `on_truth.${size}`;
  const among: Predicate = (l) => asked(l) && ofSize(l, size);
  return [
    share(`${path}.accuracy`, rightOnTruth, among),
    share(`${path}.end_to_end_accuracy`, rightEndToEnd, among),
    lossOf(`${path}.loss.accuracy`, among),
    ...MASS_CLASSES.flatMap((name) => {
      const truth: Predicate = (l) => among(l) && l.truthClass === name;
      const called: Predicate = (l) => among(l) && l.classOnTruth === name;
      const right: Predicate = (l) => truth(l) && rightOnTruth(l);
      return [
        share(`${path}.${name}.precision`, rightOnTruth, called),
        share(`${path}.${name}.recall`, rightOnTruth, truth),
        f1(`${path}.${name}.f1`, right, called, truth),
        lossOf(`${path}.loss.${name}.recall`, truth),
      ];
    }),
  ];
}

const ON_TRUTH = [...MASS_CLASSES, 'unclassified'] as const;
const ON_PREDICTION = [...MASS_CLASSES, 'unclassified', 'missed'] as const;

/** Two tables where any mass was classified on true contours; none else. */
export function onTruthTables(lesions: readonly Lesion[], figures: Figures): Table[] {
  const known = lesions.filter(asked);
  if (known.length === 0) return [];
  const of = (path: string) => percentWithInterval(figures.get(path));
  return [
    {
      id: 'on-truth',
      title: 'Class on true contours against class on predicted components: accuracy',
      note: `Over the same true masses on both sides, ${known.length} with a class; a missed one (FN) is wrong on predicted components. The difference, in percentage points, is what segmentation costs. ${INTERVAL}`,
      columns: [
        ...['size', 'n', 'on true contours', 'on predicted components', 'difference'],
        ...MASS_CLASSES.map((name) => `${name}: recall on true contours`),
        ...MASS_CLASSES.map((name) => `${name}: difference of recall`),
      ],
      rows: SIZES.map((size) => {
        const path = `on_truth.${size}`;
        return [
          ...[SIZE_NAMES[size], `${figures.get(`${path}.accuracy`)?.n ?? 0}`],
          ...[of(`${path}.accuracy`), of(`${path}.end_to_end_accuracy`)],
          pointsWithInterval(figures.get(`${path}.loss.accuracy`)),
          ...MASS_CLASSES.map((name) => of(`${path}.${name}.recall`)),
          ...MASS_CLASSES.map((name) =>
            pointsWithInterval(figures.get(`${path}.loss.${name}.recall`)),
          ),
        ];
      }),
    },
    {
      id: 'on-truth-moves',
      title: 'What each true mass was called: on true contours, then on the predicted component',
      note: 'Rows: the true class and the class on true contours. Columns: the class on the predicted component, or missed. All sizes.',
      columns: ['true', 'on true contours', ...ON_PREDICTION],
      rows: MASS_CLASSES.flatMap((truth) =>
        ON_TRUTH.map((first) => {
          const own = known.filter(
            (l) => l.truthClass === truth && (l.classOnTruth ?? 'unclassified') === first,
          );
          const outcome = (l: Lesion) =>
            l.status === 'FN' ? 'missed' : (l.predictedClass ?? 'unclassified');
          return [
            ...[truth, first],
            ...ON_PREDICTION.map((name) => `${own.filter((l) => outcome(l) === name).length}`),
          ];
        }),
      ),
    },
  ];
}
