// Confusion, AUC with DeLong's interval, calibration: against definitions by hand and naive pair counting.
import {
  calibration,
  classificationReport,
  oneVsRestAuc,
  operatingPoint,
  rocAuc,
  rocCurve,
} from 'renvox/metrics';
import t from 'tap';
import { generator } from '../ops/harness.js';

const CLASSES = ['aml', 'cystic', 'solid'];

t.test('the study of metrics.md, at least 5 mm: its integers give its percentages', async (t) => {
  // AML 16 right of 16 called and 17 true; cystic 74 of 82 and 77; solid 36 of 38 and 43 (the study's own sums differ by one).
  const calls = [
    ...Array.from({ length: 16 }, () => ({ truth: 'aml', predicted: 'aml' })),
    ...Array.from({ length: 1 }, () => ({ truth: 'aml', predicted: 'cystic' })),
    ...Array.from({ length: 74 }, () => ({ truth: 'cystic', predicted: 'cystic' })),
    ...Array.from({ length: 2 }, () => ({ truth: 'cystic', predicted: 'solid' })),
    { truth: 'cystic', predicted: null },
    ...Array.from({ length: 36 }, () => ({ truth: 'solid', predicted: 'solid' })),
    ...Array.from({ length: 7 }, () => ({ truth: 'solid', predicted: 'cystic' })),
  ];
  const { perClass, accuracy, confusion, n, balancedAccuracy, macroF1 } = classificationReport(
    calls,
    CLASSES,
  );
  const percent = (x: number | undefined) => (100 * (x as number)).toFixed(2);
  t.equal(n, 137);
  t.equal(percent(accuracy), '91.97');
  t.equal(percent(perClass.aml?.precision), '100.00');
  t.equal(percent(perClass.aml?.recall), '94.12');
  t.equal(percent(perClass.cystic?.precision), '90.24');
  t.equal(percent(perClass.cystic?.recall), '96.10');
  t.equal(percent(perClass.solid?.precision), '94.74');
  t.equal(percent(perClass.solid?.recall), '83.72');
  t.equal(perClass.solid?.f1.toFixed(2), '0.89');
  t.same(confusion[1], [0, 74, 2, 1], 'a case called nothing is counted');
  t.same([perClass.solid?.support, perClass.solid?.trueNegatives], [43, 92]);
  const f1s = CLASSES.map((name) => perClass[name]?.f1 as number);
  t.ok(Math.abs(macroF1 - f1s.reduce((a, b) => a + b, 0) / 3) < 1e-12);
  t.ok(Math.abs(balancedAccuracy - (16 / 17 + 74 / 77 + 36 / 43) / 3) < 1e-12);
});

t.test('classes that do not occur', async (t) => {
  const report = classificationReport([{ truth: 'aml', predicted: 'cystic' }], CLASSES);
  t.ok(Number.isNaN(report.perClass.solid?.recall));
  t.ok(Number.isNaN(report.perClass.solid?.precision));
  t.ok(Number.isNaN(classificationReport([], CLASSES).accuracy));
  t.throws(() => classificationReport([{ truth: 'x', predicted: 'aml' }], CLASSES), {
    code: 'InvalidArgument',
  });
});

