// Takes the files of a packed folder out of its one archive (pack.ts): `node unpack.mjs`, started by run.sh. It stands alone, since nothing else is there yet.
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliDecompressSync } from 'node:zlib';

const folder = dirname(fileURLToPath(import.meta.url));
const bytes = brotliDecompressSync(readFileSync(join(folder, 'files.br')));
// A line of JSON, [path, length] for each, then the files' bytes in that order.
const end = bytes.indexOf('\n');
let from = end + 1;
for (const [path, length] of JSON.parse(bytes.toString('utf8', 0, end))) {
  const file = join(folder, path);
  mkdirSync(dirname(file), { recursive: true });
  // By renaming, so that a file that is there is whole; run.sh looks for the last one.
  writeFileSync(`${file}.part`, bytes.subarray(from, from + length));
  renameSync(`${file}.part`, file);
  from += length;
}
