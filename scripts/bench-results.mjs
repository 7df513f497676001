// `npm run bench:results -- NAME`: runs `npm run bench -- NAME --json` and keeps it in bench/results/NAME-DATE.json and, as a table, .md, with machine,
// load, date and commit. Environment variables of the bench (RENVOX_BENCH_ROUNDS, RENVOX_DATA) are passed on and those of the bench named.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const [name, ...more] = process.argv.slice(2);
if (!name || more.length > 0) {
  console.error('Expected one bench: npm run bench:results -- metrics');
  process.exit(2);
}
const load = () => Number(loadavg()[0]?.toFixed(2));
const date = new Date().toISOString().slice(0, 10);
const loadBefore = load();
const child = spawnSync('npm', ['run', '--silent', 'bench', '--', name, '--json'], {
  cwd: root,
  encoding: 'utf8',
  maxBuffer: 2 ** 28,
  stdio: ['ignore', 'pipe', 'inherit'],
});
if (child.status !== 0) {
  console.error(`bench ${name} ended with ${child.status}`);
  process.exit(1);
}
const rows = JSON.parse(child.stdout);
if (rows.length === 0) {
  console.error(`bench ${name} measured nothing`);
  process.exit(1);
}
const { commit } = JSON.parse(readFileSync(join(root, 'dist', 'commit.json'), 'utf8'));
const settings = Object.fromEntries(
  Object.entries(process.env).filter(([key]) => key.startsWith('RENVOX_BENCH_')),
);
const machine = {
  processor: cpus()[0]?.model ?? 'unknown',
  threads: availableParallelism(),
  memory_gb: Math.round(totalmem() / 2 ** 30),
  node: process.version,
};
// A result should say which native code it is of: that of RENVOX_PREBUILD need not be of this commit.
const addon = process.env.RENVOX_PREBUILD ? 'from RENVOX_PREBUILD' : "the checkout's";
const averages = { before: loadBefore, after: load() };
const facts = { bench: name, date, commit, addon, machine, load: averages, settings };

/** Three figures, without an exponent where a reader can do without. */
function text(value) {
  if (value === null || value === undefined) return '';
  if (typeof value !== 'number' || Number.isInteger(value)) return String(value);
  return value !== 0 && Math.abs(value) < 1e-4
    ? value.toExponential(1)
    : `${+value.toPrecision(3)}`;
}

const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))].filter((key) =>
  rows.some((row) => row[key] !== null && row[key] !== undefined),
);
const set = Object.entries(settings).map(([key, value]) => `${key}=${value} `);
const markdown = [
  `# bench ${name}, ${date}`,
  '',
  `\`${set.join('')}npm run bench:results -- ${name}\` at commit ${commit}: ${machine.processor}, ${machine.threads} threads, ${machine.memory_gb} GB, Node ${machine.node}.`,
  `Addon: ${addon}. Load averages (1 minute) before and after: ${averages.before}, ${averages.after}; of an idle machine the first is near 0. What the columns mean: \`bench/${name}.bench.ts\`.`,
  '',
  `| ${columns.join(' | ')} |`,
  `|${columns.map(() => ' --- |').join('')}`,
  ...rows.map((row) => `| ${columns.map((key) => text(row[key])).join(' | ')} |`),
  '',
].join('\n');
const path = join(root, 'bench', 'results', `${name}-${date}`);
mkdirSync(dirname(path), { recursive: true });
writeFileSync(`${path}.json`, `${JSON.stringify({ ...facts, rows }, null, 2)}\n`);
writeFileSync(`${path}.md`, markdown);
// The linter checks their format too.
const biome = join(root, 'node_modules', '.bin', 'biome');
spawnSync(biome, ['format', '--write', `${path}.json`, `${path}.md`], { cwd: root });
console.log(`bench/results/${name}-${date}.json and .md`);
