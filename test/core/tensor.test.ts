import { type Device, type DType, device, download, ops, type TensorData } from 'renvox';
import t from 'tap';
import { onEveryDevice } from '../ops/harness.js';
import { program } from './child.js';

const samples: Record<DType, TensorData> = {
  f32: Float32Array.of(0, -0, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 1e-45),
  f64: Float64Array.of(Math.PI, -0, 5e-324, Number.NEGATIVE_INFINITY),
  bf16: Uint16Array.of(0x3f80, 0x8000, 0xffff),
  f16: Uint16Array.of(0x3c00, 0x0001, 0x7c00, 0xffff),
  u8: Uint8Array.of(0, 1, 127, 128, 255),
  i16: Int16Array.of(-32768, -1, 0, 32767),
  i32: Int32Array.of(-2147483648, -1, 0, 2147483647),
};

const bytes = (a: TensorData) => Buffer.from(a.buffer, a.byteOffset, a.byteLength).toString('hex');

onEveryDevice(t, 'every type keeps its bits on the way there and back', async (t, device) => {
  for (const [dtype, data] of Object.entries(samples) as [DType, TensorData][]) {
    using x = device.tensor(data, { dtype, shape: [1, data.length, 1] });
    t.equal(x.dtype, dtype);
    t.strictSame(x.shape, [1, data.length, 1]);
    t.equal(x.size, data.length);
    const back = await x.data();
    t.equal(back.constructor, data.constructor, dtype);
    t.equal(bytes(back), bytes(data), `${dtype}: same bits`);
  }
});

onEveryDevice(t, 'uploads: copies, borrowed arrays, views, shared memory', async (t, device) => {
  const large = Float32Array.from({ length: 3_000_001 }, (_, i) => i);
  const copied = device.tensor(large);
  const borrowed = device.tensor(large, { borrow: true });
  t.equal(bytes(await borrowed.data()), bytes(large), 'borrowed');
  large[0] = -1;
  t.equal((await copied.data())[0], 0, 'a copy does not see later changes');
  t.equal((await copied.data())[3_000_000], 3_000_000);

  const view = new Float32Array(large.buffer, 40, 7);
  t.strictSame(await device.tensor(view).data(), view.slice(), 'a view');
  const shared = new Int16Array(new SharedArrayBuffer(8));
  shared.set([1, -2, 3, -4]);
  t.strictSame(await device.tensor(shared).data(), Int16Array.of(1, -2, 3, -4), 'shared memory');
  t.strictSame(await device.tensor([1, 2.5]).data(), Float32Array.of(1, 2.5), 'numbers');
  t.strictSame(await device.tensor([1, 2], { dtype: 'i32' }).data(), Int32Array.of(1, 2));
  t.strictSame(await device.tensor([1, 0], { dtype: 'u8' }).data(), Uint8Array.of(1, 0));
});

onEveryDevice(t, 'empty tensors and scalars', async (t, device) => {
  t.strictSame(await device.tensor(new Float32Array(0)).data(), new Float32Array(0));
  t.strictSame(
    await device.tensor(new Uint8Array(0), { shape: [3, 0, 2] }).data(),
    new Uint8Array(0),
  );
  const scalar = device.tensor([7], { shape: [] });
  t.strictSame(scalar.shape, []);
  t.equal(await scalar.item(), 7);
  t.strictSame(await device.full([2], 3).data(), Float32Array.of(3, 3));
  t.strictSame(await device.full([2], -3, 'i16').data(), Int16Array.of(-3, -3));
  t.strictSame(await device.full([0]).data(), new Float32Array(0));
  await t.rejects(device.full([2]).item(), { code: 'ShapeMismatch' });
});

onEveryDevice(t, 'several tensors come in one download', async (t, device) => {
  const a = device.tensor([1, 2]);
  const b = device.tensor(Uint8Array.of(3));
  const before = device.transfers;
  const [x, y] = await download([a, b]);
  t.strictSame([x, y], [Float32Array.of(1, 2), Uint8Array.of(3)]);
  const after = device.transfers;
  t.equal(after.downloads - before.downloads, 1);
  t.equal(after.downloadBytes - before.downloadBytes, 9);
  t.strictSame(await download([]), []);
});

