import { ops, scope, type Tensor } from 'renvox';
import { ResNet3D } from 'renvox/nn';
import t from 'tap';
import { insideOf } from '#lib/nn/inside.js';
import { agrees, channelsFirst, onEveryDevice, ReferenceCount, sameBits } from '../ops/harness.js';
import { productsOn } from '../ops/sixteen-bits.js';
import { Fixture } from './fixture.js';
import { agreesFarFromZero } from './precisions.js';

const references = new ReferenceCount(t);
const widths = [8, 16, 32, 64];

onEveryDevice(t, 'resnet10_narrow of PyTorch', async (tap, device) => {
  const fixture = new Fixture('resnet10_narrow');
  for (const geometry of ['dilated', 'strided'] as const) {
    using net = new ResNet3D({ classes: 3, widths, geometry, hidden: 16 }, { device });
    net.load(fixture.weights(device, '', net.shapes.keys()));
    using x = fixture.image(device, 'input');
    const [features, logits] = scope(() => [net.features(x), net.forward(x)] as const);
    const layer4 = fixture.get(`${geometry}/layer4`);
    const own = channelsFirst(await features.data(), features.shape);
    references.compare(tap, own, layer4.data, 1e-5, `${geometry}/layer4`);
    const expected = fixture.get(`${geometry}/logits`).data;
    references.compare(tap, await logits.data(), expected, 1e-5, `${geometry}/logits`);
  }
});

onEveryDevice(t, 'training mode', async (tap, device) => {
  using net = new ResNet3D(
    { classes: 3, widths: [4, 4, 8, 8], hidden: 8, dropout: 0.5 },
    { device },
  );
  using x = ops.randomNormal(device, { shape: [3, 20, 16, 24, 1], seed: 5 });
  const mean = await net.tensor('bn1.running_mean').data();
  const run = async (seed: number) => scope(() => net.forward(x, { training: true, seed })).data();
  const first = await run(1);
  const again = await run(1);
  const other = await run(2);
  sameBits(tap, first, again, 'the same seed drops the same units');
  tap.notSame(first, other, 'another seed drops others');
  tap.notSame(await net.tensor('bn1.running_mean').data(), mean, 'running statistics moved');
});

onEveryDevice(t, 'inference in every precision', async (tap, device) => {
  for (const [geometry, widths] of [
    ['dilated', [8, 16, 16, 24]],
    ['strided', [3, 5, 4, 7]],
  ] as const) {
    using net = new ResNet3D({ classes: 3, widths, geometry, hidden: 8 }, { device });
    using x = ops.randomNormal(device, { shape: [2, 9, 7, 8, 1], seed: 5 });
    using eager = scope(() => net.forward(x));
    const expected = await eager.data();
    // Norms are applied on load, which rounds elsewhere; 8 or 11 digits of 16-bit values.
    for (const [wanted, tolerance] of [
      ['fp32', 2e-6],
      ['fp16', 4e-3],
      ['bf16', 3e-2],
    ] as const) {
      const precision = productsOn(device, wanted);
      // Four voxels apart, taps need large tiles: slow to simulate.
      if (geometry === 'dilated' && precision !== 'fp32' && device.kind !== 'cpu') continue;
      using logits = net.infer(x, { precision });
      agrees(tap, await logits.data(), expected, tolerance, `${geometry} ${precision}`);
    }
  }
});

onEveryDevice(t, 'running means of 300 SDs', async (tap, device) => {
  const MEAN = 300;
  using net = new ResNet3D(
    { inputChannels: 2, classes: 3, widths: [8, 16, 16, 24], geometry: 'strided', hidden: 8 },
    { device },
  );
  const tensors = new Map<string, Tensor>(net.tensors);
  const change = async (name: string, edit: (values: Float32Array) => void) => {
    const values = Float32Array.from(await net.tensor(name).data());
    edit(values);
    tensors.set(name, device.tensor(values, { shape: net.tensor(name).shape }));
  };
  // A channel of ones through a kernel's middle tap alone adds the mean to each output: in the stem one of the image, behind it the one that
  // its norm makes.
  const ofOnes = (name: string, channel: number) =>
    change(name, (values) => {
      const [filters, channels, edge] = net.tensor(name).shape as [number, number, number];
      const taps = edge ** 3;
      for (let filter = 0; filter < filters; filter++) {
        const at = (filter * channels + channel) * taps;
        values.fill(0, at, at + taps);
        values[at + (taps - 1) / 2] = MEAN;
      }
    });
  await ofOnes('conv1.weight', 1);
  await change('bn1.weight', (values) => values.fill(0, 0, 1));
  await change('bn1.bias', (values) => values.fill(1, 0, 1));
  await ofOnes('layer1.0.conv1.weight', 0);
  for (const norm of ['bn1', 'layer1.0.bn1'])
    await change(`${norm}.running_mean`, (values) => values.fill(MEAN));
  net.load(tensors);
  using noise = ops.randomNormal(device, { shape: [2, 9, 7, 8, 1], seed: 5 });
  using ones = device.full([2, 9, 7, 8, 1], 1);
  using x = ops.concatChannels([noise, ones]);
  using eager = scope(() => net.forward(x));
  const expected = await eager.data();
  await agreesFarFromZero(tap, device, (precision) => net.infer(x, { precision }), expected);
});

