import { gradients, ops, type Tensor } from 'renvox';
import t from 'tap';
import {
  channelsFirst,
  channelsLast,
  onEveryDevice,
  onEveryDeviceAndSet,
  ReferenceCount,
  randomArray,
  sameBits,
  torchTensors,
} from './harness.js';

const references = new ReferenceCount(t);

onEveryDeviceAndSet(t, 'leakyRelu', async (t, device) => {
  const slope = 0.2;
  for (const length of [1, 7, 300001]) {
    const values = randomArray(length, length);
    const x = device.tensor(values);
    const y = await ops.leakyRelu(x, slope).data();
    const expected = values.map((v) => (v > 0 ? v : Math.fround(Math.fround(slope) * v)));
    sameBits(t, y, expected, `${length} values`);
  }
});

onEveryDeviceAndSet(t, 'leakyRelu of PyTorch', async (t, device) => {
  const torch = torchTensors('ops');
  const get = (name: string) => {
    const r = torch.get(`leaky_relu/${name}`);
    if (!r) throw new Error(name);
    return channelsLast(r.data as Float32Array, r.shape);
  };
  const input = get('input');
  const x = device.tensor(input.data, { shape: input.shape });
  const dy = get('grad_output');
  const g = device.tensor(dy.data, { shape: dy.shape });
  const { value, gradients: made } = gradients(() => ops.leakyRelu(x, 0.01), [x], g);
  references.compare(
    t,
    channelsFirst(await value.data(), input.shape),
    torch.get('leaky_relu/output')?.data ?? [],
    1e-7,
    'output',
  );
  const dx = channelsFirst(await (made as [Tensor])[0].data(), input.shape);
  references.compare(t, dx, torch.get('leaky_relu/grad_input')?.data ?? [], 1e-7, 'gradient');
});

onEveryDevice(t, 'relu', async (t, device) => {
  const x = device.tensor([-2, -0.5, 0, 0.25, 3]);
  const g = device.tensor([1, 2, 3, 4, 5]);
  const { value, gradients: made } = gradients(() => ops.relu(x), [x], g);
  t.same([...(await value.data())].map(Math.abs), [0, 0, 0, 0.25, 3]);
  const dx = [...(await (made as [Tensor])[0].data())];
  t.same(
    [dx[0], dx[1], dx[3], dx[4]].map((v) => Math.abs(v as number)),
    [0, 0, 4, 5],
    'gradient',
  );
});
