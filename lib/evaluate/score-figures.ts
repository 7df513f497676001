/** What the probabilities of masses are worth: calibration, and operating points of each class against the others. */
import { calibration, type OperatingPoint, operatingPoint, rocCurve } from '../metrics/index.js';
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

/** Figures by path: `classification.ge5mm.calibration.ece`, `classification.overall.aml.youden.threshold`. */
export function scoreFigures(size: Size): Figure[] {
  const path = `classification.${size}`;
  const cases = once((sample: readonly Lesion[]) => scored(sample, size));
  const count = (sample: readonly Lesion[]) => cases(sample).length;
  const calibrated = once((sample: readonly Lesion[]) => {
    const own = cases(sample);
    return calibration(
      own.map((l) => l.probabilities ?? []),
      own.map((l) => l.truthClass ?? ''),
      MASS_CLASSES,
    );
  });
  return [
    { path: `${path}.calibration.ece`, of: (s) => nanOfNone(count(s), calibrated(s).ece), count },
    { path: `${path}.calibration.brier`, of: (s) => calibrated(s).brier, count },
    ...MASS_CLASSES.flatMap((name, k): Figure[] => {
      const points = once((sample: readonly Lesion[]) => {
        const scores = cases(sample).map((l) => l.probabilities?.[k] as number);
        const own = cases(sample).map((l) => l.truthClass === name);
        if (!own.includes(true) || !own.includes(false)) return undefined;
        return { youden: operatingPoint(scores, own), curve: rocCurve(scores, own) };
      });
      const youden = (what: string, of: (point: OperatingPoint) => number): Figure => ({
        path: `${path}.${name}.youden.${what}`,
        of: (sample) => {
          const point = points(sample)?.youden;
          return point && Number.isFinite(point.threshold) ? of(point) : Number.NaN;
        },
        count,
      });
      return [
        ...SPECIFICITIES.map((least) => ({
          path: `${path}.${name}.sensitivity_at_${100 * least}_specificity`,
          of: (sample: readonly Lesion[]) => {
            const curve = points(sample)?.curve;
            if (curve === undefined) return Number.NaN;
            let best = 0;
            // 1 - 1/10 is a rounding below 0.9.
            for (const { sensitivity, specificity } of curve)
              if (specificity >= least - 1e-12) best = Math.max(best, sensitivity);
            return best;
          },
          count,
        })),
        youden('threshold', (p) => p.threshold),
        youden('sensitivity', (p) => p.sensitivity),
        youden('specificity', (p) => p.specificity),
        youden('index', (p) => p.sensitivity + p.specificity - 1),
      ];
    }),
  ];
}

/** A sum over nothing is 0, which is no figure. */
function nanOfNone(n: number, value: number): number {
  return n > 0 ? value : Number.NaN;
}
