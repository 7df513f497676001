/** The journal of a run: one file a case, written when it is measured, taken again by a later run where nothing changed. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolder, writeFileAtomic } from '../atomic-write.js';
import { unfitArgument } from '../errors.js';
import { type CaseInput, hashesOf } from './case-input.js';
import type { CaseRecord } from './case-record.js';
import type { CaseSettings } from './measure-case.js';
import { sidesByPlace } from './mid-plane.js';

const CASES = 'cases';

/**
 * Opens the journal of an output folder.
 * @param resume - whether records of an earlier run may be there
 * @throws RenvoxError InvalidArgument where they are and may not
 */
export async function openJournal(out: string, resume: boolean): Promise<Journal> {
  const folder = join(out, CASES);
  await makeFolder(out);
  await makeFolder(folder);
  const before = (await readdir(folder)).filter((name) => name.endsWith('.json'));
  if (before.length > 0 && !resume)
    throw unfitArgument(
      'out',
      'a folder without records of an earlier run, or --resume',
      `${out} with ${before.length} records`,
    );
  return new Journal(folder, resume);
}

export class Journal {
  readonly #folder: string;
  readonly #resume: boolean;

  constructor(folder: string, resume: boolean) {
    this.#folder = folder;
    this.#resume = resume;
  }

  /** The record of an earlier run, where it is whole and of the same files and settings. */
  async kept(input: CaseInput, settings: CaseSettings): Promise<CaseRecord | undefined> {
    if (!this.#resume) return undefined;
    const text = await readFile(this.#path(input.case), 'utf8').catch(() => undefined);
    if (text === undefined) return undefined;
    try {
      const record = JSON.parse(text) as CaseRecord;
      if (record.settings !== settings.settings) return undefined;
      const image = sidesByPlace([settings.scheme, settings.predictionScheme]);
      const now = Object.entries(await hashesOf(input, image));
      const same =
        now.length === Object.keys(record.inputs).length &&
        now.every(([role, hash]) => record.inputs[role as keyof typeof record.inputs] === hash);
      return same ? record : undefined;
    } catch {
      // Damaged, or a file that cannot be read now: measuring it says why.
      return undefined;
    }
  }

  /** @throws RenvoxError WriteFailed, AbortError */
  async keep(record: CaseRecord, options: { signal?: AbortSignal | undefined }): Promise<void> {
    const bytes = Buffer.from(`${JSON.stringify(record)}\n`);
    await writeFileAtomic(this.#path(record.case), [bytes], options);
  }

  #path(id: string): string {
    return join(this.#folder, `${id}.json`);
  }
}
