// The benches' ONNX writer: bytes against the encoding's own examples, models against a reader of the wire format written here. That onnxruntime computes the
// same as the library from them is checked by every run of the benches that has it.
import t, { type Test } from 'tap';

interface Message {
  integer(field: number, value: number): Message;
  integers(field: number, values: number[]): Message;
  float(field: number, value: number): Message;
  text(field: number, value: string): Message;
  message(field: number, value: Message): Message;
  join(): Uint8Array;
}
interface Weight {
  data: Float32Array;
  shape: number[];
}
type Weights = Map<string, Weight>;
const of = (file: string) => new URL(`../../bench/onnx/${file}`, import.meta.url).href;
const { Message, varint } = (await import(of('wire.ts'))) as {
  Message: new () => Message;
  varint(value: number): Uint8Array;
};
const { Graph } = (await import(of('graph.ts'))) as {
  Graph: new (name: string) => { weight(name: string, weight: Weight): string };
};
const { fold, unetModel, resnetModel } = (await import(of('networks.ts'))) as {
  fold(weights: Weights, conv: string, norm: string): { weight: Weight; bias: Weight };
  unetModel(config: object, weights: Weights, size: number[]): Uint8Array;
  resnetModel(config: object, weights: Weights, size: number[]): Uint8Array;
};

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

