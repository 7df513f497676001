/** What a check leaves: one JSON file for the figures, one Markdown file to read. Runs of single parts fill up the same file. */
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { shortName } from './chip.js';
import { cellOf, type Errors, untold, worse } from './errors.js';
import { messageOf, type PartResult, parts, type Row } from './settings.js';

export const SCHEMA = 'renvox gpu-check 1';

export interface Results {
  schema: string;
  /** Name of the GPU, or of what stood in for one. */
  chip: string;
  device: string;
  arch: string;
  driver: string;
  nvcc: string;
  node: string;
  commit: string;
  /** ISO 8601. */
  date: string;
  seconds: number;
  parts: PartResult[];
}

/** `h100-2026-11-28-1a2b3c4`. */
export function fileName(r: Results): string {
  const dirty = r.commit.endsWith('-dirty') ? '-dirty' : '';
  return `${shortName(r.chip)}-${r.date.slice(0, 10)}-${r.commit.slice(0, 7)}${dirty}`;
}

/** Parts of the later run take the place of the same parts of the earlier one, unless they found nothing before they were stopped. */
export function merged(earlier: Results, later: Results): Results {
  const ran = (r: Results) =>
    r.parts.filter(
      ({ status, rows }) =>
        status !== 'not reached' && !(status === 'stopped' && rows.length === 0),
    );
  const byName = new Map([...ran(earlier), ...ran(later)].map((p) => [p.part, p]));
  for (const p of later.parts) if (!byName.has(p.part)) byName.set(p.part, p);
  return {
    ...later,
    seconds: earlier.seconds + later.seconds,
    parts: parts.flatMap((name) => byName.get(name) ?? []),
  };
}

function readResults(file: string): Results {
  let r: Results;
  try {
    r = JSON.parse(readFileSync(file, 'utf8')) as Results;
  } catch (error) {
    throw new Error(`${file} cannot be read: ${messageOf(error)}`);
  }
  if (r.schema !== SCHEMA || !Array.isArray(r.parts))
    throw new Error(`${file} is no result of the GPU check`);
  return r;
}

/** What is there already of the same chip, day and commit. A file that cannot be read is put aside, not written over. */
export function earlierResults(folder: string, results: Results): Results | undefined {
  const file = join(folder, `${fileName(results)}.json`);
  if (!existsSync(file)) return undefined;
  try {
    return readResults(file);
  } catch (error) {
    renameSync(file, `${file}.damaged`);
    console.log(`${messageOf(error)}; it is now ${file}.damaged`);
    return undefined;
  }
}

/** Whole or not at all, whoever ends this process. */
function writeWhole(file: string, text: string): void {
  const part = `${file}.${process.pid}.part`;
  writeFileSync(part, text);
  renameSync(part, file);
}

/** Writes both files, the earlier run's parts kept beside the new ones, and returns their paths. */
export function write(
  folder: string,
  results: Results,
  earlier: Results | undefined,
): { files: string[]; text: string } {
  mkdirSync(folder, { recursive: true });
  const whole = earlier ? merged(earlier, results) : results;
  const text = markdown(whole);
  const files = ['json', 'md'].map((kind) => join(folder, `${fileName(results)}.${kind}`));
  const [json, table] = files as [string, string];
  writeWhole(json, `${JSON.stringify(whole, null, 2)}\n`);
  writeWhole(table, text);
  return { files, text };
}

/** Files of several runs, in their order, made one. */
export function mergeFiles(
  files: readonly string[],
  folder: string,
): { files: string[]; text: string } {
  const [first, ...rest] = files.map(readResults) as [Results, ...Results[]];
  for (const r of rest)
    if (r.chip !== first.chip || r.commit !== first.commit)
      throw new Error('the results are of different chips or commits');
  const all = rest.reduce(merged, first);
  const target = resolve(folder, `${fileName(all)}.json`);
  const given = files.some((file) => resolve(file) === target);
  return write(folder, all, given ? undefined : earlierResults(folder, all));
}

const number = (value: unknown, digits = 3): string =>
  typeof value === 'number' ? String(Number(value.toPrecision(digits))) : '';

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ');

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map(cell).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

function summary({ part, status, seconds, rows, note }: PartResult): string[] {
  const good = rows.filter((r) => r.ok === true).length;
  const bad = rows.filter((r) => r.ok === false).length;
  const missed = rows.filter((r) => r.reached === false).length;
  const findings = `${good} passed, ${bad} failed${missed ? `, ${missed} not reached` : ''}`;
  return [part, status, number(seconds), findings, note ?? ''];
}

function failures(result: PartResult): string[] {
  return result.rows
    .filter((row) => row.ok === false)
    .map((row) => {
      const list = [
        ...(row.note ? [row.note] : []),
        ...((row.failures as readonly string[] | undefined) ?? []).slice(0, 3),
        ...((row.output as readonly string[] | undefined) ?? []).slice(0, 3),
      ];
      return `- ${result.part}: **${row.name}** ${list.map((text) => text.slice(0, 180)).join('; ')}`;
    });
}

