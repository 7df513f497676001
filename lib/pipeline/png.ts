/** PNG encoder for 8-bit RGB pictures (Portable Network Graphics specification, third edition, W3C). */
import { crc32, deflateSync } from 'node:zlib';
import { invalidArgument, RenvoxError } from '../errors.js';

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
const CHANNELS = 3;

/**
 * A PNG file of `rgb`, three bytes a pixel, rows from the top. The same picture gives the same bytes.
 * @throws InvalidArgument for a side that is not an integer of 1 to 65535, ShapeMismatch where `rgb` has another length
 */
export function encodePng(width: number, height: number, rgb: Uint8Array): Buffer {
  for (const [name, side] of Object.entries({ width, height })) {
    if (!Number.isInteger(side) || side < 1 || side > 65535) {
      throw invalidArgument(name, 'an integer of 1 to 65535', side);
    }
  }
  if (rgb.length !== width * height * CHANNELS) {
    throw new RenvoxError(
      'ShapeMismatch',
      `Expected ${width}x${height}x3 = ${width * height * CHANNELS} bytes for parameter rgb but received ${rgb.length}`,
      { width, height, length: rgb.length },
    );
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2, 0, 0, 0], 8);
  const pixels = deflateSync(filterRows(width, height, rgb));
  return Buffer.concat([
    SIGNATURE,
    chunk('IHDR', header),
    chunk('IDAT', pixels),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

function chunk(type: string, data: Buffer): Buffer {
  const result = Buffer.alloc(data.length + 12);
  result.writeUInt32BE(data.length, 0);
  result.write(type, 4, 'latin1');
  data.copy(result, 8);
  result.writeUInt32BE(crc32(result.subarray(4, data.length + 8)), data.length + 8);
  return result;
}

/** Each row under the filter whose bytes, read as signed, have the smallest sum of magnitudes: the specification's hint. */
function filterRows(width: number, height: number, rgb: Uint8Array): Uint8Array {
  const bytes = width * CHANNELS;
  const result = new Uint8Array(height * (bytes + 1));
  const candidates = [0, 1, 2, 3, 4].map(() => new Uint8Array(bytes));
  let above = new Uint8Array(bytes);
  for (let y = 0; y < height; y++) {
    const row = rgb.subarray(y * bytes, (y + 1) * bytes);
    let best = 0;
    let bestSum = Number.POSITIVE_INFINITY;
    for (const [filter, out] of candidates.entries()) {
      const sum = filterRow(filter, row, above, out);
      if (sum < bestSum) [best, bestSum] = [filter, sum];
    }
    result[y * (bytes + 1)] = best;
    result.set(candidates[best] as Uint8Array, y * (bytes + 1) + 1);
    above = row as Uint8Array<ArrayBuffer>;
  }
  return result;
}

function filterRow(filter: number, row: Uint8Array, above: Uint8Array, out: Uint8Array): number {
  let sum = 0;
  for (let x = 0; x < row.length; x++) {
    const left = x < CHANNELS ? 0 : (row[x - CHANNELS] as number);
    const up = above[x] as number;
    const corner = x < CHANNELS ? 0 : (above[x - CHANNELS] as number);
    const value = ((row[x] as number) - predict(filter, left, up, corner)) & 255;
    out[x] = value;
    sum += value < 128 ? value : 256 - value;
  }
  return sum;
}

function predict(filter: number, left: number, up: number, corner: number): number {
  if (filter === 0) return 0;
  if (filter === 1) return left;
  if (filter === 2) return up;
  if (filter === 3) return (left + up) >> 1;
  // Paeth: whichever neighbour is nearest to left + up - corner, ties in this order.
  const toLeft = Math.abs(up - corner);
  const toUp = Math.abs(left - corner);
  const toCorner = Math.abs(left + up - 2 * corner);
  if (toLeft <= toUp && toLeft <= toCorner) return left;
  return toUp <= toCorner ? up : corner;
}
