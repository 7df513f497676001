// `npm run bench:results [-- NAME ... OPTIONS]`: runs `npm run --silent bench -- NAME ... OPTIONS --json`, all benches without a NAME, and keeps the rows in
// bench/results/NAME-DATE.json (all-DATE.json; of a second processor on that day NAME-DATE-PROCESSOR.json) and, as tables, .md, with machine, load,
// date, commit and the seconds that the command took. RENVOX_ISA, RENVOX_THREADS and RENVOX_PYTHON are passed on and named. Where a bench fails, what the others measured is kept, and the exit code is 1.
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
/** What the whole command shall take at most, in seconds, where all benches run as they are. */
const WALL_GOAL = 600;
const told = args.length > 0 ? ` -- ${args.join(' ')}` : '';
const begun = performance.now();
const child = spawnSync('npm', ['run', '--silent', 'bench', '--', ...args, '--json'], {
  cwd: root,
  encoding: 'utf8',
  maxBuffer: 2 ** 28,
  stdio: ['ignore', 'pipe', 'inherit'],
});
const wall = Math.round((performance.now() - begun) / 1000);
/** None where the command did not come as far as its rows. */
function rowsOf(text) {
  try {
    return JSON.parse(text);
  } catch {
    return [];
  }
}
const rows = rowsOf(child.stdout);
const failures = rows.filter((row) => row.failure);
if (rows.length === failures.length) {
  console.error(`bench ${name} measured nothing and ended with ${child.status ?? child.signal}`);
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
  wall_s: wall,
  ...(args.length === 0
    ? { wall_goal: `s <= ${WALL_GOAL}`, wall_goal_met: wall <= WALL_GOAL }
    : {}),
  settings,
};

/** Three figures, without an exponent where a reader can do without. */
function text(value) {
  if (value === null || value === undefined) return '';
  // A failure's message may have lines and bars.
  if (typeof value === 'string') return value.replaceAll('\n', ' ').replaceAll('|', '\\|');
  if (!Number.isFinite(value) || Number.isInteger(value)) return String(value);
  return value !== 0 && Math.abs(value) < 1e-4
    ? value.toExponential(1)
    : `${+value.toPrecision(3)}`;
}

/** What only the JSON has, so that tables can be read. */
const DETAILS = new Set([
  ...['why', 'ceiling', 'peak_gflops', 'read_gbps', 'copy_gbps', 'bytes'],
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
const ofGoal =
  args.length === 0
    ? `, of at most ${WALL_GOAL} s that all benches shall take: ${wall <= WALL_GOAL ? 'met' : 'missed'}`
    : '';
const set = Object.entries(settings).map(([key, value]) => `${key}=${value} `);
const markdown = [
  `# bench ${name}, ${date}`,
  '',
  `\`${set.join('')}npm run bench:results${told}\` at commit ${commit}: ${machine.processor}, ${machine.threads} threads, ${machine.memory_gb} GB, Node ${machine.node}.`,
  `The command took ${wall} s, compiling its TypeScript included${ofGoal}.`,
  `Addon: ${addon}. Load averages (1 minute) before and after: ${averages.before}, ${averages.after}; of an idle machine the first is near 0. What the columns mean: [docs/benchmarks.md](../../docs/benchmarks.md).`,
  '',
  ...benches.flatMap((bench) =>
    section(
      bench,
      rows.filter((row) => row.name.split('/')[0] === bench),
    ),
  ),
].join('\n');
/** NAME-DATE; where that is a result of another processor, with the processor's name behind it. */
function fileName() {
  const usual = `${name}-${date}`;
  try {
    const text = readFileSync(join(root, 'bench', 'results', `${usual}.json`), 'utf8');
    if (JSON.parse(text).machine.processor === machine.processor) return usual;
  } catch {
    return usual;
  }
  const processor = machine.processor.toLowerCase().replaceAll(/\(r\)|\(tm\)|processor|cpu/g, ' ');
  return `${usual}-${processor.match(/[a-z0-9]+/g)?.join('-') ?? 'other'}`;
}
const file = fileName();
const path = join(root, 'bench', 'results', file);
mkdirSync(dirname(path), { recursive: true });
writeFileSync(`${path}.json`, `${JSON.stringify({ ...facts, rows }, null, 2)}\n`);
writeFileSync(`${path}.md`, markdown);
// The linter checks their format too.
const biome = join(root, 'node_modules', '.bin', 'biome');
spawnSync(biome, ['format', '--write', `${path}.json`, `${path}.md`], { cwd: root });
console.log(`bench/results/${file}.json and .md, ${wall} s`);
for (const row of failures) console.error(`${row.name}: ${row.failure}`);
process.exitCode = child.status === 0 ? 0 : 1;
