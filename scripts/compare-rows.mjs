// The arithmetic of scripts/bench-compare.mjs: rows of two builds, measured in alternation, to ratios and a verdict.

/** Ratios above which a row is worth a look, and above which it fails. */
export const WARN = 1.1;
export const FAIL = 1.25;

const median = (values) => {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
};

const verdictOf = (ratio) =>
  ratio > FAIL ? 'slower: FAILED' : ratio > WARN ? 'slower' : ratio < 1 / WARN ? 'faster' : 'same';

/**
 * Compares two builds.
 * @param rounds for each round `{ base, head }`, the rows of each, measured one right after the other
 * @param key the figure in seconds that is compared: `median_s`, or `cpu_s` where other programs disturb
 * @returns `rows`: name, base and head (medians over rounds), ratio (median of the rounds' own head / base, so that what changes from round to
 *   round falls out), range of the rounds' ratios, verdict; `onlyBase`: names that head lacks in a round, `onlyHead`: that base lacks; `broken`: the
 *   failures of benches in head; `failed`: whether any row is too slow, missing in head or a failure there
 */
export function compareRows(rounds, key = 'median_s') {
  const figures = (rows) =>
    new Map(rows.filter((row) => row[key] > 0).map((row) => [row.name, row[key]]));
  const sides = rounds.map(({ base, head }) => ({ base: figures(base), head: figures(head) }));
  const everywhere = (side) => {
    const [first, ...others] = sides.map((round) => round[side]);
    return [...(first?.keys() ?? [])].filter((name) => others.every((map) => map.has(name)));
  };
  const [inBase, inHead] = [new Set(everywhere('base')), new Set(everywhere('head'))];
  // A row that head lost in one round and base in another is nobody's everywhere: it counts as base's.
  const everSeen = new Set(sides.flatMap(({ base }) => [...base.keys()]));
  const onlyBase = [...everSeen].filter((name) => !inHead.has(name));
  const broken = rounds.flatMap(({ head }) => head.filter((row) => row.failure));
  const rows = [...inHead]
    .filter((name) => inBase.has(name))
    .map((name) => {
      const ratios = sides.map(({ base, head }) => head.get(name) / base.get(name));
      const ratio = median(ratios);
      return {
        name,
        base: median(sides.map(({ base }) => base.get(name))),
        head: median(sides.map(({ head }) => head.get(name))),
        ratio,
        range: [Math.min(...ratios), Math.max(...ratios)],
        verdict: verdictOf(ratio),
      };
    });
  return {
    rows,
    onlyBase,
    onlyHead: [...inHead].filter((name) => !inBase.has(name)),
    broken: [...new Set(broken.map(({ name, failure }) => `${name}: ${failure}`))],
    failed: rows.some(({ ratio }) => ratio > FAIL) || onlyBase.length > 0 || broken.length > 0,
  };
}

/** The comparison as lines to print. */
export function comparisonText({ rows, onlyBase, onlyHead, broken }) {
  const width = Math.max(4, ...rows.map(({ name }) => name.length));
  const seconds = (s) => s.toPrecision(4).padStart(10);
  return [
    `${'row'.padEnd(width)}     base, s    head, s  head/base  (rounds)`,
    ...rows.map(
      ({ name, base, head, ratio, range, verdict }) =>
        `${name.padEnd(width)} ${seconds(base)} ${seconds(head)} ${ratio.toFixed(3).padStart(10)}  (${range.map((r) => r.toFixed(2)).join(' to ')})  ${verdict}`,
    ),
    ...onlyBase.map((name) => `${name}: missing in head: FAILED`),
    ...broken.map((failure) => `head, ${failure}: FAILED`),
    ...onlyHead.map((name) => `${name}: in head alone`),
  ];
}
