/** The folder that a run writes into: none of what it reads, of no other kind of run, and of one run at a time. */
import { randomBytes } from 'node:crypto';
import { link, readdir, readFile, realpath, rm, stat, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import { makeFolder } from '../atomic-write.js';
import { invalidArgument, isRenvoxError, RenvoxError, unfitArgument } from '../errors.js';

/** What a summary says of itself, `settings.source`. */
export type OutputKind = 'label maps' | 'lesions' | 'comparison';

/** Files that runs write, whichever of them: an input of such a name in the folder would be lost. */
const WRITTEN = [
  ...['cases.csv', 'lesions.csv', 'evaluation.csv', 'evaluation_references.csv'],
  ...['summary.json', 'tables.md', 'report.html'],
];

/**
 * Refuses a folder that holds what must not be written over.
 * @param inputs - files and folders that the run reads
 * @throws RenvoxError InvalidArgument where it is one of the inputs, holds one of them under a name that is written, or holds results of
 * another kind of run
 */
export async function checkOutput(
  out: string,
  kind: OutputKind,
  inputs: readonly (string | undefined)[],
): Promise<void> {
  if (typeof out !== 'string' || out === '')
    throw invalidArgument('out', 'the path of a folder', out);
  const written = new Set(
    await Promise.all([out, ...WRITTEN.map((name) => join(out, name))].map(real)),
  );
  for (const input of inputs)
    if (input !== undefined && written.has(await real(input)))
      throw invalidArgument(
        'out',
        `another folder than that of the input ${input}, which would be written over`,
        out,
      );
  const before = await kindOf(out);
  if (before !== undefined && before !== kind)
    throw unfitArgument(
      'out',
      `a folder without results of another kind (these would be of ${kind})`,
      `${out} with results of ${before}`,
    );
}

/** The path without links, or as it is where nothing is there yet. */
async function real(path: string): Promise<string> {
  return realpath(path).catch(() => resolve(path));
}

/** What a run before this one left here; undefined where none did. */
async function kindOf(out: string): Promise<string | undefined> {
  try {
    const summary = JSON.parse(await readFile(join(out, 'summary.json'), 'utf8'));
    const source: unknown = summary?.settings?.source;
    if (typeof source === 'string') return source;
  } catch {
    // No summary: a run that was stopped before may have left its journal.
  }
  const records = await readdir(join(out, 'cases')).catch(() => [] as string[]);
  return records.some((name) => name.endsWith('.json')) ? 'label maps' : undefined;
}

const LOCK = '.renvox-lock';
/** Locks of this process, for its own number alone does not say that a run is still there. */
const held = new Set<string>();

interface Holder {
  readonly pid: number;
  readonly host: string;
}

/**
 * Makes the folder and runs `body` while no other run has it. The lock of a run that was killed is taken over.
 * @throws RenvoxError InvalidArgument where another run has the folder; WriteFailed; as `body`
 */
export async function withOutput<T>(out: string, body: () => Promise<T>): Promise<T> {
  await makeFolder(out);
  const path = join(await real(out), LOCK);
  await lock(path, out);
  held.add(path);
  try {
    return await body();
  } finally {
    held.delete(path);
    await rm(path, { force: true });
  }
}

async function lock(path: string, out: string): Promise<void> {
  const own: Holder = { pid: process.pid, host: hostname() };
  // Whole from the moment it is there: a link to a file that is written before.
  const temporary = `${path}-${randomBytes(8).toString('hex')}`;
  try {
    await writeFile(temporary, `${JSON.stringify(own)}\n`);
    for (let attempt = 0; ; attempt++) {
      const taken = await link(temporary, path).then(
        () => true,
        (error: NodeJS.ErrnoException) => {
          if (error.code === 'EEXIST') return false;
          // A file system without links: the least that can be done.
          return writeFile(path, `${JSON.stringify(own)}\n`, { flag: 'wx' }).then(
            () => true,
            (other: NodeJS.ErrnoException) => {
              if (other.code === 'EEXIST') return false;
              throw other;
            },
          );
        },
      );
      if (taken) return;
      const holder = await liveHolder(path);
      if (holder !== undefined || attempt === 3)
        throw unfitArgument(
          'out',
          'a folder that no other run writes into',
          `${out}, which process ${holder?.pid ?? '?'} on ${holder?.host ?? '?'} has (where it is gone, delete ${path})`,
        );
      await rm(path, { force: true });
    }
  } catch (error) {
    if (isRenvoxError(error)) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new RenvoxError(
      'WriteFailed',
      `Cannot write into ${out}: ${reason}`,
      { path: out },
      { cause: error },
    );
  } finally {
    await rm(temporary, { force: true }).catch(() => undefined);
  }
}

/** Who has the lock; undefined where that run is gone. Of another machine's runs nothing is known: they count as there. */
async function liveHolder(path: string): Promise<Holder | undefined> {
  const text = await readFile(path, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  let holder: Holder;
  try {
    holder = JSON.parse(text);
  } catch {
    // Torn, where links are not to be had: another run writes it at this moment, or was killed then.
    const age = Date.now() - ((await stat(path).catch(() => undefined))?.mtimeMs ?? 0);
    return age < 10_000 ? { pid: Number.NaN, host: hostname() } : undefined;
  }
  if (holder.host !== hostname()) return holder;
  if (holder.pid === process.pid) return held.has(path) ? holder : undefined;
  try {
    process.kill(holder.pid, 0);
    return holder;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM' ? holder : undefined;
  }
}
