import {
  type Device,
  type DeviceKind,
  type DType,
  defaultDevice,
  device,
  download,
  gradients,
  isRenvoxError,
  ops,
  type Tensor,
  threads,
} from 'renvox';
import t from 'tap';
import { native } from '#lib/native.js';

/** Passes what TypeScript would refuse. */
const wrong = <T>(value: unknown): T => value as T;
/** A value of each kind, among them those that coerce to others. */
const oddities = [
  null,
  5,
  Number.NaN,
  -1,
  1.5,
  'text',
  true,
  {},
  [],
  ['1'],
  () => 0,
  Symbol('s'),
  10n,
];

t.test('wrong arguments are refused in words', async (t) => {
  using d = device('cpu');
  const message = (f: () => unknown): string => {
    try {
      f();
    } catch (error) {
      if (isRenvoxError(error, 'InvalidArgument')) return error.message;
      throw error;
    }
    return 'nothing was thrown';
  };
  const expect = (f: () => unknown, text: RegExp) => t.match(message(f), text);

  expect(
    () => device(wrong('tpu')),
    /^Expected one of 'auto', 'cpu', 'cuda' for parameter kind but received tpu of type string$/,
  );
  expect(
    () => d.tensor(wrong('abc')),
    /^Expected a typed array or an array of numbers for parameter data but received abc/,
  );
  expect(() => d.tensor(wrong([1, '2'])), /^Expected an array of numbers for parameter data/);
  expect(() => d.tensor(wrong(new DataView(new ArrayBuffer(4)))), /^Expected a Float32Array, /);
  expect(() => d.tensor(wrong(new BigInt64Array(1))), /^Expected a Float32Array, /);
  expect(
    () => d.tensor(new Float32Array(1), { dtype: 'i32' }),
    /^Expected a Int32Array or an array of numbers for type i32 for parameter data but received Float32Array of 4 bytes$/,
  );
  expect(() => d.tensor([1], { dtype: 'f16' }), /^Expected a Uint16Array for type f16/);
  expect(
    () => d.tensor([1], { dtype: wrong('f8') }),
    /^Expected one of f32, .* for parameter dtype but received f8/,
  );
  expect(
    () => d.tensor([1], wrong(null)),
    /^Expected an object for parameter options but received null$/,
  );
  expect(() => d.tensor([1], { borrow: wrong(1) }), /^Expected a boolean for parameter borrow/);
  for (const shape of [[-1], [0.5], [2 ** 60], ['1'], [1, 1, 1, 1, 1, 1, 1], 'x', 3, null])
    expect(
      () => d.tensor([1], { shape: wrong(shape) }),
      /^Expected up to six non-negative integers for parameter shape/,
    );
  expect(() => d.full([1], wrong('0')), /^Expected a number for parameter value/);
  expect(
    () => d.full([1], 256, 'u8'),
    /^Expected an integer from 0 to 255 for parameter value of a tensor of type u8 but received 256/,
  );
  expect(() => d.full([1], 0.5, 'i32'), /^Expected an integer from -2147483648 to 2147483647/);
  expect(() => d.full([1], 1, 'f16'), /^Expected an integer from 0 to 0/);
  for (const bytes of [0, -1, Number.NaN, '5'])
    expect(() => d.setMemoryLimit(wrong(bytes)), /^Expected a positive number for parameter bytes/);
  for (const count of [0, 257, 1.5, '2', null])
    expect(() => threads(wrong(count)), /^Expected an integer from 1 to 256 for parameter count/);
  expect(() => d.under(wrong(undefined), () => 0), /^Expected an object for parameter conditions/);
  expect(() => d.under({}, wrong(0)), /^Expected a function for parameter body/);
  expect(
    () => d.under({ signal: wrong({}) }, () => 0),
    /^Expected an AbortSignal for parameter signal/,
  );
  expect(
    () => d.under({ when: wrong({ counts: [1], index: 0 }) }, () => 0),
    /^Expected an object with a Tensor as counts for parameter when/,
  );
  const counts = d.tensor([1, 2], { dtype: 'i32' });
  expect(
    () => d.under({ when: { counts: d.tensor([1]), index: 0 } }, () => 0),
    /^Expected a tensor of type i32 for parameter when.counts but received f32/,
  );
  for (const index of [-1, 2, 0.5, '0'])
    expect(
      () => d.under({ when: { counts, index: wrong(index) } }, () => 0),
      /^Expected an integer from 0 to 1 for parameter when.index/,
    );
  expect(() => gradients(wrong(1), []), /^Expected a function for parameter body/);
  expect(
    () => gradients(() => counts, wrong([1])),
    /^Expected an array of tensors for parameter parameters/,
  );
  expect(
    () => gradients(() => counts, [], wrong(1)),
    /^Expected a tensor for parameter outputGradient/,
  );
  await t.rejects(download(wrong<Tensor[]>('x')), { code: 'InvalidArgument' });
  await t.rejects(download(wrong<Tensor[]>([d])), { code: 'InvalidArgument' });
  t.throws(() => d.tensor([1, 2, 3], { shape: [2] }), {
    code: 'ShapeMismatch',
    message: 'Expected 2 elements for shape [2] but received 3',
  });
});

