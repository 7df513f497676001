/**
 * `npm run bench -- [NAME ...] [--json] [--samples N] [--peer NAME|none] [--large] [--device KIND]` runs the measurements of bench/NAME.bench.ts.
 * Without a name all of them run, with 3 samples a case instead of 9 and less patience with slow peers, in less than ten minutes on two cores.
 * --peer none measures ours alone, --peer onnxruntime, itk-wasm, pytorch or scipy only against that one, which then must be there; by default
 * whichever is installed is measured (`npm run bench:peers`, Debian's python3-torch and python3-scipy). --large adds cases that take minutes or
 * gigabytes. With --device cuda-sim only those that count on the simulated GPU run (`kernels`); these run on no other device.
 * With --json stdout is one JSON array of rows and nothing else (`npm run --silent bench -- conv3d --json`); without it a line is printed for
 * each row as it comes. The machine is named on stderr. docs/benchmarks.md tells what the keys mean.
 */
import { readdirSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { COUNTING, readArguments } from './arguments.js';
import { closeCeilings, Throughout } from './ceilings.js';
import { type Bench, type BenchOptions, type Row, STANDARD } from './row.js';

const suffix = '.bench.js';
const here = new URL('.', import.meta.url);
const known = readdirSync(here)
  .filter((file) => file.endsWith(suffix))
  .map((file) => file.slice(0, -suffix.length))
  .sort();

/** What a person reads while it runs: standard figures that are there; all of them are in the JSON. */
function line(row: Row): string {
  const standard = 'median_s' in row;
  const extra = ['ratio_rss', 'goal_met'];
  const figures = Object.entries(row).filter(
    ([key, value]) =>
      key !== 'name' && (!standard || (value !== null && [...STANDARD, ...extra].includes(key))),
  );
  const text = figures.map(([key, value]) => {
    const shown =
      typeof value === 'number' && !Number.isInteger(value) ? value.toPrecision(4) : value;
    return `${key} ${shown}`;
  });
  return `${row.name.padEnd(32)} ${text.join('  ')}`;
}

async function measure(
  names: readonly string[],
  options: BenchOptions,
  report: (row: Row) => void,
): Promise<number> {
  // What is only counted has no ceiling.
  const ceilings = names.every((name) => COUNTING.includes(name)) ? undefined : new Throughout();
  for (const name of names) {
    const { bench, needsAddon } = (await import(new URL(`${name}${suffix}`, here).href)) as {
      bench: Bench;
      needsAddon?: () => { code: number } | undefined;
    };
    const elsewhere = needsAddon?.();
    if (elsewhere) return elsewhere.code;
    await ceilings?.sample();
    for await (const row of bench(options)) {
      report(row);
      await ceilings?.sample();
    }
  }
  for (const row of ceilings?.rows() ?? []) report(row);
  return 0;
}

async function main(args: readonly string[]): Promise<number> {
  const asked = readArguments(args, known);
  if ('fault' in asked) {
    console.error(asked.fault);
    return 2;
  }
  const model = cpus()[0]?.model ?? 'unknown processor';
  console.error(`${model}, ${availableParallelism()} threads, Node ${process.version}`);
  const rows: Row[] = [];
  try {
    const code = await measure(asked.names, asked.options, (row) => {
      if (!asked.json) console.log(line(row));
      rows.push(row);
    });
    if (code !== 0) return code;
  } finally {
    await closeCeilings();
  }
  if (asked.json) console.log(JSON.stringify(rows, null, 2));
  return 0;
}

process.exitCode = await main(process.argv.slice(2));
