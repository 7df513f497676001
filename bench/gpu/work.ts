/**
 * The process that does cases: each once (under compute-sanitizer) or many times over, with the same bits each time. A case that loses the
 * device ends the process with LOST, since nothing in it can use the GPU again; who started it goes on with the next case.
 *
 *   node work.js KIND once|repeat COUNT D H W CASE ...
 */
import { pathToFileURL } from 'node:url';
import { type DeviceKind, device, download, isRenvoxError, scope } from 'renvox';
import { native } from '#lib/native.js';
import { type Case, cases, type Size, watched } from './cases.js';
import { messageOf, report } from './settings.js';

export const LOST = 75;
export const BEGINS = 'case begins: ';

/** Bytes of all results of a case, run once. */
async function results(run: ReturnType<Case['prepare']>): Promise<Buffer[]> {
  return scope(async () =>
    (await download(run())).map((array) =>
      Buffer.from(array.buffer, array.byteOffset, array.byteLength),
    ),
  );
}

async function repeat(one: Case, count: number, once: boolean): Promise<void> {
  const begun = performance.now();
  await scope(async () => {
    const run = one.prepare();
    const first = await results(run);
    let done = 1;
    let differs: string | undefined;
    for (; done < (once ? 1 : count) && !differs; done++) {
      const again = await results(run);
      const at = again.findIndex((bytes, i) => !bytes.equals(first[i] as Buffer));
      if (at >= 0) differs = `result ${at} has other bits in run ${done + 1}`;
    }
    report({
      ...{ name: one.name, ok: differs === undefined, repeats: done },
      ...(differs ? { note: differs } : {}),
      seconds: (performance.now() - begun) / 1000,
    });
  });
}

async function main([kind, mode, count, d, h, w, ...names]: readonly string[]): Promise<number> {
  const seen = new Set<string>();
  const dev = watched(device(kind as DeviceKind), seen);
  const size = [d, h, w].map(Number) as unknown as Size;
  const wanted = new Set(names);
  for (const one of cases(dev, size).filter((c) => wanted.has(c.name))) {
    console.log(`${BEGINS}${one.name}`);
    try {
      await repeat(one, Number(count), mode === 'once');
    } catch (error) {
      report({ name: one.name, ok: false, note: messageOf(error) });
      if (isRenvoxError(error, 'DeviceLost')) return LOST;
    }
    dev.releaseCache();
  }
  console.log(`operations run: ${[...seen].sort().join(' ')}`);
  console.log(`operations there: ${Object.keys(native().operations()).sort().join(' ')}`);
  dev.dispose();
  return 0;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href)
  process.exitCode = await main(process.argv.slice(2));
