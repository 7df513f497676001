import { type Device, gradients, isRenvoxError, ops, scope, type Tensor } from 'renvox';
import { UNet3D } from 'renvox/nn';
import t, { type Test } from 'tap';
import { native } from '#lib/native.js';
import {
  convolutionBeforeNorm,
  type Raw,
  rawConvolution,
  rawHead,
  rawPool,
  rawUp,
} from '#lib/nn/raw.js';
import {
  agrees,
  channelsFirst,
  onEveryDevice,
  ReferenceCount,
  sameBits,
  simulated,
} from '../ops/harness.js';
import { type Precision, productsOn } from '../ops/sixteen-bits.js';
import { Fixture } from './fixture.js';
import { agreesFarFromZero } from './precisions.js';

const references = new ReferenceCount(t);
const config = { inputChannels: 1, classes: 3, channels: [4, 8, 16] };

/** Under an instance norm a convolution's bias has a true gradient of 0; what is left is rounding, which Adam would blow up. */
const undone = (name: string) => name.endsWith('.conv.bias');

onEveryDevice(t, 'unet_small of PyTorch', async (tap, device) => {
  const fixture = new Fixture('unet_small');
  const net = new UNet3D(config, { device });
  const names = [...net.parameters.keys()];
  net.load(fixture.weights(device, 'before/', net.shapes.keys()));
  const x = fixture.image(device, 'input');
  const { data, shape } = fixture.get('target');
  const target = device.tensor(Int32Array.from(data), { shape });
  const losses = [1.8559576935697821, 1.837442266422392, 1.822413500464919, 1.8096788928195995];
  losses.push(1.798196786333217);

  const zeros = () => names.map((name) => device.full(net.tensor(name).shape));
  const [first, second] = [zeros(), zeros()];
  for (const [step, expected] of losses.entries()) {
    const parameters = names.map((name) => net.tensor(name));
    const { value, gradients: made } = gradients(() => {
      const logits = net.forward(x, { training: true });
      const loss = ops.add(ops.crossEntropy(logits, target), ops.softDice(logits, target));
      return { loss, logits };
    }, parameters);
    const loss = await value.loss.item();
    tap.ok(Math.abs(loss - expected) <= 1e-5, `loss ${step}: ${loss} for ${expected}`);
    if (step === 0) {
      const { data: logits, shape: torchShape } = fixture.get('logits');
      tap.same(value.logits.shape, [2, 16, 16, 16, 3]);
      tap.same(torchShape, [2, 3, 16, 16, 16]);
      const own = channelsFirst(await value.logits.data(), value.logits.shape);
      references.compare(tap, own, logits, 1e-5, 'logits');
      for (const [i, name] of names.entries()) {
        const own = await (made[i] as Tensor).data();
        if (undone(name)) {
          const most = Math.max(...Array.from(own, Math.abs));
          tap.ok(most <= 1e-6, `grad/${name}: |gradient| ${most.toExponential(1)} of at most 1e-6`);
        } else references.compare(tap, own, fixture.get(`grad/${name}`).data, 1e-4, `grad/${name}`);
      }
    }
    ops.adam(parameters, made, first, second, { lr: 1e-3, step: step + 1 });
  }
  for (const name of names.filter((n) => !undone(n))) {
    const own = await net.tensor(name).data();
    references.compare(tap, own, fixture.get(`after/${name}`).data, 1e-4, `after/${name}`);
  }
  net.dispose();
});

