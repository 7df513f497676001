/** C++ programs of the benches, compiled for this machine where they are newer than what was compiled before. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
/** The sources: bench/ of the repository, beside the compiled benches. */
export const sources = join(here, '..', 'bench');
const programs = join(here, 'programs');

/** The newest source in the folders of these files. */
function newest(files: readonly string[]): number {
  const folders = [...new Set(files.map((file) => dirname(file)))];
  const all = folders.flatMap((folder) => readdirSync(folder).map((name) => join(folder, name)));
  return Math.max(...all.filter((f) => /\.(cpp|h)$/.test(f)).map((file) => statSync(file).mtimeMs));
}

/** The path of the program, or undefined where there is no g++. @throws Error where the compiler refuses */
export function compiled(name: string, files: readonly string[]): string | undefined {
  const program = join(programs, name);
  if (existsSync(program) && statSync(program).mtimeMs > newest(files)) return program;
  mkdirSync(programs, { recursive: true });
  const options = ['-O3', '-march=native', '-std=c++17', '-Wall', '-Wextra', '-pthread'];
  const built = spawnSync('g++', [...options, ...files, '-o', program], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if (built.error) return undefined;
  if (built.status !== 0) throw new Error(`g++ could not compile ${files.join(' ')}`);
  return program;
}
