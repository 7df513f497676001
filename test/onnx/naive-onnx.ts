// An ONNX model read and computed by plain loops in double: a second reading of what the exporter wrote. Field numbers are onnx.proto's,
// meanings of operators those of its Operators.md, set 17.
import { type Field, readMessage } from '#lib/onnx/protobuf.js';

export interface Values {
  shape: number[];
  data: Float64Array;
}

interface Node {
  operator: string;
  inputs: string[];
  output: string;
  attributes: Map<string, number | number[]>;
}

export interface Model {
  opset: number;
  input: string;
  output: string;
  nodes: Node[];
  weights: Map<string, Values>;
  metadata: Record<string, string>;
}

const none = new Uint8Array(0);
const text = (bytes: Uint8Array = none) => new TextDecoder().decode(bytes);
const all = (fields: Field[], number: number) => fields.filter((f) => f.number === number);
const messages = (fields: Field[], number: number) =>
  all(fields, number).map(({ bytes }) => readMessage(bytes ?? none));
const texts = (fields: Field[], number: number) => all(fields, number).map((f) => text(f.bytes));

export function decode(file: Uint8Array): Model {
  const model = readMessage(file);
  const [graph = []] = messages(model, 7);
  const [opset = []] = messages(model, 8);
  const weights = messages(graph, 5).map((tensor): [string, Values] => {
    const raw = Uint8Array.from(all(tensor, 9)[0]?.bytes ?? none);
    return [
      texts(tensor, 8)[0] as string,
      {
        shape: all(tensor, 1).map((f) => f.integer as number),
        data: Float64Array.from(new Float32Array(raw.buffer)),
      },
    ];
  });
  const nodes = messages(graph, 1).map((node) => ({
    operator: texts(node, 4)[0] as string,
    inputs: texts(node, 1),
    output: texts(node, 2)[0] as string,
    attributes: new Map(
      messages(node, 5).map((a): [string, number | number[]] => {
        const [float] = all(a, 2);
        const [integer] = all(a, 3);
        const single = float?.bytes
          ? new DataView(float.bytes.buffer, float.bytes.byteOffset).getFloat32(0, true)
          : integer?.integer;
        return [texts(a, 1)[0] as string, single ?? all(a, 8).map((f) => f.integer as number)];
      }),
    ),
  }));
  return {
    opset: all(opset, 2)[0]?.integer as number,
    input: texts(messages(graph, 11)[0] ?? [], 1)[0] as string,
    output: texts(messages(graph, 12)[0] ?? [], 1)[0] as string,
    nodes,
    weights: new Map(weights),
    metadata: Object.fromEntries(
      messages(model, 14).map((entry) => [texts(entry, 1)[0], texts(entry, 2)[0]]),
    ),
  };
}

/** The model's output for an image [N, C, D, H, W]. */
export function evaluate(model: Model, image: Values): Values {
  const values = new Map([...model.weights, [model.input, image] as const]);
  for (const node of model.nodes) {
    const inputs = node.inputs.map((name) => {
      const found = values.get(name);
      if (!found) throw new Error(`${node.operator}: there is no ${name} yet`);
      return found;
    });
    values.set(node.output, compute(node, inputs));
  }
  return values.get(model.output) as Values;
}

