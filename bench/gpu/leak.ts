/**
 * Device memory after scopes: nothing is held once they end, and the rounds do not all take more than those before. A single round may: how much a
 * network needs at once depends on how far the device is behind the host.
 */
import { type Device, type DeviceKind, device, isRenvoxError, liveBytes, scope } from 'renvox';
import { cases, type Size } from './cases.js';
import { memoryInUse } from './chip.js';
import { left, messageOf, report, type Task } from './settings.js';

const size: Size = [8, 12, 36];

/** Does a case and throws away what it made. */
async function round(d: Device, which: ReturnType<typeof cases>[number]): Promise<void> {
  await scope(async () => {
    which.prepare()();
    await d.drain();
  });
  await d.drain();
}

export async function leak(task: Task): Promise<void> {
  const d = device(task.kind as DeviceKind);
  const wanted = new RegExp(task.filter);
  const rounds = task.kind === 'cuda' ? 20 : 6;
  const atStart = liveBytes();
  // All cases share a device: once it is lost none of the others can tell anything.
  let lost = false;
  for (const one of cases(d, size).filter((c) => wanted.test(c.name))) {
    if (lost) {
      report({ name: one.name, ok: false, note: 'the device is lost' });
      continue;
    }
    if (left(task) === 0) {
      report({ name: one.name, ok: null, reached: false, note: 'not reached' });
      continue;
    }
    try {
      await round(d, one);
      const taken = () => d.memory.live + d.memory.cached;
      const first = { live: d.memory.live, taken: taken() };
      let [last, growths] = [first.taken, 0];
      for (let k = 0; k < rounds; k++) {
        await round(d, one);
        if (taken() > last) growths++;
        last = taken();
      }
      const { live } = d.memory;
      const ok = first.live === 0 && live === 0 && growths < rounds;
      const grown = last - first.taken;
      if (ok) report({ name: one.name, ok });
      else
        report({
          ...{ name: one.name, ok, live_bytes: live, grown_bytes: grown },
          note: `after ${rounds} more rounds ${live} bytes live, ${grown} more taken`,
        });
    } catch (error) {
      report({ name: one.name, ok: false, note: messageOf(error) });
      lost = isRenvoxError(error, 'DeviceLost');
    }
    if (!lost) d.releaseCache();
  }
  const { live, cached } = d.memory;
  d.dispose();
  if (lost) return;
  report({
    name: 'all memory is given back',
    ok: live === 0 && cached === 0 && liveBytes() === atStart,
    ...{ live_bytes: live, cached_bytes: cached, process_bytes: liveBytes() - atStart },
  });
  // Devices share the driver; what one takes (staging, events) goes with it.
  if (task.kind !== 'cuda') return;
  const open = async () => {
    const one = device(task.kind as DeviceKind);
    await one.full([1 << 22], 1).data();
    one.dispose();
  };
  for (let k = 0; k < 3; k++) await open();
  const first = memoryInUse();
  for (let k = 0; k < 50; k++) await open();
  const last = memoryInUse();
  const mib = first === undefined || last === undefined ? null : last - first;
  report({
    ...{
      name: '50 devices opened and disposed',
      ok: mib === null ? null : mib <= 4,
      grown_mib: mib,
    },
    ...(mib === null ? { note: 'nvidia-smi does not tell the memory in use' } : {}),
  });
}
