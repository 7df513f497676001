// Driver calls that fail on the simulated GPU: allocations, copies, launches, events and waits of a training step and of an inference fail
// once with want of memory, four times in a row with it (so that trying again does not help), and once for good. Every call of the
// inference; of the training steps, whose calls are many, every 17th (in bf16 every 41st), each sweep from another one on.
// RENVOX_FAULT_STRIDE is the stride of all (61 under AddressSanitizer): 1 takes minutes.

import {
  type Device,
  type DeviceKind,
  device,
  gradients,
  liveBytes,
  ops,
  type RenvoxError,
  scope,
  type Tensor,
} from 'renvox';
import { type Precision, UNet3D } from 'renvox/nn';
import t, { type Test } from 'tap';
import { native } from '#lib/native.js';

const OUT_OF_MEMORY = 2;
const ILLEGAL_ADDRESS = 700;

const simulator = native().simulator;
const open = (): Device => device('cuda-sim' as DeviceKind);
const shape = [1, 4, 4, 4, 1];
const image = Float32Array.from({ length: 64 }, (_, i) => Math.sin(i));
const labels = Uint8Array.from({ length: 64 }, (_, i) => (i % 3 === 0 ? 1 : 0));

const network = (d: Device, channels = [2, 3]): UNet3D =>
  new UNet3D({ inputChannels: 1, classes: 2, channels }, { device: d, seed: 3 });

/** What a piece of work reads at its end. */
type Work = (d: Device) => Promise<ArrayLike<number>>;

const inference: Work = (d) =>
  scope(async () => {
    const net = network(d);
    return await net.infer(d.tensor(image, { shape })).data();
  });

const stepIn = (precision: Precision, channels?: number[]) => (d: Device) =>
  scope(async () => {
    const net = network(d, channels);
    const x = d.tensor(image, { shape });
    const target = d.tensor(labels, { shape: [1, 4, 4, 4] });
    const parameters = [...net.parameters.values()];
    const zeros = () => parameters.map((p) => d.full(p.shape, 0));
    const logits = () => net.forward(x, { training: true, precision });
    const { value: loss, gradients: made } = gradients(
      () => ops.add(ops.crossEntropy(logits(), target), ops.softDice(logits(), target)),
      parameters,
    );
    ops.clipGradients(made, 1);
    ops.adam(parameters, made, zeros(), zeros(), { lr: 1e-2, step: 1 });
    const [first] = parameters as [Tensor];
    return [...(await first.data()), ...(await loss.data())];
  });

const trainingStep: Work = stepIn('fp32');
/** Of channels whose gradients between norms are formed on load and summed on store. */
const halfStep: Work = stepIn('bf16', [16, 16]);

/** Waits for devices of before: collected as garbage, they give their memory back, in calls of the same driver. */
async function settled(): Promise<void> {
  globalThis.gc?.();
  await new Promise((r) => setTimeout(r, 50));
  globalThis.gc?.();
  for (let calls = -1; calls !== simulator?.calls(); ) {
    calls = simulator?.calls() ?? 0;
    await new Promise((r) => setTimeout(r, 50));
  }
}

interface Failing {
  code: number;
  /** Calls that fail, from each on. */
  times?: number;
  stride: number;
  /** The first call that fails. */
  first?: number;
}

/** Counts the driver calls of the work, then repeats it with each of them failing. */
async function sweep(t: Test, work: Work, failing: Failing): Promise<void> {
  const { code, times = 1, stride, first = 1 } = failing;
  if (!simulator) return;
  await settled();
  simulator.failCall(0, 0);
  const before = liveBytes();
  const d = open();
  const expected = Array.from(await work(d));
  const calls = simulator.calls();
  d.dispose();
  t.ok(calls > 50, `${calls} driver calls`);
  const outcomes = { done: 0, failed: 0 };
  const faults: string[] = [];
  for (let call = Math.min(first, stride); call <= calls; call += stride) {
    simulator.failCall(call, code, times);
    const d = open();
    let error: RenvoxError | undefined;
    let result: ArrayLike<number> = [];
    try {
      result = await work(d);
    } catch (e) {
      error = e as RenvoxError;
    }
    const fault = (text: string) => faults.push(`call ${call}: ${text}`);
    if (error) outcomes.failed++;
    else outcomes.done++;
    if (!error && String(Array.from(result)) !== String(expected)) fault('another result');
    if (code === OUT_OF_MEMORY) {
      if (error && error.code !== 'OutOfMemory') fault(`${error.code}: ${error.message}`);
      // The same device goes on, with no call failing: how many calls the work makes depends on when memory comes back, so the failing one
      // may not have come yet.
      simulator.failCall(0, 0);
      const again = await work(d).catch((e) => e);
      if (String(Array.from(again)) !== String(expected)) fault(`does not go on: ${again}`);
    } else if (simulator.calls() >= call || error) {
      if (!error) fault('no error of a lost device');
      else if (error.code !== 'DeviceLost') fault(`${error.code}: ${error.message}`);
      else {
        if (!/The device is lost, and with it CUDA in this process/.test(error.message))
          fault(error.message);
        let refused = '';
        try {
          d.full([1], 1);
        } catch (e) {
          refused = (e as RenvoxError).code;
        }
        if (refused !== 'DeviceLost') fault('new work was not refused at once');
      }
    }
    d.dispose();
    if (liveBytes() !== before) fault(`${liveBytes() - before} bytes are left`);
    if (faults.length > 10) break;
  }
  simulator.failCall(0, 0);
  t.strictSame(faults, []);
  if (times > 1) t.ok(outcomes.failed > 0, 'trying again did not help');
  t.comment(`${calls} calls: ${outcomes.failed} failed with an error, ${outcomes.done} went well`);
  const after = open();
  t.strictSame(Array.from(await work(after)), expected, 'another device works');
  after.dispose();
}

