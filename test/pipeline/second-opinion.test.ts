import { secondOpinion } from 'renvox/pipeline';
import t from 'tap';
import {
  type Enhancement,
  enhancement,
  Histogram,
  type Intensities,
  intensities,
} from '#lib/pipeline/intensities.js';
import { generator } from '../ops/harness.js';

/** Counts of whole values. */
function counted(values: readonly number[], low: number, bins: number): Histogram {
  const counts = new Int32Array(bins);
  for (const v of values) counts[v - low] = (counts[v - low] as number) + 1;
  return new Histogram(counts, low);
}

/** numpy.quantile's default. */
function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const place = q * (sorted.length - 1);
  const at = (i: number) => sorted[i] as number;
  const below = at(Math.floor(place));
  return below + (place % 1) * (at(Math.ceil(place)) - below);
}

t.test('figures of counted values are those of the values', async (t) => {
  for (const n of [1, 2, 7, 500]) {
    const next = generator(n);
    const values = Array.from({ length: n }, () => Math.floor(next() * 260) - 80);
    const mean = values.reduce((a, b) => a + b, 0) / n;
    const sd = Math.sqrt(values.reduce((a, b) => a + (b - mean) ** 2, 0) / n);
    const share = (take: (v: number) => boolean) => values.filter(take).length / n;
    const near = (own: number | null, expected: number, what: string) =>
      t.ok(Math.abs((own ?? Number.NaN) - expected) < 1e-9, `${what} of ${n}: ${own}`);
    const own = intensities(counted(values, -100, 400));
    t.equal(own.voxels, n);
    near(own.mean, mean, 'mean');
    near(own.sd, sd, 'SD');
    for (const [name, q] of [
      ['p5', 0.05],
      ['median', 0.5],
      ['p95', 0.95],
    ] as const)
      near(own[name], quantile(values, q), name);
    near(
      own.fatFraction,
      share((v) => v < -20),
      'fat',
    );
    near(
      own.calcifiedFraction,
      share((v) => v > 130),
      'calcium',
    );
    const change = enhancement(counted(values, -100, 400));
    const [up, down] = [share((v) => v > 20), share((v) => v < -20)];
    near(change.enhancingFraction, Math.max(up, down), 'enhancing');
    near(change.oppositeFraction, Math.min(up, down), 'opposite');
    const over = enhancement(counted(values, -100, 400), true);
    near(over.enhancingFraction, up, 'enhancing over an unenhanced scan');
    near(over.oppositeFraction, down, 'opposite');
  }
  const none = intensities(counted([], -10, 20));
  t.same([none.voxels, none.mean, none.median, none.fatFraction], [0, null, null, null]);
});

const hu = (median: number, fatFraction = 0, calcifiedFraction = 0, voxels = 100): Intensities => ({
  ...{ voxels, mean: median, sd: 5, median, p5: median - 8, p95: median + 8 },
  ...{ fatFraction, calcifiedFraction },
});
const change = (enhancingFraction: number, oppositeFraction = 0): Enhancement => ({
  ...{ voxels: 100, mean: 30, sd: 5, median: 30, p5: 20, p95: 40 },
  ...{ enhancingFraction, oppositeFraction },
});

t.test('less than half of a mass enhances, the rest shifts a little', async (t) => {
  // 40 of 100 voxels rise by 60 HU.
  const values = (rest: number) => [...Array(60).fill(rest), ...Array(40).fill(60 + rest)];
  for (const rest of [-8, -1, 0, 3]) {
    const told = (sign: number, unenhanced: boolean) => {
      const changes = values(rest).map((v: number) => sign * v);
      return enhancement(counted(changes, -100, 400), unenhanced);
    };
    const figures = { enhancingFraction: 0.4, oppositeFraction: 0 };
    t.match(told(1, true), figures, `${rest} HU over an unenhanced scan`);
    t.match(told(1, false), figures, 'between two enhanced phases: enhancement');
    t.match(told(-1, false), figures, 'washout');
    t.match(told(-1, true), { enhancingFraction: 0, oppositeFraction: 0.4 }, 'a fall is none');
    const of = { whole: hu(15), core: hu(15) };
    const opinion = (sign: number) => {
      const figures = told(sign, true);
      return secondOpinion(of, { whole: figures, core: figures, unenhanced: of });
    };
    t.match(opinion(1), { class: 'solid', because: /^40 % of it changes/ });
    t.match(opinion(-1), { class: null, because: /^40 % of it is more than 20 HU darker/ });
  }
  const none = enhancement(counted([], -10, 20));
  t.same([none.enhancingFraction, none.oppositeFraction], [null, null]);
});