onEveryDevice(t, 'the plan for inference equals the operations one by one', async (tap, device) => {
  const cases = [
    { inputChannels: 1, classes: 2, channels: [8, 16, 32], size: [16, 24, 20] },
    {
      ...{ inputChannels: 2, classes: 3, channels: [5, 7], size: [6, 10, 4], slope: 0.1 },
      convolutions: { encoder: 1, decoder: 3 },
    },
    {
      ...{ inputChannels: 3, classes: 2, channels: [4, 4, 6, 9], size: [8, 16, 24] },
      ...{ convolutions: { encoder: 3, decoder: 1 }, convolutionBias: false },
    },
  ];
  for (const norm of ['instance', 'batch'] as const) {
    for (const [k, { size, ...rest }] of cases.entries()) {
      using net = new UNet3D({ ...rest, norm }, { device, seed: k });
      const named = [...net.tensors].filter(([name]) => /norm|bias|running/.test(name));
      // A fresh network's norms are the identity; give them something to do, with scales of both signs.
      net.load(
        new Map([
          ...net.tensors,
          ...named.map(([name, tensor], i): [string, Tensor] => {
            const base = /weight|var/.test(name) ? 1 : 0;
            const { shape } = tensor;
            const low = name.endsWith('norm.weight') ? -1.4 : base - 0.4;
            const draw = { shape, seed: 7 * k + 1, stream: i, low, high: base + 0.4 };
            return [name, ops.randomUniform(device, draw)];
          }),
        ]),
      );
      const shape = [k === 0 ? 1 : 2, ...size, rest.inputChannels];
      using x = ops.randomNormal(device, { shape, seed: 99 + k });
      using plan = net.infer(x, { precision: 'fp32' });
      // With instance norms `forward` runs the plan too.
      using eager = scope(() => (norm === 'batch' ? net.forward(x) : byOperations(net, x, 'fp32')));
      tap.same(plan.shape, eager.shape);
      agrees(tap, await plan.data(), await eager.data(), 2e-5, `${norm} ${k}`);
      if (k !== 1) continue;
      // 16-bit values have 8 or 11 digits.
      for (const [wanted, tolerance] of [
        ['fp16', 4e-3],
        ['bf16', 3e-2],
      ] as const) {
        const precision = productsOn(device, wanted);
        using rounded = net.infer(x, { precision });
        agrees(tap, await rounded.data(), await eager.data(), tolerance, `${norm} ${precision}`);
      }
    }
  }
});

/** A network of two levels with one convolution each, the up-sampled tensor stored. */
function upApart(net: UNet3D, x: Tensor, precision: Precision): Tensor {
  const products = { precision };
  const { slope, norm: kind } = net.config;
  const layer = (name: string) => ({
    ...{ weight: net.tensor(`${name}.weight`), bias: net.tensors.get(`${name}.bias`) },
    ...{ slope, products },
  });
  const block = (name: string, from: Raw, second?: Raw): Raw => {
    const { weight, bias } = layer(`${name}.conv`);
    const of = (what: string) => net.tensor(`${name}.norm.${what}`);
    const norm = { gamma: of('weight'), beta: of('bias'), eps: 1e-5 };
    if (kind === 'instance') return rawConvolution(from, { weight, slope, products, second, norm });
    const options = {
      ...{ ...products, bias, padding: 1, slope, scale: from.scale, shift: from.shift },
      ...{ second: second?.tensor, secondScale: second?.scale, secondShift: second?.shift },
    };
    const fixed = { runningMean: of('running_mean'), runningVar: of('running_var') };
    return convolutionBeforeNorm(from.tensor, weight, options, { ...norm, ...fixed });
  };
  const skip = block('encoder.0.0', { tensor: x });
  const below = block('encoder.1.0', { tensor: rawPool(skip, slope) });
  const up = rawUp(below, layer('up.0'));
  return rawHead(block('decoder.0.0', { tensor: up }, skip), layer('head'));
}

onEveryDevice(t, 'inference with the up-sampling in a convolution', async (tap, device) => {
  for (const norm of ['instance', 'batch'] as const) {
    const shape = [2, 6, 10, 4, 2];
    using net = new UNet3D(
      {
        ...{ inputChannels: 2, classes: 3, channels: [8, 16], norm, slope: 0.1 },
        convolutions: { encoder: 1, decoder: 1 },
      },
      { device, seed: 4 },
    );
    // Norms and biases of a fresh network do nothing.
    net.load(
      new Map(
        [...net.tensors].map(([name, tensor], stream): [string, Tensor] => {
          if (!/norm|bias|running/.test(name)) return [name, tensor];
          const draw = { shape: tensor.shape, seed: 2, stream, low: 0.5, high: 1.5 };
          return [name, ops.randomUniform(device, draw)];
        }),
      ),
    );
    using x = ops.randomNormal(device, { shape, seed: 3 });
    for (const wanted of ['fp32', 'fp16', 'bf16'] as const) {
      const precision = productsOn(device, wanted);
      const { simulator } = native();
      await device.drain();
      if (simulated(device)) simulator?.count(1);
      using logits = net.infer(x, { precision });
      await device.drain();
      const launches = simulator?.counted().map(({ name }) => name) ?? [];
      simulator?.count(0);
      const before = scope(() => upApart(net, x, precision));
      sameBits(tap, await logits.data(), await before.data(), `${norm} ${precision}`);
      if (simulated(device) && precision !== 'fp32')
        tap.notOk(launches.includes('convTranspose3d'), 'nothing up-sampled is stored');
    }
  }
});

