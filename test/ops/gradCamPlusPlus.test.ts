import { ops } from 'renvox';
import t from 'tap';
import { agrees, onEveryDevice, product, randomArray, sameBits } from './harness.js';
import { sameForThreads } from './same-threads.js';

/** The formula as the paper has it, in double. */
function naive(a: Float32Array, g: Float32Array, shape: readonly number[]): Float64Array {
  const [n = 1] = shape;
  const c = shape.at(-1) as number;
  const voxels = a.length / n / c;
  return Float64Array.from({ length: n * c }, (_, at) => {
    const index = (v: number) => (Math.floor(at / c) * voxels + v) * c + (at % c);
    let sum = 0;
    for (let v = 0; v < voxels; v++) sum += a[index(v)] as number;
    let weight = 0;
    for (let v = 0; v < voxels; v++) {
      const d = g[index(v)] as number;
      const below = 2 * d ** 2 + sum * d ** 3;
      if (below !== 0) weight += (d ** 2 / below) * Math.max(d, 0);
    }
    return weight;
  });
}

onEveryDevice(t, 'gradCamPlusPlus against loops', async (tap, device) => {
  for (const [k, shape] of [
    [1, 1, 1, 1, 1],
    [1, 5, 1, 3, 7],
    [2, 3, 4, 5, 33],
    [3, 2, 9, 1, 64],
    [1, 40, 17],
  ].entries()) {
    const size = product(shape);
    // Activations are a ReLU's: at least 0, so that nothing is divided by almost nothing.
    const a = randomArray(size, k).map((v) => Math.max(v, 0));
    const g = randomArray(size, k + 50).map((v) => (Math.abs(v) < 0.1 ? 0 : v));
    const [activations, gradient] = [device.tensor(a, { shape }), device.tensor(g, { shape })];
    const make = () => ops.gradCamPlusPlus(activations, gradient);
    const own = await sameForThreads(tap, make, String(shape));
    agrees(tap, own, naive(a, g, shape), 1e-6, String(shape));
    activations.dispose();
    gradient.dispose();
  }
});

onEveryDevice(t, 'gradCamPlusPlus where the formula has no value', async (tap, device) => {
  // S = -1: at g = 2 the denominator is 0; at g = 1 alpha relu(g) is 1 / (2 - 1).
  const shape = [1, 2, 1];
  using activations = device.tensor(Float32Array.of(-2, 1), { shape });
  using gradient = device.tensor(Float32Array.of(2, 1), { shape });
  using weights = ops.gradCamPlusPlus(activations, gradient);
  sameBits(tap, await weights.data(), Float32Array.of(1), 'left out');
  tap.throws(() => ops.gradCamPlusPlus(activations, device.full([1, 3, 1])), {
    code: 'ShapeMismatch',
  });
  tap.throws(() => ops.gradCamPlusPlus(activations, device.full([1, 2, 1], 0, 'u8')), {
    code: 'DtypeMismatch',
  });
});
