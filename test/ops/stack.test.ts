import { gradients, ops } from 'renvox';
import t from 'tap';
import { onEveryDevice, randomArray } from './harness.js';

onEveryDevice(t, 'stack and sliceBatch, with gradients', async (t, device) => {
  const [a, b] = [randomArray(2 * 12, 1), randomArray(1 * 12, 2)];
  const x = device.tensor(a, { shape: [2, 3, 4] });
  const z = device.tensor(b, { shape: [1, 3, 4] });
  const both = Float32Array.of(...a, ...b);
  const dy = randomArray(36, 3);
  const g = device.tensor(dy, { shape: [3, 3, 4] });
  const { value, gradients: made } = gradients(() => ops.stack([x, z]), [x, z], g);
  t.strictSame(value.shape, [3, 3, 4]);
  t.strictSame(await value.data(), both, 'stack');
  t.strictSame(await made[0]?.data(), dy.slice(0, 24), 'gradient of the first');
  t.strictSame(await made[1]?.data(), dy.slice(24), 'gradient of the second');

  const whole = device.tensor(both, { shape: [3, 3, 4] });
  const part = device.tensor(dy.slice(0, 12), { shape: [1, 3, 4] });
  const cut = gradients(() => ops.sliceBatch(whole, 1, 2), [whole], part);
  t.strictSame(await cut.value.data(), both.slice(12, 24), 'slice');
  const expected = new Float32Array(36);
  expected.set(dy.slice(0, 12), 12);
  t.strictSame(await cut.gradients[0]?.data(), expected, 'gradient of the slice');

  const labels = [Uint8Array.of(1, 2), Uint8Array.of(3, 4)].map((v) =>
    device.tensor(v, { shape: [1, 2] }),
  );
  t.strictSame(await ops.stack(labels).data(), Uint8Array.of(1, 2, 3, 4), 'u8');
});

onEveryDevice(t, 'stack and sliceBatch: bad arguments', async (t, device) => {
  const x = device.full([2, 3], 0);
  t.throws(() => ops.stack([]), { code: 'InvalidArgument' });
  t.throws(() => ops.stack([x, device.full([2, 4], 0)]), { code: 'ShapeMismatch' });
  t.throws(() => ops.stack([x, device.full([2, 3], 0, 'u8')]), { code: 'DtypeMismatch' });
  for (const [from, to] of [
    [-1, 1],
    [0, 0],
    [0, 3],
    [2, 3],
    [0, 1.5],
  ] as const)
    t.throws(() => ops.sliceBatch(x, from, to), { code: 'InvalidArgument' }, `${from}..${to}`);
});
