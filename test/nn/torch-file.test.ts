import { readFileSync } from 'node:fs';
import { isRenvoxError } from 'renvox';
import { parseTorchFile } from 'renvox/nn';
import t from 'tap';
import { program } from '../core/child.js';
import { generator } from '../ops/harness.js';
import { Fixture } from './fixture.js';
import {
  type Bytes,
  join,
  legacyForm,
  op,
  type Stored,
  stateDict,
  tensor,
  zip,
  zipForm,
} from './torch-writer.js';

t.test('both forms that PyTorch wrote hold the same tensors', async (tap) => {
  const fixture = new Fixture('resnet10_narrow');
  for (const [file, form] of [
    ['resnet10_narrow.pth', 'zip'],
    ['resnet10_narrow.legacy.pth', 'legacy'],
  ] as const) {
    const read = parseTorchFile(readFileSync(`test/fixtures/torch/${file}`));
    tap.equal(read.form, form);
    tap.equal(read.root, 'state_dict');
    tap.same([...read.beside], [['epoch', 1]]);
    tap.equal(read.tensors.size, 72);
    for (const [key, { dtype, shape, bytes }] of read.tensors) {
      const name = key.replace(/^module\./, '');
      if (name.endsWith('num_batches_tracked')) {
        tap.same([dtype, shape, bytes.byteLength], ['i64', [], 8], key);
        continue;
      }
      const { shape: expected, data } = fixture.get(name);
      tap.same([dtype, shape], ['f32', expected], key);
      const wanted = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
      tap.ok(wanted.equals(bytes), `${file}: ${key}: same bits`);
    }
  }
});

const values = (n: number) => Uint8Array.from({ length: n }, (_, i) => i);
const floats: Stored = { key: '0', type: 'FloatStorage', elements: 6, values: values(24) };
const halves: Stored = { key: '1', type: 'HalfStorage', elements: 4, values: values(8) };
const stored = [floats, halves];
const sound = (legacy: boolean) =>
  stateDict({
    'a.weight': tensor(floats, [2, 3], { legacy }),
    'a.bias': tensor(halves, [2], { offset: 1, legacy }),
  });

t.test('strides, offsets, types, places of the state dict', async (tap) => {
  for (const file of [zipForm(sound(false), stored), legacyForm(sound(true), stored)]) {
    const { tensors, beside } = parseTorchFile(file);
    tap.same([...tensors.keys()], ['a.weight', 'a.bias']);
    tap.same([...(tensors.get('a.bias')?.bytes ?? [])], [2, 3, 4, 5], 'from the second value on');
    tap.same([...beside], [['epoch', 3]]);
  }
  const moved = stateDict({ w: tensor(floats, [3, 2], { stride: [1, 3] }) });
  const { bytes } = parseTorchFile(zipForm(moved, [floats])).tensors.get('w') ?? { bytes: [] };
  const first = [0, 3, 1, 4, 2, 5].map((value) => 4 * value);
  tap.same(
    [...bytes].filter((_, i) => i % 4 === 0),
    first,
    'transposed: in the order of the axes',
  );
  const bare = join(op.start, op.dict, op.text('w'), tensor(floats, [6]), op.setItem, op.stop);
  const top = parseTorchFile(zipForm(bare, [floats]));
  tap.same([top.root, [...top.tensors.keys()]], ['', ['w']], 'a bare state dict');
});

/** Names that a pickle must not call; some run commands in Python. */
const NAMES =
  `os system, posix system, nt system, subprocess Popen, subprocess call, subprocess check_output,
  builtins eval, builtins exec, builtins getattr, builtins setattr, builtins open, builtins compile, builtins __import__,
  __builtin__ eval, __builtin__ file, importlib import_module, runpy run_path, pty spawn, shutil rmtree, socket socket,
  webbrowser open, ctypes CDLL, pickle loads, marshal loads, types FunctionType, types CodeType, functools partial,
  operator attrgetter, torch load, torch hub.load, torch.storage _load_from_bytes, torch._utils _rebuild_qtensor,
  torch._utils _rebuild_sparse_tensor, torch.nn.modules.conv Conv3d, torch FloatTensor, torch.cuda FloatStorage,
  torch.serialization load, numpy.core.multiarray _reconstruct, numpy load, collections Counter, collections defaultdict,
  copyreg _reconstructor, torch._utils _rebuild_tensor_v2.__globals__, collections OrderedDict.__init__`
    .split(',')
    .map((line) => line.trim().split(' ') as [string, string]);

