/**
 * The wire format of protocol buffers, as far as ONNX needs it: a message is a row of fields, each a number and a value.
 * Source: https://protobuf.dev/programming-guides/encoding/
 */
import { RenvoxError } from '../errors.js';

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

/** A message in the making. Fields of large bytes are kept, not copied. */
export class Message {
  readonly pieces: Uint8Array[] = [];
  byteLength = 0;

  /** A whole number of at least 0. */
  integer(field: number, value: number): this {
    return this.#add(varint(field * 8 + VARINT), varint(value));
  }

  float(field: number, value: number): this {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setFloat32(0, value, true);
    return this.#add(varint(field * 8 + FIXED32), bytes);
  }

  text(field: number, value: string): this {
    return this.bytes(field, new TextEncoder().encode(value));
  }

  bytes(field: number, value: Uint8Array): this {
    return this.#add(varint(field * 8 + BYTES), varint(value.byteLength), value);
  }

  message(field: number, value: Message): this {
    return this.#add(varint(field * 8 + BYTES), varint(value.byteLength), ...value.pieces);
  }

  #add(...pieces: Uint8Array[]): this {
    for (const piece of pieces) {
      this.pieces.push(piece);
      this.byteLength += piece.byteLength;
    }
    return this;
  }
}

function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  bytes.push(rest);
  return Uint8Array.from(bytes);
}

/** One field that was read: a number, or bytes (a text or a message). */
export interface Field {
  number: number;
  integer?: number;
  bytes?: Uint8Array;
}

/**
 * The fields of a message, in its order.
 * @throws RenvoxError InvalidWeights for a field that leaves the message, and for deprecated groups
 */
export function readMessage(message: Uint8Array): Field[] {
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  const fields: Field[] = [];
  let at = 0;
  const take = (count: number) => {
    if (count > message.byteLength - at)
      throw invalid(`a field of ${count} bytes at byte ${at} of ${message.byteLength}`);
    at += count;
    return at - count;
  };
  const integer = () => {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = message[take(1)] as number;
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) return value;
    }
    throw invalid(`an integer without an end at byte ${at}`);
  };
  while (at < message.byteLength) {
    const tag = integer();
    const number = Math.floor(tag / 8);
    if (tag % 8 === VARINT) fields.push({ number, integer: integer() });
    else if (tag % 8 === BYTES) {
      const length = integer();
      const from = take(length);
      fields.push({ number, bytes: message.subarray(from, from + length) });
    } else if (tag % 8 === FIXED32) fields.push({ number, bytes: message.subarray(take(4), at) });
    else if (tag % 8 === FIXED64) {
      fields.push({ number, bytes: message.subarray(take(8), at) });
    } else throw invalid(`wire type ${tag % 8} at byte ${at} of ${view.byteLength}`);
  }
  return fields;
}

export function invalid(message: string): RenvoxError {
  return new RenvoxError('InvalidWeights', `Not a sound ONNX file: ${message}`);
}
