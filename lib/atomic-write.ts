/**
 * Writing a file so that it appears whole or not at all: temporary file in the same folder, all bytes, fsync, rename,
 * fsync of the folder.
 */
import { randomBytes } from 'node:crypto';
import {
  access,
  constants,
  type FileHandle,
  lstat,
  mkdir,
  open,
  rename,
  stat,
  unlink,
} from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { RenvoxError } from './errors.js';

/**
 * Writes `pieces`, one after the other, to `path`. An existing file is replaced at the end, in one step; on any failure,
 * also of the iterable, it stays as it was and nothing else is left behind.
 * @throws FileNotFound where the folder is not there, AbortError, WriteFailed with the cause (disk full, no permission)
 */
export async function writeFileAtomic(
  path: string,
  pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  options: { signal?: AbortSignal | undefined } = {},
): Promise<void> {
  const folder = dirname(path);
  const temporary = join(folder, `.renvox-${randomBytes(8).toString('hex')}.tmp`);
  let file: FileHandle | undefined;
  try {
    file = await open(temporary, 'wx');
    for await (const piece of pieces) {
      throwIfAborted(options.signal);
      await writeAll(file, piece);
    }
    throwIfAborted(options.signal);
    await file.sync();
    await file.close();
    await rename(temporary, path);
  } catch (error) {
    if (file !== undefined) {
      // Closing twice rejects; the first error is the one to report.
      await file.close().catch(() => undefined);
      await unlink(temporary).catch(() => undefined);
    }
    throw failure(path, error);
  }
  await syncFolder(folder);
}

/** A write may be short without an error, on a nearly full disk, say. */
async function writeAll(file: FileHandle, piece: Uint8Array): Promise<void> {
  for (let done = 0; done < piece.length; ) {
    const { bytesWritten } = await file.write(piece, done, piece.length - done);
    if (bytesWritten === 0) throw new Error(`0 of ${piece.length - done} bytes were written`);
    done += bytesWritten;
  }
}

/** Makes the rename durable. Systems that cannot open a folder do not need it. */
async function syncFolder(folder: string): Promise<void> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(folder, 'r');
    await handle.sync();
  } catch {
    // The file is whole under its name; only its survival of a power cut in this second is unsure.
  } finally {
    await handle?.close();
  }
}

function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) {
    throw new RenvoxError('AbortError', 'Writing was aborted', {}, { cause: signal.reason });
  }
}

/**
 * Whether a folder, or one that would be made at this path, takes files: to be asked before work whose result goes there.
 * @throws RenvoxError WriteFailed where a file stands in the way or the permission lacks
 */
export async function checkWritable(folder: string): Promise<void> {
  for (let at = resolve(folder); ; at = dirname(at)) {
    try {
      if (!(await stat(at)).isDirectory()) throw new Error(`${at} is no folder`);
      await access(at, constants.W_OK | constants.X_OK);
      return;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      const climb = code === 'ENOENT' || code === 'ENOTDIR';
      // A link to nothing would be in the way of a folder.
      const dangling = climb && (await lstat(at).catch(() => undefined)) !== undefined;
      if (dangling) throw failure(folder, new Error(`${at} is a link to nothing`));
      if (!climb || at === dirname(at)) throw failure(folder, error);
    }
  }
}

function failure(path: string, error: unknown): RenvoxError {
  if (error instanceof RenvoxError) return error;
  const code = (error as NodeJS.ErrnoException).code;
  const reason = error instanceof Error ? error.message : String(error);
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    return new RenvoxError(
      'FileNotFound',
      `Cannot write ${basename(path)}: the folder ${dirname(path)} is not there`,
      { path },
      { cause: error },
    );
  }
  return new RenvoxError(
    'WriteFailed',
    `Cannot write ${path}: ${reason}`,
    { path, systemCode: code },
    { cause: error },
  );
}

/**
 * Makes a folder and those above it. Not Node's own recursive form, which never returns where a file system refuses new folders without
 * saying so (/proc).
 * @throws WriteFailed with the cause
 */
export async function makeFolder(path: string): Promise<void> {
  const make = async (folder: string): Promise<void> => {
    try {
      await mkdir(folder);
    } catch (error) {
      const { code } = error as { code?: unknown };
      if (code === 'EEXIST' && (await stat(folder)).isDirectory()) return;
      const parent = dirname(folder);
      if (code !== 'ENOENT' || parent === folder) throw error;
      await make(parent);
      await mkdir(folder);
    }
  };
  await make(path).catch((cause: NodeJS.ErrnoException) => {
    throw new RenvoxError(
      'WriteFailed',
      `Cannot make the folder ${path}: ${cause.message}`,
      { path, systemCode: cause.code },
      { cause },
    );
  });
}
