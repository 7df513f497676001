import { device, ops, type Tensor } from 'renvox';
import t from 'tap';
import { onEveryDevice } from '../ops/harness.js';
import { program } from './child.js';

const MiB = 2 ** 20;

onEveryDevice(t, 'an error arrives where a result is read', async (t, device) => {
  const small = device.full([4], 1);
  await small.data();
  device.setMemoryLimit(16 * MiB);
  const failed = device.full([5, MiB]);
  const dependent = ops.add(failed, failed);
  const after = ops.reshape(dependent, [MiB, 5]);
  const unharmed = ops.add(small, small);
  for (const x of [failed, dependent, after])
    await t.rejects(x.data(), {
      name: 'OutOfMemory',
      code: 'OutOfMemory',
      message:
        /^fill\(-> \[5,1048576\]\): Needed 20971520 bytes with \d+ in use, over the limit of 16777216$/,
      details: { operation: 'fill' },
      cause: { code: 'OutOfMemory' },
    });
  t.strictSame(await unharmed.data(), Float32Array.of(2, 2, 2, 2), 'the rest is done');
});

onEveryDevice(t, 'a failed operation names the shapes it was given', async (t, device) => {
  const x = device.full([2, MiB], 1);
  await x.data();
  device.setMemoryLimit(device.memory.live + MiB);
  await t.rejects(ops.leakyRelu(x).data(), {
    message: /^leakyRelu\(\[2,1048576\] -> \[2,1048576\]\): Needed 8388608 bytes/,
  });
});

onEveryDevice(t, 'out of memory is no end: free and go on', async (t, device) => {
  device.setMemoryLimit(10 * MiB);
  const first = device.full([2 * MiB], 1);
  const second = device.full([2 * MiB], 2);
  await t.rejects(second.data(), { code: 'OutOfMemory' });
  t.equal((await first.data())[0], 1);
  first.dispose();
  const third = device.full([2 * MiB], 3);
  t.equal((await third.data())[MiB], 3, 'the memory of the first serves again');
  third.dispose();
  await device.drain();
  t.equal(device.memory.live, 0);
  device.setMemoryLimit(Number.POSITIVE_INFINITY);
  t.equal(device.memory.limit, Number.POSITIVE_INFINITY);
  t.equal(
    (
      await ops
        .add(second, second)
        .data()
        .catch(() => [0])
    )[0],
    0,
    'what failed stays failed',
  );
  t.equal((await device.full([4 * MiB], 4).data())[0], 4);
});

t.test('more than the machine has is an error, not a death', async (t) => {
  using d = device('cpu');
  const x: Tensor = d.full([2 ** 44]);
  const one = ops.reshape(x, [2 ** 22, 2 ** 22]);
  const counts = d.full([1], 1, 'i32');
  // Read by the queue, without a JS array of that size.
  await d.drain();
  t.equal(d.memory.live, 256, 'nothing of it is held');
  one.dispose();
  x.dispose();
  t.equal(await counts.item(), 1);
});

t.test('failures that nobody reads are not unhandled rejections', async (t) => {
  const { code, stdout, stderr } = await program(`
    import { device, ops } from 'renvox';
    process.on('unhandledRejection', (e) => { console.log('unhandled', e); process.exitCode = 9; });
    const d = device('cpu');
    d.setMemoryLimit(1 << 20);
    const x = d.full([1 << 20]);
    const y = ops.add(x, x);
    const dropped = d.under({ signal: AbortSignal.abort() }, () => ops.add(y, y));
    await d.drain();
    await new Promise((done) => setTimeout(done, 50));
    d.setMemoryLimit(Infinity);
    console.log((await d.full([1], 7).data())[0]);
    try { await y.data(); } catch (e) { console.log(e.code); }
    const late = y.data();
    await d.drain();
    late.catch((e) => console.log('caught', e.code));
    d.dispose();
  `);
  t.equal(stderr, '');
  t.equal(stdout, '7\nOutOfMemory\ncaught OutOfMemory\n');
  t.equal(code, 0);
});
