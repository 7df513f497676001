import { type Device, ops, type Tensor } from 'renvox';
import t from 'tap';
import { onEveryDevice } from '../ops/harness.js';

const ones = (device: Device) => device.full([3], 1);
const values = async (x: Tensor) => [...(await x.data())];

onEveryDevice(t, 'a signal drops queued work; the device goes on', async (t, device) => {
  const controller = new AbortController();
  const reason = new Error('the user left');
  const before = ones(device);
  const under = device.under({ signal: controller.signal }, () => {
    const uploaded = device.tensor([1, 2, 3]);
    return [uploaded, ops.add(uploaded, before)] as const;
  });
  t.strictSame(await values(under[1]), [2, 3, 4], 'not aborted: done');

  controller.abort(reason);
  const dropped = device.under({ signal: controller.signal }, () => [
    device.tensor([1]),
    ops.add(before, before),
  ]);
  for (const x of dropped)
    await t.rejects(x.data(), {
      code: 'AbortError',
      message: /aborted before it began/,
      cause: reason,
    });
  const dependent = ops.add(dropped[1] as Tensor, before);
  await t.rejects(dependent.data(), {
    code: 'AbortError',
    message: /^add\(\[3\], \[3\] -> \[3\]\): aborted before it began/,
    details: { operation: 'add' },
    cause: reason,
  });
  t.strictSame(await values(ops.add(before, before)), [2, 2, 2]);
});

onEveryDevice(t, 'an abort stops a queue between two operations', async (t, device) => {
  const controller = new AbortController();
  const x = device.full([1 << 20], 1);
  const steps = device.under({ signal: controller.signal }, () => {
    const list = [ops.add(x, x)];
    for (let i = 0; i < 2000; i++) list.push(ops.add(list.at(-1) as Tensor, x));
    return list;
  });
  await steps[0]?.data();
  controller.abort();
  await t.rejects((steps.at(-1) as Tensor).data(), {
    code: 'AbortError',
    cause: { name: 'AbortError' },
  });
  for (const step of steps) step.dispose();
  t.equal((await ops.add(x, x).data())[0], 2);
});

onEveryDevice(t, 'nested signals: each of them drops the work', async (t, device) => {
  for (const which of [0, 1]) {
    const controllers = [new AbortController(), new AbortController()] as const;
    controllers[which]?.abort(`signal ${which}`);
    const x = device.under({ signal: controllers[0].signal }, () =>
      device.under({ signal: controllers[1].signal }, () => ones(device)),
    );
    await t.rejects(x.data(), { code: 'AbortError', cause: `signal ${which}` });
  }
});

onEveryDevice(t, 'work under a count', async (t, device) => {
  const counts = device.tensor([0, 5, -1], { dtype: 'i32' });
  // The upload of the counts is counted when the queue comes to it.
  await device.drain();
  const before = device.transfers;
  const run = (index: number) => device.under({ when: { counts, index } }, () => ones(device));
  const [none, some, negative] = [run(0), run(1), run(2)];
  t.strictSame(await values(none), [0, 0, 0], 'not done: zeros');
  t.strictSame(await values(some), [1, 1, 1]);
  t.strictSame(await values(negative), [0, 0, 0]);
  const after = device.transfers;
  t.equal(after.readbacks - before.readbacks, 3);
  t.equal(after.readbackBytes - before.readbackBytes, 12);
  t.equal(after.uploads, before.uploads, 'read-backs are not voxel transfers');

  t.strictSame(await values(ops.add(none, some)), [1, 1, 1], 'and dependents see zeros');
  const view = ops.reshape(none, [1, 3]);
  t.strictSame(await values(view), [0, 0, 0]);
});

onEveryDevice(t, 'counts that were not computed are zero, failed ones fail', async (t, device) => {
  const counts = device.tensor([0, 1], { dtype: 'i32' });
  const skipped = device.under({ when: { counts, index: 0 } }, () => device.full([1], 9, 'i32'));
  const then = device.under({ when: { counts: skipped, index: 0 } }, () => ones(device));
  t.strictSame(await values(then), [0, 0, 0]);

  const failed = device.under({ signal: AbortSignal.abort('gone') }, () =>
    device.full([1], 1, 'i32'),
  );
  const poisoned = device.under({ when: { counts: failed, index: 0 } }, () => ones(device));
  await t.rejects(poisoned.data(), { code: 'AbortError', cause: 'gone' });
});

onEveryDevice(t, 'nested counts: all must be above zero', async (t, device) => {
  const counts = device.tensor([0, 1], { dtype: 'i32' });
  const results: number[] = [];
  for (const outer of [0, 1])
    for (const inner of [0, 1]) {
      const x = device.under({ when: { counts, index: outer } }, () =>
        device.under({ when: { counts, index: inner } }, () => ones(device)),
      );
      results.push((await values(x))[0] as number);
    }
  t.strictSame(results, [0, 0, 0, 1]);
});

onEveryDevice(t, 'conditions end with their body', async (t, device) => {
  const counts = device.tensor([0], { dtype: 'i32' });
  const when = { counts, index: 0 };
  t.throws(
    () =>
      device.under({ when }, () => {
        throw new Error('body');
      }),
    { message: 'body' },
  );
  t.strictSame(await values(ones(device)), [1, 1, 1]);
  t.throws(() => device.under({ when }, async () => ones(device)), {
    code: 'InvalidArgument',
    message: /^Expected a synchronous function for parameter body/,
  });
  t.throws(() => device.under({ when }, () => Promise.reject(new Error('late'))), {
    code: 'InvalidArgument',
  });
});
