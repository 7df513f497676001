/** Tables of {@link scoreFigures}. */
import { SIZES } from './figure.js';
import { MASS_CLASSES } from './lesions.js';
import { SPECIFICITIES } from './score-figures.js';
import {
  type Figures,
  INTERVAL,
  percentWithInterval,
  SIZE_NAMES,
  type Table,
  withInterval,
} from './table.js';

export function calibrationTable(figures: Figures): Table {
  return {
    id: 'calibration',
    title: 'Calibration of the class probabilities',
    note: `Over TPs with probabilities. ECE: expected calibration error of the greatest probability, 10 bins of equal width. Brier: sum over the classes of squared errors, 0 to 2. ${INTERVAL}`,
    columns: ['size', 'n', 'ECE', 'Brier'],
    rows: SIZES.map((size) => {
      const of = (name: string) => figures.get(`classification.${size}.calibration.${name}`);
      return [
        ...[SIZE_NAMES[size], `${of('ece')?.n ?? 0}`],
        ...[withInterval(of('ece')), withInterval(of('brier'))],
      ];
    }),
  };
}

export function operatingPointTable(figures: Figures): Table {
  return {
    id: 'operating-points',
    title: 'Operating points, each class against the others',
    note: `Over TPs with probabilities. Sensitivity: the greatest among thresholds of at least the specificity. Youden: the threshold of greatest sensitivity + specificity - 1, chosen on these very masses. ${INTERVAL}`,
    columns: [
      ...['class', 'size', 'n'],
      ...SPECIFICITIES.map((s) => `sensitivity at ${100 * s} % specificity`),
      ...['Youden: threshold', 'sensitivity', 'specificity', 'index'],
    ],
    rows: MASS_CLASSES.flatMap((name) =>
      SIZES.map((size) => {
        const of = (what: string) => figures.get(`classification.${size}.${name}.${what}`);
        return [
          ...[name, SIZE_NAMES[size], `${of('youden.index')?.n ?? 0}`],
          ...SPECIFICITIES.map((s) =>
            percentWithInterval(of(`sensitivity_at_${100 * s}_specificity`)),
          ),
          withInterval(of('youden.threshold')),
          ...['sensitivity', 'specificity'].map((w) => percentWithInterval(of(`youden.${w}`))),
          withInterval(of('youden.index'), 2),
        ];
      }),
    ),
  };
}
