/**
 * A writer of ONNX models, as far as the benches of single operations need one: nodes of opset 17 on f32 tensors, weights inside the file.
 * Field numbers are those of onnx.proto (github.com/onnx/onnx). Layout is ONNX's own, NCDHW.
 */
import { Message } from './wire.js';

const FLOAT = 1;
const IR_VERSION = 8;
const OPSET = 17;
/** AttributeProto.type of integers. */
const INTEGERS = 7;

/** An attribute's values. */
export type Attribute = readonly number[];

/** Values and axes of one weight. */
export interface Weight {
  readonly data: Float32Array;
  readonly shape: readonly number[];
}

/** Builds one graph with one input `x` and one output `y`; methods return the names of what they add. */
export class Graph {
  readonly #graph = new Message();
  readonly #nodes: Message[] = [];
  readonly #weights: Message[] = [];
  #last = 0;

  constructor(readonly name: string) {}

  /** A constant tensor. */
  weight(name: string, { data, shape }: Weight): string {
    const size = shape.reduce((a, b) => a * b, 1);
    if (size !== data.length)
      throw new Error(
        `Expected ${size} values for weight ${name} [${shape}] but received ${data.length}`,
      );
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    const tensor = new Message().integers(1, shape).integer(2, FLOAT).text(8, name);
    this.#weights.push(tensor.bytes(9, bytes));
    return name;
  }

  /** One node of one output. */
  node(
    operation: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, Attribute>> = {},
    output = `${operation}_${this.#last++}`,
  ): string {
    const node = new Message();
    for (const input of inputs) node.text(1, input);
    node.text(2, output).text(3, output).text(4, operation);
    for (const [name, value] of Object.entries(attributes)) node.message(5, attribute(name, value));
    this.#nodes.push(node);
    return output;
  }

  /** The file's bytes, for an input `x` and an output `y` of these shapes. */
  bytes(input: readonly number[], output: readonly number[]): Uint8Array {
    for (const node of this.#nodes) this.#graph.message(1, node);
    this.#graph.text(2, this.name);
    for (const weight of this.#weights) this.#graph.message(5, weight);
    this.#graph.message(11, valueInfo('x', input)).message(12, valueInfo('y', output));
    return new Message()
      .integer(1, IR_VERSION)
      .text(2, 'renvox-bench')
      .message(7, this.#graph)
      .message(8, new Message().text(1, '').integer(2, OPSET))
      .join();
  }
}

function attribute(name: string, value: Attribute): Message {
  return new Message().text(1, name).integers(8, value).integer(20, INTEGERS);
}

function valueInfo(name: string, shape: readonly number[]): Message {
  const axes = new Message();
  for (const n of shape) axes.message(1, new Message().integer(1, n));
  const tensor = new Message().integer(1, FLOAT).message(2, axes);
  return new Message().text(1, name).message(2, new Message().message(1, tensor));
}