function compute({ operator, attributes }: Node, inputs: Values[]): Values {
  const [x, w, b] = inputs as [Values, Values, Values];
  const list = (name: string, fallback: number[]) =>
    (attributes.get(name) as number[] | undefined) ?? fallback;
  const number = (name: string) => attributes.get(name) as number;
  const map = (f: (v: number, channel: number) => number): Values => {
    const space = spaceOf(x);
    const channels = x.shape[1] as number;
    const data = x.data.map((v, i) => f(v, Math.floor(i / space) % channels));
    return { shape: x.shape, data };
  };
  const at = (v: Values, i: number) => v.data[i] as number;
  switch (operator) {
    case 'Relu':
      return map((v) => Math.max(v, 0));
    case 'LeakyRelu':
      return map((v) => (v < 0 ? v * number('alpha') : v));
    case 'Add':
      return { shape: x.shape, data: x.data.map((v, i) => v + at(w, i)) };
    case 'BatchNormalization': {
      const [, scale, bias, mean, variance] = inputs as [Values, Values, Values, Values, Values];
      const eps = number('epsilon');
      return map((v, c) => {
        const deviation = Math.sqrt(at(variance, c) + eps);
        return (at(scale, c) * (v - at(mean, c))) / deviation + at(bias, c);
      });
    }
    case 'InstanceNormalization':
      return instanceNorm(x, w, b, number('epsilon'));
    case 'Concat':
      return inputs.slice(1).reduce(concat, x);
    case 'Constant': {
      const [[, value]] = [...attributes] as [[string, number | number[]]];
      const data = Float64Array.from(typeof value === 'number' ? [value] : value);
      return { shape: typeof value === 'number' ? [] : [data.length], data };
    }
    case 'Gather':
      return channel(x, at(w, 0), number('axis'));
    case 'Mul': {
      if (w.data.length === 1) return map((v) => v * at(w, 0));
      // One channel against all.
      const [space, channels] = [spaceOf(x), x.shape[1] as number];
      const of = (i: number) => Math.floor(i / space / channels) * space + (i % space);
      return { shape: x.shape, data: x.data.map((v, i) => v * at(w, of(i))) };
    }
    case 'Sub':
      return { shape: x.shape, data: x.data.map((v, i) => v - at(w, i % w.data.length)) };
    case 'Max':
      return { shape: x.shape, data: x.data.map((v) => Math.max(v, at(w, 0))) };
    case 'Div': {
      const row = x.data.length / w.data.length;
      return { shape: x.shape, data: x.data.map((v, i) => v / at(w, Math.floor(i / row))) };
    }
    case 'GlobalAveragePool': {
      const space = spaceOf(x);
      const data = Float64Array.from({ length: x.data.length / space }, (_, i) => {
        let sum = 0;
        for (let v = 0; v < space; v++) sum += at(x, i * space + v);
        return sum / space;
      });
      return { shape: [...x.shape.slice(0, 2), 1, 1, 1], data };
    }
    case 'Flatten': {
      const [n = 1] = x.shape;
      return { shape: [n, x.data.length / n], data: x.data };
    }
    case 'Gemm': {
      if (number('transB') !== 1) throw new Error('Gemm without transB');
      const [n, k] = x.shape as [number, number];
      const m = w.shape[0] as number;
      const data = new Float64Array(n * m);
      for (let i = 0; i < n * m; i++) {
        let sum = at(b, i % m);
        for (let j = 0; j < k; j++)
          sum += at(x, Math.floor(i / m) * k + j) * at(w, (i % m) * k + j);
        data[i] = sum;
      }
      return { shape: [n, m], data };
    }
    case 'Conv':
    case 'MaxPool':
      return slide(operator, inputs, {
        kernel: list('kernel_shape', []),
        strides: list('strides', [1, 1, 1]),
        pads: list('pads', [0, 0, 0, 0, 0, 0]),
        dilations: list('dilations', [1, 1, 1]),
      });
    case 'ConvTranspose':
      return transposed(inputs, list('strides', []), list('pads', []));
    default:
      throw new Error(`The operator ${operator} is not known`);
  }
}

const spaceOf = ({ shape }: Values) => shape.slice(2).reduce((a, b) => a * b, 1);

function instanceNorm(x: Values, scale: Values, bias: Values, eps: number): Values {
  const space = spaceOf(x);
  const channels = x.shape[1] as number;
  const data = new Float64Array(x.data.length);
  for (let i = 0; i < x.data.length / space; i++) {
    const part = x.data.subarray(i * space, (i + 1) * space);
    const mean = part.reduce((a, b) => a + b, 0) / space;
    const variance = part.reduce((a, b) => a + (b - mean) ** 2, 0) / space;
    const c = i % channels;
    part.forEach((v, k) => {
      const normal = (v - mean) / Math.sqrt(variance + eps);
      data[i * space + k] = (scale.data[c] as number) * normal + (bias.data[c] as number);
    });
  }
  return { shape: x.shape, data };
}

function channel(x: Values, index: number, axis: number): Values {
  if (axis !== 1) throw new Error(`Gather along axis ${axis}`);
  const space = spaceOf(x);
  const [n = 1, c = 1, ...rest] = x.shape;
  const from = (i: number) => (Math.floor(i / space) * c + index) * space + (i % space);
  const data = Float64Array.from({ length: n * space }, (_, i) => x.data[from(i)] as number);
  return { shape: [n, 1, ...rest], data };
}

