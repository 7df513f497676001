/** A folder that one run at a time writes into. */
import { randomBytes } from 'node:crypto';
import { link, readFile, realpath, rm, stat, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { makeFolder } from './atomic-write.js';
import { isRenvoxError, RenvoxError, unfitArgument } from './errors.js';

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
export async function withFolder<T>(out: string, body: () => Promise<T>): Promise<T> {
  await makeFolder(out);
  const path = join(await realpath(out), LOCK);
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
