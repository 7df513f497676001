/** The process that leads a check: shares the time out among the parts, starts each in a process of its own, writes what they found. */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { findNvcc, PACKED_ADDON } from './build.js';
import { findChip } from './chip.js';
import { pack } from './pack.js';
import { endTree } from './processes.js';
import {
  earlierResults,
  errorsOfFiles,
  mergeFiles,
  type Results,
  SCHEMA,
  write,
} from './results.js';
import {
  type Kind,
  messageOf,
  type Part,
  type PartResult,
  parts,
  type Row,
  rowIn,
  type Settings,
  type Status,
  type Task,
} from './settings.js';

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '..', '..');

/** Relative needs of time; what a part leaves over goes to those after it. */
const weights: Record<Part, number> = {
  build: 200,
  ops: 110,
  pipeline: 40,
  sanitizer: 70,
  repeat: 35,
  leak: 15,
  bench: 110,
};
/** Seconds kept for writing results, and given to a part to end by itself. */
const RESERVE = 8;
const GRACE = 4;
/** Milliseconds between writes of what a part has found so far. */
const SAVE_EVERY = 10_000;

const help = `npm run gpu-check [-- OPTIONS]            runs the check
npm run gpu-check -- pack FOLDER          makes a folder to run it from elsewhere (sh FOLDER/run.sh OPTIONS)
npm run gpu-check -- table FILE.json ...  makes one table of the results of several runs
npm run gpu-check -- errors FILE.json ... prints each operation's largest error, a column a device

  --part LIST      of ${parts.join(',')}; default all
  --device KIND    cuda (default), cpu or cuda-sim, to try the check itself
  --filter REGEXP  test files, cases and benches by name
  --seconds N      of the whole run; default 540
  --repeats N      of each case; default 100
  --chip ARCH      to build for, as 90a; default that of the GPU found
  --addon FILE     a built addon, tried before building; also of pack
  --out FOLDER     for the results
  --no-rivals      PyTorch, CuPy and SciPy are not timed
  --fast           of pack: compress in seconds, a few MB more`;

class Wrong extends Error {}

function settingsOf(argv: readonly string[]) {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      part: { type: 'string' },
      device: { type: 'string', default: 'cuda' },
      filter: { type: 'string', default: '' },
      seconds: { type: 'string', default: '540' },
      repeats: { type: 'string' },
      chip: { type: 'string' },
      addon: { type: 'string' },
      out: { type: 'string' },
      'no-rivals': { type: 'boolean', default: false },
      fast: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const names = values.part?.split(',') ?? [...parts];
  const unknown = names.filter((name) => !(parts as readonly string[]).includes(name));
  if (unknown.length > 0)
    throw new Wrong(`Expected some of ${parts.join(', ')} for --part but received ${unknown}`);
  if (!['cuda', 'cpu', 'cuda-sim'].includes(values.device))
    throw new Wrong(`Expected cuda, cpu or cuda-sim for --device but received ${values.device}`);
  try {
    new RegExp(values.filter);
  } catch {
    throw new Wrong(`Expected a regular expression for --filter but received ${values.filter}`);
  }
  const count = (name: string, text: string, least: number) => {
    const n = Number(text);
    if (!(n >= least)) throw new Wrong(`Expected a number for --${name} but received ${text}`);
    return n;
  };
  const kind = values.device as Kind;
  const packed = existsSync(join(root, 'packed.json'));
  // Only what a GPU did is worth keeping in the repository.
  const gpu = kind === 'cuda' && findChip() !== undefined;
  const kept = gpu ? ['bench', 'results'] : ['build', 'gpu-check', 'results'];
  const home = packed ? ['results'] : kept;
  const settings: Settings = {
    ...{ root, kind, filter: values.filter, chip: values.chip },
    parts: parts.filter((part) => names.includes(part)),
    seconds: count('seconds', values.seconds, 10),
    // The simulated GPU takes a second for what a GPU does in a microsecond.
    repeats: count('repeats', values.repeats ?? (kind === 'cuda-sim' ? '3' : '100'), 2),
    addon: values.addon ? resolve(values.addon) : undefined,
    out: resolve(values.out ?? join(root, ...home)),
    rivals: !values['no-rivals'],
  };
  return { settings, positionals, fast: values.fast, help: values.help };
}

