/**
 * `npm run bench -- [NAME ...] [--json] [--samples N] [--peer NAME|none] [--large] [--brief] [--device KIND]` runs the measurements of bench/NAME.bench.ts.
 * Without a name all of them run, with 3 samples a case instead of 9 (networks beside onnxruntime excepted), less patience with slow peers and without the
 * longest cases, in less than ten minutes on two cores; --brief asks for the same of those named. --peer none measures ours alone, --peer onnxruntime, itk-wasm, pytorch or scipy
 * only against that one, which then must be there; by default whichever is installed is measured (`npm run bench:peers`, Debian's python3-torch and
 * python3-scipy). --large adds cases that take minutes or gigabytes. With --device cuda-sim only those that count on the simulated GPU run
 * (`kernels`, `kernels-step`); these run on no other device.
 * A line is printed for each row as it comes. With --json these lines go to stderr, and stdout is one JSON array of rows and nothing else, if npm
 * is asked to be silent: `npm run --silent bench -- conv3d --json`. A bench that fails is a row with its `failure`, and the exit code is 1.
 * The machine is named on stderr. docs/benchmarks.md tells what the keys mean.
 */
import { readdirSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { COUNTING, readArguments } from './arguments.js';
import { closeCeilings, Throughout } from './ceilings.js';
import { type Row, STANDARD } from './row.js';
import { type BenchFile, JsonRows, runBenches } from './run.js';

const suffix = '.bench.js';
const here = new URL('.', import.meta.url);
const known = readdirSync(here)
  .filter((file) => file.endsWith(suffix))
  .map((file) => file.slice(0, -suffix.length))
  .sort();

/** What a person reads while it runs: standard figures that are there; all of them are in the JSON. */
function line(row: Row): string {
  const standard = 'median_s' in row;
  const extra = ['algorithm', 'ratio_rss', 'goal', 'goal_met', 'failure'];
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

async function main(args: readonly string[]): Promise<number> {
  const asked = readArguments(args, known);
  if ('fault' in asked) {
    console.error(asked.fault);
    return 2;
  }
  const model = cpus()[0]?.model ?? 'unknown processor';
  console.error(`${model}, ${availableParallelism()} threads, Node ${process.version}`);
  // What is only counted has no ceiling.
  const counted = asked.names.every((name) => COUNTING.includes(name));
  let ceilings: Throughout | undefined;
  const json = asked.json ? new JsonRows((text) => process.stdout.write(text)) : undefined;
  const report = (row: Row) => {
    (json ? console.error : console.log)(line(row));
    json?.add(row);
  };
  const load = (name: string): Promise<BenchFile> =>
    import(new URL(`${name}${suffix}`, here).href) as Promise<BenchFile>;
  const pause = async () => {
    if (counted) return;
    ceilings ??= new Throughout();
    await ceilings.sample();
  };
  try {
    const { code, elsewhere } = await runBenches(asked.names, asked.options, {
      load,
      pause,
      report,
    });
    if (elsewhere) return code;
    for (const row of ceilings?.rows() ?? []) report(row);
    json?.end();
    return code;
  } finally {
    await closeCeilings();
  }
}

process.exitCode = await main(process.argv.slice(2));
