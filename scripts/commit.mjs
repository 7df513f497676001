// Writes dist/commit.json, so that results tell which commit made them: the commit of this checkout, with "-dirty" where
// files differ from it. Outside a checkout the file stays as the package brought it.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

function git(...args) {
  const child = spawnSync('git', args, { cwd: root, encoding: 'utf8' });
  return child.status === 0 ? child.stdout.trim() : undefined;
}

// A package inside someone else's repository must not take that one's commit for its own.
const head = existsSync(join(root, '.git')) ? git('rev-parse', 'HEAD') : undefined;
if (head) {
  const commit = git('status', '--porcelain', '--untracked-files=no') ? `${head}-dirty` : head;
  mkdirSync(join(root, 'dist'), { recursive: true });
  writeFileSync(join(root, 'dist', 'commit.json'), `${JSON.stringify({ commit })}\n`);
}
