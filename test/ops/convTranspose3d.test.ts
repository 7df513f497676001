import { type Device, gradients, isRenvoxError, ops, type Tensor, threads } from 'renvox';
import t from 'tap';
import { type Image, normalized, transposed, transposedGradients } from './convolution-naive.js';
import {
  agrees,
  channelsFirst,
  channelsLast,
  onEveryDevice,
  onEveryDeviceAndSet,
  ReferenceCount,
  randomArray,
  sameBits,
  torchCases,
  torchTensors,
} from './harness.js';
import { image, loaded, productsOn, roundedImage, storedAs } from './sixteen-bits.js';

const references = new ReferenceCount(t);
const TOLERANCE = 1e-6;

const upload = (d: Device, i: Image & { data: Float32Array }): Tensor =>
  d.tensor(i.data, { shape: i.shape });

onEveryDeviceAndSet(t, 'convTranspose3d of PyTorch', async (t, device) => {
  const torch = torchTensors('ops');
  for (const { name, op } of torchCases()) {
    if (op !== 'conv_transpose3d') continue;
    const get = (part: string) => {
      const r = torch.get(`${name}/${part}`);
      if (!r) throw new Error(`${name}/${part}`);
      return { shape: r.shape, data: r.data as Float32Array };
    };
    const x = upload(device, channelsLast(get('input').data, get('input').shape));
    const weight = upload(device, get('weight'));
    const bias = upload(device, get('bias'));
    const dy = upload(device, channelsLast(get('grad_output').data, get('grad_output').shape));
    const { value, gradients: made } = gradients(
      () => ops.convTranspose3d(x, weight, { bias }),
      [x, weight, bias],
      dy,
    );
    const [dx, dw, db] = made as [Tensor, Tensor, Tensor];
    const check = (actual: ArrayLike<number>, part: string) =>
      references.compare(t, actual, get(part).data, TOLERANCE, `${name}: ${part}`);
    check(channelsFirst(await value.data(), value.shape), 'output');
    check(channelsFirst(await dx.data(), dx.shape), 'grad_input');
    check(await dw.data(), 'grad_weight');
    check(await db.data(), 'grad_bias');
  }
});

onEveryDeviceAndSet(t, 'convTranspose3d and its gradients', async (t, device) => {
  const before = threads();
  const shapes: [number[], number][] = [
    [[1, 1, 1, 1, 1], 1],
    [[2, 3, 4, 5, 16], 8],
    [[1, 2, 5, 17, 32], 16],
    [[1, 4, 3, 3, 64], 32],
    [[2, 3, 2, 7, 5], 3],
    [[1, 2, 3, 29, 20], 24],
  ];
  for (const [i, [shape, cout]] of shapes.entries()) {
    const cin = shape[4] as number;
    const x = image(shape, i);
    const weight = image([cin, cout, 2, 2, 2], i + 10);
    const bias = randomArray(cout, i + 20);
    const [n, d, h, w] = shape as [number, number, number, number];
    const dy = image([n, 2 * d, 2 * h, 2 * w, cout], i + 30);
    const [tx, tw, tb, tdy] = [
      upload(device, x),
      upload(device, weight),
      device.tensor(bias),
      upload(device, dy),
    ];
    const { dx, dw, db } = transposedGradients(x, weight, dy);
    const truth = [transposed(x, weight, bias), dx, dw, db];
    const what = `${shape.join('x')} to ${cout}`;
    let first: Awaited<ReturnType<Tensor['data']>>[] | undefined;
    try {
      // Threads are the CPU's: elsewhere one repeat says whether the bits are the same.
      for (const count of device.kind === 'cpu' ? [1, 2, 3] : [1, 2]) {
        threads(count);
        const { value, gradients: made } = gradients(
          () => ops.convTranspose3d(tx, tw, { bias: tb }),
          [tx, tw, tb],
          tdy,
        );
        t.strictSame(value.shape, dy.shape, `${what}: shape`);
        const results = await Promise.all([value, ...made].map((r) => r.data()));
        for (const [k, name] of ['y', 'dx', 'dw', 'db'].entries()) {
          const result = results[k] as Float32Array;
          if (first) sameBits(t, result, first[k] as Float32Array, `${what}: ${name}`);
          else agrees(t, result, truth[k] as Float64Array, TOLERANCE, `${what}: ${name}`);
        }
        first ??= results;
      }
    } finally {
      threads(before);
    }

    const [scale, shift] = [image([n, cin], i + 40), image([n, cin], i + 50)];
    const fused = ops.convTranspose3d(tx, tw, {
      ...{ bias: tb, scale: upload(device, scale), shift: upload(device, shift) },
      slope: 0.01,
    });
    const truthFused = transposed(normalized(x, scale.data, shift.data, 0.01), weight, bias);
    agrees(t, await fused.data(), truthFused, TOLERANCE, `${what}: with a scale`);
    for (const wanted of ['fp32', 'bf16', 'fp16'] as const) {
      const precision = productsOn(device, wanted);
      const type = storedAs[precision];
      const norm = { scale: scale.data, shift: shift.data, slope: 0.01 };
      const rounded = roundedImage(dy, type);
      const truthLoaded = transposedGradients(loaded(x, type, norm), weight, rounded).dw;
      const [made] = device.run('convTranspose3dGradWeight', {
        ...{ x: tx, dy: tdy, scale: upload(device, scale), shift: upload(device, shift) },
        ...{ slope: 0.01, precision },
      }) as [Tensor];
      agrees(t, await made.data(), truthLoaded, 2e-6, `${what}: dw of ${precision} with a scale`);
    }
  }
});

onEveryDevice(t, 'convTranspose3d: more channels than 16 bits count', async (t, device) => {
  const channels = 46508;
  const weight = randomArray(8 * channels, 1);
  const x = Float32Array.of(2, -4);
  const y = ops.convTranspose3d(
    device.tensor(x, { shape: [1, 1, 1, 2, 1] }),
    device.tensor(weight, { shape: [1, channels, 2, 2, 2] }),
  );
  const made = await y.data();
  const wrong = made.filter((v, i) => {
    const [row, w] = [Math.floor(i / channels / 4), Math.floor(i / channels) % 4];
    const tap = row * 2 + (w % 2);
    return v !== (x[w >> 1] as number) * (weight[(i % channels) * 8 + tap] as number);
  });
  t.equal(made.length, 16 * channels);
  t.equal(wrong.length, 0, 'every value is x times its weight');
});

onEveryDevice(t, 'convTranspose3d: errors', async (t, device) => {
  const x = device.full([1, 4, 4, 4, 2]);
  const code = (body: () => unknown) => {
    try {
      body();
    } catch (error) {
      if (isRenvoxError(error)) return error.code;
    }
    return 'none';
  };
  t.equal(
    code(() => ops.convTranspose3d(x, device.full([3, 2, 2, 2, 2]))),
    'ShapeMismatch',
  );
  t.equal(
    code(() => ops.convTranspose3d(x, device.full([2, 3, 3, 3, 3]))),
    'ShapeMismatch',
  );
  const weight = device.full([2, 3, 2, 2, 2]);
  t.equal(
    code(() => ops.convTranspose3d(x, weight, { bias: device.full([2]) })),
    'ShapeMismatch',
  );
  t.equal(
    code(() => ops.convTranspose3d(x, weight, { slope: Number.NaN })),
    'InvalidArgument',
  );
});