/** An addon that is there without building: the one that was packed, or, to try the check without a GPU, the tests'. */
function addonThere({ kind, parts, addon }: Settings): string | undefined {
  if (addon) return addon;
  const given = join(root, PACKED_ADDON);
  if (existsSync(given)) return given;
  const tests = join(root, 'build', 'sim', 'build', 'Release', 'renvox.node');
  return kind !== 'cuda' && !parts.includes('build') && existsSync(tests) ? tests : undefined;
}

function line(row: Row): string {
  const verdict = row.ok === null ? '--' : row.ok ? 'ok' : 'NOT OK';
  const figures = Object.entries(row)
    .filter(
      ([key, value]) => !['name', 'ok', 'note', 'reached'].includes(key) && !Array.isArray(value),
    )
    .map(([key, v]) => `${key} ${typeof v === 'number' ? Number(v.toPrecision(4)) : v}`);
  const list = (row.failures as readonly string[] | undefined) ?? [];
  const more = list.slice(0, 3).map((text) => `\n        ${text.slice(0, 200)}`);
  return `  ${verdict} ${row.name}  ${figures.join('  ')}${row.note ? `  (${row.note})` : ''}${more.join('')}`;
}

function statusOf(rows: readonly Row[], stopped: boolean): Status {
  if (rows.some((row) => row.ok === false)) return 'failed';
  if (stopped || rows.some((row) => row.reached === false)) return 'stopped';
  return rows.some((row) => row.ok === true) ? 'passed' : 'skipped';
}

/** A part that is at work, and what it has found so far. */
interface Running {
  part: Part;
  begun: number;
  rows: Row[];
  pid: number | undefined;
}

function resultOf({ part, begun, rows }: Running, stopped: string | undefined): PartResult {
  return {
    ...{ part, status: statusOf(rows, stopped !== undefined) },
    seconds: (performance.now() - begun) / 1000,
    ...(stopped === undefined ? {} : { note: stopped }),
    rows: [...rows],
  };
}

/** Runs a part until its deadline, then ends it with all that it has started. */
async function runPart(
  task: Task,
  addonFolder: string | undefined,
  onStart: (running: Running) => void,
): Promise<PartResult> {
  const environment: NodeJS.ProcessEnv = {
    ...process.env,
    RENVOX_GPU_CHECK: JSON.stringify(task),
    ...(addonFolder ? { RENVOX_PREBUILD: addonFolder } : {}),
  };
  const child = spawn(process.execPath, ['--expose-gc', join(here, 'part.js')], {
    cwd: root,
    env: environment,
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
  });
  const rows: Row[] = [];
  const running = { part: task.part, begun: performance.now(), rows, pid: child.pid };
  onStart(running);
  let stopped: string | undefined;
  const timer = setTimeout(
    () => {
      stopped = 'stopped at its deadline';
      endTree(child.pid);
    },
    Math.max(1, task.deadline - Date.now() + GRACE * 1000),
  );
  const closed = new Promise<string>((done) => {
    child.on('close', (code, signal) => done(signal ?? String(code ?? 1)));
  });
  for await (const text of createInterface({ input: child.stdout })) {
    const row = rowIn(text);
    if (row) rows.push(row);
    console.log(row ? line(row) : text);
  }
  const end = await closed;
  clearTimeout(timer);
  if (stopped === undefined && end !== '0')
    rows.push({ name: task.part, ok: false, note: `its process ended by ${end}` });
  return resultOf(running, stopped);
}

function commit(): string {
  try {
    const file = join(root, 'dist', 'commit.json');
    return (JSON.parse(readFileSync(file, 'utf8')) as { commit: string }).commit;
  } catch {
    return 'unknown';
  }
}

function nvccVersion(): string {
  const nvcc = findNvcc();
  const text = nvcc ? spawnSync(nvcc, ['--version'], { encoding: 'utf8' }).stdout : '';
  return /V([\d.]+)/.exec(text)?.[1] ?? '';
}

/** Epoch milliseconds at which the run began: with this process, which has compiled the TypeScript, or with run.sh, which unpacks node. */
function begunAt(): number {
  const told = Number(process.env.RENVOX_GPU_CHECK_BEGUN) * 1000;
  return told > 0 ? Math.min(told, performance.timeOrigin) : performance.timeOrigin;
}

/** Where the addon is, once the part `build` has passed. */
function addonFolder(results: readonly PartResult[]): string | undefined {
  const built = results.find(({ part, status }) => part === 'build' && status === 'passed');
  return built && join(root, String(built.rows.at(-1)?.folder));
}

