/** Options that every evaluation has. */
import { invalidArgument, unfitArgument } from '../errors.js';
import type { BootstrapOptions } from '../metrics/index.js';

/** @throws RenvoxError InvalidArgument for an option that there is not: a misspelled one would be silently its default */
export function checkNames(options: object, names: readonly string[]): void {
  for (const name of Object.keys(options))
    if (!names.includes(name)) throw unfitArgument('options', `one of ${names.join(', ')}`, name);
}

/** Replicates, seed and level with their defaults, checked before hours of measuring. @throws RenvoxError InvalidArgument */
export function bootstrapOptions(options: BootstrapOptions): Required<BootstrapOptions> {
  const { replicates = 2000, seed = 1, level = 0.95 } = options;
  if (!(Number.isInteger(replicates) && replicates >= 1))
    throw invalidArgument('replicates', 'an integer of at least 1', replicates);
  if (!Number.isInteger(seed)) throw invalidArgument('seed', 'an integer', seed);
  if (!(level > 0 && level < 1)) throw invalidArgument('level', 'a number between 0 and 1', level);
  return { replicates, seed, level };
}
