/** What the probabilities of masses are worth: calibration, ROC, and operating points of each class against the others. */
import { calibration } from '../metrics/index.js';
import { type Figure, ofSize, once, type Size } from './figure.js';
import { type Lesion, MASS_CLASSES } from './lesions.js';

/** Specificities at which the sensitivity is told. */
export const SPECIFICITIES = [0.9, 0.95] as const;

/** TPs of a known class that have probabilities. */
export function scored(lesions: readonly Lesion[], size: Size): Lesion[] {
  return lesions.filter(
    (l) => l.status === 'TP' && l.truthClass !== null && l.probabilities && ofSize(l, size),
  );
}

interface RocSummary {
  readonly auc: number;
  /** At each of {@link SPECIFICITIES}. */
  readonly sensitivities: readonly number[];
  /** Where sensitivity + specificity is greatest, at the highest such threshold. */
  readonly threshold: number;
  readonly sensitivity: number;
  readonly specificity: number;
}

/**
 * One walk down the scores: what {@link rocAuc}, {@link rocCurve} and {@link operatingPoint} give, fast enough for thousands of replicates.
 * Undefined where one side has no cases.
 */
export function rocSummary(
  positives: Float64Array,
  negatives: Float64Array,
): RocSummary | undefined {
  const [m, n] = [positives.length, negatives.length];
  if (m === 0 || n === 0) return undefined;
  const up = positives.slice().sort();
  const down = negatives.slice().sort();
  let [tp, fp, area] = [0, 0, 0];
  let best = { threshold: Number.NaN, sensitivity: 0, specificity: 1 };
  let most = Number.NEGATIVE_INFINITY;
  const sensitivities = SPECIFICITIES.map(() => 0);
  while (tp < m || fp < n) {
    const threshold = Math.max(
      tp < m ? (up[m - 1 - tp] as number) : Number.NEGATIVE_INFINITY,
      fp < n ? (down[n - 1 - fp] as number) : Number.NEGATIVE_INFINITY,
    );
    const [tpBefore, fpBefore] = [tp, fp];
    while (tp < m && (up[m - 1 - tp] as number) >= threshold) tp++;
    while (fp < n && (down[n - 1 - fp] as number) >= threshold) fp++;
    area += ((fp - fpBefore) * (tp + tpBefore)) / 2;
    const sensitivity = tp / m;
    const specificity = 1 - fp / n;
    SPECIFICITIES.forEach((least, k) => {
      // 1 - 1 / 10 is a rounding below 0.9.
      if (specificity >= least - 1e-12) sensitivities[k] = sensitivity;
    });
    if (sensitivity + specificity > most) {
      most = sensitivity + specificity;
      best = { threshold, sensitivity, specificity };
    }
  }
  return { auc: area / (m * n), sensitivities, ...best };
}

/** Figures by path: `classification.ge5mm.calibration.ece`, `classification.overall.aml.youden.threshold`. */
export function scoreFigures(size: Size): Figure[] {
  const path = `classification.${size}`;
  const cases = once((sample: readonly Lesion[]) => scored(sample, size));
  const count = (sample: readonly Lesion[]) => cases(sample).length;
  const calibrated = once((sample: readonly Lesion[]) => {
    const own = cases(sample);
    if (own.length === 0) return { ece: Number.NaN, brier: Number.NaN };
    return calibration(
      own.map((l) => l.probabilities ?? []),
      own.map((l) => l.truthClass ?? ''),
      MASS_CLASSES,
    );
  });
  return [
    { path: `${path}.calibration.ece`, of: (s) => calibrated(s).ece, count },
    { path: `${path}.calibration.brier`, of: (s) => calibrated(s).brier, count },
    ...MASS_CLASSES.flatMap((name, k): Figure[] => {
      const roc = once((sample: readonly Lesion[]) => {
        const sides: [number[], number[]] = [[], []];
        for (const l of cases(sample))
          sides[l.truthClass === name ? 0 : 1].push(l.probabilities?.[k] as number);
        return rocSummary(Float64Array.from(sides[0]), Float64Array.from(sides[1]));
      });
      const figure = (what: string, of: (found: RocSummary) => number): Figure => ({
        path: `${path}.${name}.${what}`,
        of: (sample) => {
          const found = roc(sample);
          return found ? of(found) : Number.NaN;
        },
        count,
      });
      return [
        figure('auc', (r) => r.auc),
        ...SPECIFICITIES.map((least, i) =>
          figure(`sensitivity_at_${100 * least}_specificity`, (r) => r.sensitivities[i] as number),
        ),
        figure('youden.threshold', (r) => r.threshold),
        figure('youden.sensitivity', (r) => r.sensitivity),
        figure('youden.specificity', (r) => r.specificity),
        figure('youden.index', (r) => r.sensitivity + r.specificity - 1),
      ];
    }),
  ];
}
