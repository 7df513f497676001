// The arithmetic of `npm run bench:compare`; it measures nothing here.
import t from 'tap';

interface Row {
  name: string;
  median_s?: number | null;
  cpu_s?: number;
  failure?: string;
}
interface Comparison {
  rows: {
    name: string;
    base: number;
    head: number;
    ratio: number;
    range: [number, number];
    verdict: string;
  }[];
  onlyBase: string[];
  onlyHead: string[];
  broken: string[];
  failed: boolean;
}
const script = new URL('../../scripts/compare-rows.mjs', import.meta.url).href;
const { compareRows, comparisonText } = (await import(script)) as {
  compareRows(rounds: { base: Row[]; head: Row[] }[], key?: string): Comparison;
  comparisonText(comparison: Comparison): string[];
};

const row = (name: string, median_s: number, cpu_s = median_s): Row => ({ name, median_s, cpu_s });
/** One round in which base takes a second. */
const once = (ratio: number) => compareRows([{ base: [row('a', 1)], head: [row('a', ratio)] }]);

t.test('verdicts change at 1.1 and 1.25', async (t) => {
  const cases: [ratio: number, verdict: string, failed: boolean][] = [
    [0.5, 'faster', false],
    [0.95, 'same', false],
    [1.1, 'same', false],
    [1.11, 'slower', false],
    [1.25, 'slower', false],
    [1.26, 'slower: FAILED', true],
  ];
  for (const [ratio, verdict, failed] of cases) {
    const comparison = once(ratio);
    t.equal(comparison.rows[0]?.verdict, verdict, String(ratio));
    t.equal(comparison.failed, failed, String(ratio));
  }
});

t.test('a ratio is the median of the ratios within rounds', async (t) => {
  // The machine is twice as slow in the second round and the third was disturbed on one side: medians of each side say 2, the pairs 1.
  const round = (base: number, head: number) => ({
    base: [row('a', base)],
    head: [row('a', head)],
  });
  const { rows, failed } = compareRows([round(1, 1), round(2, 2), round(1, 3)]);
  t.match(rows[0], { name: 'a', base: 1, head: 2, ratio: 1, range: [1, 3], verdict: 'same' });
  t.notOk(failed);
  t.equal(compareRows([round(1, 1.2), round(1, 1.4)]).rows[0]?.ratio.toFixed(3), '1.300');
});

t.test('rows of one side, and rows without the figure', async (t) => {
  const base = [row('old', 1), row('both', 2), { name: 'counted', median_s: null }];
  const head = [row('both', 2), row('new', 1), { name: 'counted', median_s: null }];
  const comparison = compareRows([{ base, head }]);
  t.same(
    comparison.rows.map(({ name }) => name),
    ['both'],
  );
  t.same([comparison.onlyBase, comparison.onlyHead], [['old'], ['new']]);
  t.ok(comparison.failed, 'head has lost a row');
  const text = comparisonText(comparison).join('\n');
  t.match(text, /both .* 1\.000 {2}\(1\.00 to 1\.00\) {2}same/);
  t.match(text, /old: missing in head: FAILED\nnew: in head alone/);
  const more = compareRows([{ base: [row('both', 2)], head }]);
  t.notOk(more.failed, 'a new row is no failure');
});

t.test('a bench that fails in head', async (t) => {
  const failed = { name: 'b/failed', failure: 'out of memory' };
  const head = [row('a', 1), failed];
  const comparison = compareRows([{ base: [row('a', 1)], head }]);
  t.ok(comparison.failed);
  t.same(comparison.broken, ['b/failed: out of memory']);
  t.match(comparisonText(comparison).at(-1), 'head, b/failed: out of memory: FAILED');
  t.ok(compareRows([{ base: [row('a', 1), failed], head }]).failed, 'even where base fails too');
  const base = compareRows([{ base: head, head: [row('a', 1)] }]);
  t.notOk(base.failed, 'what fails in base alone');
});

t.test('a row that failed in one round is on that side in no round', async (t) => {
  const both = { base: [row('a', 1)], head: [row('a', 1)] };
  const { rows, onlyBase, failed } = compareRows([both, { base: [row('a', 1)], head: [] }]);
  t.same([rows, onlyBase, failed], [[], ['a'], true]);
  const base = compareRows([both, { base: [], head: [row('a', 1)] }]);
  t.same([base.rows, base.onlyHead, base.failed], [[], ['a'], false]);
  const either = compareRows([
    { base: [row('a', 1)], head: [] },
    { base: [], head: [row('a', 1)] },
  ]);
  t.same([either.rows, either.onlyBase, either.failed], [[], ['a'], true], 'lost on both sides');
});

t.test('processor time instead of what passed', async (t) => {
  const rounds = [{ base: [row('a', 1, 2)], head: [row('a', 5, 2)] }];
  t.equal(compareRows(rounds).rows[0]?.ratio, 5);
  t.equal(compareRows(rounds, 'cpu_s').rows[0]?.ratio, 1);
});
