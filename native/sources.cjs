// Prints the C++ files of folders under native/, and for the GPU's the kernels too, one a line, for binding.gyp:
//   node native/sources.cjs core ops cpu/isa
// With --wrap IN OUT: writes a C++ file that includes the kernel file IN, for the tests' addon.
const { existsSync, mkdirSync, readdirSync, writeFileSync } = require('node:fs');
const { dirname, join, resolve } = require('node:path');

const args = process.argv.slice(2);
if (args[0] === '--wrap') {
  const [, kernel, out] = args;
  mkdirSync(dirname(out), { recursive: true });
  writeFileSync(out, `#include "${resolve(kernel)}"\n`);
} else {
  for (const folder of args) {
    const path = join(__dirname, folder);
    if (!existsSync(path)) continue;
    for (const file of readdirSync(path).sort()) {
      const kernel = file.endsWith('.cu') && folder.startsWith('cuda');
      if (file.endsWith('.cpp') || kernel) console.log(`native/${folder}/${file}`);
    }
  }
}