const command = join(op.mark, op.text('touch hostile'), op.tuple);
/** Ways to bring a name into a pickle; each becomes a whole object's pickle. */
const ways: Record<string, (module: string, name: string) => Uint8Array> = {
  named: (m, n) => join(op.start, op.name(m, n), op.stop),
  called: (m, n) => join(op.start, op.name(m, n), command, op.reduce, op.stop),
  'as a weight': (m, n) => stateDict({ w: join(op.name(m, n), command, op.reduce) }),
  'as a type of storage': (m, n) =>
    stateDict({
      w: join(
        ...[op.mark, op.text('storage'), op.name(m, n), op.text('0'), op.text('cpu')],
        ...[op.int(6), op.tuple, op.persistent],
      ),
    }),
  INST: (m, n) => join(op.start, op.mark, op.text('x'), Buffer.from(`i${m}\n${n}\n`), op.stop),
  STACK_GLOBAL: (m, n) =>
    join(op.start, op.text(m), op.text(n), [0x93], command, op.reduce, op.stop),
  NEWOBJ: (m, n) => join(op.start, op.name(m, n), command, [0x81], op.stop),
};

const big = 2n ** 40n;
const allowed = op.name('collections', 'OrderedDict');
const dict = join(allowed, op.emptyTuple, op.reduce);
const one = (inner: Bytes) => stateDict({ w: inner });
/** Pickles that are no sound weights for another reason. */
const pickles: Record<string, Uint8Array> = {
  empty: join(),
  'stops at once': join(op.start, op.stop),
  'no protocol': join(op.dict, op.stop),
  'protocol 5': join([0x80, 5], op.dict, op.stop),
  'protocol 0 text': Uint8Array.from(Buffer.from("(dp0\nS'a'\np1\nI1\ns.")),
  'two values at the end': join(op.start, op.dict, op.dict, op.stop),
  'a mark at the end': join(op.start, op.mark, op.stop),
  'a number': join(op.start, op.int(1), op.stop),
  'an empty dict': join(op.start, op.dict, op.stop),
  'text of 4 GB': join(op.start, [0x58, 255, 255, 255, 255], op.stop),
  'integer of 255 bytes': join(op.start, op.long(-1n, 255), op.stop),
  'bytes of 2^63': join(op.start, [0x8e, 255, 255, 255, 255, 255, 255, 255, 127], op.stop),
  'LONG4 of 2 GB': join(op.start, [0x8b, 255, 255, 255, 127], op.stop),
  'a value never put': join(op.start, op.get(7), op.stop),
  'put of nothing': join(op.start, op.put(1), op.stop),
  'tuple without a mark': join(op.start, op.int(1), op.tuple, op.stop),
  'items of a list': join(op.start, op.list, op.text('a'), op.int(1), op.setItem, op.stop),
  'append to a dict': join(op.start, op.dict, op.int(1), op.append, op.stop),
  'a key without a value': join(op.start, op.dict, op.mark, op.text('a'), op.setItems, op.stop),
  'a list as key': join(op.start, op.dict, op.list, op.int(1), op.setItem, op.stop),
  'a key twice': join(
    ...[op.start, op.dict, op.text('a'), op.int(1), op.setItem],
    ...[op.text('a'), op.int(2), op.setItem, op.stop],
  ),
  'not UTF-8': join(op.start, [0x58, 2, 0, 0, 0, 0xff, 0xfe], op.stop),
  'reduce of a text': join(op.start, op.text('os.system'), command, op.reduce, op.stop),
  'reduce of a storage type': one(join(op.name('torch', 'FloatStorage'), command, op.reduce)),
  'OrderedDict with arguments': one(join(allowed, command, op.reduce)),
  'arguments that are no tuple': one(join(allowed, op.list, op.reduce)),
  'build of an object': one(join(dict, op.text('x'), op.build)),
  'build of other attributes': one(
    join(dict, op.dict, op.text('__class__'), op.int(1), op.setItem, op.build),
  ),
  'parameter of a text': one(
    join(op.name('torch._utils', '_rebuild_parameter'), op.mark, op.text('x'), op.tuple, op.reduce),
  ),
  'name without an end': join(op.start, Buffer.from(`c${'x'.repeat(5000)}`)),
  'a type as weight': one(op.name('torch', 'FloatStorage')),
  'extension registry': join(op.start, [0x82, 1], op.stop),
  'persistent id as text': join(op.start, Buffer.from('Pstorage\n'), op.stop),
  'persistent id of a number': join(op.start, op.int(1), op.persistent, op.stop),
  'size beyond the storage': one(tensor(floats, [7])),
  'offset beyond the storage': one(tensor(floats, [2], { offset: 5 })),
  'offset of 2^40': one(tensor(floats, [1], { offset: Number(big) })),
  'stride beyond the storage': one(tensor(floats, [2, 3], { stride: [4, 1] })),
  'one value, 2^40 times': one(tensor(floats, [Number(big)], { stride: [0] })),
  'absurd sizes': one(tensor(floats, [2 ** 50, 2 ** 50], { stride: [0, 0] })),
  'negative size': one(tensor(floats, [-2])),
  'negative stride': one(tensor(floats, [2], { stride: [-1], offset: 1 })),
  'nine axes': one(tensor(floats, [1, 1, 1, 1, 1, 1, 1, 1, 1])),
  'stride of another length': one(tensor(floats, [2, 3], { stride: [1] })),
  'storage of another size': one(tensor({ ...floats, elements: 5 }, [5])),
  'storage of 2^40 values': one(tensor({ ...floats, elements: Number(big) }, [1])),
  'storage of another type': one(tensor({ ...floats, type: 'DoubleStorage' }, [6])),
  'a storage that is not there': one(tensor({ ...floats, key: '9' }, [6])),
  'a path as storage': one(tensor({ ...floats, key: '../../../etc/passwd' }, [6])),
  'an absolute path as storage': one(tensor({ ...floats, key: '/etc/passwd' }, [6])),
  'another entry as storage': one(tensor({ ...floats, key: '../version' }, [6])),
  'a property as storage': one(tensor({ ...floats, key: '__proto__' }, [6])),
  'a list that holds itself': one(join(op.list, op.put(1), op.get(1), op.append)),
};