onEveryDevice(t, 'biases and running means of 300 SDs', async (tap, device) => {
  for (const norm of ['batch', 'instance'] as const) await farFromZero(tap, device, norm);
});

async function farFromZero(tap: Test, device: Device, norm: 'batch' | 'instance') {
  const MEAN = 300;
  using net = new UNet3D(
    { inputChannels: 2, classes: 3, channels: [5, 7], norm, slope: 0.1 },
    { device, seed: 1 },
  );
  using x = ops.randomNormal(device, { shape: [2, 6, 10, 4, 2], seed: 3 });
  using plain = scope(() => net.forward(x));
  const expected = await plain.data();
  // What a bias adds, its norm takes away.
  net.load(
    new Map(
      [...net.tensors].map(([name, tensor]): [string, Tensor] => [
        name,
        /conv\.bias|running_mean/.test(name) ? device.full(tensor.shape, MEAN) : tensor,
      ]),
    ),
  );
  await agreesFarFromZero(tap, device, (precision) => net.infer(x, { precision }), expected, norm);
}

/** The network by public operations, an activation stored after every layer. */
function byOperations(net: UNet3D, x: Tensor, precision: 'fp32' | 'fp16' | 'bf16'): Tensor {
  const { channels, convolutions, slope } = net.config;
  const type = { precision, out: 'f32' as const };
  const layer = (name: string, from: Tensor, second?: Tensor) => {
    const bias = net.tensors.get(`${name}.conv.bias`);
    const weight = net.tensor(`${name}.conv.weight`);
    const raw = ops.conv3d(from, weight, { bias, padding: 1, second, ...type });
    const [gamma, beta] = [net.tensor(`${name}.norm.weight`), net.tensor(`${name}.norm.bias`)];
    return ops.instanceNorm(raw, gamma, beta, { slope });
  };
  const skips: Tensor[] = [];
  let y = x;
  channels.forEach((_, level) => {
    if (level > 0) y = ops.maxPool3d(y);
    for (let i = 0; i < convolutions.encoder; i++) y = layer(`encoder.${level}.${i}`, y);
    skips.push(y);
  });
  for (let k = 0; k < channels.length - 1; k++) {
    y = ops.convTranspose3d(y, net.tensor(`up.${k}.weight`), {
      bias: net.tensor(`up.${k}.bias`),
      ...type,
    });
    for (let i = 0; i < convolutions.decoder; i++)
      y = layer(`decoder.${k}.${i}`, y, i === 0 ? skips[channels.length - 2 - k] : undefined);
  }
  return ops.conv3d(y, net.tensor('head.weight'), { bias: net.tensor('head.bias'), ...type });
}

