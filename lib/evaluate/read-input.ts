import { readFile } from 'node:fs/promises';
import { RenvoxError } from '../errors.js';

/**
 * The bytes of a file that was named.
 * @param hint - what the name could have been instead, for the message
 * @throws RenvoxError FileNotFound with the system's reason
 */
export async function readInput(file: string, hint = ''): Promise<Buffer> {
  return readFile(file).catch((cause: unknown) => {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new RenvoxError(
      'FileNotFound',
      `Cannot read ${file}${hint}: ${reason}`,
      { file },
      { cause },
    );
  });
}
