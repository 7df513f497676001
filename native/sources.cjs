// Prints the C++ files of folders under native/, one a line, for binding.gyp: `node native/sources.cjs core ops cpu/isa`.
const { existsSync, readdirSync } = require('node:fs');
const { join } = require('node:path');

for (const folder of process.argv.slice(2)) {
  const path = join(__dirname, folder);
  if (!existsSync(path)) continue;
  for (const file of readdirSync(path).sort()) {
    if (file.endsWith('.cpp')) console.log(`native/${folder}/${file}`);
  }
}
