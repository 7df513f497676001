/**
 * The gradients between the norms of a U-Net's training step, whose kernels bench/kernels-step.bench.ts counts: of every convolution that of its norm, its
 * input and its weight, once with the gradient dy of its raw output stored (`unet-step-stored/..`), once with dy formed where it is loaded
 * and the sums of the norm below made where dx is stored (`unet-step-loaded/..`; docs/kernels.md).
 */
import type { Device, Tensor } from 'renvox';
import { image, type Layer } from './kernel-layers.js';

type Size = readonly [number, number, number];

interface Step {
  name: string;
  /** Edge of the volume, a cube. */
  edge: number;
  cin: number;
  second?: number;
  cout: number;
  /** The first layer: no gradient of its input, which is f32 and has no norm. */
  image?: boolean;
  /** Whether it alone reads its first source, a raw output. */
  alone?: boolean;
  /** Whether the layer above made the sums of its own norm. */
  summed?: boolean;
}

const HALF = 2;
const three = (n: number): Size => [n, n, n];

/** What the gradients of a layer read. */
function prepared(device: Device, s: Step) {
  const { cin, cout, second = 0 } = s;
  const size = three(s.edge);
  const norm = (c: number) => ({
    gamma: device.full([c], 1.1),
    beta: device.full([c], 0.1),
    statistics: device.full([1, c, 3], 1),
  });
  const load = (c: number) => ({
    scale: device.full([1, c], 1.1),
    shift: device.full([1, c], 0.1),
  });
  const raw = image(device, size, cout, 'bf16');
  const dy = image(device, size, cout, 'bf16');
  const x = image(device, size, cin, s.image ? 'f32' : 'bf16');
  const skip = second ? image(device, size, second, 'bf16') : undefined;
  const others = load(second || 1);
  return {
    ...{ raw, dy, x, size },
    weight: device.full([cout, cin + second, 3, 3, 3], 0.1),
    norm: { x: raw, dy, ...norm(cout), slope: 0.01 },
    // Up-sampled tensors and images are no raw outputs.
    loads: {
      ...(s.image || second ? {} : load(cin)),
      ...(skip ? { second: skip, secondScale: others.scale, secondShift: others.shift } : {}),
      slope: 0.01,
    },
    under: norm(cin),
    sums: s.summed ? device.full([1, cout, 2], 0.1) : undefined,
    coefficients: device.full([5, 1, cout], 0.1),
  };
}

function layers(prefix: string, s: Step, loaded: boolean): Layer[] {
  const { cin, cout, second = 0 } = s;
  const voxels = s.edge ** 3;
  const [own, weights] = [voxels * cout * HALF, 27 * (cin + second) * cout];
  const layer = (
    what: string,
    leastBytes: number,
    usefulFlops: number,
    run: (p: ReturnType<typeof prepared>, device: Device) => (Tensor | null)[],
  ): Layer => ({
    name: `${prefix}/${s.name}/${what}`,
    ...{ leastBytes, usefulFlops },
    prepare(device) {
      const p = prepared(device, s);
      return { run: () => run(p, device).filter((t) => t !== null) };
    },
  });
  const geometry = { padding: three(1) };
  const dyOf = (p: ReturnType<typeof prepared>) =>
    loaded
      ? { dy: p.dy, dyRaw: p.raw, dyCoefficients: p.coefficients, dySlope: 0.01 }
      : { dy: p.dy };
  const gradInput = (first: number, channels: number): Layer =>
    layer(
      second ? `dx${first > 0 ? 'Second' : 'First'}` : 'dx',
      own + voxels * channels * HALF + 27 * channels * cout * HALF,
      2 * 27 * channels * cout * voxels,
      (p, device) => {
        const below = {
          ...{ below: p.x, belowGamma: p.under.gamma, belowBeta: p.under.beta },
          ...{ belowStatistics: p.under.statistics, belowSlope: 0.01 },
        };
        return device.run('conv3dGradInput', {
          ...{ weight: p.weight, size: p.size, first, channels, ...geometry, precision: 'bf16' },
          ...dyOf(p),
          ...(loaded && s.alone ? below : {}),
        });
      },
    );
  return [
    layer('norm', 0, 0, (p, device) =>
      device.run('instanceNormGrad', {
        ...p.norm,
        ...(loaded ? { onLoad: true, sums: p.sums } : {}),
      }),
    ),
    ...(s.image ? [] : [gradInput(0, cin)]),
    ...(second ? [gradInput(cin, second)] : []),
    layer(
      'dw',
      own + voxels * (s.image ? 2 * cin : cin + second) * HALF + 4 * weights,
      2 * weights * voxels,
      (p, device) =>
        device.run('conv3dGradWeight', {
          ...{ x: p.x, kernel: three(3), ...geometry, precision: 'bf16', ...p.loads },
          ...dyOf(p),
        }),
    ),
  ];
}

