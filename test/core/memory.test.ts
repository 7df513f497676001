import { type Device, gradients, ops, scope, type Tensor, threads } from 'renvox';
import t from 'tap';
import { onEveryDevice, sameBits } from '../ops/harness.js';
import { program } from './child.js';

const MiB = 2 ** 20;

onEveryDevice(t, 'memory: in use, kept, the most ever', async (t, device) => {
  const { limit, ...before } = device.memory;
  t.strictSame(before, { live: 0, cached: 0, peak: 0 });
  t.ok(limit > 0);
  const x = device.full([MiB], 1);
  await x.data();
  t.match(device.memory, { live: 4 * MiB, cached: 0, peak: 4 * MiB });
  x.dispose();
  t.match(device.memory, { live: 0, cached: 4 * MiB, peak: 4 * MiB }, 'kept for reuse');
  const again = device.full([MiB], 2);
  await again.data();
  t.match(device.memory, { live: 4 * MiB, cached: 0, peak: 4 * MiB }, 'and used again');
  const similar = device.full([MiB - 1000], 3);
  again.dispose();
  await similar.data();
  similar.dispose();
  t.ok(device.memory.peak <= 8 * MiB);
  device.releaseCache();
  t.match(device.memory, { live: 0, cached: 0 });
  device.resetPeak();
  t.equal(device.memory.peak, 0);
});

onEveryDevice(t, 'what is held is never more than the most that was in use', async (t, device) => {
  // Giving back waits for a GPU, which therefore keeps all: see the next test.
  if (device.kind !== 'cpu') return;
  const held: Tensor[] = [];
  // A fixed sequence of sizes that never fit each other.
  for (let i = 0; i < 300; i++) {
    held.push(device.full([1 + ((i * 7919) % 97) * 5000]));
    if (held.length > 8) held.splice((i * 31) % held.length, 1)[0]?.dispose();
    if (i % 10 === 0) await device.drain();
    const { live, cached, peak } = device.memory;
    if (live + cached > peak) t.fail(`${live} + ${cached} > ${peak} after ${i} tensors`);
  }
  t.pass('300 tensors');
});

onEveryDevice(t, 'work that comes again asks the system for nothing', async (t, device) => {
  const round = async () => {
    for (let i = 0; i < 12; i++) {
      using x = device.full([1 + ((i * 7919) % 97) * 5000], i);
      using y = ops.add(x, x);
      await y.data();
    }
    await device.drain();
    const { live, cached } = device.memory;
    return live + cached;
  };
  if (device.kind === 'cpu') await round();
  const first = await round();
  t.equal(await round(), first);
  t.equal(await round(), first);
});

onEveryDevice(t, 'a limit makes the cache give way first', async (t, device) => {
  device.setMemoryLimit(10 * MiB);
  const a = device.full([2 * MiB]);
  await a.data();
  a.dispose();
  t.equal(device.memory.cached, 8 * MiB);
  const b = device.full([2 * MiB + 200_000], 1);
  t.equal((await b.data())[0], 1, 'not one of the cached blocks fits');
  const { live, cached, limit } = device.memory;
  t.ok(live + cached <= limit);
  device.setMemoryLimit(MiB);
  t.equal(device.memory.cached, 0, 'a lower limit empties it');
  b.dispose();
  t.equal(device.memory.cached, 0);
});

onEveryDevice(t, 'the same work holds the same memory every time', async (t, device) => {
  const once = async () => {
    device.releaseCache();
    device.resetPeak();
    const figures: number[] = [];
    await scope(async () => {
      let y = device.full([1, 8, 8, 8, 8], 1);
      const w = device.full([8, 8, 3, 3, 3], 0.1);
      for (let i = 0; i < 5; i++) {
        y = ops.leakyRelu(ops.conv3d(y, w, { padding: 1 }));
        await device.drain();
        figures.push(device.memory.live, device.memory.cached, device.memory.peak);
      }
    });
    return figures;
  };
  const first = await once();
  t.strictSame(await once(), first);
  t.strictSame(await once(), first);
});

/** A small network's pass: convolutions, norm, activation. */
function pass(device: Device, x: Tensor, w: Tensor): Tensor {
  const c = device.full([4], 1);
  const y = ops.instanceNorm(ops.conv3d(x, w, { padding: 1 }), c, c, { slope: 0.01 });
  return ops.add(y, ops.conv3d(y, w, { padding: 1 }));
}

