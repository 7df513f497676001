// A run that is killed at random moments ends with the bits of one that is not. RENVOX_KILLS=50 kills more often.
import { spawn } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseSafetensors } from 'renvox/nn';
import t from 'tap';
import { generator } from '../ops/harness.js';

const child = fileURLToPath(new URL('kill-child.js', import.meta.url));
const wanted = Number(process.env.RENVOX_KILLS ?? 3);
const steps = 120;

/** Runs the child; with a delay it is killed that many ms after its first report. Resolves to whether the run ended by itself. */
function run(folder: string, seed: number, delay?: number): Promise<boolean> {
  return new Promise((done, fail) => {
    const node = spawn(process.execPath, [child, folder, String(steps), String(seed)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    if (delay !== undefined)
      node.stdout.once('data', () => setTimeout(() => node.kill('SIGKILL'), delay));
    node.stdout.resume();
    node.on('error', fail);
    node.on('close', (code, signal) => {
      if (code !== null && code !== 0) fail(new Error(`the run ended with code ${code}`));
      else done(signal === null);
    });
  });
}

t.test(`${wanted} kills at random moments change nothing`, async (tap) => {
  const root = tap.testdir();
  const random = generator(Number(process.env.RENVOX_KILL_SEED ?? 5));
  let kills = 0;
  for (let seed = 1; kills < wanted; seed++) {
    const [whole, parts] = [join(root, `whole-${seed}`), join(root, `parts-${seed}`)];
    await run(whole, seed);
    let mine = 0;
    while (kills < wanted && mine < 10) {
      if (await run(parts, seed, random() * 150)) break;
      kills++;
      mine++;
    }
    await run(parts, seed);
    for (const file of ['weights', 'best', 'checkpoint'].map((name) => `${name}.safetensors`)) {
      const [a, b] = await Promise.all(
        [whole, parts].map(async (folder) => parseSafetensors(await readFile(join(folder, file)))),
      );
      const differs = [...(a?.tensors ?? [])].filter(
        ([name, { bytes }]) =>
          !Buffer.from(bytes).equals(Buffer.from(b?.tensors.get(name)?.bytes ?? [])),
      );
      tap.same(
        differs.map(([name]) => name),
        [],
        `seed ${seed}, ${mine} kills, ${file}: same bits`,
      );
      tap.equal(a?.tensors.size, b?.tensors.size);
    }
    const log = async (folder: string) =>
      (await readFile(join(folder, 'log.jsonl'), 'utf8'))
        .trim()
        .split('\n')
        .map((line) => ({ ...(JSON.parse(line) as object), seconds: 0 }));
    tap.same((await log(parts)).at(-1), (await log(whole)).at(-1), 'the log ends alike');
    // Only what a write was killed in may be left over, under its temporary name.
    const left = (await readdir(parts)).filter((name) => !name.startsWith('.renvox-'));
    tap.same(left.sort(), (await readdir(whole)).sort());
  }
  tap.comment(`killed ${kills} times`);
});
