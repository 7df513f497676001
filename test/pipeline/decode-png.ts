import { crc32, inflateSync } from 'node:zlib';

/** A PNG decoder for 8-bit RGB, written from the specification: enough to check the encoder. */
export function decodePng(file: Buffer): {
  width: number;
  height: number;
  rgb: Uint8Array;
  filters: Set<number>;
} {
  if (file.toString('latin1', 0, 8) !== '\x89PNG\r\n\x1a\n') throw new Error('signature');
  const data: Buffer[] = [];
  let [width, height, at] = [0, 0, 8];
  const types: string[] = [];
  while (at < file.length) {
    const length = file.readUInt32BE(at);
    const type = file.toString('latin1', at + 4, at + 8);
    const body = file.subarray(at + 8, at + 8 + length);
    if (file.readUInt32BE(at + 8 + length) !== crc32(file.subarray(at + 4, at + 8 + length))) {
      throw new Error(`checksum of ${type}`);
    }
    if (type === 'IHDR') {
      [width, height] = [body.readUInt32BE(0), body.readUInt32BE(4)];
      if (body.subarray(8).join() !== '8,2,0,0,0') throw new Error('not 8-bit RGB');
    }
    if (type === 'IDAT') data.push(body);
    types.push(type);
    at += length + 12;
  }
  if (types[0] !== 'IHDR' || types.at(-1) !== 'IEND') throw new Error(types.join());
  const packed = inflateSync(Buffer.concat(data));
  const bytes = width * 3;
  const rgb = new Uint8Array(height * bytes);
  const filters = new Set<number>();
  for (let y = 0; y < height; y++) {
    const filter = packed[y * (bytes + 1)] as number;
    filters.add(filter);
    for (let x = 0; x < bytes; x++) {
      const a = x < 3 ? 0 : (rgb[y * bytes + x - 3] as number);
      const b = y === 0 ? 0 : (rgb[(y - 1) * bytes + x] as number);
      const c = x < 3 || y === 0 ? 0 : (rgb[(y - 1) * bytes + x - 3] as number);
      const p = a + b - c;
      const order = [a, b, c].map((v) => Math.abs(p - v));
      const paeth = [a, b, c][order.indexOf(Math.min(...order))] as number;
      const predicted = [0, a, b, Math.floor((a + b) / 2), paeth][filter] as number;
      rgb[y * bytes + x] = (packed[y * (bytes + 1) + 1 + x] as number) + predicted;
    }
  }
  return { width, height, rgb, filters };
}