/** The best of a library's variants, and how it compares. */
function best(rows: readonly Row[], library: string): Row | undefined {
  return rows
    .filter((r) => r.library === library && typeof r.median_ms === 'number')
    .sort((a, b) => (a.median_ms as number) - (b.median_ms as number))[0];
}

function benchTable(rows: readonly Row[]): string {
  // What only others can do (TF32) has a row too.
  const names = [
    ...new Set(rows.filter((r) => typeof r.median_ms === 'number').map((r) => r.name)),
  ];
  const lines = names.map((name) => {
    const of = rows.filter((r) => r.name === name);
    const own = best(of, 'renvox');
    const floor = of.find((r) => r.library === 'floor');
    const others = ['PyTorch', 'CuPy', 'SciPy'].flatMap((library) => best(of, library) ?? []);
    const rival = others.sort((a, b) => (a.median_ms as number) - (b.median_ms as number))[0];
    return [
      name,
      ...(own ? [number(own.median_ms), `${number(100 * (own.spread as number), 2)} %`] : ['', '']),
      ...(floor
        ? [number(floor.floor_ms), `${number(100 * (floor.share_of_roofline as number), 2)} %`]
        : ['', '']),
      rival ? `${number(rival.median_ms)} (${rival.library} ${rival.variant})` : 'not timed',
      rival && own ? number((rival.median_ms as number) / (own.median_ms as number), 3) : '',
    ];
  });
  return table(
    ['bench', 'renvox ms', 'spread', 'floor ms', 'of roofline', 'best other ms', 'times faster'],
    lines,
  );
}

function errorsOf(r: Results): Errors {
  const errors: Errors = new Map();
  for (const row of r.parts.find(({ part }) => part === 'ops')?.rows ?? [])
    for (const [name, error] of untold((row.errors as readonly string[] | undefined) ?? []))
      worse(errors, name, error);
  return errors;
}

/** Operations down, devices across; undefined where none of the results has the part `ops`. */
export function errorTable(list: readonly Results[]): string | undefined {
  const devices = new Map<string, Errors>();
  for (const r of list) {
    const errors = devices.get(r.device) ?? new Map<string, number | null>();
    devices.set(r.device, errors);
    for (const [name, error] of errorsOf(r)) worse(errors, name, error);
  }
  const names = [...new Set([...devices.values()].flatMap((e) => [...e.keys()]))].sort();
  if (names.length === 0) return undefined;
  const rows = names.map((name) => [
    ...[name, ...[...devices.values()].map((errors) => cellOf(errors, name))],
  ]);
  return table(['operation', ...devices.keys()], rows);
}

/** The table of several runs, one on each device. */
export function errorsOfFiles(files: readonly string[]): string {
  const text = errorTable(files.map(readResults));
  if (text === undefined) throw new Error('none of the files has the part ops');
  return text;
}

export function markdown(r: Results): string {
  const chip = r.arch ? `${r.chip}, sm_${r.arch}, driver ${r.driver}, nvcc ${r.nvcc}` : r.chip;
  const blocks = [
    `# GPU check: ${r.chip}`,
    `${r.date.slice(0, 10)}, commit ${r.commit}, device \`${r.device}\`: ${chip}; Node ${r.node}; ${number(r.seconds)} s in all.`,
    table(['part', 'status', 's', 'findings', 'note'], r.parts.map(summary)),
  ];
  const failed = r.parts.flatMap(failures);
  if (failed.length > 0) blocks.push('## What failed', failed.slice(0, 80).join('\n'));
  const errors = errorTable([r]);
  if (errors !== undefined)
    blocks.push(
      '## Largest errors',
      errors,
      'Of the results that an operation had a part in: relative RMS against references in double, or what its test bounds. `equal`: no test grants it a tolerance (labels, copies and counts are the same; of noise, statistics are tested).',
    );
  const sanitizer = r.parts.find(({ part }) => part === 'sanitizer');
  if (sanitizer && sanitizer.rows.length > 0)
    blocks.push(
      '## compute-sanitizer',
      table(
        ['tool', 'cases', 'errors', 's', 'note'],
        sanitizer.rows.map((row) => [
          ...[row.name, number(row.cases, 6), number(row.errors, 6), number(row.seconds)],
          row.note ?? '',
        ]),
      ),
    );
  const bench = r.parts.find(({ part }) => part === 'bench');
  if (bench?.rows.some((row) => row.library === 'renvox')) {
    const ceilings = bench.rows.find((row) => typeof row.copy === 'number');
    blocks.push('## Times', benchTable(bench.rows));
    blocks.push(
      typeof ceilings?.copy === 'number'
        ? `Medians and spreads (middle four fifths over the median) of device events. Roofline: ${number(ceilings.copy / 1e12)} TB/s of copies and ${number((ceilings.tensor as number) / 1e12)} TFLOP/s of bf16 products, ${ceilings.source}.`
        : 'Medians and spreads (middle four fifths over the median). No roofline is known for this device.',
    );
    if (r.device !== 'cuda')
      blocks.push('Sizes are cut down and no GPU ran: these times say nothing about speed.');
  }
  return `${blocks.join('\n\n')}\n`;
}