onEveryDevice(t, 'training by raw tensors equals training by operations', async (tap, device) => {
  const cases = [
    { inputChannels: 1, classes: 2, channels: [3, 5, 6], size: [8, 4, 12], slope: 0.2 },
    {
      ...{ inputChannels: 2, classes: 3, channels: [8, 16], size: [2, 6, 4] },
      ...{ convolutions: { encoder: 1, decoder: 3 }, convolutionBias: false },
    },
  ];
  for (const [k, { size, ...config }] of cases.entries()) {
    using net = new UNet3D(config, { device, seed: k });
    // Scales of both signs and shifts, so that the activation and the pool have something to choose.
    for (const [name, tensor] of net.parameters)
      if (name.includes('norm'))
        net.load(
          new Map([
            ...net.tensors,
            [name, ops.randomUniform(device, { shape: tensor.shape, seed: 5, low: -1, high: 1 })],
          ]),
        );
    const shape = [2, ...size, config.inputChannels];
    using x = ops.randomNormal(device, { shape, seed: 7 + k });
    const names = [...net.parameters.keys()].filter((name) => !undone(name));
    const parameters = [...names.map((name) => net.tensor(name)), x];
    // By operations what is stored is f32, so 16-bit products differ by the rounding of what is stored: half units of 2^-11 and 2^-8. In the
    // gradients that turns signs and maxima over, of which networks this small have few (fp16: most differ by 1e-3, one turned by 5e-2).
    for (const [wanted, close, tolerance] of [
      ['fp32', 3e-5, 3e-5],
      ['fp16', 3e-3, 0.12],
      ['bf16', 2e-2, 0.3],
    ] as const) {
      const precision = productsOn(device, wanted);
      const seed = ops.randomNormal(device, {
        shape: [...shape.slice(0, 4), config.classes],
        seed: 3,
      });
      const [raw, eager] = [
        gradients(() => net.forward(x, { training: true, precision }), parameters, seed),
        gradients(() => byOperations(net, x, precision), parameters, seed),
      ];
      const what = `${precision} ${k}`;
      agrees(tap, await raw.value.data(), await eager.value.data(), close, `${what}: logits`);
      for (const [i, name] of [...names, 'x'].entries()) {
        const [own, other] = [raw.gradients[i], eager.gradients[i]] as [Tensor, Tensor];
        agrees(tap, await own.data(), await other.data(), tolerance, `${what}: ${name}`);
      }
    }
  }
});

onEveryDevice(t, 'training with batch norms in every precision', async (tap, device) => {
  const config = { inputChannels: 2, classes: 3, channels: [8, 16], norm: 'batch' } as const;
  using net = new UNet3D(config, { device, seed: 2 });
  const shape = [2, 4, 6, 8];
  using x = ops.randomNormal(device, { shape: [...shape, 2], seed: 7 });
  using seed = ops.randomNormal(device, { shape: [...shape, 3], seed: 3 });
  const names = [...net.parameters.keys()].filter((name) => !undone(name));
  const parameters = [...names.map((name) => net.tensor(name)), x];
  const step = (precision: Precision) =>
    gradients(() => net.forward(x, { training: true, precision }), parameters, seed);
  const exact = step('fp32');
  // Operands are rounded, what is stored is not; the norms are by the batch's own statistics, whatever the running ones have become.
  for (const [wanted, close, tolerance] of [
    ['fp16', 4e-3, 0.12],
    ['bf16', 3e-2, 0.3],
  ] as const) {
    const precision = productsOn(device, wanted);
    const rounded = step(precision);
    tap.equal(rounded.value.dtype, 'f32');
    agrees(tap, await rounded.value.data(), await exact.value.data(), close, precision);
    for (const [i, name] of [...names, 'x'].entries()) {
      const [own, other] = [rounded.gradients[i], exact.gradients[i]] as [Tensor, Tensor];
      agrees(tap, await own.data(), await other.data(), tolerance, `${precision}: ${name}`);
    }
  }
});

/** The most that `body` has in use at once, in tensors of `finest` bytes. */
async function peak(device: Device, finest: number, body: () => Tensor): Promise<number> {
  await device.drain();
  device.resetPeak();
  const { live } = device.memory;
  await scope(async () => {
    await body().data();
  });
  return (device.memory.peak - live) / finest;
}