t.test('AUC and its variance, against counting pairs', async (t) => {
  const next = generator(11);
  for (let round = 0; round < 20; round++) {
    const n = 5 + Math.floor(next() * 40);
    const positive = Array.from({ length: n }, (_, i) => i < 2 || (i > 3 && next() < 0.4));
    const scores = positive.map((p) => Math.round(10 * (next() + (p ? 0.4 : 0))) / 10);
    const up = scores.filter((_, i) => positive[i]);
    const down = scores.filter((_, i) => !positive[i]);
    const wins = (a: number, b: number) => (a > b ? 1 : a === b ? 0.5 : 0);
    const of = up.map((a) => down.reduce((s, b) => s + wins(a, b), 0) / down.length);
    const against = down.map((b) => up.reduce((s, a) => s + wins(a, b), 0) / up.length);
    const auc = of.reduce((a, b) => a + b, 0) / up.length;
    const s = (v: number[]) => v.reduce((q, x) => q + (x - auc) ** 2, 0) / (v.length - 1);
    const error = Math.sqrt(s(of) / up.length + s(against) / down.length);
    const found = rocAuc(scores, positive);
    t.ok(Math.abs(found.auc - auc) < 1e-12);
    t.ok(Math.abs(found.standardError - error) < 1e-12);
    t.ok(found.low <= auc && auc <= found.high && found.low >= 0 && found.high <= 1);
    let area = 0;
    const curve = rocCurve(scores, positive);
    for (let i = 1; i < curve.length; i++) {
      const [p, q] = [curve[i - 1], curve[i]] as [(typeof curve)[0], (typeof curve)[0]];
      area += ((p.specificity - q.specificity) * (p.sensitivity + q.sensitivity)) / 2;
    }
    t.ok(Math.abs(area - auc) < 1e-12, 'area under the curve');
  }
  t.ok(Number.isNaN(rocAuc([1, 2], [true, true]).auc));
  t.equal(rocAuc([1, 2], [false, true]).auc, 1);
  t.throws(() => rocAuc([1], [true, false]), { code: 'InvalidArgument' });
});

t.test('AUC of each class against the rest', async (t) => {
  const truth = ['aml', 'cystic', 'solid', 'aml', 'cystic'];
  const p = [
    [0.7, 0.2, 0.1],
    [0.3, 0.6, 0.1],
    [0.1, 0.5, 0.4],
    [0.2, 0.7, 0.1],
    [0.1, 0.8, 0.1],
  ];
  const found = oneVsRestAuc(p, truth, CLASSES);
  // Of 2 x 3 pairs of AML and other: 0.7 beats all, 0.2 beats two and loses to 0.3.
  t.ok(Math.abs((found.aml?.auc as number) - 5 / 6) < 1e-12);
  t.equal(found.solid?.auc, 1);
  t.same([found.cystic?.positives, found.cystic?.negatives], [2, 3]);
  t.same(
    found.cystic,
    rocAuc(
      p.map((row) => row[1] as number),
      truth.map((name) => name === 'cystic'),
    ),
  );
  t.throws(() => oneVsRestAuc(p, ['aml'], CLASSES), { code: 'InvalidArgument' });
  t.throws(() => oneVsRestAuc([[1]], ['aml'], CLASSES), { code: 'InvalidArgument' });
  t.throws(() => oneVsRestAuc([[1, 0, 0]], ['x'], CLASSES), { code: 'InvalidArgument' });
  t.throws(() => rocAuc([1, 2], [true, false], 95), { code: 'InvalidArgument' });
});

t.test('operating points', async (t) => {
  const scores = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4];
  const positive = [true, true, false, true, false, false];
  t.match(operatingPoint(scores, positive), { threshold: 0.6, sensitivity: 1 });
  t.match(operatingPoint(scores, positive, { sensitivity: 0.6 }), {
    threshold: 0.8,
    specificity: 1,
  });
});

t.test('calibration', async (t) => {
  const truth = ['aml', 'cystic', 'aml', 'solid'];
  const p = [
    [0.8, 0.1, 0.1],
    [0.85, 0.1, 0.05],
    [0.5, 0.3, 0.2],
    [0, 0, 1],
  ];
  const { ece, brier, bins } = calibration(p, truth, CLASSES);
  // Bin 0.8: two cases, half right, mean 0.825; bin 0.5: right; bin 1: right.
  t.ok(Math.abs(ece - (2 * 0.325 + 0.5 + 0) / 4) < 1e-12);
  const byHand = 0.04 + 0.02 + (0.85 ** 2 + 0.81 + 0.0025) + (0.25 + 0.09 + 0.04);
  t.ok(Math.abs(brier - byHand / 4) < 1e-12);
  t.equal(bins[8]?.n, 2);
  t.throws(() => calibration([[0.5, 0.6]], ['aml'], CLASSES), { code: 'InvalidArgument' });
  t.throws(() => calibration(p, ['aml'], CLASSES), { code: 'InvalidArgument' });
});
