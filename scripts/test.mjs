// `npm test [-- PATH ...]`: builds what is older than its source, runs the tests with tap and ends with the counts.
//
// PATH is a test file or a folder of them: `npm test -- test/ops test/nn/unet.test.ts`. Default: all of test/.
// The counts are tap's, of assertions. A test that compares with stored reference tensors says how many by
// `t.comment('reference tensors compared: 12')`; their sum is printed before the last line.
// RENVOX_TEST_PRELOAD (libraries to load before all others) and RENVOX_TEST_TIMEOUT (seconds a file) serve
// scripts/sanitize.sh.
// No test run counts as a failure. Exit code: 0 all passed, 1 something failed, 2 no such test.

import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const timeoutSeconds = process.env.RENVOX_TEST_TIMEOUT ?? '300';

/** The test files under `path`, relative to the root, in a fixed order. */
function testFiles(path) {
  if (!existsSync(path)) return [];
  if (statSync(path).isFile()) return path.endsWith('.test.ts') ? [relative(root, path)] : [];
  const names = readdirSync(path).filter((name) => name !== 'fixtures');
  return names.sort().flatMap((name) => testFiles(join(path, name)));
}

function step(program, ...args) {
  return spawnSync(program, args, { cwd: root, stdio: 'inherit' }).status === 0;
}

function build() {
  const tsc = join(root, 'node_modules', '.bin', 'tsc');
  // RENVOX_PREBUILD names another build of the addon (the sanitizers'): then this one is not used.
  const native =
    process.env.RENVOX_PREBUILD !== undefined || step(process.execPath, 'install.mjs', '--tests');
  // Beside the CPU the tests' addon has the device cuda-sim, whose CUDA kernels run on the CPU.
  process.env.RENVOX_PREBUILD ??= join(root, 'build', 'sim');
  const library = native && step(tsc, '-p', 'tsconfig.json');
  return (
    library && step(process.execPath, 'scripts/commit.mjs') && step(tsc, '-p', 'tsconfig.test.json')
  );
}

/** Passes on what a person wants to see of a TAP stream and collects its sums. */
class Summary {
  passed = 0;
  failed = 0;
  skipped = 0;
  tensors = 0;
  /** Launches and host seconds of each kernel on the simulated GPU. */
  kernels = new Map();
  #assertions = 0;
  #diagnosticEnd = '';

  line(text) {
    const body = text.trimStart();
    const indent = text.length - body.length;
    if (this.#diagnosticEnd) {
      if (text.trimEnd() === this.#diagnosticEnd) this.#diagnosticEnd = '';
      return console.log(text);
    }
    if (body === '---') {
      this.#diagnosticEnd = `${' '.repeat(indent)}...`;
      return console.log(text);
    }
    const total = /^# \{ (total: .*) \}$/.exec(text);
    if (total) return this.#totals(total[1]);
    const tensors = /^# reference tensors compared: (\d+)/.exec(body);
    if (tensors) this.tensors += Number(tensors[1]);
    const kernels = /^# simulated kernels: (.*)$/.exec(body);
    if (kernels) return this.#simulated(JSON.parse(kernels[1]));
    const noise =
      /^(TAP version \d+|\d+\.\.\d+.*|# Subtest: .*|# time=.*|# No coverage generated|)$/;
    if (noise.test(body)) return;
    if (/^(not )?ok\b/.test(body)) return this.#result(body, indent);
    console.log(text);
  }

  #simulated(rows) {
    for (const [name, launches, seconds] of rows) {
      const sum = this.kernels.get(name) ?? { launches: 0, seconds: 0 };
      sum.launches += launches;
      sum.seconds += seconds;
      this.kernels.set(name, sum);
    }
  }

  /** The kernels of the simulated GPU, the longest first: name, launches, seconds of the host. */
  printKernels() {
    if (this.kernels.size === 0) return;
    const rows = [...this.kernels].sort(([, a], [, b]) => b.seconds - a.seconds);
    const total = rows.reduce((sum, [, { seconds }]) => sum + seconds, 0);
    console.log(`\nkernels on the simulated GPU: ${rows.length} in ${total.toFixed(1)} s`);
    for (let i = 0; i < rows.length; i += 3) {
      const cells = rows
        .slice(i, i + 3)
        .map(([name, { launches, seconds }]) =>
          `${name} ${launches}x ${seconds.toFixed(2)} s`.padEnd(44),
        );
      console.log(`  ${cells.join('').trimEnd()}`);
    }
  }

  #totals(fields) {
    const count = (name) => Number(new RegExp(`${name}: (\\d+)`).exec(fields)?.[1] ?? 0);
    this.passed = count('pass');
    this.failed = count('fail');
    this.skipped = count('skip') + count('todo');
  }

  #result(body, indent) {
    const [, verdict, name, milliseconds] =
      /^((?:not )?ok)(?: \d+)?(?: - )?(.*?)(?: # time=([\d.]+)ms)?$/.exec(body) ?? [];
    if (indent > 0 && milliseconds === undefined) this.#assertions++;
    if (indent === 0) {
      const file = name.replace(/^dist-test/, 'test').replace(/\.js$/, '.ts');
      const time = `${(Number(milliseconds ?? 0) / 1000).toFixed(1)} s`;
      console.log(`${verdict} ${file} (${this.#assertions} assertions, ${time})`);
      this.#assertions = 0;
    } else if (verdict === 'not ok' || / # (SKIP|TODO)/i.test(body)) {
      console.log(' '.repeat(indent) + body);
    } else if (indent === 4 && milliseconds !== undefined) {
      console.log(`    ${verdict} ${name}`);
    }
  }
}

async function runTap(files) {
  const tap = join(root, 'node_modules', '.bin', 'tap');
  const options = [
    '--disable-coverage',
    '--jobs=2',
    `--timeout=${timeoutSeconds}`,
    '--reporter=tap',
  ];
  const preload = process.env.RENVOX_TEST_PRELOAD;
  const env = preload ? { ...process.env, LD_PRELOAD: preload } : process.env;
  const compiled = files.map((file) => file.replace(/^test/, 'dist-test').replace(/\.ts$/, '.js'));
  const child = spawn(tap, ['run', ...options, '--node-arg=--expose-gc', ...compiled], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
    env,
  });
  const closed = new Promise((done) => child.on('close', (code) => done(code ?? 1)));
  const summary = new Summary();
  for await (const line of createInterface({ input: child.stdout })) summary.line(line);
  return { summary, code: await closed };
}

async function main(paths) {
  const files = new Set();
  for (const path of paths.length > 0 ? paths : ['test']) {
    const found = testFiles(resolve(root, path));
    const outside = relative(join(root, 'test'), resolve(root, path)).startsWith('..');
    if (found.length === 0 || outside) {
      console.error(`Expected a test file or folder under test${sep} but received ${path}`);
      return 2;
    }
    for (const file of found) files.add(file);
  }
  if (!build()) {
    console.log('0 passed, 1 failed');
    return 1;
  }
  const { summary, code } = await runTap([...files]);
  // A file that dies before its first assertion, or a run without any, is a failure whatever tap counted.
  const bad = code !== 0 || summary.passed + summary.failed === 0;
  const failed = Math.max(summary.failed, bad ? 1 : 0);
  summary.printKernels();
  console.log(`\nreference tensors compared: ${summary.tensors}`);
  console.log(
    `${summary.passed} passed, ${failed} failed${summary.skipped ? `, ${summary.skipped} skipped` : ''}`,
  );
  return failed > 0 ? 1 : 0;
}

process.exitCode = await main(process.argv.slice(2));
