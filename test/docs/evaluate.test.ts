// docs/evaluate.md: its commands and its program run, and it names every file, column and figure that comes out.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import ts from 'typescript';
import { type Box, LEFT, labelMap, RIGHT } from '../evaluate/boxes.js';

const root = process.cwd();
const page = readFileSync('docs/evaluate.md', 'utf8');
const blocks = (language: string) =>
  [...page.matchAll(new RegExp(`\`\`\`${language}\n([\\s\\S]*?)\`\`\``, 'g'))].map(
    (m) => m[1] as string,
  );

/** Cells of the table under a heading, without its head. */
function tableUnder(heading: string): string[][] {
  const section = page.split(`## ${heading}\n`)[1]?.split('\n## ')[0] ?? '';
  return section
    .split('\n')
    .filter((line) => line.startsWith('| '))
    .slice(2)
    .map((line) => line.split(' | ').map((cell) => cell.replace(/^\| | \|$/g, '')));
}
const coded = (text: string) => [...text.matchAll(/`([^`]+)`/g)].map((m) => m[1] as string);

t.test('every command runs, and what it writes is what the page says', async (t) => {
  const work = mkdtempSync(join(tmpdir(), 'renvox-docs-'));
  try {
    for (const name of ['truth', 'prediction', 'images', 'on-truth']) mkdirSync(join(work, name));
    const mass: Box = [4, 8, 6, 10, 29, 33];
    for (const id of ['case_1', 'case_2']) {
      const map = labelMap([
        [1, LEFT],
        [1, RIGHT],
        [2, mass],
      ]);
      await map.write(join(work, 'truth', `${id}.nii.gz`));
      await map.write(join(work, 'prediction', `${id}.nii.gz`));
      await map.write(join(work, 'on-truth', `${id}.nii.gz`));
      await map.write(join(work, 'images', `${id}_0000.nii.gz`));
    }
    writeFileSync(join(work, 'cases.csv'), 'case,patient,sex,age,phase\ncase_1,p,F,61,native\n');
    const run = (line: string) => {
      const words = line.split(' ');
      t.same(words.splice(0, 2), ['npx', 'renvox'], line);
      const { status, stderr, stdout } = spawnSync(
        process.execPath,
        [join(root, 'dist/cli/main.js'), ...words],
        { cwd: work, encoding: 'utf8' },
      );
      t.equal(status, 0, `${line}: ${stderr}`);
      t.match(stdout, /not a medical device/, 'the notice stands where results do');
    };
    const [commands = ''] = blocks('sh');
    for (const line of commands.trim().split('\n')) run(line);
    const more = '--on-truth on-truth --manifest cases.csv --protocol kits23 --out all';
    run(`npx renvox evaluate --truth truth --prediction prediction ${more}`);

    const files = tableUnder('What comes out');
    const out = join(work, 'all');
    const named = files.flatMap(([name]) => coded(name as string));
    for (const name of readdirSync(out))
      t.ok(
        named.some((n) => n.split('/')[0] === name),
        `${name} is in the table of files`,
      );
    for (const [name = '', content = ''] of files) {
      const [file = ''] = coded(name);
      if (!file.endsWith('.csv') || file === 'evaluation_references.csv') continue;
      const header = readFileSync(join(out, file), 'utf8').split('\n')[0] as string;
      const columns = coded(content).flatMap((c) => (c.startsWith('{') ? [] : c.split(',')));
      for (const column of header.split(',')) {
        const parts = /^(kidney|mass)_(left|right)_(.+)$/.exec(column)?.slice(1) ?? [column];
        for (const part of parts) t.ok(columns.includes(part), `${file}: ${part}`);
      }
    }

    const { figures, settings, inputs, disclaimer, software } = JSON.parse(
      readFileSync(join(out, 'summary.json'), 'utf8'),
    );
    t.match(disclaimer, /not a medical device/);
    t.ok(software.version);
    t.equal(settings.protocol, 'kits23');
    t.equal(Object.keys(inputs).length, 7, 'three maps a case, and the manifest');
    const patterns = tableUnder('Paths of the figures').flatMap(([paths]) =>
      coded(paths as string).map((path) => ({
        path,
        expression: new RegExp(`^${path.replaceAll('.', '\\.').replace(/\{\w+\}/g, '[^.]+?')}$`),
      })),
    );
    for (const path of Object.keys(figures))
      t.ok(
        patterns.some((p) => p.expression.test(path)),
        `${path} is documented`,
      );
    for (const { path, expression } of patterns)
      t.ok(
        Object.keys(figures).some((figure) => expression.test(figure)),
        `${path} is there`,
      );

    for (const [i, source] of blocks('js').entries()) {
      // Inside the package, so that its own name resolves.
      const file = join(root, 'dist-test', `evaluate-doc-${i}.mjs`);
      const { outputText } = ts.transpileModule(source, {
        compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext },
      });
      writeFileSync(file, outputText);
      const result = spawnSync(process.execPath, [file], { cwd: work, encoding: 'utf8' });
      t.equal(result.status, 0, result.stderr);
      t.equal(result.stdout.trim(), source.split('// ').at(-1)?.trim(), 'prints what it says');
      rmSync(file);
    }
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
});
