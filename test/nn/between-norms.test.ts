// Training steps whose gradients form dy on load and sum for the norm below (lib/nn/raw.ts, lib/nn/gradient-plan.ts) against the same steps with
// every dy stored and every sum made by a pass of its own.
import { type Device, gradients, ops, type Tensor } from 'renvox';
import { UNet3D, type UNet3DConfig } from 'renvox/nn';
import t from 'tap';
import { formsOnLoad } from '#lib/nn/gradient-plan.js';
import { agrees, onEveryDevice, sameBits } from '../ops/harness.js';
import { productsOn } from '../ops/sixteen-bits.js';

type Run = Device['run'];
type Fields = Parameters<Run>[1];

/** Runs `body`; with `apart` operations of one tensor each take the place of the fused forms. Counts what was fused. */
async function watched<T>(device: Device, apart: boolean, body: () => Promise<T>) {
  const counts = { formed: 0, summed: 0, passes: 0 };
  const run: Run = device.run.bind(device);
  const changed = (name: string, fields: Fields): (Tensor | null)[] => {
    const f = fields as Record<string, unknown>;
    if (name === 'instanceNormGrad' && !f.sums) counts.passes++;
    if (f.dyRaw) counts.formed++;
    if (f.below) counts.summed++;
    if (!apart) return run(name, fields);
    if (name === 'instanceNormGrad') {
      const [dx, dgamma, dbeta] = run(name, { ...fields, onLoad: false, sums: undefined });
      return f.onLoad
        ? ([null, dgamma, dbeta, dx] as Tensor[])
        : ([dx, dgamma, dbeta, null] as Tensor[]);
    }
    // What was handed on as coefficients is dy itself.
    const dy = (f.dyRaw ? f.dyCoefficients : f.dy) as Tensor;
    const plain = { ...fields, dy, dyRaw: undefined, dyCoefficients: undefined, below: undefined };
    if (name === 'conv3dGradInput') {
      const [dx] = run(name, plain);
      return [dx as Tensor, f.below ? device.full([1]) : null];
    }
    return name === 'conv3dGradWeight' ? run(name, plain) : run(name, fields);
  };
  Object.defineProperty(device, 'run', { value: changed, configurable: true });
  try {
    return { counts, result: await body() };
  } finally {
    delete (device as { run?: Run }).run;
  }
}

const cases: (UNet3DConfig & { size: number[]; samples: number })[] = [
  { ...{ inputChannels: 1, classes: 3, channels: [16, 24] }, size: [6, 10, 8], samples: 2 },
  {
    ...{ inputChannels: 2, classes: 2, channels: [8, 16, 24], size: [4, 8, 12], samples: 1 },
    ...{ deepSupervision: 1, convolutions: { encoder: 1, decoder: 2 }, slope: 0.2 },
    convolutionBias: false,
  },
  // Channels that the kernels do not take: all by passes.
  { ...{ inputChannels: 1, classes: 2, channels: [5, 12] }, size: [4, 6, 4], samples: 1 },
];

/** Outputs that one convolution alone reads, of each case: of the first of two convolutions, and of the last one by the head. */
const summed = [4, 3, 4];

onEveryDevice(t, 'gradients between norms, in a U-Net', async (t, device) => {
  for (const [k, { size, samples, ...config }] of cases.entries())
    for (const wanted of ['fp16', 'bf16', 'fp32'] as const) {
      const precision = productsOn(device, wanted);
      using net = new UNet3D(config, { device, seed: k });
      net.load(
        new Map(
          [...net.tensors].map(([name, tensor], i) => [
            name,
            name.includes('norm')
              ? ops.randomUniform(device, {
                  shape: tensor.shape,
                  seed: 5,
                  stream: i,
                  low: -1,
                  high: 1,
                })
              : tensor,
          ]),
        ),
      );
      using x = ops.randomNormal(device, {
        shape: [samples, ...size, config.inputChannels],
        seed: k,
      });
      const names = [...net.parameters.keys()];
      const parameters = [...names.map((name) => net.tensor(name)), x];
      const step = async () => {
        const made = gradients(() => {
          const losses = net.forwardDeep(x, { training: true, precision }).map((y, i) => {
            const weight = ops.randomNormal(device, { shape: y.shape, seed: 9, stream: i });
            return ops.sum(ops.multiply(y, weight));
          });
          return losses.reduce((a, b) => ops.add(a, b));
        }, parameters).gradients;
        return Promise.all(made.map((tensor) => tensor.data()));
      };
      const fused = await watched(device, false, step);
      const again = await watched(device, false, step);
      const apart = await watched(device, true, step);
      const what = `${precision} ${k}`;
      const convolutions = names.filter((name) => name.endsWith('conv.weight')).length;
      if (precision === 'fp32' || device.kind === 'cpu' || k === 2)
        t.equal(fused.counts.formed, 0, `${what}: dy is stored`);
      else t.ok(fused.counts.formed > convolutions, `${what}: dy is formed on load`);
      if (precision === 'fp32' || device.kind === 'cpu')
        t.same([fused.counts.summed, fused.counts.passes], [0, convolutions], `${what}: passes`);
      else t.equal(fused.counts.summed, summed[k], `${what}: sums on store`);
      // Sums made on store replace as many passes.
      t.equal(
        fused.counts.passes + fused.counts.summed,
        convolutions,
        `${what}: each norm has its sums`,
      );
      // Sums are added in another order, after which some 16-bit values are rounded to the other side.
      const tolerance = { fp32: 1e-6, fp16: 3e-3, bf16: 2e-2 }[precision];
      for (const [i, name] of [...names, 'x'].entries()) {
        const own = fused.result[i] as Float32Array;
        sameBits(t, again.result[i] as Float32Array, own, `${what}: ${name} again`);
        const bias = name.endsWith('.conv.bias');
        if (!bias) agrees(t, own, apart.result[i] as Float32Array, tolerance, `${what}: ${name}`);
        else if (fused.counts.formed > 0)
          t.ok(
            own.every((v) => v === 0),
            `${what}: ${name} is 0`,
          );
      }
    }
});

t.test('where dy is formed on load', async (t) => {
  const at = { voxels: 128 ** 3, channels: 16, sources: 16 };
  t.ok(
    formsOnLoad({ ...at, gradients: [16] }),
    'one gradient and the weight: two loads for a pass',
  );
  t.ok(formsOnLoad({ ...at, gradients: [] }), 'the weight alone');
  t.ok(
    formsOnLoad({ ...at, sources: 32, gradients: [16, 16] }),
    'two sources, the weight bound by products',
  );
  t.notOk(formsOnLoad({ ...at, gradients: [8, 8] }), 'three gradients that memory bounds');
  t.ok(formsOnLoad({ voxels: 512, channels: 256, sources: 512, gradients: [256, 256] }));
  t.notOk(formsOnLoad({ ...at, channels: 12, gradients: [16] }), 'channels by eight');
  t.notOk(formsOnLoad({ ...at, channels: 8, gradients: [16] }), 'more than eight');
});
