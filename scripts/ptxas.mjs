// `npm run ptxas [-- --write]`: registers and spills of every CUDA kernel, as ptxas reports them for sm_80 and sm_90a, against the
// table native/cuda/registers.json. More registers or spills than there, or any spill in a convolution kernel, fails.
// --log FILE reads the log of a build with RENVOX_PTXAS=1 for these two chips instead of compiling again.
// With --write the table is made anew. Without nvcc nothing is checked, and it says so. Figures depend on the compiler, so with
// another nvcc than the table's only the convolutions' spills count.

import { spawn, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, devNull } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const table = join(root, 'native', 'cuda', 'registers.json');
const chips = ['sm_80', 'sm_90a'];

function demangled(names) {
  const child = spawnSync('c++filt', { input: names.join('\n'), encoding: 'utf8' });
  const lines = child.status === 0 ? child.stdout.split('\n') : names;
  return names.map((name, i) => {
    const plain = (lines[i] ?? name)
      .replace(/\(anonymous namespace\)::|rvx::cuda::|rvx::/g, '')
      .replace(/^void /, '');
    // Up to the parameter list: the first parenthesis outside of template arguments.
    let depth = 0;
    for (let k = 0; k < plain.length; k++) {
      if (plain[k] === '<') depth++;
      else if (plain[k] === '>') depth--;
      else if (plain[k] === '(' && depth === 0 && k > 0) return plain.slice(0, k);
    }
    return plain;
  });
}

/** What ptxas says of one file for one chip: {kernel: {registers, spills}}; spills in bytes, stores and loads. */
function compiled(file, chip) {
  return new Promise((resolve, reject) => {
    const args = ['-std=c++17', '-O3', '--fmad=false', '--expt-relaxed-constexpr', '-Inative'];
    args.push(`-arch=${chip}`, '-cubin', '-Xptxas', '-v', '-o', devNull, join('native/cuda', file));
    const child = spawn('nvcc', args, { cwd: root, stdio: ['ignore', 'ignore', 'pipe'] });
    let text = '';
    child.stderr.on('data', (data) => {
      text += data;
    });
    child.on('error', reject);
    child.on('close', (code) => {
      if (code !== 0) return reject(new Error(`nvcc ${file} for ${chip}:\n${text}`));
      const found = [];
      for (const part of text.split('Compiling entry function').slice(1)) {
        const name = /'([^']+)'/.exec(part)?.[1];
        const spills = /(\d+) bytes spill stores, (\d+) bytes spill loads/.exec(part);
        const registers = /Used (\d+) registers/.exec(part);
        if (!name || !spills || !registers)
          return reject(new Error(`ptxas said nothing that could be read of ${file}:\n${part}`));
        found.push({
          name,
          registers: Number(registers[1]),
          spills: Number(spills[1]) + Number(spills[2]),
        });
      }
      const names = demangled(found.map((f) => f.name));
      resolve(
        Object.fromEntries(
          found.map(({ registers, spills }, i) => [names[i], { registers, spills }]),
        ),
      );
    });
  });
}

/** The same from a build's log: ninja prints what a command said behind the line that names it. */
function logged(path) {
  const result = {};
  const found = [];
  let file;
  for (const line of readFileSync(path, 'utf8').split('\n')) {
    // Files of runtime/ hold no kernels that the table knows.
    if (/^\[\d+\/\d+\]/.test(line))
      file = /Building CUDA object \S*native\/cuda\/(\w+\.cu)\.o/.exec(line)?.[1];
    const entry = /Compiling entry function '([^']+)' for '(\w+)'/.exec(line);
    if (entry && file) found.push({ file, name: entry[1], chip: entry[2], spills: 0 });
    const last = found[found.length - 1];
    const spills = /(\d+) bytes spill stores, (\d+) bytes spill loads/.exec(line);
    if (spills && last) last.spills = Number(spills[1]) + Number(spills[2]);
    const registers = /Used (\d+) registers/.exec(line);
    if (registers && last) last.registers = Number(registers[1]);
  }
  const names = demangled(found.map((f) => f.name));
  found.forEach(({ file, chip, registers, spills }, i) => {
    if (registers === undefined || !chips.includes(chip)) return;
    result[file] ??= {};
    result[file][names[i]] ??= {};
    result[file][names[i]][chip] = { registers, spills };
  });
  return result;
}