t.test('the rule, line by line', async (t) => {
  const said = (
    of: Intensities,
    enhanced?: Enhancement | null,
    native: Intensities | null = of,
    core = of,
    own?: 'unenhanced' | 'np',
  ): string | null => {
    const unenhanced = native && { whole: native, core: native };
    const phase = enhanced && { whole: enhanced, core: enhanced, unenhanced };
    const opinion = secondOpinion({ whole: of, core }, phase, own);
    t.ok(opinion.because.length > 0);
    return opinion.class;
  };
  t.equal(said(hu(-40, 0.6)), 'aml', 'fat');
  t.equal(said(hu(20, 0.1)), 'aml', 'a tenth of it is enough');
  t.equal(said(hu(20, 0.09)), 'cystic', 'less is not');
  t.equal(said(hu(20, 0.3, 0.02)), 'aml', 'fat and vessels, or calcification: one phase');
  t.equal(said(hu(20, 0.3, 0.02), change(0.3)), null, 'fat with calcification');
  t.equal(said(hu(20, 0.3, 0.02), change(0.3), hu(20, 0.3, 0.01)), 'aml', 'vessels');
  t.equal(said(hu(20, 0.3, 0.02), change(0.3), null), 'aml', 'two enhanced phases');
  t.equal(said(hu(20, 0.3), change(0.9)), 'aml', 'fat that enhances');
  t.equal(said(hu(12)), 'cystic', 'fluid');
  t.equal(said(hu(60)), null, 'one phase, above fluid');
  t.equal(said(hu(60), change(0.26)), 'solid', 'above 25 %');
  t.equal(said(hu(60), change(0.25)), 'cystic', 'the line itself is below');
  t.equal(said(hu(60), change(0.4, 0.2)), 'cystic', 'noise is taken off');
  t.equal(said(hu(60), change(0.1), null), null, 'alike in two enhanced phases');
  t.equal(said(hu(15), change(0.1), null), 'cystic', 'fluid in both');
  t.equal(said(hu(60), change(0.5), null), 'solid', 'a change between enhanced phases');
  t.equal(said(hu(60), null), null, 'outside of the second phase');
  t.equal(said(hu(0, 0.3), null, null, hu(40, 0)), null, 'fat in the border alone is no fat');
  t.equal(said(hu(0, 0.3), null, null, hu(40, 0, 0, 19)), 'aml', 'too small a core: the whole');
  const onNative = (of: Intensities, enhanced?: Enhancement) =>
    said(of, enhanced, null, of, 'unenhanced');
  t.equal(onNative(hu(60), change(0.1)), 'cystic', 'unenhanced itself: a dense cyst');
  t.equal(onNative(hu(60), change(0.3)), 'solid');
  t.equal(onNative(hu(20, 0.3, 0.02)), null, 'unenhanced itself: calcification, no vessels');
  t.equal(onNative(hu(60)), null, 'one phase');
  t.equal(said(hu(60), change(0.1), null, hu(60), 'np'), null, 'two enhanced phases');
  const empty: Intensities = { ...hu(0), voxels: 0, median: null, fatFraction: null };
  t.equal(said(empty), null, 'nothing to judge');
  const { because } = secondOpinion(
    { whole: hu(60), core: hu(60) },
    {
      ...{ whole: change(0.5), core: change(0.5), unenhanced: null },
    },
  );
  t.match(because, /25 % line of Bosniak 2019/);
});
