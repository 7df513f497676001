// `npm run bench:results [-- NAME ... OPTIONS]`: runs `npm run bench -- NAME ... OPTIONS --json`, all benches without a NAME, and keeps the rows in
// bench/results/NAME-DATE.json (all-DATE.json) and, as tables, .md, with machine, load, date and commit. RENVOX_ISA, RENVOX_THREADS and RENVOX_PYTHON are passed
// on and named.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const args = process.argv.slice(2);
const options = args.findIndex((arg) => arg.startsWith('--'));
const names = options < 0 ? args : args.slice(0, options);
const name = names.length > 0 ? names.join('-') : 'all';
const load = () => Number(loadavg()[0]?.toFixed(2));
const date = new Date().toISOString().slice(0, 10);
const loadBefore = load();
const told = args.length > 0 ? ` -- ${args.join(' ')}` : '';
const child = spawnSync('npm', ['run', '--silent', 'bench', '--', ...args, '--json'], {
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
  ['RENVOX_ISA', 'RENVOX_THREADS', 'RENVOX_PYTHON']
    .filter((key) => process.env[key] !== undefined)
    .map((key) => [key, process.env[key]]),
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
const facts = {
  bench: name,
  command: `npm run bench:results${told}`,
  date,
  commit,
  addon,
  machine,
  load: averages,
  settings,
};

/** Three figures, without an exponent where a reader can do without. */
function text(value) {
  if (value === null || value === undefined) return '';
  if (typeof value !== 'number' || Number.isInteger(value)) return String(value);
  return value !== 0 && Math.abs(value) < 1e-4
    ? value.toExponential(1)
    : `${+value.toPrecision(3)}`;
}

/** What only the JSON has, so that tables can be read. */
const DETAILS = new Set([
  ...['why', 'samples', 'ceiling', 'peak_gflops', 'read_gbps', 'copy_gbps', 'bytes'],
  ...['flops_per_byte', 'peer_samples', 'peer_spread', 'peer_cpu_s', 'share_of_peak_cpu'],
]);

/** The rows of one bench: a table of the figures that any of them has, and the reason for each shape. */
function section(bench, group) {
  const keys = [...new Set(group.flatMap((row) => Object.keys(row)))];
  const there = (key) => group.some((row) => row[key] !== null && row[key] !== undefined);
  const columns = keys.filter((key) => !DETAILS.has(key) && there(key));
  return [
    `## ${bench}`,
    '',
    `| ${columns.join(' | ')} |`,
    `|${columns.map(() => ' --- |').join('')}`,
    ...group.map((row) => `| ${columns.map((key) => text(row[key])).join(' | ')} |`),
    '',
    ...group.filter((row) => row.why).map((row) => `- ${row.name}: ${row.why}`),
    '',
  ];
}

const benches = [...new Set(rows.map((row) => row.name.split('/')[0]))];
const set = Object.entries(settings).map(([key, value]) => `${key}=${value} `);
const markdown = [
  `# bench ${name}, ${date}`,
  '',
  `\`${set.join('')}npm run bench:results${told}\` at commit ${commit}: ${machine.processor}, ${machine.threads} threads, ${machine.memory_gb} GB, Node ${machine.node}.`,
  `Addon: ${addon}. Load averages (1 minute) before and after: ${averages.before}, ${averages.after}; of an idle machine the first is near 0. What the columns mean: [docs/benchmarks.md](../../docs/benchmarks.md).`,
  '',
  ...benches.flatMap((bench) =>
    section(
      bench,
      rows.filter((row) => row.name.split('/')[0] === bench),
    ),
  ),
].join('\n');
const path = join(root, 'bench', 'results', `${name}-${date}`);
mkdirSync(dirname(path), { recursive: true });
writeFileSync(`${path}.json`, `${JSON.stringify({ ...facts, rows }, null, 2)}\n`);
writeFileSync(`${path}.md`, markdown);
// The linter checks their format too.
const biome = join(root, 'node_modules', '.bin', 'biome');
spawnSync(biome, ['format', '--write', `${path}.json`, `${path}.md`], { cwd: root });
console.log(`bench/results/${name}-${date}.json and .md`);