function concat(a: Values, b: Values): Values {
  const [n, ca, ...space] = a.shape as [number, number, number];
  const cb = b.shape[1] as number;
  const [rowA, rowB] = [a.data.length / n, b.data.length / n];
  const data = new Float64Array(a.data.length + b.data.length);
  for (let i = 0; i < n; i++) {
    data.set(a.data.subarray(i * rowA, (i + 1) * rowA), i * (rowA + rowB));
    data.set(b.data.subarray(i * rowB, (i + 1) * rowB), i * (rowA + rowB) + rowA);
  }
  return { shape: [n, ca + cb, ...space], data };
}

interface Sliding {
  kernel: number[];
  strides: number[];
  pads: number[];
  dilations: number[];
}

/** Conv (with or without bias) and MaxPool. */
function slide(operator: string, inputs: Values[], s: Sliding): Values {
  const [x, w, bias] = inputs as [Values, Values, Values | undefined];
  const [n, cin, ...size] = x.shape as [number, number, number, number, number];
  const pool = operator === 'MaxPool';
  const cout = pool ? cin : (w.shape[0] as number);
  const out = size.map((extent, a) => {
    const reach = extent + (s.pads[a] as number) + (s.pads[a + 3] as number);
    const span = (s.dilations[a] as number) * ((s.kernel[a] as number) - 1) + 1;
    return Math.floor((reach - span) / (s.strides[a] as number)) + 1;
  });
  const places = positions(out);
  const taps = positions(s.kernel);
  const data = new Float64Array(n * cout * places.length);
  let to = 0;
  for (let i = 0; i < n; i++)
    for (let o = 0; o < cout; o++)
      for (const place of places) {
        let sum = pool ? Number.NEGATIVE_INFINITY : (bias?.data[o] ?? 0);
        taps.forEach((tap, t) => {
          const from = tap.map(
            (k, a) =>
              (place[a] as number) * (s.strides[a] as number) -
              (s.pads[a] as number) +
              k * (s.dilations[a] as number),
          );
          if (from.some((p, a) => p < 0 || p >= (size[a] as number))) return;
          const voxel = index(from, size);
          const space = spaceOf(x);
          if (pool) sum = Math.max(sum, x.data[(i * cin + o) * space + voxel] as number);
          else
            for (let c = 0; c < cin; c++)
              sum +=
                (x.data[(i * cin + c) * space + voxel] as number) *
                (w.data[(o * cin + c) * taps.length + t] as number);
        });
        data[to++] = sum;
      }
  return { shape: [n, cout, ...out], data };
}

/** Kernel and stride 2, no padding: each output voxel has one tap. */
function transposed(inputs: Values[], strides: number[], pads: number[]): Values {
  const [x, w, bias] = inputs as [Values, Values, Values];
  const [n, cin, ...size] = x.shape as [number, number, number, number, number];
  const [, cout, ...kernel] = w.shape as [number, number, number, number, number];
  if ([...strides, ...kernel].some((k) => k !== 2) || pads.some((p) => p !== 0))
    throw new Error('ConvTranspose other than 2 by 2');
  const out = size.map((extent) => 2 * extent);
  const space = spaceOf(x);
  const data: number[] = [];
  for (let i = 0; i < n; i++)
    for (let o = 0; o < cout; o++)
      for (const place of positions(out)) {
        const voxel = index(
          place.map((p) => p >> 1),
          size,
        );
        const tap = index(
          place.map((p) => p & 1),
          kernel,
        );
        let sum = bias.data[o] as number;
        for (let c = 0; c < cin; c++)
          sum +=
            (x.data[(i * cin + c) * space + voxel] as number) *
            (w.data[(c * cout + o) * 8 + tap] as number);
        data.push(sum);
      }
  return { shape: [n, cout, ...out], data: Float64Array.from(data) };
}

/** All indices [d, h, w] of a size, the last axis the fastest. */
function positions([d = 0, h = 0, w = 0]: readonly number[]): number[][] {
  const list: number[][] = [];
  for (let i = 0; i < d; i++)
    for (let j = 0; j < h; j++) for (let k = 0; k < w; k++) list.push([i, j, k]);
  return list;
}

function index([d = 0, h = 0, w = 0]: readonly number[], [, sh = 0, sw = 0]: readonly number[]) {
  return (d * sh + h) * sw + w;
}
