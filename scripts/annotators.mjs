// `npm run annotators [-- --case ID ...]`: how well the annotators of KiTS agree, as Markdown: Dice and surface Dice of each annotator's label
// map against the majority's and of each pair, on the cases of the data folder (RENVOX_DATA, default ../shared/data) that have a mask per
// instance and annotator. docs/annotators.md holds what it printed.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { KITS_REGIONS, kitsScores, readAnnotations } from '../dist/evaluate/index.js';
import { device } from '../dist/index.js';

const { values: options } = parseArgs({
  options: { case: { type: 'string', multiple: true } },
});
const folder = join(process.env.RENVOX_DATA ?? '../shared/data', 'kits23', 'instances');

/** One table: rows of a case and a comparison, then the mean over cases of each comparison. */
function table(rows) {
  const cells = ({ dice, surfaceDice }) => [...dice, ...surfaceDice].map((x) => x.toFixed(4));
  const lines = rows.map(({ id, what, scores }) => [id, what, ...cells(scores)]);
  for (const what of [...new Set(rows.map((row) => row.what))]) {
    const of = rows.filter((row) => row.what === what).map(({ scores }) => scores);
    lines.push([`mean of ${of.length}`, what, ...cells(mean(of))]);
  }
  const all = rows.map(({ scores }) => scores);
  lines.push([`mean of ${all.length}`, 'all', ...cells(mean(all))]);
  return [
    `| case | maps | ${KITS_REGIONS.map((r) => `Dice ${r.name}`).join(' | ')} | ${KITS_REGIONS.map((r) => `surface Dice ${r.name}`).join(' | ')} |`,
    `| --- | --- |${' ---: |'.repeat(2 * KITS_REGIONS.length)}`,
    ...lines.map((line) => `| ${line.join(' | ')} |`),
  ].join('\n');
}

function mean(scores) {
  const over = (of) =>
    KITS_REGIONS.map((_, i) => scores.reduce((sum, s) => sum + of(s)[i], 0) / scores.length);
  return { dice: over((s) => s.dice), surfaceDice: over((s) => s.surfaceDice) };
}

async function main() {
  if (!existsSync(folder)) {
    console.error(`no ${folder}: RENVOX_DATA names no folder with KiTS annotations`);
    return 1;
  }
  const there = readdirSync(folder).sort();
  const ids = options.case ?? there;
  const missing = ids.filter((id) => !there.includes(id));
  if (missing.length > 0) {
    console.error(`${folder} has ${there.join(', ')}, not ${missing.join(', ')}`);
    return 1;
  }
  const cpu = device('cpu');
  const [majority, pairs, notes] = [[], [], []];
  for (const id of ids) {
    const found = await readAnnotations(join(folder, id));
    const { shape, spacing, instances } = found;
    const score = (truth, prediction) => kitsScores(truth, prediction, { shape, spacing }, cpu);
    const maps = [...found.annotators];
    // Whoever did not annotate an instance did not say that there is none.
    const whole = maps.filter(([n]) => instances.every((i) => i.annotations.includes(n)));
    const kinds = ['kidney', 'tumor', 'cyst'].map(
      (kind) => `${instances.filter((i) => i.kind === kind).length} ${kind}`,
    );
    const left = maps.length - whole.length;
    notes.push(
      `- ${id}: instances ${kinds.join(', ')}; annotations ${whole.map(([n]) => n).join(', ')} of each${left > 0 ? `; ${left} left out that lack instances` : ''}.`,
    );
    for (const [n, map] of whole)
      majority.push({ id, what: `${n}, majority`, scores: await score(found.majority, map) });
    for (const [i, [n, truth]] of whole.entries())
      for (const [m, map] of whole.slice(i + 1))
        pairs.push({ id, what: `${n}, ${m}`, scores: await score(truth, map) });
  }
  cpu.dispose();
  const tolerances = KITS_REGIONS.map((r) => `${r.name} ${r.toleranceMm.toFixed(4)} mm`);
  console.log(`Surface elements, tolerances ${tolerances.join(', ')}.\n`);
  console.log(notes.join('\n'));
  console.log(`\n### Each annotation against the majority\n\n${table(majority)}`);
  console.log(`\n### Each pair of annotations\n\n${table(pairs)}`);
  return 0;
}

process.exitCode = await main();
