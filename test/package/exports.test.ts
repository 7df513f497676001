// The public names are a promise: this compares them with the snapshot in public-names.json. After a wanted change:
// node scripts/public-names.mjs --write

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import t from 'tap';

interface Names {
  readonly values: readonly string[];
  readonly types: readonly string[];
}

const snapshot = JSON.parse(readFileSync('test/package/public-names.json', 'utf8')) as Record<
  string,
  Names
>;

t.test('the declarations export what the snapshot lists', async (t) => {
  const child = spawnSync(process.execPath, ['scripts/public-names.mjs'], { encoding: 'utf8' });
  t.equal(child.status, 0, child.stderr);
  const found = JSON.parse(child.stdout) as Record<string, Names>;
  t.same(Object.keys(found), Object.keys(snapshot));
  for (const [entry, names] of Object.entries(snapshot)) t.same(found[entry], names, entry);
});

t.test('at run time every entry exports the values that its declarations promise', async (t) => {
  for (const [entry, names] of Object.entries(snapshot)) {
    const module = (await import(entry)) as object;
    t.same(Object.keys(module).sort(), names.values, entry);
  }
});