/** Whole files that are no sound ones, whatever their pickle. */
const entries = [
  { name: 'weights/data.pkl', bytes: sound(false) },
  { name: 'weights/data/0', bytes: floats.values },
  { name: 'weights/data/1', bytes: halves.values },
];
const [pickle, first, second] = entries as [
  (typeof entries)[0],
  (typeof entries)[0],
  (typeof entries)[0],
];
const good = zip(entries);
const patched = (at: number, bytes: Bytes) => {
  const copy = good.slice();
  copy.set(Uint8Array.from(bytes), at < 0 ? copy.length + at : at);
  return copy;
};
const files: Record<string, Uint8Array> = {
  'nothing at all': new Uint8Array(0),
  'a word': Uint8Array.from(Buffer.from('not a weights file')),
  'PK and no more': Uint8Array.from([0x50, 0x4b, 3, 4]),
  compressed: zip([{ ...pickle, change: { method: 8 } }, first, second]),
  'bomb: 4 GB of 24 bytes': zip([pickle, { ...first, change: { size: 0xffffffff } }, second]),
  encrypted: zip([{ ...pickle, change: { flags: 1 } }, first, second]),
  'wrong checksum': zip([pickle, { ...first, change: { crc: 1 } }, second]),
  'two names for one entry': zip([
    pickle,
    { ...first, change: { localName: 'weights/data/2' } },
    second,
  ]),
  'an entry twice': zip([pickle, first, first, second]),
  'two pickles': zip([...entries, { name: 'other/data.pkl', bytes: pickle.bytes }]),
  'no pickle': zip([first, second]),
  'pickle above the folder': zip([{ ...pickle, name: '../x/data.pkl' }, first, second]),
  'big-endian': zip([...entries, { name: 'weights/byteorder', bytes: Buffer.from('big') }]),
  'bytes behind the pickle': zip([{ ...pickle, bytes: join(pickle.bytes, [0]) }, first, second]),
  'storage cut short': zip([pickle, { ...first, bytes: values(23) }, second]),
  'storage too long': zip([pickle, { ...first, bytes: values(25) }, second]),
  'entries: 65,535': patched(-14, [255, 255, 255, 255]),
  'directory beyond the file': patched(-6, [255, 255, 255, 0]),
  'no end record': good.slice(0, -1),
  'legacy: big-endian': legacyForm(sound(true), stored, { littleEndian: false }),
  'legacy: protocol 7': legacyForm(sound(true), stored, { protocol: 7 }),
  'legacy: a storage twice': legacyForm(sound(true), [floats, floats, halves]),
  'legacy: a storage missing': legacyForm(sound(true), [floats]),
  'legacy: a strange storage': legacyForm(sound(true), [...stored, { ...floats, key: '7' }]),
  'legacy: bytes behind': join(legacyForm(sound(true), stored), [0]),
  'legacy: a count of -1': legacyForm(sound(true), [{ ...floats, elements: -1 }, halves]),
  'legacy: a view of a storage': legacyForm(
    one(
      join(
        ...[op.mark, op.text('storage'), op.name('torch', 'FloatStorage'), op.text('0')],
        ...[op.text('cpu'), op.int(6), op.emptyTuple, op.tuple, op.persistent],
      ),
    ),
    [floats],
  ),
};

