// The simulated GPU itself: kernels that are right pass under every order of threads, and each deliberate fault is found.

import t from 'tap';
import { native } from '#lib/native.js';

const simulator = native().simulator;
const schedules = ['roundRobin', 'warpGreedy', 'mixed'] as const;
const SEEDS = 12;

/** What the runs of one kernel found, by schedule. */
function findings(name: string): Record<string, string[]> {
  const found: Record<string, string[]> = {};
  for (const schedule of schedules) {
    found[schedule] = [];
    for (let seed = 1; seed <= SEEDS; seed++) {
      simulator?.schedule(schedule, seed);
      const text = simulator?.runMutant(name);
      if (text) found[schedule].push(text);
    }
  }
  simulator?.schedule('mixed', 1);
  return found;
}

/** What each fault must show as, where it is a fault and not a wrong value. */
const texts: Record<string, RegExp> = {
  bounds: /a store beside the output, at value 257/,
  readBounds: /value 383 is -?nan/,
  divergentBarrier: /deadlock: 64 of 128 threads at a barrier, 0 at a warp function, 64 ended/,
  divergentShuffle: /deadlock: 0 of 128 threads at a barrier, \d+ at a warp function/,
  mixedFunctions: /lanes of one warp are at different warp functions/,
  uninitialised: /is -?nan/,
  misaligned: /thread 64: misaligned global load/,
  sharedBounds: /thread 127: shared store outside the block's shared memory/,
  asyncCopy: /is -?nan/,
};

if (!simulator) t.pass('no simulated GPU in this build');
else {
  const names = simulator.mutants();
  const right = names.filter((name) => !name.endsWith('/broken'));
  t.ok(right.length >= 12, `${right.length} kernels`);
  t.strictSame(
    names.filter((name) => name.endsWith('/broken')),
    right.map((name) => `${name}/broken`),
    'each also broken',
  );

  for (const name of right)
    t.test(name, async (t) => {
      for (const [schedule, found] of Object.entries(findings(name)))
        t.strictSame(found, [], `right: nothing found, ${schedule}`);
      const found = findings(`${name}/broken`);
      const { mixed = [] } = found;
      // What tests run under: with one seed in two at least.
      t.ok(mixed.length >= SEEDS / 2, `broken: found by ${mixed.length} of ${SEEDS} mixed orders`);
      for (const text of mixed.slice(0, 1)) {
        t.match(text, texts[name] ?? /^value \d+ is .*, not \d+/);
        t.comment(`${name}: ${text}`);
      }
      t.comment(Object.entries(found).map(([s, texts]) => `${s} ${texts.length}/${SEEDS}`));
    });

  t.test('an unknown kernel', async (t) => {
    t.throws(() => simulator.runMutant('nothing'), { code: 'InvalidArgument' });
  });
}
