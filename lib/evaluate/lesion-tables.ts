/** The study's tables that lesions alone give, and the end-to-end table that it lacked. */
import { holm, kruskalWallis, mannWhitney, pearson } from '../metrics/index.js';
import { ofSize, SIZES, type Size } from './figure.js';
import { CONFUSION_COLUMNS, CONFUSION_ROWS, confusionOf, correlated, countsOf } from './figures.js';
import { type Lesion, MASS_CLASSES } from './lesions.js';
import { onTruthTables } from './on-truth-figures.js';
import { calibrationTable, operatingPointTable } from './score-tables.js';
import {
  type Figures,
  INTERVAL,
  percentWithInterval,
  pText,
  SIZE_NAMES,
  type Table,
  text,
  withInterval,
} from './table.js';
import { worstLesions } from './worst.js';

/**
 * All of them, in the order of the report.
 * @param detection - more tables of detection
 */
export function lesionTables(
  lesions: readonly Lesion[],
  figures: Figures,
  detection: readonly Table[],
): Table[] {
  return [
    detectionTable(lesions, figures),
    detectionByClassTable(lesions, figures),
    ...detection,
    diceByClassTable(lesions, figures),
    diceBySizeTable(lesions, figures),
    accuracyTable(lesions, figures),
    ...SIZES.map((size) => classTable(lesions, figures, size)),
    aucTable(figures),
    operatingPointTable(figures),
    calibrationTable(figures),
    componentTable(lesions),
    correlationTable(lesions, figures),
    ...SIZES.map((size) => confusionTable(lesions, size)),
    endToEndTable(figures),
    ...onTruthTables(lesions, figures),
    worstTable(lesions),
  ];
}

function detectionTable(lesions: readonly Lesion[], figures: Figures): Table {
  const rows = (['overall', 'left', 'right', 'lt5mm', 'ge5mm'] as const).map((group) => {
    const { tp, fp, fn } = countsOf(lesions, (l) =>
      group === 'left' || group === 'right' ? l.side === group : ofSize(l, group),
    );
    const of = (name: string) => figures.get(`detection.${group}.${name}`);
    return [
      group === 'left' || group === 'right' ? `${group} kidney` : SIZE_NAMES[group],
      ...[`${tp}`, `${tp + fp}`, `${tp + fn}`],
      ...[percentWithInterval(of('precision')), percentWithInterval(of('recall'))],
      withInterval(of('f1'), 2),
    ];
  });
  return {
    id: 'detection',
    title: 'Detection of masses, by side and by size',
    note: `One-to-one: TP is a pair of a true and a predicted mass. Sizes by average diameter, of the truth for TP and FN, of the prediction for FP. ${INTERVAL}`,
    columns: ['', 'TP', 'predicted', 'true', 'precision', 'recall', 'F1'],
    rows,
  };
}

function detectionByClassTable(lesions: readonly Lesion[], figures: Figures): Table {
  return {
    id: 'detection-by-class',
    title: 'Detection of masses, by type and by size at once',
    note: `TP and FN by the true class; a FP, which has none, by the class it was called. ${INTERVAL}`,
    columns: ['type', 'size', 'TP', 'FP', 'FN', 'precision', 'recall', 'F1'],
    rows: MASS_CLASSES.flatMap((name) =>
      SIZES.map((size) => {
        const { tp, fp, fn } = countsOf(
          lesions,
          (l) => ofSize(l, size) && (l.status === 'FP' ? l.predictedClass : l.truthClass) === name,
        );
        const of = (figure: string) => figures.get(`detection.${name}.${size}.${figure}`);
        return [
          ...[name, SIZE_NAMES[size], `${tp}`, `${fp}`, `${fn}`],
          ...[percentWithInterval(of('precision')), percentWithInterval(of('recall'))],
          withInterval(of('f1'), 2),
        ];
      }),
    ),
  };
}

const diceOf = (lesions: readonly Lesion[], among: (l: Lesion) => boolean) =>
  lesions.filter((l) => l.status === 'TP' && among(l) && l.dice !== null).map((l) => l.dice ?? 0);