/** The head, which alone reads the last raw output: dy is f32. */
function head(prefix: string, loaded: boolean): Layer[] {
  const edge = 128;
  const layer = (
    what: string,
    leastBytes: number,
    run: (device: Device) => () => Tensor[],
  ): Layer => ({
    name: `${prefix}/head/${what}`,
    leastBytes,
    usefulFlops: 2 * 16 * 3 * edge ** 3,
    prepare: (device) => ({ run: run(device) }),
  });
  const least = edge ** 3 * (3 * 4 + 16 * HALF);
  return [
    layer('dx', least, (device) => {
      const dy = image(device, three(edge), 3, 'f32');
      const weight = device.full([3, 16, 1, 1, 1], 0.1);
      const below = {
        below: image(device, three(edge), 16, 'bf16'),
        ...{ belowGamma: device.full([16], 1.1), belowBeta: device.full([16], 0.1) },
        ...{ belowStatistics: device.full([1, 16, 3], 1), belowSlope: 0.01 },
      };
      const fields = { dy, weight, size: three(edge), precision: 'bf16' };
      return () =>
        device
          .run('conv3dGradInput', { ...fields, ...(loaded ? below : {}) })
          .filter((t) => t !== null);
    }),
    layer('dw', least, (device) => {
      const dy = image(device, three(edge), 3, 'f32');
      const x = image(device, three(edge), 16, 'bf16');
      const load = { scale: device.full([1, 16], 1.1), shift: device.full([1, 16], 0.1) };
      const fields = { x, dy, ...load, slope: 0.01, kernel: three(1), precision: 'bf16' };
      return () => device.run('conv3dGradWeight', fields).filter((t) => t !== null);
    }),
  ];
}

/** Of a U-Net of 16..256 channels on 128^3 with instance norm in bf16, batch 1; `loaded`: dy formed on load. */
export function unetStepLayers(loaded: boolean): Layer[] {
  const channels = [16, 32, 64, 128, 256];
  const deepest = channels.length - 1;
  const steps: Step[] = channels.flatMap((cout, level): Step[] => {
    const edge = 128 / 2 ** level;
    return [
      {
        ...{ name: `e${level}a`, edge, cout, cin: channels[level - 1] ?? 1 },
        ...{ image: level === 0, summed: true },
      },
      { name: `e${level}b`, edge, cin: cout, cout, alone: true },
    ];
  });
  for (let level = deepest - 1; level >= 0; level--) {
    const c = channels[level] as number;
    const edge = 128 / 2 ** level;
    steps.push(
      { name: `d${level}a`, edge, cin: c, second: c, cout: c, summed: true },
      { name: `d${level}b`, edge, cin: c, cout: c, alone: true, summed: level === 0 },
    );
  }
  const prefix = loaded ? 'unet-step-loaded' : 'unet-step-stored';
  return [...steps.flatMap((s) => layers(prefix, s, loaded)), ...head(prefix, loaded)];
}