async function check(settings: Settings): Promise<number> {
  const begun = begunAt();
  const end = begun + (settings.seconds - RESERVE) * 1000;
  const found = settings.kind === 'cuda' ? findChip() : undefined;
  const standIn = settings.kind === 'cpu' ? 'CPU' : 'simulated GPU';
  const chip = found ?? {
    name: settings.kind === 'cuda' ? 'no GPU' : standIn,
    arch: settings.kind === 'cuda' ? (settings.chip ?? '') : '',
    driver: '',
  };
  if (settings.chip) chip.arch = settings.chip;
  const known = { ...settings, chip: chip.arch || undefined, addon: addonThere(settings) };
  console.log(`${chip.name}${chip.arch ? ` (sm_${chip.arch})` : ''}, commit ${commit()}`);
  // Without an addon nothing else can run, so building goes before whatever was asked for.
  const list = parts.filter((part) => part === 'build' || settings.parts.includes(part));
  const results: PartResult[] = [];
  let running: Running | undefined;
  const head = {
    ...{ schema: SCHEMA, chip: chip.name, device: settings.kind, arch: chip.arch },
    ...{ driver: chip.driver, nvcc: settings.kind === 'cuda' ? nvccVersion() : '' },
    ...{ node: process.version, commit: commit(), date: new Date(begun).toISOString() },
  };
  /** What is known by now: whoever ends this process leaves it behind. */
  const soFar = (note: string): Results => {
    const known = [...results, ...(running ? [resultOf(running, note)] : [])];
    const missing = list
      .slice(known.length)
      .map((part) => ({ part, status: 'not reached' as const, seconds: 0, note, rows: [] }));
    return { ...head, seconds: (Date.now() - begun) / 1000, parts: [...known, ...missing] };
  };
  const earlier = earlierResults(settings.out, soFar(''));
  const save = (note: string) => write(settings.out, soFar(note), earlier);
  const saving = setInterval(() => save('the check did not end'), SAVE_EVERY).unref();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.once(signal, () => {
      endTree(running?.pid);
      save(`ended by ${signal}`);
      process.exit(1);
    });
  for (const [i, part] of list.entries()) {
    const rest = list.slice(i).reduce((sum, p) => sum + weights[p], 0);
    const share = ((end - Date.now()) * weights[part]) / rest;
    if (share < 1000 || (part !== 'build' && !addonFolder(results))) {
      const note = share < 1000 ? 'no time was left' : 'there is no addon that works';
      results.push({ part, status: 'not reached', seconds: 0, note, rows: [] });
      continue;
    }
    console.log(`\n${part} (up to ${(share / 1000).toFixed(0)} s)`);
    const deadline = Date.now() + share - GRACE * 1000 * (share > 20_000 ? 1 : 0);
    const task = { ...known, part, deadline };
    const result = await runPart(task, addonFolder(results), (started) => {
      running = started;
    });
    running = undefined;
    results.push(result);
    save('the check did not end');
  }
  clearInterval(saving);
  const { files, text } = save('');
  console.log(`\n${text}`);
  for (const file of files) console.log(relative(process.cwd(), file));
  return results.every(({ status }) => status === 'passed' || status === 'skipped') ? 0 : 1;
}

export async function main(argv: readonly string[]): Promise<number> {
  try {
    const { settings, positionals, fast, help: wanted } = settingsOf(argv);
    const [command, ...files] = positionals;
    if (wanted) {
      console.log(help);
      return 0;
    }
    if (command === undefined) return await check(settings);
    if (command === 'pack' && files.length === 1) {
      await pack(root, resolve(files[0] as string), { addon: settings.addon, fast });
      return 0;
    }
    if (command === 'table' && files.length > 0) {
      const { text } = mergeFiles(files, settings.out);
      console.log(text);
      return 0;
    }
    if (command === 'errors' && files.length > 0) {
      console.log(errorsOfFiles(files));
      return 0;
    }
    throw new Wrong(
      `Expected pack FOLDER, table FILE ... or errors FILE ... but received ${positionals.join(' ')}`,
    );
  } catch (error) {
    const usage =
      error instanceof Wrong || /^ERR_PARSE_ARGS/.test(String((error as { code?: string }).code));
    console.error(`gpu-check: ${messageOf(error)}`);
    if (usage) console.error(help);
    return usage ? 2 : 1;
  }
}
