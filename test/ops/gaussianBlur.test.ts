import { ops } from 'renvox';
import t from 'tap';
import {
  agrees,
  onEveryDevice,
  onEveryDeviceAndSet,
  product,
  ReferenceCount,
  randomArray,
  randomTensor,
  torchTensors,
} from './harness.js';
import { sameForThreads } from './same-threads.js';

const references = new ReferenceCount(t);

// Blur along one axis of [outer, n, inner] in double.
function blurAxis(x: Float64Array, n: number, inner: number, sigma: number, truncate: number) {
  if (sigma === 0) return x;
  const radius = Math.floor(truncate * sigma + 0.5);
  const taps = Array.from({ length: 2 * radius + 1 }, (_, k) =>
    Math.exp(-((k - radius) ** 2) / (2 * sigma * sigma)),
  );
  const sum = taps.reduce((a, b) => a + b, 0);
  return x.map((_, at) => {
    const i = Math.floor(at / inner) % n;
    return taps.reduce((total, tap, k) => {
      const source = Math.min(Math.max(i + k - radius, 0), n - 1);
      return total + (tap / sum) * (x[at + (source - i) * inner] as number);
    }, 0);
  });
}

onEveryDeviceAndSet(t, 'gaussianBlur of SciPy', async (t, device) => {
  const torch = torchTensors('ops');
  const input = torch.get('gaussian_blur/input');
  const output = torch.get('gaussian_blur/output');
  if (!input || !output) throw new Error('gaussian_blur');
  const x = device.tensor(input.data, { shape: [1, ...input.shape, 1] });
  const y = await ops.gaussianBlur(x, [0.8, 1.2, 0]).data();
  references.compare(t, y, output.data, 2e-7, 'output');
});

onEveryDeviceAndSet(t, 'gaussianBlur, naive in double', async (t, device) => {
  const cases = [
    { shape: [2, 5, 6, 7, 3], sigma: [0.5, 1.5, 2.5] },
    { shape: [1, 1, 4, 33], sigma: [3, 0, 0.7] },
    { shape: [1, 3, 2, 300, 1], sigma: [0, 4, 1] },
    { shape: [1, 9, 17, 19], sigma: [0, 0, 0] },
    { shape: [1, 9, 13, 40, 2], sigma: [1.2, 0.9, 6] },
  ] as const;
  for (const [seed, { shape, sigma }] of cases.entries()) {
    const values = randomArray(product(shape), seed);
    const [, d, h, w, c = 1] = shape;
    let expected: Float64Array = Float64Array.from(values);
    expected = blurAxis(expected, d, h * w * c, sigma[0], 3);
    expected = blurAxis(expected, h, w * c, sigma[1], 3);
    expected = blurAxis(expected, w, c, sigma[2], 3);
    const x = device.tensor(values, { shape });
    const y = await ops.gaussianBlur(x, sigma, { truncate: 3 }).data();
    agrees(t, y, expected, 3e-7, `${shape} sigma ${sigma}`);
  }
});

onEveryDevice(t, 'gaussianBlur: threads and arguments', async (t, device) => {
  const x = randomTensor(device, [1, 20, 31, 70, 1], 1);
  await sameForThreads(t, () => ops.gaussianBlur(x, [1, 0.8, 2]), 'blur');
  t.throws(() => ops.gaussianBlur(x, [1, -1, 0]), { code: 'InvalidArgument' });
  t.throws(() => ops.gaussianBlur(device.full([3, 3], 0), [1, 1, 1]), { code: 'ShapeMismatch' });
});
