// Figures of probabilities: against the library's own curves, and by hand.

import type { Lesion } from 'renvox/evaluate';
import { operatingPoint, rocAuc, rocCurve } from 'renvox/metrics';
import t from 'tap';
import { lesionFigures } from '#lib/evaluate/figures.js';
import { casesOf, frocFigures } from '#lib/evaluate/froc-figures.js';
import { rocSummary } from '#lib/evaluate/score-figures.js';
import { generator } from '../ops/harness.js';

const near = (a: number, b: number) => Math.abs(a - b) < 1e-12;

t.test('one walk down the scores gives what the curves give', async (t) => {
  const next = generator(7);
  for (let round = 0; round < 200; round++) {
    const n = 2 + Math.floor(next() * 30);
    // Few different scores, so that there are ties.
    const scores = Array.from({ length: n }, () => Math.round(next() * 8) / 8);
    const positive = scores.map((s, i) => (i < 2 ? i === 0 : next() < 0.2 + 0.5 * s));
    const side = (which: boolean) =>
      Float64Array.from(scores.filter((_, i) => positive[i] === which));
    const found = rocSummary(side(true), side(false));
    if (!found) throw new Error('both sides have cases');
    const best = operatingPoint(scores, positive);
    const at = (least: number) =>
      Math.max(
        ...rocCurve(scores, positive)
          .filter((p) => p.specificity >= least - 1e-12)
          .map((p) => p.sensitivity),
      );
    const same =
      near(found.auc, rocAuc(scores, positive).auc) &&
      near(found.sensitivities[0] as number, at(0.9)) &&
      near(found.sensitivities[1] as number, at(0.95)) &&
      near(
        found.sensitivity + found.specificity,
        (best?.sensitivity as number) + (best?.specificity as number),
      );
    if (!same) t.fail(`round ${round}: ${JSON.stringify({ scores, positive, found, best })}`);
  }
  t.equal(rocSummary(Float64Array.of(1), new Float64Array(0)), undefined);
});

const lesion = (own: Partial<Lesion>): Lesion => ({
  ...{ case: 'a', patient: 'a', side: null, status: 'TP', truthClass: null, predictedClass: null },
  ...{ averageDiameterMm: 10, dice: null, probabilities: null },
  ...own,
});

t.test('calibration and operating points of four masses', async (t) => {
  const figures = lesionFigures(
    [
      lesion({ truthClass: 'aml', probabilities: [0.8, 0.1, 0.1] }),
      lesion({ truthClass: 'solid', probabilities: [0.6, 0.1, 0.3], patient: 'b' }),
      lesion({ truthClass: 'solid', probabilities: [0.1, 0.1, 0.8], patient: 'c' }),
      lesion({ truthClass: 'cystic', probabilities: [0.3, 0.5, 0.2], patient: 'd' }),
      // Without probabilities, without a class, false: in none of these figures.
      lesion({ truthClass: 'aml' }),
      lesion({ probabilities: [1, 0, 0] }),
      lesion({ status: 'FP', probabilities: [0, 0, 1] }),
    ],
    { replicates: 100 },
  );
  const value = (path: string) => figures.get(`classification.ge5mm.${path}`)?.value as number;
  // Bins: 0.8 twice and right twice, 0.6 wrong, 0.5 right.
  t.ok(near(value('calibration.ece'), (2 * 0.2 + 0.6 + 0.5) / 4));
  const brier =
    0.04 + 0.01 + 0.01 + (0.36 + 0.01 + 0.49) + (0.01 + 0.01 + 0.04) + (0.09 + 0.25 + 0.04);
  t.ok(near(value('calibration.brier'), brier / 4));
  t.equal(figures.get('classification.ge5mm.calibration.ece')?.n, 4);
  t.ok(near(value('aml.auc'), 1));
  t.equal(value('aml.youden.threshold'), 0.8);
  // Solid at 0.8 and 0.3, others at 0.2 and 0.1.
  t.equal(value('solid.youden.threshold'), 0.3);
  t.equal(value('solid.sensitivity_at_90_specificity'), 1);
  t.ok(Number.isNaN(figures.get('classification.lt5mm.solid.auc')?.value));
  const { low, high } = figures.get('classification.ge5mm.calibration.brier') ?? {};
  t.ok(
    (low as number) < value('calibration.brier') && value('calibration.brier') < (high as number),
  );
});

t.test('FROC counts cases without lesions; without scores there is no curve', async (t) => {
  const scoredOnes = [
    lesion({ probabilities: [0.9, 0.1, 0] }),
    lesion({ status: 'FP', probabilities: [0.8, 0.1, 0.1] }),
    lesion({ case: 'b', patient: 'b', probabilities: [0.7, 0.2, 0.1] }),
    lesion({ case: 'b', patient: 'b', status: 'FN' }),
  ];
  const options = { replicates: 20 };
  const value = (cases: ReturnType<typeof casesOf>, rate: string) =>
    frocFigures(cases, options).get(`detection.froc.sensitivity_at_${rate}_fp`)?.value;
  const two = casesOf(scoredOnes);
  t.equal(value(two, '0_25'), 1 / 3);
  t.equal(value(two, '0_5'), 2 / 3);
  // Two more cases in which there is nothing: half as many false positives a case.
  const four = [
    ...two,
    { case: 'c', patient: 'c', lesions: [] },
    { case: 'd', patient: 'd', lesions: [] },
  ];
  t.equal(value(four, '0_25'), 2 / 3);
  t.ok(Number.isNaN(value(casesOf(scoredOnes.map((l) => ({ ...l, probabilities: null }))), '8')));
  // A detector that is surest of the false one, on a scale of its own; it says nothing of the third.
  const detector = [-3, 7, undefined].map((score, i) => ({ ...scoredOnes[i], score }) as Lesion);
  const ranked = casesOf([...detector, scoredOnes[3] as Lesion]);
  t.equal(value(ranked, '0_25'), 0);
  t.equal(value(ranked, '0_5'), 2 / 3, 'what has no score comes last');
  const precision = frocFigures(ranked, options).get('detection.average_precision');
  t.ok(Math.abs((precision?.value as number) - 4 / 9) < 1e-12, '2/3 up to a recall of 2/3');
});
