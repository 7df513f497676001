// The examples of docs/metrics.md run and print what their comments say.
import { tmpdir } from 'node:os';
import t from 'tap';
import { runSnippet, snippetsOf } from './run-snippet.js';

t.test('every example of docs/metrics.md', async (t) => {
  const snippets = snippetsOf('docs/metrics.md');
  t.ok(snippets.length >= 6, `${snippets.length} snippets`);
  for (const [i, source] of snippets.entries()) {
    const { status, stdout, stderr } = runSnippet(source, `metrics-${i}`, tmpdir());
    t.equal(status, 0, `snippet ${i + 1}: ${stderr}`);
    const said = [...source.matchAll(/^console\.log\(.*\); \/\/ (.*)$/gm)].map((m) => m[1]);
    t.ok(said.length > 0, `snippet ${i + 1} says what it prints`);
    t.same(stdout.trimEnd().split('\n'), said, `snippet ${i + 1} prints what it says`);
  }
});
