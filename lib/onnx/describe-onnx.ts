/** What an ONNX file says of itself. */
import { createHash } from 'node:crypto';
import { readJsonParts, type WeightsDescription } from '../nn/index.js';
import { type Field, invalid, readMessage } from './protobuf.js';

/** Of onnx.proto, TensorProto.DataType. */
const TYPES: Readonly<Record<number, string>> = {
  ...{ 1: 'f32', 2: 'u8', 3: 'i8', 5: 'i16', 6: 'i32', 7: 'i64', 9: 'bool', 10: 'f16', 11: 'f64' },
  16: 'bf16',
};

/**
 * Describes an ONNX file's weights and metadata.
 * @throws RenvoxError InvalidWeights
 */
export function describeOnnx(file: Uint8Array): WeightsDescription {
  const model = readMessage(file);
  const graph = model.find(({ number }) => number === 7)?.bytes;
  if (!graph) throw invalid('it has no graph');
  const texts = Object.fromEntries(
    model
      .filter(({ number }) => number === 14)
      .map(({ bytes }) => {
        const entry = readMessage(bytes ?? new Uint8Array(0));
        return [textOf(entry, 1), textOf(entry, 2)];
      }),
  );
  const tensors = readMessage(graph)
    .filter(({ number }) => number === 5)
    .map(({ bytes }) => tensorOf(readMessage(bytes ?? new Uint8Array(0))));
  const { architecture = null, ...metadata } = readJsonParts(texts);
  return {
    format: 'onnx',
    bytes: file.byteLength,
    sha256: createHash('sha256').update(file).digest('hex'),
    architecture,
    values: tensors.reduce((n, { shape }) => n + shape.reduce((a, b) => a * b, 1), 0),
    tensors,
    metadata,
  };
}

function tensorOf(fields: readonly Field[]): WeightsDescription['tensors'][number] {
  const type = fields.find(({ number }) => number === 2)?.integer ?? 0;
  return {
    name: textOf(fields, 8),
    dtype: TYPES[type] ?? `type ${type}`,
    shape: fields.filter(({ number }) => number === 1).map(({ integer }) => integer ?? 0),
  };
}

function textOf(fields: readonly Field[], wanted: number): string {
  const bytes = fields.find(({ number }) => number === wanted)?.bytes;
  return new TextDecoder().decode(bytes ?? new Uint8Array(0));
}
