import { gradients, ops, type Tensor } from 'renvox';
import t from 'tap';
import { generator, onEveryDevice, product, randomArray, sameBits } from './harness.js';

onEveryDevice(t, 'maskOutside and its gradient', async (t, device) => {
  for (const shape of [
    [2, 3, 4, 5, 3],
    [1, 5, 60, 250],
    [1, 2, 2, 7, 1],
    [1, 4, 9, 17, 5],
    [3, 3, 5, 7, 8],
  ]) {
    const c = shape[4] ?? 1;
    const next = generator(c);
    const values = randomArray(product(shape), 1);
    const dy = randomArray(product(shape), 2);
    const mask = Uint8Array.from({ length: values.length / c }, () => Math.floor(next() * 3));
    const at = (i: number) => mask[Math.floor(i / c)] as number;
    const x = device.tensor(values, { shape });
    const m = device.tensor(mask, { shape: shape.slice(0, 4) });
    const { value, gradients: made } = gradients(
      () => ops.maskOutside(x, m, -2),
      [x],
      device.tensor(dy, { shape }),
    );
    sameBits(
      t,
      await value.data(),
      values.map((v, i) => (at(i) ? v : -2)),
      `${shape}`,
    );
    sameBits(
      t,
      await (made as [Tensor])[0].data(),
      dy.map((v, i) => (at(i) ? v : 0)),
      'gradient',
    );
    t.throws(() => ops.maskOutside(x, ops.reshape(m, [mask.length])), { code: 'ShapeMismatch' });
    t.throws(() => ops.maskOutside(x, x), { code: 'DtypeMismatch' });
  }
});

onEveryDevice(t, 'maskEquals', async (t, device) => {
  const next = generator(9);
  for (const Kind of [Uint8Array, Int16Array, Int32Array]) {
    const labels = Kind.from(Array.from({ length: 70_001 }, () => Math.floor(next() * 6)));
    const x = device.tensor(labels);
    const expected = (list: number[]) => Uint8Array.from(labels, (v) => (list.includes(v) ? 1 : 0));
    sameBits(t, await ops.maskEquals(x, 2).data(), expected([2]), `${Kind.name}, one`);
    sameBits(
      t,
      await ops.maskEquals(x, [1, 5, 2 ** 40, -1]).data(),
      expected([1, 5]),
      `${Kind.name}, some that the type cannot hold`,
    );
    const many = Array.from({ length: 75 }, (_, i) => (i === 10 ? 1 : i === 70 ? 4 : 100 + i));
    sameBits(t, await ops.maskEquals(x, many).data(), expected([1, 4]), 'a long list');
    sameBits(t, await ops.maskEquals(x, []).data(), expected([]), 'none');
  }
  const x = device.full([3], 1, 'u8');
  t.throws(() => ops.maskEquals(x, 1.5), { code: 'InvalidArgument' });
  t.throws(() => ops.maskEquals(device.full([3], 1), 1), { code: 'DtypeMismatch' });
});
