/** Files through which a bench gives volumes and models to its children. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Runs `body` with a temporary folder of files that children read. */
export async function* withFiles<T>(
  files: Readonly<Record<string, NodeJS.TypedArray>>,
  body: (folder: string) => AsyncGenerator<T>,
): AsyncGenerator<T> {
  const folder = await mkdtemp(join(tmpdir(), 'renvox-bench-'));
  try {
    for (const [name, data] of Object.entries(files)) await writeFile(join(folder, name), data);
    yield* body(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
