/** What is read is never written over. */
import { realpath } from 'node:fs/promises';
import { resolve } from 'node:path';
import { invalidArgument } from './errors.js';

/**
 * Refuses a run that would write over what it reads.
 * @param received - what was given for the parameter
 * @param written - paths of all files and folders that the run makes
 * @param inputs - files and folders that it reads
 * @throws RenvoxError InvalidArgument
 */
export async function refuseInputs(
  parameter: string,
  received: string,
  written: readonly string[],
  inputs: readonly (string | undefined)[],
): Promise<void> {
  const made = new Set(await Promise.all(written.map(real)));
  for (const input of inputs)
    if (input !== undefined && made.has(await real(input)))
      throw invalidArgument(
        parameter,
        `another folder than that of the input ${input}, which would be written over`,
        received,
      );
}

/** The path without links, or as it is where nothing is there yet. */
async function real(path: string): Promise<string> {
  return realpath(path).catch(() => resolve(path));
}
