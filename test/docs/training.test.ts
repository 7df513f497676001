// docs/training.md: its program runs, its presets and steps of augmentation are those of the package, its files those of a run.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { augmentations, presets } from 'renvox/train';
import t from 'tap';
import { runSnippet, snippetsOf } from './run-snippet.js';

const page = readFileSync('docs/training.md', 'utf8');

t.test('the program runs, and leaves what the page says', async (tap) => {
  const work = mkdtempSync(join(tmpdir(), 'renvox-training-'));
  try {
    const [source = ''] = snippetsOf('docs/training.md');
    const { status, stdout, stderr } = runSnippet(source, 'training', work);
    tap.equal(status, 0, stderr);
    tap.match(stdout, /run\/best.safetensors 10/);
    for (const name of readdirSync(join(work, 'run'))) tap.match(page, `\`${name}\``);
  } finally {
    rmSync(work, { recursive: true });
  }
});

t.test('presets and augmentations are all named', async (tap) => {
  for (const name of Object.keys(presets)) tap.match(page, `\`${name.replace('-literal', '')}\``);
  for (const step of Object.keys({ ...augmentations.study, ...augmentations.nnunet }))
    tap.match(page, `\`${step}\``);
});
