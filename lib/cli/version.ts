/** Which renvox this is. */
import { readFileSync } from 'node:fs';

/** The package's version and, where the build knew it, its commit. */
export function softwareVersion(): { version: string; commit: string | null } {
  const read = (path: string): Record<string, unknown> =>
    JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8')) as Record<string, unknown>;
  const version = String(read('../../package.json').version);
  try {
    return { version, commit: String(read('../commit.json').commit) };
  } catch {
    return { version, commit: null };
  }
}
