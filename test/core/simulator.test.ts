// The simulated GPU itself: kernels that are right pass under every order of threads, and each deliberate fault is found; what is
// counted is what a reader counts; and a backend that does not wait for its copies is found out.

import { type DeviceKind, device } from 'renvox';
import t from 'tap';
import { native, type SimulatedLaunch } from '#lib/native.js';

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

/** Of three blocks of four warps, unless said otherwise; a block reads and writes 128 values: 16 sectors, each once. */
const plain = {
  ...{ blocks: 3, blocksRun: 3, threads: 128, sharedBytes: 512 },
  ...{ readRequested: 48, readTouched: 48, writeRequested: 48, writeTouched: 48 },
  ...{ mma: 0, atomics: 0, barriers: 0, sharedAccesses: 0, bankConflicts: 0 },
};
const counts: Record<string, Omit<SimulatedLaunch, 'name'>> = {
  // Each warp stores and loads shared memory once, side by side.
  barrier: { ...plain, barriers: 3, sharedAccesses: 24 },
  hiddenBarrier: { ...plain, barriers: 3, sharedAccesses: 24 },
  // Two stores, two loads; three barriers.
  reuse: { ...plain, barriers: 9, sharedAccesses: 48 },
  warp: { ...plain, sharedAccesses: 24 },
  butterfly: plain,
  misaligned: plain,
  // The third block has one value.
  bounds: {
    ...plain,
    ...{ readRequested: 33, readTouched: 33 },
    writeRequested: 33,
    writeTouched: 33,
  },
  // Two loads a thread; those of the next value meet one sector more in each warp, but for the last.
  readBounds: { ...plain, readRequested: 48 + 48 + 11 },
  // The load by columns meets a bank four times: three passes more for each warp.
  columns: { ...plain, barriers: 3, sharedAccesses: 24, bankConflicts: 36 },
  // One lane stores, four warps load one value.
  counted: { ...plain, barriers: 6, sharedAccesses: 15, atomics: 384 },
  // Each warp makes the same product and reads all of x; one writes it.
  product: { ...plain, mma: 12, readRequested: 192 },
};

if (!simulator) t.pass('no simulated GPU in this build');
else {
  for (const [name, expected] of Object.entries(counts))
    t.test(`what ${name} does, counted`, async (t) => {
      for (const schedule of schedules) {
        simulator.schedule(schedule, 5);
        simulator.count(1);
        t.equal(simulator.runMutant(name), '');
        const launches = simulator.counted();
        simulator.count(0);
        t.strictSame(launches, [{ name, ...expected }], schedule);
      }
      simulator.schedule('mixed', 1);
    });

  t.test('every second block counted', async (t) => {
    simulator.count(2);
    simulator.runMutant('columns');
    const [launch] = simulator.counted();
    simulator.count(0);
    const { blocks, blocksRun, readRequested, bankConflicts } = launch as SimulatedLaunch;
    t.strictSame([blocks, blocksRun, readRequested, bankConflicts], [3, 2, 32, 24]);
  });

  const open = () => {
    simulator.failCall(0, 0);
    return device('cuda-sim' as DeviceKind);
  };

  t.test('a download that is not waited for', async (t) => {
    const d = open();
    const x = d.tensor(Float32Array.of(1, 2, 3));
    await d.drain();
    simulator.forgetWaits();
    const poisoned = new Uint8Array((await x.data()).buffer);
    t.ok(poisoned.every((byte) => byte === 0xa5));
    simulator.failCall(0, 0);
    d.dispose();
  });

  t.test('pinned memory used again before its copy is done', async (t) => {
    const d = open();
    simulator.forgetWaits();
    // Four slots of 4 MiB: the fifth part needs the first one again.
    const x = d.tensor(new Uint8Array(17 << 20));
    const message = /pinned memory is used again before its last copy is known to be done/;
    await t.rejects(x.data(), { code: 'DeviceLost', message });
    d.dispose();
    simulator.failCall(0, 0);
  });

  t.test('uploads of a few bytes do not wait for each other', async (t) => {
    const d = open();
    await d.tensor(Float32Array.of(1)).data();
    simulator.failCall(0, 0);
    const tensors = Array.from({ length: 40 }, (_, i) => d.tensor(Float32Array.of(i, -i)));
    await d.drain();
    t.equal(simulator.waits(), 1, 'but for the one at the end');
    // And three times round all slots.
    for (let i = 40; i < 200; i++) tensors.push(d.tensor(Float32Array.of(i, -i)));
    for (const [i, x] of tensors.entries()) t.strictSame([...(await x.data())], [i, 0 - i]);
    d.dispose();
  });
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
