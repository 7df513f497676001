import { isRenvoxError } from 'renvox';
import { formatSafetensors, parseSafetensors, type StoredTensor } from 'renvox/nn';
import t from 'tap';
import { generator } from '../ops/harness.js';

const bytes = (pieces: Uint8Array[]) => new Uint8Array(Buffer.concat(pieces));

/** A file with this header (text, or a value that becomes JSON) and this many bytes of data. */
function file(header: unknown, size: number): Uint8Array {
  const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const head = Buffer.alloc(8);
  head.writeBigUInt64LE(BigInt(json.length));
  return bytes([head, json, new Uint8Array(size)]);
}

const entry = (from: number, to: number, shape: number[] = [(to - from) / 4], dtype = 'F32') => ({
  dtype,
  shape,
  data_offsets: [from, to],
});

function sample(): Map<string, StoredTensor> {
  return new Map<string, StoredTensor>([
    ['a.weight', { dtype: 'f32', shape: [2, 3], bytes: new Uint8Array(24).fill(7) }],
    ['b "quoted" \\ ü', { dtype: 'f16', shape: [3], bytes: new Uint8Array(6).fill(9) }],
    ['scalar', { dtype: 'i32', shape: [], bytes: new Uint8Array([1, 2, 3, 4]) }],
    ['empty', { dtype: 'u8', shape: [0, 4], bytes: new Uint8Array(0) }],
  ]);
}

t.test('what is written is read', async (tap) => {
  const written = sample();
  const whole = bytes(formatSafetensors(written, { format: 'pt', note: 'a "b"' }));
  const { tensors, metadata } = parseSafetensors(whole);
  tap.same(metadata, { format: 'pt', note: 'a "b"' });
  tap.same([...tensors.keys()], [...written.keys()]);
  for (const [name, { dtype, shape, bytes: data }] of written) {
    const found = tensors.get(name);
    tap.same([found?.dtype, found?.shape], [dtype, shape], name);
    tap.ok(found && Buffer.from(found.bytes).equals(Buffer.from(data)), `${name}: same bytes`);
  }
  tap.equal(Number(new DataView(whole.buffer).getBigUint64(0, true)) % 8, 0, 'data are aligned');
});

t.test('damage is named', async (tap) => {
  const refused = (what: string, content: Uint8Array, message: RegExp) =>
    tap.throws(() => parseSafetensors(content), { code: 'InvalidWeights', message }, what);
  refused('no header', new Uint8Array(7), /7 bytes are too few/);
  const long = Buffer.alloc(8);
  long.writeBigUInt64LE(2n ** 40n);
  refused('header of 1 TB', long, /more than 8388608/);
  long.writeBigUInt64LE(100n);
  refused('header beyond the end', long, /claims 100 bytes, the file has 0/);
  refused('not JSON', file('{"a"', 0), /not JSON/);
  refused('not UTF-8', bytes([Buffer.from([2, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xfe])]), /not JSON/);
  refused('an array', file([], 0), /not an object/);
  const twice = `{"a":${JSON.stringify(entry(0, 4))},"a":${JSON.stringify(entry(0, 4))}}`;
  refused('a name twice', file(twice, 4), /stands twice/);
  const escaped = `{"a":${JSON.stringify(entry(0, 4))},"\\u0061":${JSON.stringify(entry(0, 4))}}`;
  refused('a name twice, written otherwise', file(escaped, 4), /stands twice/);
  refused('gap', file({ a: entry(0, 4), b: entry(8, 12) }, 12), /begins at byte 8, expected 4/);
  refused('overlap', file({ a: entry(0, 8), b: entry(4, 12) }, 12), /begins at byte 4, expected 8/);
  refused('outside', file({ a: entry(0, 8) }, 4), /bytes 0 to 8 of 4/);
  refused('backwards', file({ a: entry(4, 0, [1]) }, 4), /bytes 4 to 0/);
  refused('negative', file({ a: entry(-4, 0, [1]) }, 4), /no two offsets/);
  refused('fraction', file({ a: entry(0, 4, [0.5]) }, 4), /shape/);
  refused('unowned bytes', file({ a: entry(0, 4) }, 8), /4 bytes belong to no tensor/);
  refused('size', file({ a: entry(0, 8, [3]) }, 8), /needs 12 bytes, has 8/);
  refused('absurd shape', file({ a: entry(0, 4, [2 ** 50, 2 ** 50]) }, 4), /bytes, has 4/);
  refused('seven axes', file({ a: entry(0, 4, [1, 1, 1, 1, 1, 1, 1]) }, 4), /six sizes/);
  refused('type', file({ a: entry(0, 4, [1], 'F8') }, 4), /has type F8/);
  refused('metadata', file({ __metadata__: { a: 1 } }, 0), /not an object of strings/);
});

t.test('2,000 mutants: read or refused with a typed error', async (tap) => {
  const whole = bytes(formatSafetensors(sample(), { format: 'pt' }));
  const next = generator(20261123);
  let refused = 0;
  for (let k = 0; k < 2000; k++) {
    const mutant = whole.slice(0, next() < 0.2 ? Math.floor(next() * whole.length) : whole.length);
    // Header bytes more often than data: there is more to break.
    for (let i = Math.floor(next() * 4) + 1; i > 0 && mutant.length > 0; i--) {
      const reach = next() < 0.8 ? Math.min(mutant.length, 300) : mutant.length;
      mutant[Math.floor(next() * reach)] = Math.floor(next() * 256);
    }
    try {
      const { tensors } = parseSafetensors(mutant);
      for (const { bytes: b } of tensors.values())
        if (b.byteOffset + b.byteLength > mutant.byteOffset + mutant.byteLength)
          tap.fail(`mutant ${k}: a tensor beyond the file`);
    } catch (error) {
      if (!isRenvoxError(error, 'InvalidWeights')) tap.fail(`mutant ${k}: ${String(error)}`);
      refused++;
    }
  }
  tap.ok(refused > 1000, `${refused} of 2000 refused`);
});
