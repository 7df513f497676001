// The README's JavaScript and TypeScript run as it stands.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { phantom } from 'renvox/phantom';
import { fixedGrid, readVolume } from 'renvox/volume';
import t from 'tap';
import { runSnippet, snippetsOf } from './run-snippet.js';

const snippets = snippetsOf('README.md');

t.test('every snippet of the README runs', async (t) => {
  t.ok(snippets.length >= 3, `${snippets.length} snippets`);
  const work = mkdtempSync(join(tmpdir(), 'renvox-readme-'));
  const { ct } = await phantom(1, {
    grid: fixedGrid({ shape: [60, 96, 128], spacing: [4, 3, 3], centre: [0, 0, 0] }),
  });
  await ct.write(join(work, 'ct.nii.gz'));
  for (const [i, source] of snippets.entries()) {
    const { status, stdout, stderr } = runSnippet(source, `readme-${i}`, work);
    t.equal(status, 0, `snippet ${i + 1}: ${stderr}`);
    t.ok(stdout.length > 0 || source.includes('analyze'), `snippet ${i + 1} printed something`);
  }
  const labels = await readVolume(join(work, 'labels.nii.gz'));
  t.strictSame(
    labels.affine.map((x) => Math.round(x * 1e3)),
    ct.affine.map((x) => Math.round(x * 1e3)),
    'the label map lies on the CT',
  );
  rmSync(work, { recursive: true });
});
