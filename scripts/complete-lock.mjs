// Completes package-lock.json after `npm install PACKAGE` on a registry that mirrors only some platforms.
//
// npm leaves an optional package that it could not fetch out of the lock file, and then `npm ci` refuses the file as
// out of step, on every machine. This adds the missing entries, version and platform only, so that they are skipped
// where they do not fit. It also refuses a lock file that names a registry host. Run: node scripts/complete-lock.mjs

import { readFileSync, writeFileSync } from 'node:fs';

const path = new URL('../package-lock.json', import.meta.url);
const lock = JSON.parse(readFileSync(path, 'utf8'));
const systems = [
  'aix',
  'android',
  'darwin',
  'freebsd',
  'linux',
  'netbsd',
  'openbsd',
  'sunos',
  'win32',
];
const processors = [
  'arm',
  'arm64',
  'ia32',
  'loong64',
  'mips64el',
  'ppc64',
  'riscv64',
  's390x',
  'x64',
];

/** The platform fields that a name like @scope/cli-linux-x64-musl stands for. */
function platform(name) {
  const words = name.split(/[-/]/);
  const os = systems.filter((system) => words.includes(system));
  const cpu = processors.filter((processor) => words.includes(processor));
  if (os.length !== 1 || cpu.length !== 1)
    throw new Error(`No platform can be read from the name ${name}`);
  const musl = words.includes('musl') ? { libc: ['musl'] } : {};
  return { cpu, os, ...musl };
}

const added = [];
for (const entry of Object.values(lock.packages)) {
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    const key = `node_modules/${name}`;
    if (lock.packages[key]) continue;
    lock.packages[key] = {
      version,
      ...platform(name),
      ...(entry.dev ? { dev: true } : {}),
      optional: true,
    };
    added.push(name);
  }
}
const { '': rootPackage, ...others } = lock.packages;
lock.packages = { '': rootPackage };
for (const key of Object.keys(others).sort((a, b) => a.localeCompare(b, 'en')))
  lock.packages[key] = others[key];

const text = `${JSON.stringify(lock, null, 2)}\n`;
if (text.includes('"resolved"'))
  throw new Error(
    'package-lock.json names a registry host: set omit-lockfile-registry-resolved=true in .npmrc and run npm install again',
  );
writeFileSync(path, text);
console.log(added.length > 0 ? `added: ${added.join(', ')}` : 'nothing was missing');
