import { crc32, inflateSync } from 'node:zlib';
import t from 'tap';
import { encodePng } from '#lib/pipeline/png.js';
import { random } from '../volume/nifti-file.js';

/** A PNG decoder for 8-bit RGB, written from the specification: enough to check the encoder. */
function decodePng(file: Buffer): {
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

t.test('what goes in comes out', async (t) => {
  const next = random(9);
  const seen = new Set<number>();
  for (const [width, height] of [
    [1, 1],
    [1, 7],
    [13, 1],
    [64, 48],
    [33, 90],
  ] as const) {
    for (const kind of ['noise', 'gradient', 'flat', 'repeated'] as const) {
      const rgb = new Uint8Array(width * height * 3);
      for (let k = 0; k < rgb.length; k++) {
        const [x, y] = [k % (width * 3), Math.floor(k / (width * 3))];
        if (kind === 'noise') rgb[k] = next() * 256;
        else if (kind === 'gradient') rgb[k] = x * 2 + y * 3 + next() * 2;
        else if (kind === 'repeated')
          rgb[k] = y === 0 ? next() * 256 : (rgb[k - width * 3] as number);
        else rgb[k] = 7;
      }
      const file = encodePng(width, height, rgb);
      const decoded = decodePng(file);
      t.same([decoded.width, decoded.height], [width, height], `${width}x${height} ${kind}`);
      t.ok(Buffer.from(decoded.rgb).equals(rgb), `${width}x${height} ${kind}: pixels`);
      t.ok(encodePng(width, height, rgb).equals(file), 'the same bytes every time');
      for (const filter of decoded.filters) seen.add(filter);
    }
  }
  t.ok(seen.size >= 4, `filters ${[...seen]} were used`);
});

t.test('arguments', async (t) => {
  const rgb = new Uint8Array(12);
  for (const side of [0, -1, 1.5, Number.NaN, 65536]) {
    t.throws(() => encodePng(side, 2, rgb), { code: 'InvalidArgument', message: /width/ });
    t.throws(() => encodePng(2, side, rgb), { code: 'InvalidArgument', message: /height/ });
  }
  t.throws(() => encodePng(2, 3, rgb), {
    code: 'ShapeMismatch',
    message: /2x3x3 = 18 bytes .* 12/,
  });
});
