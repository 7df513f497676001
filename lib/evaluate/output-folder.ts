/** The folder that an evaluation writes into: none of what it reads, and of no other kind of run. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { invalidArgument, unfitArgument } from '../errors.js';
import { refuseInputs } from '../not-an-input.js';

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
  await refuseInputs('out', out, [out, ...WRITTEN.map((name) => join(out, name))], inputs);
  const before = await kindOf(out);
  if (before !== undefined && before !== kind)
    throw unfitArgument(
      'out',
      `a folder without results of another kind (these would be of ${kind})`,
      `${out} with results of ${before}`,
    );
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
