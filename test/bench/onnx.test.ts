// The benches' ONNX writer of single convolutions: bytes against the encoding's own examples, models against a reader of the wire format written here.
// That onnxruntime computes the same as the library from them is checked by every run of the benches that has it.
import t, { type Test } from 'tap';

interface Message {
  integer(field: number, value: number): Message;
  integers(field: number, values: number[]): Message;
  text(field: number, value: string): Message;
  message(field: number, value: Message): Message;
  join(): Uint8Array;
}
interface Weight {
  data: Float32Array;
  shape: number[];
}
const of = (file: string) => new URL(`../../bench/onnx/${file}`, import.meta.url).href;
const { Message, varint } = (await import(of('wire.ts'))) as {
  Message: new () => Message;
  varint(value: number): Uint8Array;
};
const { Graph } = (await import(of('graph.ts'))) as {
  Graph: new (name: string) => { weight(name: string, weight: Weight): string };
};
const { convModel } = (await import(of('convolution.ts'))) as {
  convModel(
    weight: Weight,
    geometry: { kernel: number; stride?: number; dilation?: number },
    input: number[],
    output: number[],
  ): Uint8Array;
};

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

t.test('examples of the encoding guide', async (t) => {
  t.equal(hex(new Message().integer(1, 150).join()), '089601');
  t.equal(hex(new Message().text(2, 'testing').join()), '120774657374696e67');
  t.equal(hex(new Message().message(3, new Message().integer(1, 150)).join()), '1a03089601');
  t.equal(hex(new Message().integers(6, [3, 270, 86942]).join()), '3206038e029ea705');
  t.equal(hex(varint(-2)), 'feffffffffffffffff01');
});

/** Fields of a message by number: integers, or bytes. */
function fields(bytes: Uint8Array): Map<number, (number | Uint8Array)[]> {
  const found = new Map<number, (number | Uint8Array)[]>();
  let at = 0;
  const integer = (): number => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++] as number;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < bytes.length) {
    const key = integer();
    const kind = key & 7;
    let value: number | Uint8Array;
    if (kind === 0) value = integer();
    else {
      // Of fixed length, or with its length before it.
      const length = kind === 5 ? 4 : integer();
      value = bytes.subarray(at, at + length);
      at += length;
    }
    found.set(key >> 3, [...(found.get(key >> 3) ?? []), value]);
  }
  return found;
}

const all = (m: Map<number, (number | Uint8Array)[]>, field: number) =>
  (m.get(field) ?? []) as Uint8Array[];
const text = (m: Map<number, (number | Uint8Array)[]>, field: number) =>
  all(m, field).map((bytes) => new TextDecoder().decode(bytes));

/** Nodes and weights of a model, checked for being whole. */
function opened(t: Test, model: Uint8Array) {
  const file = fields(model);
  t.same(file.get(1), [8], 'IR version');
  const [opset] = all(file, 8);
  t.same(fields(opset as Uint8Array).get(2), [17], 'opset');
  const graph = fields(all(file, 7)[0] as Uint8Array);
  const weights = new Map(
    all(graph, 5).map((bytes) => {
      const tensor = fields(bytes);
      return [text(tensor, 8)[0] as string, tensor] as const;
    }),
  );
  const known = new Set(['x', ...weights.keys()]);
  const nodes = all(graph, 1).map((bytes) => {
    const node = fields(bytes);
    for (const input of text(node, 1)) t.ok(known.has(input), `${input} is there before its use`);
    for (const output of text(node, 2)) known.add(output);
    return { operation: text(node, 4)[0] as string, node };
  });
  t.ok(known.has('y'));
  return { nodes, weights };
}

t.test('a convolution', async (t) => {
  const weight = { data: Float32Array.of(1, 2), shape: [2, 1, 1, 1, 1] };
  const { nodes, weights } = opened(
    t,
    convModel(weight, { kernel: 1, stride: 2 }, [4, 4, 4], [2, 2, 2]),
  );
  t.same(
    nodes.map(({ operation }) => operation),
    ['Conv'],
  );
  const stored = weights.get('weight');
  t.equal(hex(all(stored as never, 1)[0] as Uint8Array), '0201010101', 'packed axes');
  t.same(stored?.get(2), [1], 'f32');
  const raw = all(stored as never, 9)[0] as Uint8Array;
  t.same([...new Float32Array(new Uint8Array(raw).buffer)], [1, 2]);
  const attributes = all(nodes[0]?.node as never, 5).map(fields);
  const strides = attributes.find((a) => text(a, 1)[0] === 'strides');
  t.equal(hex(all(strides as never, 8)[0] as Uint8Array), '020202');
  t.same(strides?.get(20), [7], 'an attribute says that it is of integers');
});

t.test('dilation widens the padding', async (t) => {
  const weight = { data: new Float32Array(27), shape: [1, 1, 3, 3, 3] };
  const { nodes } = opened(t, convModel(weight, { kernel: 3, dilation: 4 }, [4, 4, 4], [4, 4, 4]));
  const attributes = all(nodes[0]?.node as never, 5).map(fields);
  const of = (name: string) => attributes.find((a) => text(a, 1)[0] === name);
  t.equal(hex(all(of('dilations') as never, 8)[0] as Uint8Array), '040404');
  t.equal(hex(all(of('pads') as never, 8)[0] as Uint8Array), '040404040404');
});

t.test('a weight that does not fit its shape is refused', async (t) => {
  const graph = new Graph('g');
  t.throws(
    () => graph.weight('w', { data: new Float32Array(3), shape: [2, 2] }),
    /Expected 4 values for weight w \[2,2\] but received 3/,
  );
});