onEveryDevice(t, 'two hundred passes leave nothing behind', async (t, device) => {
  const x = ops.randomNormal(device, { shape: [1, 6, 6, 6, 4], seed: 1 });
  const w = ops.randomNormal(device, { shape: [4, 4, 3, 3, 3], seed: 2 });
  // Packed weights stay beside them.
  scope(() => pass(device, x, w)).dispose();
  await device.drain();
  const before = device.memory.live;
  for (let i = 0; i < 200; i++) {
    using y = scope(() => pass(device, x, w));
    await y.data();
  }
  await device.drain();
  t.equal(device.memory.live, before, 'a scope and a result');
  for (let i = 0; i < 200; i++) await scope(async () => [...(await pass(device, x, w).data())]);
  await device.drain();
  t.equal(device.memory.live, before, 'an async scope');
  for (let i = 0; i < 200; i++)
    scope(() => gradients(() => pass(device, x, w), [x, w], device.full(x.shape, 1)) && undefined);
  await device.drain();
  t.equal(device.memory.live, before, 'with a tape');
});

onEveryDevice(t, 'same bits for any number of threads', async (t, device) => {
  const default_ = threads();
  t.teardown(() => threads(default_));
  const x = ops.randomNormal(device, { shape: [1, 9, 10, 11, 4], seed: 1 });
  const w = ops.randomNormal(device, { shape: [4, 4, 3, 3, 3], seed: 2 });
  const results = [];
  for (const n of [1, 2, 3, 8]) {
    t.equal(threads(n), n);
    results.push(await scope(() => pass(device, x, w)).data());
  }
  for (const values of results) sameBits(t, values, results[0] as typeof values, 'threads');
});

t.test('handles that are dropped without dispose do not pile up', async (t) => {
  const { stdout, stderr, code } = await program(
    `import { device } from 'renvox';
     const d = device('cpu');
     for (let i = 0; i < 800; i++) {
       const x = d.full([2 * 1024 * 1024], i);   // 8 MB
       d.drain();
       await new Promise((done) => setImmediate(done));
     }
     await d.drain();
     console.log(d.memory.peak < 2e9 ? 'bounded' : d.memory.peak);`,
  );
  t.equal(stderr, '');
  t.equal(stdout, 'bounded\n', '6.7 GB were made');
  t.equal(code, 0);
});

t.test('nor do large ones', async (t) => {
  const { stdout, stderr } = await program(
    `import { device } from 'renvox';
     const d = device('cpu');
     for (let i = 0; i < 24; i++) {
       d.full([32 * 1024 * 1024], i);   // 128 MiB
       await d.drain();
       await new Promise((done) => setImmediate(done));
     }
     console.log(d.memory.peak < 1.5e9 ? 'bounded' : d.memory.peak);`,
  );
  t.equal(stderr, '');
  t.equal(stdout, 'bounded\n', '3.2 GB were made');
});

t.test('a large tensor a call, disposed of, is no reason to collect garbage', async (t) => {
  const { stdout, stderr } = await program(
    `import { constants, PerformanceObserver } from 'node:perf_hooks';
     import { device, ops } from 'renvox';
     const d = device('cpu');
     const x = d.full([32 * 1024 * 1024], 1);
     await d.drain();
     let collections = 0;
     const seen = new PerformanceObserver((list) => {
       for (const { detail } of list.getEntries()) collections += detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR;
     });
     seen.observe({ entryTypes: ['gc'] });
     for (let i = 0; i < 30; i++) {
       ops.scaleBy(x, i).dispose();
       await d.drain();
     }
     // One that was begun ends in a task.
     await new Promise((done) => setTimeout(done, 100));
     console.log(collections <= 2 ? 'few' : collections);`,
  );
  t.equal(stderr, '');
  t.equal(stdout, 'few\n', '30 calls');
});

t.test('views share memory until the last goes; collected handles free', async (t) => {
  const { stdout, stderr } = await program(
    `import { device, liveBytes, ops } from 'renvox';
     const d = device('cpu');
     let x = d.full([1 << 20], 1);
     const views = Array.from({ length: 50 }, () => ops.reshape(x, [1024, 1024]));
     x.dispose();
     const [value] = await views[3].data();
     console.log(liveBytes() > 0, value);
     for (const v of views) v.dispose();
     await d.drain();
     console.log(liveBytes());
     (() => { for (let i = 0; i < 20; i++) d.full([1 << 18], 1); })();
     await d.drain();
     for (let i = 0; i < 20 && liveBytes() > 0; i++) { gc(); await new Promise((done) => setTimeout(done, 5)); }
     console.log(liveBytes());`,
    { flags: ['--expose-gc'] },
  );
  t.equal(stderr, '');
  t.equal(stdout, 'true 1\n0\n0\n');
});
