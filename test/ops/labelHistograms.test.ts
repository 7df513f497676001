import { ops } from 'renvox';
import t from 'tap';
import { generator, onEveryDevice, product, sameBits } from './harness.js';
import { raggedShapes, randomLabels } from './random-labels.js';
import { sameForThreads } from './same-threads.js';

type Triple = readonly [number, number, number];

interface Options {
  labels: number;
  low: number;
  bins: number;
  interior: boolean;
  minus?: ArrayLike<number> | undefined;
}

function naive(
  map: ArrayLike<number>,
  image: ArrayLike<number>,
  [D, H, W]: Triple,
  { labels, low, bins, interior, minus }: Options,
): Int32Array {
  const counts = new Int32Array(labels * bins);
  const at = (d: number, h: number, w: number) =>
    d < 0 || h < 0 || w < 0 || d >= D || h >= H || w >= W
      ? 0
      : (map[(d * H + h) * W + w] as number);
  for (let d = 0, v = 0; d < D; d++)
    for (let h = 0; h < H; h++)
      for (let w = 0; w < W; w++, v++) {
        const label = map[v] as number;
        if (label < 1 || label > labels) continue;
        const six = [at(d - 1, h, w), at(d + 1, h, w), at(d, h - 1, w), at(d, h + 1, w)];
        six.push(at(d, h, w - 1), at(d, h, w + 1));
        if (interior && six.some((n) => n !== label)) continue;
        const value = Math.fround((image[v] as number) - (minus ? (minus[v] as number) : 0));
        if (Number.isNaN(value)) continue;
        const bin = Math.floor(value + 0.5) - low;
        const index = (label - 1) * bins + Math.min(Math.max(bin, 0), bins - 1);
        counts[index] = (counts[index] as number) + 1;
      }
  return counts;
}

const arrays = { u8: Uint8Array, i16: Int16Array, i32: Int32Array, f32: Float32Array };
type Type = keyof typeof arrays;

onEveryDevice(t, 'labelHistograms against loops', async (tap, device) => {
  const images: [Type, Type | undefined][] = [
    ['i16', undefined],
    ['f32', 'i16'],
    ['i16', 'f32'],
    ['u8', 'i32'],
    ['i32', 'u8'],
  ];
  for (const [k, shape] of raggedShapes.slice(1).entries()) {
    const [type, other] = images[k] as [Type, Type | undefined];
    const next = generator(k);
    const values = (of: Type) => {
      // Quarters in floats: exact, with halves among them.
      const draw = () => (of === 'f32' ? Math.floor(next() * 400) / 4 : Math.floor(next() * 100));
      const array = new arrays[of](product(shape));
      for (let v = 0; v < array.length; v++) array[v] = of === 'u8' ? draw() : draw() - 50;
      return array;
    };
    const image = values(type);
    if (image instanceof Float32Array) image[3] = Number.NaN;
    const minus = other && values(other);
    const types = ['u8', 'i16', 'i32'] as const;
    const dtype = types[k % 3] as 'u8' | 'i16' | 'i32';
    const map = new arrays[dtype](randomLabels(shape, k, { labels: 5, density: 0.8, grain: 4 }));
    using labels = device.tensor(map, { shape, dtype });
    using x = device.tensor(image, { shape: [1, ...shape, 1], dtype: type });
    const y = minus && device.tensor(minus, { shape, dtype: other as Type });
    for (const interior of [false, true]) {
      // Ends that take what lies beyond them.
      const options = { labels: 3, low: -30, bins: 61, interior };
      const make = () => ops.labelHistograms(labels, x, { ...options, minus: y });
      const own = await sameForThreads(tap, make, `${shape}, interior ${interior}`);
      const expected = naive(map, image, shape, { ...options, minus });
      sameBits(tap, own, expected, `${shape} ${type} minus ${other}, interior ${interior}`);
    }
    y?.dispose();
  }
});

onEveryDevice(t, 'labelHistograms refuses what does not fit', async (tap, device) => {
  using map = device.full([2, 3, 4], 1, 'u8');
  using image = device.full([2, 3, 4], 1);
  using other = device.full([2, 3, 5], 1);
  const refused = (code: string, body: () => unknown) => tap.throws(body, { code });
  refused('ShapeMismatch', () => ops.labelHistograms(map, other, { labels: 1 }));
  refused('ShapeMismatch', () => ops.labelHistograms(map, image, { labels: 1, minus: other }));
  refused('DtypeMismatch', () => ops.labelHistograms(image, image, { labels: 1 }));
  refused('InvalidArgument', () => ops.labelHistograms(map, image, { labels: 256 }));
  refused('InvalidArgument', () => ops.labelHistograms(map, image, { labels: 1, bins: 1 }));
  refused('InvalidArgument', () => ops.labelHistograms(map, image, { labels: 1, low: 0.5 }));
});