t.test('nothing but RenvoxError leaves a public function', async (t) => {
  using d = device('cpu');
  const x = d.tensor([1, 2]);
  // One of the oddities is a memory limit, which an upload still in the queue would meet.
  await d.drain();
  const calls: Record<string, (odd: unknown) => unknown> = {
    device: (o) => device(wrong(o)),
    tensor: (o) => d.tensor(wrong(o)),
    'tensor, options': (o) => d.tensor([1], wrong(o)),
    'tensor, shape': (o) => d.tensor([1], { shape: wrong(o) }),
    'tensor, dtype': (o) => d.tensor([1], { dtype: wrong<DType>(o) }),
    full: (o) => d.full(wrong(o)),
    'full, value': (o) => d.full([1], wrong(o)),
    'full, dtype': (o) => d.full([1], 0, wrong<DType>(o)),
    'under, conditions': (o) => d.under(wrong(o), () => 0),
    'under, body': (o) => d.under({}, wrong(o)),
    'under, signal': (o) => d.under({ signal: wrong(o) }, () => 0),
    'under, when': (o) => d.under({ when: wrong(o) }, () => 0),
    setMemoryLimit: (o) => d.setMemoryLimit(wrong(o)),
    threads: (o) => threads(wrong(o)),
    gradients: (o) => gradients(wrong(o), [x]),
    'gradients, parameters': (o) => gradients(() => x, wrong(o)),
    'gradients, outputGradient': (o) => gradients(() => x, [x], wrong(o)),
    add: (o) => ops.add(x, wrong(o)),
    'leakyRelu, slope': (o) => ops.leakyRelu(x, wrong(o)),
    reshape: (o) => ops.reshape(wrong(o), [2]),
    'reshape, shape': (o) => ops.reshape(x, wrong(o)),
  };
  const threadsBefore = threads();
  for (const [name, call] of Object.entries(calls)) {
    const odd: string[] = [];
    for (const value of oddities) {
      try {
        call(value);
      } catch (error) {
        if (!isRenvoxError(error)) odd.push(`${String(value)}: ${error}`);
      }
    }
    t.strictSame(odd, [], name);
  }
  threads(threadsBefore);
  t.strictSame(await x.data(), Float32Array.of(1, 2), 'the device goes on');
});

t.test('devices that are not there, and tensors of two devices', async (t) => {
  const reason = native().cudaReason();
  if (reason === '') t.comment('CUDA is there: its absence was not tested');
  else
    t.throws(() => device('cuda'), {
      code: 'DeviceUnavailable',
      message: `No CUDA device: ${reason}`,
    });
  using a: Device = device('cpu');
  using b: Device = device('cpu');
  const [x, y] = [a.tensor([1]), b.tensor([2])];
  t.throws(() => ops.add(x, y), {
    code: 'DeviceMismatch',
    message: /add/,
  });
  await t.rejects(download([x, y]), { code: 'DeviceMismatch' });
  const counts = b.tensor([1], { dtype: 'i32' });
  t.throws(() => a.under({ when: { counts, index: 0 } }, () => 0), { code: 'DeviceMismatch' });
});

