import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { root } from '../core/child.js';

/** Runs `renvox` with arguments, as a shell would. */
export function renvox(
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): SpawnSyncReturns<string> {
  const { NODE_OPTIONS: _, ...inherited } = process.env;
  return spawnSync(process.execPath, [join(root, 'dist', 'cli', 'main.js'), ...args], {
    cwd: root,
    encoding: 'utf8',
    env: { ...inherited, ...env },
  });
}
