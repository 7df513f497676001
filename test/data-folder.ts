import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder of test data (RENVOX_DATA, by default ../shared/data next to the checkout), or undefined without one. */
export function dataFolder(): string | undefined {
  // This file runs from dist-test/.
  const root = dirname(dirname(fileURLToPath(import.meta.url)));
  const folder = process.env.RENVOX_DATA ?? join(root, '..', 'shared', 'data');
  return existsSync(folder) ? folder : undefined;
}