async function measure() {
  const files = readdirSync(join(root, 'native/cuda'))
    .filter((file) => file.endsWith('.cu'))
    .sort();
  const tasks = files.flatMap((file) => chips.map((chip) => ({ file, chip })));
  const result = {};
  for (const file of files) result[file] = {};
  const next = async () => {
    for (let task = tasks.shift(); task; task = tasks.shift()) {
      for (const [kernel, figures] of Object.entries(await compiled(task.file, task.chip))) {
        result[task.file][kernel] ??= {};
        result[task.file][kernel][task.chip] = figures;
      }
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, next));
  return result;
}

const version = spawnSync('nvcc', ['--version'], { encoding: 'utf8' });
if (version.status !== 0) {
  console.log('nvcc is not on PATH: registers and spills were not checked');
  process.exit(0);
}
const compiler = /release ([\d.]+), V([\d.]+)/.exec(version.stdout)?.[2] ?? 'unknown';
const at = process.argv.indexOf('--log');
const seen = at > 0 ? logged(process.argv[at + 1]) : await measure();
if (process.argv.includes('--write')) {
  // A line a kernel: registers, bytes spilled.
  const sorted = Object.entries(seen).sort(([a], [b]) => (a < b ? -1 : 1));
  const files = sorted.map(([file, list]) => {
    const lines = Object.keys(list)
      .sort()
      .map((kernel) => {
        const figures = chips.map((chip) => {
          const { registers, spills } = list[kernel][chip];
          return `"${chip}": [${registers}, ${spills}]`;
        });
        return `      ${JSON.stringify(kernel)}: { ${figures.join(', ')} }`;
      });
    return `    "${file}": {\n${lines.join(',\n')}\n    }`;
  });
  writeFileSync(
    table,
    `{\n  "compiler": "${compiler}",\n  "kernels": {\n${files.join(',\n')}\n  }\n}\n`,
  );
  spawnSync(join(root, 'node_modules', '.bin', 'biome'), ['format', '--write', table]);
  console.log(`written: ${table}`);
  process.exit(0);
}

const known = JSON.parse(readFileSync(table, 'utf8'));
const same = known.compiler === compiler;
if (!same)
  console.log(
    `nvcc is ${compiler}, the table is of ${known.compiler}: only convolutions' spills count`,
  );
let checked = 0;
let failed = 0;
const fail = (text) => {
  failed++;
  console.log(`not ok: ${text}`);
};
for (const [file, kernels] of Object.entries(seen))
  for (const [kernel, perChip] of Object.entries(kernels))
    for (const [chip, { registers, spills }] of Object.entries(perChip)) {
      checked++;
      const where = `${file} ${kernel} ${chip}`;
      if (file.startsWith('conv') && spills > 0) fail(`${where} spills ${spills} bytes`);
      if (!same) continue;
      const before = known.kernels[file]?.[kernel]?.[chip];
      if (!before) fail(`${where} is not in the table (npm run ptxas -- --write)`);
      else if (registers > before[0] || spills > before[1])
        fail(
          `${where}: ${registers} registers, ${spills} bytes spilled; the table has ${before[0]}, ${before[1]}`,
        );
    }
if (checked === 0) fail('no kernel was seen');
if (at > 0 && same)
  for (const [file, kernels] of Object.entries(known.kernels))
    for (const kernel of Object.keys(kernels))
      if (!seen[file]?.[kernel]) fail(`${file} ${kernel} is in the table but not in the log`);
console.log(`${checked - Math.min(failed, checked)} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;
