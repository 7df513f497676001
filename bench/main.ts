/**
 * `npm run bench -- [NAME ...] [--json] [--device KIND]` runs the measurements of bench/NAME.bench.ts, by default all of them. With
 * --device cuda-sim only those that count on the simulated GPU run, by default `kernels`; these run on no other device.
 * With --json stdout is one JSON array of rows and nothing else (`npm run --silent bench -- conv3d --json`); without
 * it a line is printed for each row as it comes. The machine is named on stderr.
 */
import { readdirSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import type { Bench, Row } from './row.js';

const suffix = '.bench.js';
const here = new URL('.', import.meta.url);
/** What counts on the simulated GPU instead of measuring time. */
const counting = ['kernels'];
const known = readdirSync(here)
  .filter((file) => file.endsWith(suffix))
  .map((file) => file.slice(0, -suffix.length))
  .sort();

function line(row: Row): string {
  const figures = Object.entries(row).filter(([key]) => key !== 'name');
  const text = figures.map(([key, value]) => {
    const shown =
      typeof value === 'number' && !Number.isInteger(value) ? value.toPrecision(4) : value;
    return `${key} ${shown}`;
  });
  return `${row.name.padEnd(32)} ${text.join('  ')}`;
}

async function main(args: readonly string[]): Promise<number> {
  const rest = [...args];
  const at = rest.indexOf('--device');
  const device = at < 0 ? undefined : rest.splice(at, 2)[1];
  const json = rest.includes('--json');
  const simulated = device === 'cuda-sim';
  const offered = simulated ? counting : known.filter((name) => !counting.includes(name));
  const names = rest.filter((arg) => !arg.startsWith('--'));
  const unknown = [
    ...names.filter((name) => !offered.includes(name)),
    ...rest.filter((arg) => arg.startsWith('--') && arg !== '--json'),
    ...(device === undefined || simulated || device === 'cpu' ? [] : [`--device ${device}`]),
  ];
  if (unknown.length > 0) {
    const hint = simulated ? '' : ` (with --device cuda-sim: ${counting.join(', ')})`;
    console.error(
      `Expected some of ${offered.join(', ')}${hint}, --json or --device cpu|cuda-sim but received ${unknown.join(', ')}`,
    );
    return 2;
  }
  const model = cpus()[0]?.model ?? 'unknown processor';
  console.error(`${model}, ${availableParallelism()} threads, Node ${process.version}`);
  const rows: Row[] = [];
  for (const name of names.length > 0 ? names : offered) {
    const { bench, needsAddon } = (await import(new URL(`${name}${suffix}`, here).href)) as {
      bench: Bench;
      needsAddon?: () => { code: number } | undefined;
    };
    const elsewhere = needsAddon?.();
    if (elsewhere) return elsewhere.code;
    for await (const row of bench()) {
      if (!json) console.log(line(row));
      rows.push(row);
    }
  }
  if (json) console.log(JSON.stringify(rows, null, 2));
  return 0;
}

process.exitCode = await main(process.argv.slice(2));
