/**
 * The protocol buffer wire format, as much of it as an ONNX model needs: variable-length integers and length-delimited fields
 * (protobuf.dev/programming-guides/encoding). A message is a list of chunks that are joined once.
 */

const VARINT = 0;
const DELIMITED = 2;

/** Base 128, least group first, the top bit set where more follow; a negative number as its 64-bit two's complement. */
export function varint(value: number | bigint): Uint8Array {
  let rest = BigInt.asUintN(64, BigInt(value));
  const bytes: number[] = [];
  do {
    const group = Number(rest & 0x7fn);
    rest >>= 7n;
    bytes.push(rest > 0n ? group | 0x80 : group);
  } while (rest > 0n);
  return Uint8Array.from(bytes);
}

/** One message; each method adds a field. */
export class Message {
  readonly #chunks: Uint8Array[] = [];
  #length = 0;

  get length(): number {
    return this.#length;
  }

  integer(field: number, value: number): this {
    return this.#push(varint((field << 3) | VARINT), varint(value));
  }

  /** A repeated integer field, packed as proto3 does. */
  integers(field: number, values: readonly number[]): this {
    const packed = values.map(varint);
    const length = packed.reduce((sum, bytes) => sum + bytes.length, 0);
    return this.#push(varint((field << 3) | DELIMITED), varint(length), ...packed);
  }

  /** Bytes are kept, not copied, until the whole is joined. */
  bytes(field: number, value: Uint8Array): this {
    return this.#push(varint((field << 3) | DELIMITED), varint(value.length), value);
  }

  text(field: number, value: string): this {
    return this.bytes(field, new TextEncoder().encode(value));
  }

  message(field: number, value: Message): this {
    return this.#push(varint((field << 3) | DELIMITED), varint(value.length), ...value.#chunks);
  }

  /** The encoded message. */
  join(): Uint8Array {
    const whole = new Uint8Array(this.#length);
    let at = 0;
    for (const chunk of this.#chunks) {
      whole.set(chunk, at);
      at += chunk.length;
    }
    return whole;
  }

  #push(...chunks: readonly Uint8Array[]): this {
    for (const chunk of chunks) {
      this.#chunks.push(chunk);
      this.#length += chunk.length;
    }
    return this;
  }
}