t.test('the default device is opened once', async (t) => {
  const kind: DeviceKind = native().cudaReason() === '' ? 'cuda' : 'cpu';
  const d = defaultDevice();
  t.equal(d.kind, kind);
  t.equal(defaultDevice(), d);
  d.dispose();
  const next = defaultDevice();
  t.not(next, d, 'again after its dispose()');
  next.dispose();
});

t.test('native functions refuse foreign handles', async (t) => {
  const addon = native();
  const own = addon.createDevice('cpu');
  const tensor = addon.upload(own, new Float32Array(2), [2], 'f32', false)[0];
  const token = addon.createToken();
  const foreign = [undefined, ...oddities, new Float32Array(2), addon, Object.create(null)];
  const typeError = (f: () => unknown, what: string) =>
    t.throws(f, { name: 'TypeError', message: /^Expected a native / }, what);
  for (const value of [...foreign, tensor, token]) {
    const h = wrong<typeof own>(value);
    for (const name of [
      'closeDevice',
      'memory',
      'resetPeak',
      'releaseCache',
      'transfers',
      'drain',
    ] as const)
      typeError(() => addon[name](h), name);
    typeError(() => addon.setMemoryLimit(h, 1), 'setMemoryLimit');
    typeError(() => addon.upload(h, new Float32Array(1), [1], 'f32', false), 'upload');
    typeError(() => addon.download(h, [], []), 'download');
    typeError(() => addon.run(h, 'fill', undefined), 'run');
  }
  for (const value of [...foreign, own, token]) {
    const h = wrong<typeof tensor>(value);
    typeError(() => addon.dispose(h), 'dispose');
    typeError(() => addon.reshape(h, [2]), 'reshape');
    typeError(() => addon.download(own, [h], [new Float32Array(2)]), 'download');
    if (value !== undefined && value !== null)
      typeError(() => addon.run(own, 'leakyRelu', undefined, h), 'run');
    typeError(
      () => addon.run(own, 'fill', { tokens: [], guards: [{ counts: h, index: 0 }] }, [1]),
      'guard',
    );
  }
  for (const value of [...foreign, own, tensor])
    typeError(() => addon.cancel(wrong(value), { value: 0 }), 'cancel');
  addon.dispose(tensor);
  t.throws(() => addon.reshape(tensor, [2]), { code: 'DisposedError' });
  addon.closeDevice(own);
  t.throws(() => addon.memory(own), { code: 'DisposedError' });
});

t.test('every operation refuses fields of every wrong kind', async (t) => {
  const addon = native();
  const own = addon.createDevice('cpu');
  const values = [
    ...oddities,
    undefined,
    Number.POSITIVE_INFINITY,
    1e300,
    2 ** 53,
    '',
    [Number.NaN],
    [[]],
    [null],
    own,
  ];
  for (const [name, names] of Object.entries(addon.operations())) {
    let crashed = false;
    for (const value of values) {
      try {
        addon.run(own, name, undefined, ...names.map(() => value));
      } catch (error) {
        crashed ||= !(error instanceof Error);
      }
    }
    t.notOk(crashed, name);
  }
  t.throws(() => addon.run(own, 'no such operation', undefined), { code: 'InternalError' });
  await addon.drain(own);
  addon.closeDevice(own);
});

t.test('a shape that no machine holds', async (t) => {
  using d = device('cpu');
  t.throws(() => d.full([2 ** 40, 2 ** 40]), {
    code: 'OutOfMemory',
    message: /\[1099511627776,1099511627776\] has more elements than any machine holds/,
  });
  t.throws(() => d.full([2 ** 53 - 1, 2 ** 53 - 1, 0, 2 ** 53 - 1].slice(0, 2)), {
    code: 'OutOfMemory',
  });
  t.equal(d.full([2 ** 50, 0, 2 ** 50]).size, 0, 'unless it is empty');
  const large: Tensor = d.full([2 ** 45]);
  await t.rejects(large.data(), { name: /RangeError|OutOfMemory/ }, 'nor a JS array of it');
  large.dispose();
  t.strictSame(await d.full([1], 4).data(), Float32Array.of(4));
});