function diceByClassTable(lesions: readonly Lesion[], figures: Figures): Table {
  const groups = MASS_CLASSES.map((name) => diceOf(lesions, (l) => l.truthClass === name));
  const test = kruskalWallis(groups);
  const pairs = [
    [0, 1],
    [0, 2],
    [1, 2],
  ] as const;
  const single = pairs.map(([i, j]) => mannWhitney(groups[i] ?? [], groups[j] ?? []).p);
  const adjusted = holm(single);
  return {
    id: 'dice-by-class',
    title: 'Dice of the masses found, by type',
    note: `Kruskal-Wallis over the types: H = ${text(test.statistic, 2)}, p ${equals(test.p)}. Mann-Whitney of each pair, adjusted by Holm: ${pairs
      .map(([i, j], k) => `${MASS_CLASSES[i]} and ${MASS_CLASSES[j]} p ${equals(adjusted[k])}`)
      .join('; ')}. ${INTERVAL}`,
    columns: ['type', 'n', 'mean Dice', 'median'],
    rows: [
      ...MASS_CLASSES.map((name, i) => diceRow(name, groups[i] ?? [], figures, name)),
      diceRow(
        'all',
        diceOf(lesions, () => true),
        figures,
        'tp',
      ),
    ],
  };
}

function diceBySizeTable(lesions: readonly Lesion[], figures: Figures): Table {
  const sizes = ['lt5mm', 'ge5mm'] as const;
  const groups = sizes.map((size) => diceOf(lesions, (l) => ofSize(l, size)));
  const { p } = mannWhitney(groups[0] ?? [], groups[1] ?? []);
  return {
    id: 'dice-by-size',
    title: 'Dice of the masses found, by size',
    note: `Mann-Whitney: p ${equals(p)}. ${INTERVAL}`,
    columns: ['size', 'n', 'mean Dice', 'median'],
    rows: sizes.map((size, i) => diceRow(SIZE_NAMES[size], groups[i] ?? [], figures, size)),
  };
}

function diceRow(name: string, dice: number[], figures: Figures, path: string): string[] {
  const of = (what: string) => withInterval(figures.get(`segmentation.mass.dice.${path}.${what}`));
  return [name, `${dice.length}`, of('mean'), of('median')];
}

function accuracyTable(lesions: readonly Lesion[], figures: Figures): Table {
  return {
    id: 'accuracy',
    title: 'Classification of the masses found: accuracy',
    note: `Of TPs with a true class; one without a predicted class counts as wrong. ${INTERVAL}`,
    columns: ['size', 'right', 'n', 'accuracy', 'balanced accuracy'],
    rows: SIZES.map((size) => {
      const among = lesions.filter(
        (l) => l.status === 'TP' && l.truthClass !== null && ofSize(l, size),
      );
      return [
        SIZE_NAMES[size],
        `${among.filter((l) => l.truthClass === l.predictedClass).length}`,
        `${among.length}`,
        percentWithInterval(figures.get(`classification.${size}.accuracy`)),
        percentWithInterval(figures.get(`classification.${size}.balanced_accuracy`)),
      ];
    }),
  };
}

function classTable(lesions: readonly Lesion[], figures: Figures, size: Size): Table {
  const among = lesions.filter(
    (l) => l.status === 'TP' && l.truthClass !== null && ofSize(l, size),
  );
  return {
    id: `classes-${size}`,
    title: `Classification of the masses found, per class: ${SIZE_NAMES[size]}`,
    note: INTERVAL,
    columns: ['class', 'right', 'called', 'true', 'precision', 'recall', 'F1'],
    rows: MASS_CLASSES.map((name) => {
      const truth = among.filter((l) => l.truthClass === name);
      const called = among.filter((l) => l.predictedClass === name);
      const of = (figure: string) => figures.get(`classification.${size}.${name}.${figure}`);
      return [
        name,
        `${truth.filter((l) => l.predictedClass === name).length}`,
        ...[`${called.length}`, `${truth.length}`],
        ...[percentWithInterval(of('precision')), percentWithInterval(of('recall'))],
        withInterval(of('f1'), 2),
      ];
    }),
  };
}

