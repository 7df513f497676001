import t from 'tap';
import { encodePng } from '#lib/pipeline/png.js';
import { random } from '../volume/nifti-file.js';
import { decodePng } from './decode-png.js';

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
