import { gradients, ops, type TensorData } from 'renvox';
import t from 'tap';
import { onEveryDevice, product, randomArray, sameBits } from './harness.js';

function flipNaive<A extends TensorData>(x: A, shape: readonly number[], axes: readonly string[]) {
  const [n, d, h, w, c = 1] = shape as [number, number, number, number, number?];
  const y = x.slice() as A;
  let at = 0;
  for (let i = 0; i < n; i++)
    for (let a = 0; a < d; a++)
      for (let b = 0; b < h; b++)
        for (let e = 0; e < w; e++)
          for (let k = 0; k < c; k++) {
            const z = axes.includes('d') ? d - 1 - a : a;
            const r = axes.includes('h') ? h - 1 - b : b;
            const s = axes.includes('w') ? w - 1 - e : e;
            y[at++] = x[(((i * d + z) * h + r) * w + s) * c + k] as number;
          }
  return y;
}

onEveryDevice(t, 'flip and its gradient', async (t, device) => {
  const choices = [[], ['d'], ['h'], ['w'], ['d', 'w'], ['d', 'h', 'w']] as const;
  for (const shape of [
    [2, 3, 4, 5, 3],
    [1, 2, 7, 9],
    [1, 4, 1, 6, 1],
  ])
    for (const axes of choices) {
      const values = randomArray(product(shape), 1);
      const x = device.tensor(values, { shape });
      const dy = randomArray(values.length, 2);
      const g = device.tensor(dy, { shape });
      const { value, gradients: made } = gradients(() => ops.flip(x, axes), [x], g);
      t.strictSame(await value.data(), flipNaive(values, shape, axes), `${shape} ${axes}`);
      t.strictSame(await made[0]?.data(), flipNaive(dy, shape, axes), 'gradient');
    }
  const labels = device.tensor(Uint8Array.of(1, 2, 3, 4, 5, 6), { shape: [1, 1, 2, 3] });
  t.strictSame(await ops.flip(labels, ['w']).data(), Uint8Array.of(3, 2, 1, 6, 5, 4), 'u8');
  const stored = device.tensor(Int16Array.of(1, 2, -3), { shape: [1, 3, 1, 1] });
  t.strictSame(await ops.flip(stored, ['d']).data(), Int16Array.of(-3, 2, 1), 'i16');
  t.throws(() => ops.flip(labels, ['x' as 'w']), { code: 'InvalidArgument' });
});

onEveryDevice(t, 'flip: all widths, past one block', async (t, device) => {
  const choices = [['d'], ['w'], ['h', 'w']] as const;
  for (const shape of [
    [2, 3, 5, 7, 64],
    [1, 9, 31, 33, 1],
    [2, 7, 11, 13, 5],
  ])
    for (const Kind of [Uint8Array, Int16Array, Int32Array, Float64Array]) {
      const places = Array.from({ length: product(shape) }, (_, i) => (i * 37) % 251);
      const values = Kind.from(places);
      const x = device.tensor(values, { shape });
      for (const axes of choices)
        sameBits(
          t,
          await ops.flip(x, axes).data(),
          flipNaive(values, shape, axes),
          `${x.dtype} ${shape} ${axes}`,
        );
    }
});
