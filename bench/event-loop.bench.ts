/**
 * How long the event loop is kept from its timers while a device works: the 99th percentile and the most, against an idle loop in the same
 * run, which shows what the machine itself costs. Goal: 10 ms at the 99th percentile.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { device, ops, scope, threads } from 'renvox';
import { type Row, rowOf, type Turn } from './row.js';

const seconds = 3;
/** Period of the sampler in ms: part of what it reports. */
const resolution = 1;

async function delayDuring(name: string, why: string, work: () => Promise<unknown>): Promise<Row> {
  const delay = monitorEventLoopDelay({ resolution });
  const end = performance.now() + seconds * 1000;
  const turns: Turn[] = [];
  delay.enable();
  while (performance.now() < end) {
    const begin = performance.now();
    await work();
    turns.push({ seconds: (performance.now() - begin) / 1000 });
  }
  delay.disable();
  return rowOf({
    ...{ name: `event-loop/${name}`, why, threads: threads(), own: { turns, rssMb: null } },
    goal: { delay: 10 },
    more: {
      delay_p99_ms: delay.percentile(99) / 1e6 - resolution,
      delay_max_ms: delay.max / 1e6 - resolution,
    },
  });
}

export async function* bench(): AsyncIterable<Row> {
  await using d = device('cpu');
  const x = ops.randomNormal(d, { shape: [1, 64, 64, 64, 16], seed: 1 });
  const w = ops.randomNormal(d, { shape: [16, 16, 3, 3, 3], seed: 2 });
  const volume = new Float32Array(128 ** 3);
  yield await delayDuring('idle', 'what the machine itself costs', () => sleep(50));
  yield await delayDuring(
    '20 convolutions queued',
    'a network at work: the queue has both threads',
    () =>
      scope(async () => {
        let y = x;
        for (let i = 0; i < 20; i++) y = ops.conv3d(y, w, { padding: 1 });
        await y.data();
      }),
  );
  yield await delayDuring(
    '200 small operations queued',
    '64 numbers each: what calls cost, not what they compute',
    () =>
      scope(async () => {
        let y = d.full([64], 1);
        for (let i = 0; i < 200; i++) y = ops.leakyRelu(y, 0.5);
        await y.data();
      }),
  );
  yield await delayDuring(
    'volume of 128^3 there and back',
    'a volume of 8 MB passes the border, lent and copied',
    () => scope(() => d.tensor(volume, { borrow: true }).data()),
  );
}
