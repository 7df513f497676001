// Tests, tails and intervals against scipy's figures (test/fixtures/scipy/make.py), and what they say where they can say nothing.
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import {
  bootstrap,
  chiSquare,
  holm,
  kruskalWallis,
  mannWhitney,
  pearson,
  quantile,
  welchT,
  wilcoxonSignedRank,
  wilson,
} from 'renvox/metrics';
import t from 'tap';
import {
  chiSquareUpper,
  logGamma,
  normalQuantile,
  normalUpper,
  studentTwoSided,
} from '#lib/metrics/statistics/distributions.js';

interface Fixture {
  cases: { test: string; arguments: unknown[]; expected: Record<string, number> }[];
  tails: Record<string, number[][]>;
}
const fixture = JSON.parse(
  readFileSync(resolve('test/fixtures/scipy/statistics.json'), 'utf8'),
) as Fixture;

const tests: Record<string, (...args: never[]) => object> = {
  welchT,
  mannWhitney,
  kruskalWallis,
  chiSquare,
  pearson,
  wilcoxonSignedRank,
};

const tails: Record<string, (x: number, y: number) => number> = {
  ...{ chiSquareUpper, logGamma, normalQuantile, normalUpper, studentTwoSided },
};

const near = (a: number, b: number, tolerance: number) =>
  Math.abs(a - b) <= tolerance * Math.max(Math.abs(b), 1e-280);

t.test('tests of hypotheses give scipy figures', async (t) => {
  for (const { test, arguments: args, expected } of fixture.cases) {
    const found = tests[test]?.(...(args as never[])) as Record<string, number>;
    for (const [key, value] of Object.entries(expected)) {
      const own = found[key] as number;
      t.ok(near(own, value, 1e-8), `${test}: ${key} ${own}, scipy ${value}`);
    }
  }
});

t.test('tails of distributions', async (t) => {
  for (const [name, rows] of Object.entries(fixture.tails)) {
    const tail = tails[name] as (...x: number[]) => number;
    for (const row of rows) {
      const expected = row[row.length - 1] as number;
      const found = tail(...row.slice(0, -1));
      const close = expected === 0 ? Math.abs(found) < 1e-15 : near(found, expected, 1e-10);
      t.ok(close, `${name}(${row.slice(0, -1)}): ${found}, scipy ${expected}`);
    }
  }
});

t.test('what says nothing is NaN', async (t) => {
  t.ok(Number.isNaN(welchT([1], [2, 3]).p), 'one value has no variance');
  t.ok(Number.isNaN(welchT([1, 1], [1, 1]).p), 'no spread');
  t.ok(Number.isNaN(mannWhitney([], [1]).p));
  t.ok(Number.isNaN(mannWhitney([1, 1], [1, 1]).p));
  t.ok(Number.isNaN(kruskalWallis([[1, 2]]).p));
  t.ok(Number.isNaN(kruskalWallis([]).p));
  t.ok(Number.isNaN(chiSquare([[1, 2]]).p));
  t.ok(Number.isNaN(chiSquare([]).p));
  t.ok(Number.isNaN(pearson([1, 2], [1, 2]).p));
  t.ok(Number.isNaN(pearson([1, 1, 1], [1, 2, 3]).r));
  t.ok(Number.isNaN(wilcoxonSignedRank([1, 2], [1, 2]).p));
  t.throws(() => welchT([1, Number.NaN], [2, 3]), { code: 'InvalidArgument' });
  t.throws(() => pearson([1, 2], [1]), { code: 'InvalidArgument' });
  t.throws(() => chiSquare([[1, 2], [1]]), { code: 'InvalidArgument' });
  t.throws(() => chiSquare([[1, -2]]), { code: 'InvalidArgument' });
});

t.test('holm', async (t) => {
  t.same(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02]);
  t.same(holm([0.9, Number.NaN, 0.6]), [1, Number.NaN, 1]);
  t.same(holm([]), []);
  t.ok(Number.isNaN(holm([0.5, Number.NaN])[1]));
  for (const wrong of [-0.1, 1.1, '0.5'])
    t.throws(() => holm([0.5, wrong as number]), { code: 'InvalidArgument', message: /p\[1\]/ });
});

t.test('bootstrap resamples clusters, is seeded, and covers', async (t) => {
  const mean = (v: readonly number[]) => v.reduce((a, b) => a + b, 0) / v.length;
  const random = (seed: number) => {
    let s = seed;
    return () => {
      s = (Math.imul(s, 1664525) + 1013904223) >>> 0;
      return s / 4294967296;
    };
  };
  const next = random(5);
  const draw = (patients: number, each: number) =>
    Array.from({ length: patients }, () => {
      const own = next();
      return Array.from({ length: each }, () => own + 0.01 * next());
    });
  const clusters = draw(12, 20);
  const one = bootstrap(clusters, mean, { seed: 3 });
  t.same(bootstrap(clusters, mean, { seed: 3 }), one);
  t.not(bootstrap(clusters, mean, { seed: 4 }).low, one.low);
  t.equal(one.n, 12);
  // 240 values that are really 12: an interval of independent values would be four times narrower.
  const apart = bootstrap(
    clusters.flat().map((v) => [v]),
    mean,
    { seed: 3 },
  );
  t.ok(one.high - one.low > 3 * (apart.high - apart.low), 'patients, not images');
  let covered = 0;
  for (let i = 0; i < 200; i++) {
    const { low, high } = bootstrap(draw(30, 2), mean, { replicates: 200, seed: i });
    if (low <= 0.505 && high >= 0.505) covered++;
  }
  t.ok(covered >= 178 && covered <= 199, `95 % interval covers ${covered} of 200`);
  const none = bootstrap([] as number[][], mean);
  t.ok(Number.isNaN(none.value) && Number.isNaN(none.low));
  t.throws(() => bootstrap([[1]], mean, { replicates: 0 }), { code: 'InvalidArgument' });
  const flat = [1, 2, 3] as unknown as number[][];
  t.throws(() => bootstrap(flat, mean), { code: 'InvalidArgument', message: /clusters\[0\]/ });
  const alone = bootstrap([[1, 2]], mean, { replicates: 10 });
  t.same([alone.value, alone.low, alone.high, alone.n], [1.5, Number.NaN, Number.NaN, 1]);
});

t.test('wilson', async (t) => {
  // R: binom::binom.wilson(15, 20)
  const { value, low, high } = wilson(15, 20);
  t.equal(value, 0.75);
  t.ok(near(low, 0.5312991, 1e-5) && near(high, 0.8881365, 1e-5), `${low} ${high}`);
  t.equal(wilson(0, 10).low, 0);
  t.ok(Number.isNaN(wilson(0, 0).value));
  for (const [successes, trials, level] of [
    [5, 3, 0.95],
    [-1, 3, 0.95],
    [0.5, 3, 0.95],
    [1, 3, 1],
  ] as const)
    t.throws(() => wilson(successes, trials, level), { code: 'InvalidArgument' });
});

t.test('quantiles, of infinite figures too', async (t) => {
  t.equal(quantile([1, 2, 4], 0.75), 3);
  t.equal(quantile([1, Infinity], 0), 1);
  t.equal(quantile([1, 2, Infinity], 0.5), 2, 'on the second, whatever the third is');
  t.equal(quantile([1, Infinity], 0.25), Infinity);
  t.equal(quantile([Infinity, Infinity], 0.3), Infinity);
  t.ok(Number.isNaN(quantile([], 0.5)));
});