t.test('hostile files are refused with a typed error', async (tap) => {
  const hostile: [string, Uint8Array][] = Object.entries(files);
  const both = (what: string, bytes: Uint8Array) =>
    hostile.push(
      [`zip: ${what}`, zipForm(bytes, [floats])],
      [`legacy: ${what}`, legacyForm(bytes, [floats])],
    );
  for (const [what, bytes] of Object.entries(pickles)) both(what, bytes);
  for (const [way, make] of Object.entries(ways))
    for (const [module, name] of NAMES) both(`${module}.${name} ${way}`, make(module, name));
  tap.ok(hostile.length >= 700, `${hostile.length} files`);
  for (const [what, file] of hostile) {
    try {
      parseTorchFile(file);
      tap.fail(`${what}: read`);
    } catch (error) {
      if (!isRenvoxError(error, 'InvalidWeights')) tap.fail(`${what}: ${String(error)}`);
    }
  }
  tap.throws(
    () => parseTorchFile(zipForm(one(join(op.name('os', 'system'), command, op.reduce)), [])),
    { message: /"os.system".*nothing was executed/ },
  );
});

t.test('truncated anywhere: refused', async (tap) => {
  for (const whole of [good, legacyForm(sound(true), stored)])
    for (let length = 0; length < whole.length; length++) {
      const error = thrown(() => parseTorchFile(whole.slice(0, length)));
      if (!isRenvoxError(error, 'InvalidWeights')) tap.fail(`${length} bytes: ${String(error)}`);
    }
  tap.pass('every length');
});

t.test('3,000 mutants: read or refused with a typed error', async (tap) => {
  const next = generator(20261124);
  let refused = 0;
  for (let k = 0; k < 3000; k++) {
    const legacy = k % 2 === 1;
    // The pickle is changed before the archive's checksums are made, or they would refuse all.
    const inside = sound(legacy);
    const mutate = (bytes: Uint8Array) => {
      for (let i = Math.floor(next() * 3) + 1; i > 0; i--)
        bytes[Math.floor(next() * bytes.length)] =
          next() < 0.5 ? Math.floor(next() * 256) : (inside[Math.floor(next() * 200)] as number);
      return bytes;
    };
    const whole = next() < 0.2;
    if (!whole) mutate(inside);
    const file = legacy ? legacyForm(inside, stored) : zipForm(inside, stored);
    const error = thrown(() => {
      const { tensors } = parseTorchFile(whole ? mutate(file) : file);
      for (const { bytes } of tensors.values())
        if (bytes.byteLength > file.length) throw new Error(`${bytes.byteLength} bytes`);
    });
    if (error === undefined) continue;
    refused++;
    if (!isRenvoxError(error, 'InvalidWeights')) tap.fail(`mutant ${k}: ${String(error)}`);
  }
  tap.ok(refused > 1500 && refused < 3000, `${refused} of 3000 refused`);
});

t.test('bombs: 96 MB of heap are enough to refuse them', async (tap) => {
  const { code, stdout, stderr } = await program(
    `
    import { parseTorchFile } from 'renvox/nn';
    import { legacyForm, zipForm, stateDict, tensor, join, op } from './dist-test/nn/torch-writer.js';
    const many = (n, piece) => Buffer.alloc(n * piece.length, Uint8Array.from(piece));
    const storage = { key: '0', type: 'FloatStorage', elements: 25000, values: new Uint8Array(100000) };
    // Each of 60 tuples holds the one before twice: 2^60 to anyone who walks it.
    let laughs = join(op.text('ha'), op.put(0));
    for (let i = 1; i <= 60; i++) laughs = join(laughs, op.get(i - 1), op.get(i - 1), [0x86], op.put(i));
    const views = {};
    for (let i = 0; i < 5000; i++) views['w' + i] = tensor(storage, [2, 12500], { stride: [1, 2] });
    const bombs = {
      'two million dicts': join(op.start, many(2e6, op.dict), op.stop),
      'two million marks': join(op.start, many(2e6, op.mark), op.stop),
      'a million values put': join(op.start, op.dict, many(1e6, op.put(4294967295)), op.stop),
      laughs: join(op.start, op.list, laughs, op.append, op.stop),
      'laughs in a state dict': stateDict({ w: laughs }),
      '500 MB of a storage of 100 kB': stateDict(views),
    };
    for (const [name, pickle] of Object.entries(bombs))
      for (const form of [zipForm, legacyForm])
        try {
          parseTorchFile(form(pickle, [storage]));
          console.log(name, 'was read');
        } catch (error) {
          if (error.code !== 'InvalidWeights') console.log(name, String(error));
        }
    console.log('done');
  `,
    { flags: ['--max-old-space-size=96'] },
  );
  tap.equal(stdout.trim(), 'done', stderr.slice(-400));
  tap.equal(code, 0);
});

function thrown(body: () => unknown): unknown {
  try {
    body();
    return undefined;
  } catch (error) {
    return error;
  }
}
