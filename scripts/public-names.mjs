// The public names of every entry of `exports`, values and types apart, read from the built declarations.
//   node scripts/public-names.mjs            prints them as JSON
//   node scripts/public-names.mjs --write    makes them the snapshot that test/package/exports.test.ts compares with
// A name that comes or goes is a change for users: write it into CHANGELOG.md together with the new snapshot.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const { name, exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const entries = Object.entries(exports).filter(([, target]) => typeof target === 'object');

const files = entries.map(([, target]) => join(root, target.types));
const missing = files.filter((file) => !existsSync(file));
if (missing.length > 0) {
  console.error(`Expected built declarations (npm run build:ts) but these are missing: ${missing}`);
  process.exit(1);
}
const program = ts.createProgram(files, {
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  target: ts.ScriptTarget.ES2022,
  skipLibCheck: true,
  types: [],
});
const checker = program.getTypeChecker();

/** Values and types that the module in `file` exports, sorted. */
function namesOf(file) {
  const module = checker.getSymbolAtLocation(program.getSourceFile(file));
  const values = [];
  const types = [];
  for (const symbol of module ? checker.getExportsOfModule(module) : []) {
    const alias = symbol.flags & ts.SymbolFlags.Alias;
    const target = alias ? checker.getAliasedSymbol(symbol) : symbol;
    const isValue = target.flags & ts.SymbolFlags.Value && !isTypeOnly(symbol);
    (isValue ? values : types).push(symbol.name);
  }
  return { values: values.sort(), types: types.sort() };
}

/** Whether a name is re-exported as a type only, so that a class behind it is no value here. */
function isTypeOnly(symbol) {
  const declarations = symbol.declarations ?? [];
  return declarations.some((node) => ts.isTypeOnlyImportOrExportDeclaration(node));
}

const names = Object.fromEntries(
  entries.map(([path], index) => [path.replace('.', name), namesOf(files[index])]),
);
const text = `${JSON.stringify(names, null, 2)}\n`;
if (process.argv.includes('--write')) {
  writeFileSync(join(root, 'test', 'package', 'public-names.json'), text);
} else {
  process.stdout.write(text);
}
