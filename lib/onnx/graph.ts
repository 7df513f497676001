/**
 * An ONNX model as it is written: nodes, weights and texts in protocol buffers. Field numbers are those of onnx.proto (IR version 8), operators
 * those of operator set 17.
 */
import { RenvoxError } from '../errors.js';
import { Message } from './protobuf.js';

/** Of onnx.proto. */
const IR_VERSION = 8;
export const OPSET = 17;
const FLOAT = 1;
const ATTRIBUTE = { float: 1, integer: 2, integers: 7 };

/** An attribute of a node: an integer, a list of integers, or a float. */
export type Attribute = number | readonly number[] | { float: number };

/** A value's extents: numbers, or names for what the caller chooses. */
export type Extents = readonly (number | string)[];

/** A tensor of weights, f32, little-endian. */
export interface Initializer {
  shape: readonly number[];
  bytes: Uint8Array;
}

/** A graph in the making. Values are named after the layer that makes them. */
export class Graph {
  readonly #nodes: Message[] = [];
  readonly #weights: ReadonlyMap<string, Initializer>;
  readonly #used = new Set<string>();

  constructor(weights: ReadonlyMap<string, Initializer>) {
    this.#weights = weights;
  }

  /** Adds a node with one output, which has the node's name, and returns that name. */
  node(
    operator: string,
    name: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, Attribute>> = {},
  ): string {
    const node = new Message();
    for (const input of inputs) {
      if (this.#weights.has(input)) this.#used.add(input);
      node.text(1, input);
    }
    node.text(2, name).text(3, name).text(4, operator);
    for (const [key, value] of Object.entries(attributes)) node.message(5, attribute(key, value));
    this.#nodes.push(node);
    return name;
  }

  /** The model, with every weight that a node reads. */
  model(init: {
    name: string;
    input: { name: string; extents: Extents };
    output: { name: string; extents: Extents };
    metadata: Readonly<Record<string, string>>;
    producerVersion: string;
  }): Uint8Array[] {
    const unread = [...this.#weights.keys()].filter((name) => !this.#used.has(name));
    if (unread.length > 0)
      throw new RenvoxError('InternalError', `No node reads the weights ${unread.join(', ')}`);
    const graph = new Message();
    for (const node of this.#nodes) graph.message(1, node);
    graph.text(2, init.name);
    for (const [name, { shape, bytes }] of this.#weights) {
      const tensor = new Message();
      for (const extent of shape) tensor.integer(1, extent);
      graph.message(5, tensor.integer(2, FLOAT).text(8, name).bytes(9, bytes));
    }
    graph.message(11, valueInfo(init.input)).message(12, valueInfo(init.output));
    const model = new Message()
      .integer(1, IR_VERSION)
      .text(2, 'renvox')
      .text(3, init.producerVersion)
      .message(7, graph)
      .message(8, new Message().text(1, '').integer(2, OPSET));
    for (const [key, value] of Object.entries(init.metadata))
      model.message(14, new Message().text(1, key).text(2, value));
    return model.pieces;
  }
}

function attribute(name: string, value: Attribute): Message {
  const message = new Message().text(1, name);
  if (typeof value === 'number') return message.integer(3, value).integer(20, ATTRIBUTE.integer);
  if ('float' in value) return message.float(2, value.float).integer(20, ATTRIBUTE.float);
  for (const n of value) message.integer(8, n);
  return message.integer(20, ATTRIBUTE.integers);
}

function valueInfo({ name, extents }: { name: string; extents: Extents }): Message {
  const shape = new Message();
  for (const extent of extents)
    shape.message(
      1,
      typeof extent === 'number' ? new Message().integer(1, extent) : new Message().text(2, extent),
    );
  const tensor = new Message().integer(1, FLOAT).message(2, shape);
  return new Message().text(1, name).message(2, new Message().message(1, tensor));
}