t.test('examples of the encoding guide', async (t) => {
  t.equal(hex(new Message().integer(1, 150).join()), '089601');
  t.equal(hex(new Message().text(2, 'testing').join()), '120774657374696e67');
  t.equal(hex(new Message().message(3, new Message().integer(1, 150)).join()), '1a03089601');
  t.equal(hex(new Message().integers(6, [3, 270, 86942]).join()), '3206038e029ea705');
  t.equal(hex(varint(-2)), 'feffffffffffffffff01');
  t.equal(hex(new Message().float(2, 1).join()), '150000803f');
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

const count = (nodes: { operation: string }[], operation: string) =>
  nodes.filter((node) => node.operation === operation).length;

/** Weights that are whatever name is asked for. */
function anyWeights(shapes: Record<string, number[]>): Weights {
  return new Map(
    Object.entries(shapes).map(([name, shape]) => {
      const size = shape.reduce((a, b) => a * b, 1);
      return [name, { data: Float32Array.from({ length: size }, (_, i) => i + 1), shape }];
    }),
  );
}

const unet = {
  ...{ inputChannels: 1, classes: 2, channels: [2, 3], slope: 0.25, convolutionBias: false },
  convolutions: { encoder: 1, decoder: 1 },
};

function unetWeights(running: boolean): Weights {
  const shapes: Record<string, number[]> = {};
  const block = (name: string, cin: number, cout: number) => {
    shapes[`${name}.conv.weight`] = [cout, cin, 3, 3, 3];
    for (const part of ['weight', 'bias', ...(running ? ['running_mean', 'running_var'] : [])])
      shapes[`${name}.norm.${part}`] = [cout];
  };
  block('encoder.0.0', 1, 2);
  block('encoder.1.0', 2, 3);
  block('decoder.0.0', 4, 2);
  Object.assign(shapes, { 'up.0.weight': [3, 2, 2, 2, 2], 'up.0.bias': [2] });
  Object.assign(shapes, { 'head.weight': [2, 2, 1, 1, 1], 'head.bias': [2] });
  return anyWeights(shapes);
}

t.test('a U-Net', async (t) => {
  const weights = unetWeights(false);
  const { nodes, weights: stored } = opened(
    t,
    unetModel({ ...unet, norm: 'instance' }, weights, [4, 4, 4]),
  );
  t.same(
    ['Conv', 'InstanceNormalization', 'LeakyRelu', 'MaxPool', 'ConvTranspose', 'Concat'].map((o) =>
      count(nodes, o),
    ),
    [4, 3, 3, 1, 1, 1],
  );
  const head = stored.get('head.weight');
  t.equal(hex(all(head as never, 1)[0] as Uint8Array), '0202010101', 'packed axes');
  t.same(head?.get(2), [1], 'f32');
  const raw = all(head as never, 9)[0] as Uint8Array;
  t.same([...new Float32Array(new Uint8Array(raw).buffer)], [1, 2, 3, 4]);
  const leaky = nodes.find(({ operation }) => operation === 'LeakyRelu')?.node;
  const alpha = fields(all(leaky as never, 5)[0] as Uint8Array);
  t.equal(hex(all(alpha, 2)[0] as Uint8Array), '0000803e', 'slope 0.25');
  t.same(alpha.get(20), [1], 'an attribute says that it is a float');
});

t.test('batch norm is folded: no node is left of it', async (t) => {
  const { nodes, weights } = opened(
    t,
    unetModel({ ...unet, norm: 'batch' }, unetWeights(true), [4, 4, 4]),
  );
  t.same(
    ['Conv', 'InstanceNormalization', 'BatchNormalization'].map((o) => count(nodes, o)),
    [4, 0, 0],
  );
  t.ok(weights.has('encoder.0.0.conv.folded.bias'));
});

t.test('folding', async (t) => {
  const data = (...values: number[]): Weight => ({
    data: Float32Array.from(values),
    shape: [values.length],
  });
  const weights: Weights = new Map([
    ['c.weight', { data: Float32Array.of(2, 3), shape: [2, 1, 1, 1, 1] }],
    ['c.bias', data(1, 0)],
    ['n.weight', data(4, 1)],
    ['n.bias', data(0.5, -1)],
    ['n.running_mean', data(3, 2)],
    ['n.running_var', data(4 - 1e-5, 1 - 1e-5)],
  ]);
  const { weight, bias } = fold(weights, 'c', 'n');
  // a = 4 / 2 and 1 / 1.
  for (const [i, want] of [4, 3].entries())
    t.ok(Math.abs((weight.data[i] as number) - want) < 1e-5);
  for (const [i, want] of [-3.5, -3].entries())
    t.ok(Math.abs((bias.data[i] as number) - want) < 1e-5);
});

t.test('a ResNet-10 in both geometries', async (t) => {
  const widths = [2, 3, 4, 5];
  const shapes: Record<string, number[]> = { 'conv1.weight': [2, 1, 7, 7, 7] };
  const norm = (name: string, c: number) => {
    for (const part of ['weight', 'bias', 'running_mean', 'running_var'])
      shapes[`${name}.${part}`] = [c];
  };
  norm('bn1', 2);
  widths.forEach((cout, i) => {
    const cin = widths[Math.max(0, i - 1)] as number;
    const name = `layer${i + 1}.0`;
    shapes[`${name}.conv1.weight`] = [cout, cin, 3, 3, 3];
    shapes[`${name}.conv2.weight`] = [cout, cout, 3, 3, 3];
    norm(`${name}.bn1`, cout);
    norm(`${name}.bn2`, cout);
    if (i === 0) return;
    shapes[`${name}.downsample.0.weight`] = [cout, cin, 1, 1, 1];
    norm(`${name}.downsample.1`, cout);
  });
  Object.assign(shapes, { 'head.0.weight': [6, 5], 'head.0.bias': [6] });
  Object.assign(shapes, { 'head.2.weight': [3, 6], 'head.2.bias': [3] });
  const weights = anyWeights(shapes);
  for (const [geometry, dilated] of [
    ['dilated', 4],
    ['strided', 0],
  ] as const) {
    const config = { inputChannels: 1, classes: 3, widths, geometry, hidden: 6, dropout: 0.1 };
    const { nodes } = opened(t, resnetModel(config, weights, [16, 16, 16]));
    t.same(
      ['Conv', 'Add', 'MaxPool', 'GlobalAveragePool', 'Gemm'].map((o) => count(nodes, o)),
      [12, 4, 1, 1, 2],
      geometry,
    );
    const widened = nodes.filter(({ operation, node }) => {
      const named = all(node, 5).map(fields);
      const dilations = named.find((a) => text(a, 1)[0] === 'dilations');
      return operation === 'Conv' && hex(all(dilations as never, 8)[0] as Uint8Array) !== '010101';
    });
    t.equal(widened.length, dilated, `${geometry}: convolutions that dilate`);
  }
});

t.test('a weight that does not fit its shape is refused', async (t) => {
  const graph = new Graph('g');
  t.throws(
    () => graph.weight('w', { data: new Float32Array(3), shape: [2, 2] }),
    /Expected 4 values for weight w \[2,2\] but received 3/,
  );
});
