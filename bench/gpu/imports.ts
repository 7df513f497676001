/** Whether compiled modules find in their own folder all that they import: what `pack` leaves out would be missed only on a machine with a GPU. */
import { readFileSync, realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { sep } from 'node:path';

/** `import ... from 'x'`, `export ... from 'x'` and `import 'x'` as tsc writes them. Not `import('x')`, which loads only where it is needed. */
const IMPORTS =
  /^(?:import|export)\b(?:[^'"();]*?\bfrom)?\s*(['"])([^'"]+)\1;?\s*(?:with\s*\{.*)?$/gm;

/** What the modules and those they import would not find within `folder`, as `file imports name`. */
export function missingImports(folder: string, modules: readonly string[]): string[] {
  const home = realpathSync(folder) + sep;
  const missing: string[] = [];
  const seen = new Set<string>();
  const queue = modules.map((file) => realpathSync(file));
  for (let file = queue.pop(); file !== undefined; file = queue.pop()) {
    if (seen.has(file) || !file.endsWith('.js')) continue;
    seen.add(file);
    const { resolve } = createRequire(file);
    for (const [, , name] of readFileSync(file, 'utf8').matchAll(IMPORTS)) {
      if (name === undefined || name.startsWith('node:')) continue;
      let found: string | undefined;
      try {
        found = realpathSync(resolve(name));
      } catch {}
      if (found?.startsWith(home)) queue.push(found);
      else missing.push(`${file.slice(home.length)} imports ${name}`);
    }
  }
  return missing.sort();
}