onEveryDevice(t, 'training keeps one tensor a convolution', async (tap, device) => {
  using net = new UNet3D({ inputChannels: 1, classes: 2, channels: [8, 16, 32] }, { device });
  const edge = 16;
  using x = device.full([2, edge, edge, edge, 1], 0.5);
  const parameters = [...net.parameters.values()];
  const training = (forward: () => Tensor) =>
    peak(device, 2 * edge ** 3 * 8 * 4, () => {
      const { value, gradients: made } = gradients(() => ops.sum(forward()), parameters);
      for (const gradient of made) gradient.dispose();
      return value;
    });
  await training(() => net.forward(x));
  const raw = await training(() => net.forward(x, { training: true }));
  const eager = await training(() => byOperations(net, x, 'fp32'));
  // Both vary by a tensor or two with when the queue frees what JavaScript let go.
  tap.ok(raw < 0.9 * eager, `${raw} tensors of the finest level against ${eager}`);
});

onEveryDevice(t, 'the plan needs less memory', async (tap, device) => {
  using net = new UNet3D({ inputChannels: 1, classes: 2, channels: [8, 16, 32] }, { device });
  // On a GPU in its 16-bit precision, whose kernels are slow to simulate.
  const edge = device.kind === 'cpu' ? 32 : 16;
  using x = device.full([1, edge, edge, edge, 1], 0.5);
  const finest = edge ** 3 * 8 * 4;
  // The scope ends when the logits are there: the eager form holds all activations until then.
  const eager = await peak(device, finest, () => byOperations(net, x, 'fp32'));
  // A GPU packs the weights once and keeps them.
  await peak(device, finest, () => net.infer(x));
  const plan = await peak(device, finest, () => net.infer(x));
  tap.ok(plan < 0.4 * eager, `${plan} tensors of the finest level against ${eager}`);
  // A chip with smaller tiles splits sums over more blocks, whose parts count at this size.
  const most = device.kind === 'cpu' || device.info.capability >= 80 ? 3.2 : 6;
  tap.ok(plan < most, `no more than three, and what the convolutions need beside: ${plan}`);
});

onEveryDevice(t, 'what does not fit is refused', async (tap, device) => {
  using net = new UNet3D(config, { device });
  const refused = (body: () => unknown, code: string, message: RegExp) =>
    tap.throws(body, { code, message });
  refused(() => net.forward(device.full([1, 16, 16, 18, 1])), 'ShapeMismatch', /multiples of 4/);
  refused(() => net.infer(device.full([1, 16, 16, 16, 2])), 'ShapeMismatch', /\[N, D, H, W, 1\]/);
  refused(() => new UNet3D({ ...config, channels: [4] }), 'InvalidArgument', /channels/);
  refused(() => new UNet3D({ ...config, classes: 1 }), 'InvalidArgument', /classes/);
  refused(() => net.tensor('nonsense'), 'InvalidWeights', /nonsense/);
  const some = new Map([
    ['head.bias', device.full([4])],
    ['extra', device.full([1])],
  ]);
  try {
    net.load(some);
    tap.fail('loaded');
  } catch (error) {
    tap.ok(isRenvoxError(error, 'InvalidWeights'));
    const { faults } = (error as { details: { faults: string[] } }).details;
    tap.equal(faults.length, net.shapes.size + 1, 'every fault is listed');
    tap.match(faults.join(), /head.bias has shape \[4\], expected \[3\].*extra is not part/);
  }
});

onEveryDevice(t, 'dispose frees all', async (tap, device) => {
  await device.drain();
  const { live } = device.memory;
  const net = new UNet3D({ inputChannels: 1, classes: 3, channels: [4, 8] }, { device });
  using x = device.full([1, 4, 4, 4, 1]);
  // Packed weights too go with their tensors.
  const y = net.infer(x, { precision: productsOn(device, 'bf16') });
  await y.data();
  y.dispose();
  x.dispose();
  net.dispose();
  await device.drain();
  tap.equal(device.memory.live, live);
  tap.throws(() => net.tensor('head.weight'), { code: 'DisposedError' });
});

onEveryDevice(t, 'a scope frees a network whole or not at all', async (tap, device) => {
  await device.drain();
  const { live } = device.memory;
  const made = scope(() => {
    new UNet3D(config, { device });
    return new UNet3D(config, { device });
  });
  tap.equal((await made.tensor('head.bias').data()).length, 3, 'what is returned lives');
  made.dispose();
  await device.drain();
  tap.equal(device.memory.live, live, 'the other one was freed');
});
