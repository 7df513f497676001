// Runs the JavaScript and TypeScript of a page as it stands.
import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';

/** The page's snippets in its order. */
export function snippetsOf(page: string): string[] {
  const found = readFileSync(page, 'utf8').matchAll(/```(?:js|ts)\n([\s\S]*?)```/g);
  return [...found].map((m) => m[1] as string);
}

/** Runs a snippet in the folder `cwd`; `name` must be its own. */
export function runSnippet(source: string, name: string, cwd: string) {
  // Inside the package, so that its own name resolves; `using` is made plain for Node 20.
  const file = join(process.cwd(), 'dist-test', `${name}.mjs`);
  const { outputText } = ts.transpileModule(source, {
    compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext },
  });
  writeFileSync(file, outputText);
  try {
    return spawnSync(process.execPath, [file], { cwd, encoding: 'utf8' });
  } finally {
    rmSync(file);
  }
}