if (!simulator) t.pass('no simulated GPU in this build: faults were not tested');
else {
  let unhandled = 0;
  process.on('unhandledRejection', () => unhandled++);
  const given = process.env.RENVOX_FAULT_STRIDE;
  const works: [string, Work, stride: number][] = [
    ['inference', inference, Number(given ?? 1)],
    ['trainingStep', trainingStep, Number(given ?? 17)],
    ['trainingStep in bf16', halfStep, Number(given ?? 41)],
  ];
  for (const [name, work, stride] of works) {
    const scarce = { code: OUT_OF_MEMORY, stride };
    t.test(`${name}: calls fail for want of memory`, (t) => sweep(t, work, scarce));
    t.test(`${name}: they fail when they are tried again, too`, (t) =>
      sweep(t, work, { ...scarce, times: 4, first: 3 }),
    );
    t.test(`${name}: calls lose the device`, (t) =>
      sweep(t, work, { code: ILLEGAL_ADDRESS, stride, first: 5 }),
    );
  }

  t.test('which errors lose the device', async (t) => {
    const lost = [46, 214, 220, 226, 700, 702, 709, 710, 714, 715, 716, 717, 718, 719, 721, 810];
    for (const code of [...lost, 911, 999]) {
      simulator.failCall(0, 0);
      const d = open();
      const x = d.full([8], 1);
      await d.drain();
      simulator.failCall(1, code);
      await t.rejects(ops.add(x, x).data(), { code: 'DeviceLost' }, `${code}`);
      t.throws(() => d.full([1], 1), { code: 'DeviceLost' }, `${code}: new work is refused`);
      d.dispose();
      t.throws(() => open(), { code: 'DeviceUnavailable' }, `${code}: and another device`);
    }
    for (const code of [1, 9, 98, 209, 400, 701, 713]) {
      simulator.failCall(0, 0);
      const d = open();
      const x = d.full([8], 1);
      await d.drain();
      simulator.failCall(1, code);
      await t.rejects(ops.add(x, x).data(), { code: 'InternalError' }, `${code}`);
      t.strictSame([...(await ops.add(x, x).data())], new Array(8).fill(2), `${code}: goes on`);
      d.dispose();
    }
    simulator.failCall(0, 0);
  });

  t.test('a lost device fails what is queued, each with its operation', async (t) => {
    simulator.failCall(0, 0);
    const d = open();
    const x = d.full([8], 1);
    await x.data();
    // The third call comes after a kernel that runs long enough for all to be queued: what comes later would be refused at once.
    simulator.failCall(3, ILLEGAL_ADDRESS);
    const long = ops.randomNormal(d, { shape: [1 << 18], seed: 1 });
    const y = ops.add(x, x);
    const z = ops.add(y, x);
    const w = d.full([8], 3);
    for (const tensor of [y, z, w])
      await t.rejects(tensor.data(), { code: 'DeviceLost', message: /illegal memory access/ });
    const named = (await y.data().catch((e) => e)) as RenvoxError;
    t.equal(named.details.operation, 'add');
    await t.rejects(x.data(), { code: 'DeviceLost' }, 'and what was done before is gone');
    await t.rejects(d.drain(), { code: 'DeviceLost' });
    t.throws(() => ops.add(long, long), { code: 'DeviceLost' }, 'new work is refused');
    d.dispose();
    simulator.failCall(0, 0);
  });

  t.test('where memory is short, other devices give back what they have cached', async (t) => {
    await settled();
    simulator.failCall(0, 0);
    const [first, second] = [open(), open()];
    const cached = async () => {
      first.full([1 << 20], 1).dispose();
      await first.drain();
      return first.memory.cached;
    };
    await second.full([2], 1).data();
    t.ok((await cached()) > 0);
    // The second device's own cache does not help: the first try and the second fail.
    simulator.failCall(1, OUT_OF_MEMORY, 2);
    t.strictSame([...(await second.full([1 << 12], 2).data()).subarray(0, 2)], [2, 2]);
    t.equal(first.memory.cached, 0);
    // Nor does it where there is nothing to give.
    simulator.failCall(1, OUT_OF_MEMORY, 2);
    await t.rejects(second.full([1 << 14], 2).data(), { code: 'OutOfMemory' });
    simulator.failCall(0, 0);
    t.equal((await first.full([2], 3).data())[0], 3);
    for (const d of [first, second]) d.dispose();
  });

  t.test('no rejection went unhandled', async (t) => {
    await new Promise((r) => setTimeout(r, 50));
    t.equal(unhandled, 0);
  });
}