onEveryDevice(t, 'dispose and using', async (t, device) => {
  const x = device.tensor([1, 2], { shape: [1, 2] });
  const pending = x.data();
  x.dispose();
  x.dispose();
  t.equal(x.disposed, true);
  t.strictSame(await pending, Float32Array.of(1, 2), 'queued work still has it');
  await t.rejects(x.data(), {
    name: 'DisposedError',
    code: 'DisposedError',
    message: 'The tensor of shape [1, 2] and type f32 was used after its dispose()',
    details: { shape: [1, 2], dtype: 'f32' },
  });
  let held: typeof x;
  {
    using y = device.tensor([3]);
    held = y;
  }
  t.equal(held.disposed, true);
});

t.test('the end of a device', async (t) => {
  const d: Device = device('cpu');
  const x = d.tensor([1]);
  d.dispose();
  d.dispose();
  t.equal(d.disposed, true);
  t.throws(() => d.tensor([1]), {
    code: 'DisposedError',
    message: 'The cpu device was used after its dispose()',
  });
  t.throws(() => d.memory, { code: 'DisposedError' });
  await t.rejects(x.data(), { code: 'DisposedError' });
  await t.rejects(d.drain(), { code: 'DisposedError' });
  x.dispose();

  let result: Promise<TensorData>;
  let gone: Device;
  {
    await using queue = device('cpu');
    gone = queue;
    result = queue.full([100_000], 2).data();
  }
  t.equal(gone.disposed, true);
  t.equal((await result)[99_999], 2, 'await using lets queued work end');
});

t.test('borrowed arrays are the memory of tensors on the CPU, and never written', async (t) => {
  const d = device('cpu');
  t.teardown(() => d.dispose());
  const array = Float32Array.from({ length: 100_003 }, (_, i) => i % 97);
  const live = d.memory.live;
  const x = d.tensor(array, { borrow: true });
  await d.drain();
  t.equal(d.memory.live, live, 'no memory of its own');
  t.equal(bytes(await x.data()), bytes(array), 'the same values');
  const view = d.tensor(array.subarray(3, 50), { borrow: true });
  t.equal(bytes(await view.data()), bytes(array.slice(3, 50)), 'at any element');

  const buffer = Reflect.construct(ArrayBuffer, [8, { maxByteLength: 8 }]);
  const resizable = d.tensor(new Float32Array(buffer).fill(3), { borrow: true });
  await d.drain();
  buffer.resize(0);
  t.strictSame(await resizable.data(), Float32Array.of(3, 3), 'but what can shrink is copied');

  const [gradient, momentum] = [d.full([array.length], 1), d.full([array.length])];
  const before = array.slice();
  ops.sgd([x], [gradient], [momentum], { lr: 0.5 });
  const moved = await x.data();
  t.equal(moved[96], 95.5, 'an update in place goes on');
  t.equal(bytes(array), bytes(before), 'and leaves the array as it was');
  t.ok(d.memory.live > live, 'by a copy');

  const none = d.tensor(Int32Array.of(0));
  const skipped = d.under({ when: { counts: none, index: 0 } }, () =>
    d.tensor(array, { borrow: true }),
  );
  t.equal((await skipped.data())[96], 0, 'an upload that is not run reads as zeros');
  t.equal((await ops.add(skipped, skipped).data())[96], 0, 'also where an operation reads it');
  t.equal(bytes(array), bytes(before), 'which are not written to the array');
  const aborted = d.under({ signal: AbortSignal.abort() }, () => d.tensor(array, { borrow: true }));
  await t.rejects(aborted.data(), { code: 'AbortError' });
});

t.test(
  'a borrowed array is kept while its tensor lives, and the process ends all the same',
  async (t) => {
    const outcome = await program(
      `const { device, ops } = await import('renvox');
     const d = device('cpu');
     const registry = new FinalizationRegistry((name) => console.log(name + ' gone'));
     const made = (name) => {
       const array = new Uint8Array(4 << 20).fill(7);
       registry.register(array, name);
       return d.tensor(array, { borrow: true });
     };
     const turn = () => new Promise((done) => setTimeout(done, 20));
     const kept = made('kept'), other = made('other'), view = ops.reshape(kept, [2048, 2048]);
     await d.drain();
     for (let i = 0; i < 5; i++) { gc(); await turn(); }
     kept.dispose();
     for (let i = 0; i < 5; i++) { gc(); await turn(); }
     console.log('view', (await view.data())[5]);
     view.dispose();
     for (let i = 0; i < 20; i++) { gc(); await turn(); }
     console.log('other', (await other.data())[5]);`,
      { flags: ['--expose-gc'] },
    );
    t.match(outcome, {
      code: 0,
      signal: null,
      stderr: '',
      stdout: 'view 7\nkept gone\nother 7\n',
    });
  },
);