function aucTable(figures: Figures): Table {
  return {
    id: 'auc',
    title: 'Area under the ROC curve, each class against the others',
    note: `Over TPs with probabilities. ${INTERVAL}`,
    columns: ['class', ...SIZES.map((size) => SIZE_NAMES[size])],
    rows: MASS_CLASSES.map((name) => [
      name,
      ...SIZES.map((size) => withInterval(figures.get(`classification.${size}.${name}.auc`))),
    ]),
  };
}

function componentTable(lesions: readonly Lesion[]): Table {
  return {
    id: 'components',
    title: 'Predicted components by what they are',
    note: 'True positives and false positives by the class they were called.',
    columns: ['called', 'TP', 'FP'],
    rows: [...MASS_CLASSES, null].map((name) => {
      const { tp, fp } = countsOf(lesions, (l) => l.status !== 'FN' && l.predictedClass === name);
      return [name ?? 'nothing', `${tp}`, `${fp}`];
    }),
  };
}

function correlationTable(lesions: readonly Lesion[], figures: Figures): Table {
  const cases = lesions.filter(correlated);
  const { p } = pearson(
    cases.map((l) => l.dice ?? 0),
    cases.map((l) => (l.truthClass === l.predictedClass ? 1 : 0)),
  );
  return {
    id: 'dice-and-class',
    title: 'Whether well-delineated masses are named better',
    note: `Pearson's r of Dice and rightness (0 or 1) over TPs from 5 mm on. ${INTERVAL}`,
    columns: ['n', 'r', 'p'],
    rows: [
      [`${cases.length}`, withInterval(figures.get('correlation.dice_correct.ge5mm.r')), pText(p)],
    ],
  };
}

function confusionTable(lesions: readonly Lesion[], size: Size): Table {
  const counts = confusionOf(lesions.filter((l) => ofSize(l, size)));
  return {
    id: `confusion-${size}`,
    title: `True class against what became of it, end to end: ${SIZE_NAMES[size]}`,
    note: 'Rows: the true class, or none for false positives. Columns: the class called, unclassified, or missed. Masses whose true class is not known are left out.',
    columns: ['true \\ called', ...CONFUSION_COLUMNS],
    rows: CONFUSION_ROWS.map((truth, i) => [truth, ...(counts[i] as number[]).map(String)]),
  };
}

function endToEndTable(figures: Figures): Table {
  return {
    id: 'end-to-end',
    title: 'End to end: what segmentation errors do to classification',
    note: `From CT to class: a missed mass is wrong, a false mass is one more wrong call. Beside it the accuracy on the masses found. ${INTERVAL}`,
    columns: [
      'size',
      'accuracy, of the masses found',
      'accuracy, end to end',
      ...MASS_CLASSES.flatMap((name) => [`${name} precision`, `${name} recall`]),
    ],
    rows: SIZES.map((size) => [
      SIZE_NAMES[size],
      percentWithInterval(figures.get(`classification.${size}.accuracy`)),
      percentWithInterval(figures.get(`end_to_end.${size}.accuracy`)),
      ...MASS_CLASSES.flatMap((name) => [
        percentWithInterval(figures.get(`end_to_end.${size}.${name}.precision`)),
        percentWithInterval(figures.get(`end_to_end.${size}.${name}.recall`)),
      ]),
    ]),
  };
}

function worstTable(lesions: readonly Lesion[]): Table {
  return {
    id: 'worst',
    title: 'Worst masses',
    note: 'Missed ones by size, then those called wrong, false ones, and the worst delineated.',
    columns: ['case', 'side', 'status', 'true', 'called', 'average diameter (mm)', 'Dice'],
    rows: worstLesions(lesions).map((k) => {
      const l = lesions[k] as Lesion;
      return [
        ...[l.case, l.side ?? '', l.status, l.truthClass ?? '', l.predictedClass ?? ''],
        ...[text(l.averageDiameterMm, 1), text(l.dice, 3)],
      ];
    }),
  };
}

function equals(p: number | undefined): string {
  const found = pText(p ?? Number.NaN);
  return found.startsWith('<') || found === 'n/a' ? found : `= ${found}`;
}