onEveryDevice(t, 'the inside of a mask', async (tap, device) => {
  const config = { inputChannels: 3, classes: 3, widths: [3, 4, 5, 6], hidden: 8, inside: 6 };
  using net = new ResNet3D({ ...config, geometry: 'strided' }, { device });
  const [n, space] = [2, [9, 7, 8]];
  using noise = ops.randomNormal(device, { shape: [n, ...space, 2], seed: 5 });
  const marked = Float32Array.from({ length: n * 504 }, (_, i) => Number(i % 504 < 130));
  using mask = device.tensor(marked, { shape: [n, ...space, 1] });
  using x = ops.concatChannels([noise, mask]);
  using eager = scope(() => net.forward(x));
  const expected = await eager.data();
  for (const [wanted, tolerance] of [
    ['fp32', 2e-6],
    ['fp16', 4e-3],
    ['bf16', 3e-2],
  ] as const) {
    const precision = productsOn(device, wanted);
    using logits = net.infer(x, { precision });
    agrees(tap, await logits.data(), expected, tolerance, precision);
  }
  // What the branch says, by the definition: units that are steps along one image each, their means over the mask.
  const parameters = ['inside.conv.weight', 'inside.conv.bias', 'inside.blur.weight'];
  const [weight, bias, blur] = (await Promise.all(
    parameters.map((name) => net.tensor(name).data()),
  )) as [Float32Array, Float32Array, Float32Array];
  tap.ok(Math.abs(blur.reduce((a, b) => a + b) - 1) < 1e-6, 'the blur keeps the mean');
  using said = scope(() => insideOf(x, (name) => net.tensor(name), {}));
  tap.same(said.shape, [n, 5 * 7]);
  const values = await said.data();
  const image = await x.data();
  for (let sample = 0; sample < n; sample++)
    for (let unit = 0; unit < 6; unit++) {
      let sum = 0;
      for (let v = 0; v < 130; v++) {
        const [d, h, w] = [Math.floor(v / 56), Math.floor(v / 8) % 7, v % 8] as const;
        let raw = bias[unit] as number;
        for (let tap27 = 0; tap27 < 27; tap27++)
          for (let c = 0; c < 3; c++) {
            const at = [
              d + Math.floor(tap27 / 9) - 1,
              h + (Math.floor(tap27 / 3) % 3) - 1,
              w + (tap27 % 3) - 1,
            ] as const;
            if (at.some((i, axis) => i < 0 || i >= (space[axis] as number))) continue;
            const voxel = sample * 504 + (at[0] * 7 + at[1]) * 8 + at[2];
            raw +=
              (weight[(unit * 3 + c) * 27 + tap27] as number) * (image[voxel * 3 + c] as number);
          }
        sum += Math.max(raw, 0) / 130;
      }
      const found = values[sample * 35 + unit] as number;
      tap.ok(Math.abs(found - sum) < 1e-5, `sample ${sample}, unit ${unit}: ${found} for ${sum}`);
    }
  tap.ok(Math.abs((values[30] as number) - (8 * 130) / 504) < 1e-5, 'the share of the mask');
});

t.test('what does not fit is refused', async (tap) => {
  const make = (config: object) => () => new ResNet3D({ classes: 3, widths, ...config });
  tap.throws(make({ widths: [1, 2, 3] }), { code: 'InvalidArgument', message: /four integers/ });
  tap.throws(make({ classes: 1 }), { code: 'InvalidArgument' });
  tap.throws(make({ dropout: 1 }), { code: 'InvalidArgument' });
  tap.throws(make({ geometry: 'other' }), { code: 'InvalidArgument' });
  tap.throws(make({ inside: -1 }), { code: 'InvalidArgument' });
  tap.throws(make({ inside: 4 }), { code: 'InvalidArgument', message: /an image and a mask/ });
});
