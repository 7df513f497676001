// The program of docs/weights.md runs as it stands.
import { existsSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { runSnippet, snippetsOf } from './run-snippet.js';

t.test('the example of docs/weights.md', async (t) => {
  const work = mkdtempSync(join(tmpdir(), 'renvox-weights-'));
  symlinkSync(join(process.cwd(), 'weights'), join(work, 'weights'));
  const snippets = snippetsOf('docs/weights.md');
  t.equal(snippets.length, 1);
  const { status, stderr } = runSnippet(snippets[0] as string, 'weights', work);
  t.equal(status, 0, stderr);
  t.ok(existsSync(join(work, 'kidney.onnx')));
  rmSync(work, { recursive: true });
});
