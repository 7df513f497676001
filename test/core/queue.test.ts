import { device, ops, type Tensor } from 'renvox';
import t from 'tap';
import { call } from '#lib/native.js';
import { onEveryDevice, sameBits } from '../ops/harness.js';

onEveryDevice(t, 'data() waits for its tensor and no other', async (t, device) => {
  const x = device.full([1 << 20], 1);
  const early = ops.add(x, x);
  const order: string[] = [];
  const first = early.data().then(() => order.push('early'));
  let late: Tensor = x;
  for (let i = 0; i < 200; i++) {
    const next = ops.add(late, x);
    if (late !== x) late.dispose();
    late = next;
  }
  const last = late.data().then(() => order.push('late'));
  await first;
  t.strictSame(order, ['early'], 'what was queued after it is still to come');
  await last;
  t.strictSame(order, ['early', 'late']);
  t.equal(device.transfers.downloads, 2);
  t.equal((await late.data())[0], 201);
});

onEveryDevice(t, 'a read takes the values of its moment', async (t, device) => {
  const p = device.tensor([1, 2]);
  const g = device.tensor([1, 1]);
  const before = p.data();
  ops.sgd([p], [g], [device.tensor([0, 0])], { lr: 1 });
  const after = p.data();
  t.strictSame(await before, Float32Array.of(1, 2), 'before the update in place');
  t.strictSame(await after, Float32Array.of(0, 1));
});

onEveryDevice(t, 'drain() waits for all', async (t, device) => {
  const x = device.full([1 << 20], 1);
  const made = [x];
  for (let i = 0; i < 50; i++) made.push(ops.add(made.at(-1) as Tensor, x));
  await device.drain();
  t.equal(device.memory.live, made.length * 4 * 2 ** 20, 'everything was made');
});

onEveryDevice(t, 'an update that was called off leaves its tensor whole', async (t, device) => {
  const p = device.tensor([1, 2]);
  const m = device.tensor([0, 0]);
  const g = device.tensor([1, 1]);
  const update = () => ops.sgd([p], [g], [m], { lr: 1 });
  device.under({ signal: AbortSignal.abort() }, update);
  const counts = device.tensor([0], { dtype: 'i32' });
  device.under({ when: { counts, index: 0 } }, update);
  const lost = device.under({ signal: AbortSignal.abort() }, () => device.tensor([1, 1]));
  ops.sgd([p], [lost], [m], { lr: 1 });
  t.strictSame(await p.data(), Float32Array.of(1, 2));
  update();
  t.strictSame(await p.data(), Float32Array.of(0, 1));

  device.setMemoryLimit(1 << 20);
  const failed = device.full([1 << 20]);
  await t.rejects(failed.data(), { code: 'OutOfMemory' });
  const gradient = ops.crop(ops.reshape(failed, [1, 1, 1, 1 << 20, 1]), {
    start: [0, 0, 0],
    size: [1, 1, 2],
  });
  ops.sgd([p], [ops.reshape(gradient, [2])], [m], { lr: 1 });
  await t.rejects(p.data(), { code: 'OutOfMemory' }, 'one that failed poisons it');
});

t.test('devices side by side', async (t) => {
  const one = async (seed: number) => {
    await using d = device('cpu');
    let x = ops.randomNormal(d, { shape: [1, 12, 12, 12, 8], seed });
    const w = ops.randomNormal(d, { shape: [8, 8, 3, 3, 3], seed: 7 });
    for (let i = 0; i < 4; i++) x = ops.leakyRelu(ops.conv3d(x, w, { padding: 1 }));
    return x.data();
  };
  const alone = [await one(1), await one(2), await one(3)];
  const together = await Promise.all([one(1), one(2), one(3)]);
  for (const [i, values] of together.entries())
    sameBits(t, values, alone[i] as typeof values, `device ${i}`);
});

onEveryDevice(t, 'marks tell when work was done', async (t, device) => {
  const mark = () => call((addon) => addon.mark(device.handle));
  const x = device.full([1 << 16], 1);
  mark();
  mark();
  for (let i = 0; i < 3; i++) ops.add(x, x).dispose();
  mark();
  await device.drain();
  const times = call((addon) => addon.takeMarks(device.handle));
  t.equal(times[0], 0, 'from the first one');
  t.equal(times.length, 3);
  const [, second, third] = times as [number, number, number];
  t.ok(second >= 0 && third > second && third < 60_000, `${times.join(', ')} ms`);
  t.same(
    call((addon) => addon.takeMarks(device.handle)),
    [],
    'and they are forgotten',
  );
});
