/** The layers of the networks whose CUDA kernels bench/kernels.bench.ts counts: what each does, and the least it could cost. */
import { type Device, ops, type Tensor } from 'renvox';

type Size = readonly [number, number, number];

/** One layer on a volume; a U-Net 16..256 and a MedicalNet ResNet-10 at 128^3 are lists of them. */
export interface Layer {
  name: string;
  /** Bytes that must move whatever the kernel: 16-bit activations and weights read and written once. */
  leastBytes: number;
  /** Multiplications and additions of the definition. */
  usefulFlops: number;
  /** Makes what the layer reads and returns what runs it. Only what `run` launches is counted. */
  prepare(device: Device): { run: () => Tensor[] };
}

const voxels = ([d, h, w]: Size): number => d * h * w;
const scaled = ([d, h, w]: Size, f: number): Size => [d * f, h * f, w * f];
const cube = (n: number): Size => [n, n, n];
const HALF = 2;

/** Zeros: the counts depend on shapes alone. */
export function image(device: Device, size: Size, channels: number, type: 'f32' | 'bf16'): Tensor {
  const shape = [1, ...size, channels];
  const n = voxels(size) * channels;
  return type === 'f32'
    ? device.tensor(new Float32Array(n), { shape })
    : device.tensor(new Uint16Array(n), { shape, dtype: 'bf16' });
}

interface Convolution {
  name: string;
  size: Size;
  cin: number;
  cout: number;
  second?: number;
  /** Channels of the tensor of half the size that the first source is made of, in the same operation. */
  up?: number;
  kernel?: number;
  stride?: number;
  dilation?: number;
  /** Whether the input is a raw convolution output that is normalised on load. */
  load?: boolean;
  statistics?: boolean;
  /** Whether the output is pooled too. */
  pool?: boolean;
  /** The first layer's input is f32, the head's output too. */
  input?: 'f32' | 'bf16';
  output?: 'f32' | 'bf16';
  slope?: number;
}

function convolution(c: Convolution): Layer {
  const { cin, cout, second = 0, kernel = 3, stride = 1, dilation = 1 } = c;
  const padding = dilation * ((kernel - 1) / 2);
  const out = c.size.map((n) => Math.ceil(n / stride)) as unknown as Size;
  const inBytes = c.input === 'f32' ? 4 : HALF;
  const outBytes = c.output === 'f32' ? 4 : HALF;
  const weights = kernel ** 3 * (cin + second) * cout;
  const coarse = scaled(c.size, 1 / 2);
  const upWeights = c.up ? 8 * c.up * cin : 0;
  const first = c.up ? voxels(coarse) * c.up : voxels(kernel === 1 ? out : c.size) * cin;
  return {
    name: c.name,
    // Of one tap a stride skips voxels.
    leastBytes:
      (first + voxels(kernel === 1 ? out : c.size) * second) * inBytes +
      voxels(out) * cout * outBytes * (c.pool ? 9 / 8 : 1) +
      (weights + upWeights) * HALF,
    usefulFlops: 2 * (weights * voxels(out) + upWeights * voxels(coarse)),
    prepare(device) {
      const shape = [cout, cin + second, kernel, kernel, kernel];
      const weight = device.full(shape, 0.1);
      const load = (channels: number) => ({
        scale: device.full([1, channels], 1.1),
        shift: device.full([1, channels], 0.1),
      });
      const x = image(device, c.up ? coarse : c.size, c.up ?? cin, c.input ?? 'bf16');
      const up = c.up && {
        upWeight: device.full([c.up, cin, 2, 2, 2], 0.1),
        upBias: device.full([cin], 0.1),
      };
      const loads = c.load || c.up ? { ...load(c.up ?? cin), slope: c.slope ?? 0.01 } : {};
      const skip = second
        ? {
            second: image(device, c.size, second, 'bf16'),
            secondScale: load(second).scale,
            secondShift: load(second).shift,
          }
        : {};
      // The up-sampled source of a concatenation is no raw output: its load is the identity.
      const options = {
        ...{ bias: device.full([cout], 0.1), stride, padding, dilation },
        ...{ precision: 'bf16' as const, out: c.output ?? ('bf16' as const) },
        ...loads,
        ...skip,
        ...up,
        ...(second ? { slope: c.slope ?? 0.01 } : {}),
      };
      const poolSign = device.full([cout], 1);
      return {
        run: () => {
          if (!c.statistics) return [ops.conv3d(x, weight, options)];
          const all = { ...options, statistics: true } as const;
          if (!c.pool) return Object.values(ops.conv3d(x, weight, all));
          return Object.values(ops.conv3d(x, weight, { ...all, poolSign }));
        },
      };
    },
  };
}

/** The ResNet's max pool of a raw output, norm and activation on load. */
function pool(name: string, size: Size, channels: number): Layer {
  const out = voxels(size) / 8;
  return {
    name,
    leastBytes: (voxels(size) + out) * channels * HALF,
    usefulFlops: 0,
    prepare(device) {
      const x = image(device, size, channels, 'bf16');
      const load = {
        scale: device.full([1, channels], 1.1),
        shift: device.full([1, channels], 0.1),
        slope: 0.01,
      };
      return { run: () => [ops.maxPool3d(x, { kernel: 3, stride: 2, padding: 1, load })] };
    },
  };
}

function up(name: string, size: Size, cin: number, cout: number): Layer {
  const weights = 8 * cin * cout;
  return {
    name,
    leastBytes: (voxels(size) * cin + 8 * voxels(size) * cout + weights) * HALF,
    usefulFlops: 2 * weights * voxels(size),
    prepare(device) {
      const x = image(device, size, cin, 'bf16');
      const weight = device.full([cin, cout, 2, 2, 2], 0.1);
      const load = {
        scale: device.full([1, cin], 1.1),
        shift: device.full([1, cin], 0.1),
        slope: 0.01,
      };
      const bias = device.full([cout], 0.1);
      return {
        run: () => [ops.convTranspose3d(x, weight, { bias, ...load, precision: 'bf16' })],
      };
    },
  };
}

/**
 * A U-Net of 16..256 channels on 128^3 with instance norm, as UNet3D.infer runs it. The up-sampling of the finest level is made in the
 * convolution's tiles, that of the others by a kernel of its own (`planUp` of native/cuda/convolutionTensorPlan.cpp): one row, and two.
 */
export function unetLayers(): Layer[] {
  const channels = [16, 32, 64, 128, 256];
  const layers: Layer[] = [];
  channels.forEach((c, level) => {
    const size = scaled(cube(128), 1 / 2 ** level);
    const before = level === 0 ? 1 : (channels[level - 1] as number);
    const first = level === 0 ? { input: 'f32' as const } : {};
    const pools = level < channels.length - 1;
    layers.push(
      convolution({
        name: `unet/e${level}a/conv3d`,
        size,
        cin: before,
        cout: c,
        // What was pooled is raw too.
        load: level > 0,
        statistics: true,
        ...first,
      }),
      convolution({
        name: `unet/e${level}b/conv3d${pools ? ' and pool' : ''}`,
        size,
        cin: c,
        cout: c,
        statistics: true,
        load: true,
        pool: pools,
      }),
    );
  });
  for (let level = channels.length - 2; level >= 0; level--) {
    const c = channels[level] as number;
    const size = scaled(cube(128), 1 / 2 ** level);
    const below = channels[level + 1] as number;
    const first = { size, cin: c, second: c, cout: c, statistics: true };
    layers.push(
      ...(level > 0
        ? [
            up(`unet/up${level}/convTranspose3d`, scaled(size, 1 / 2), below, c),
            convolution({ name: `unet/d${level}a/conv3d`, ...first }),
          ]
        : [convolution({ name: 'unet/up0+d0a/conv3d', ...first, up: below })]),
      convolution({
        name: `unet/d${level}b/conv3d`,
        size,
        cin: c,
        cout: c,
        statistics: true,
        load: true,
      }),
    );
  }
  layers.push(
    convolution({
      ...{ name: 'unet/head/conv3d', size: cube(128), cin: 16, cout: 3, kernel: 1 },
      ...{ load: true, output: 'f32' as const },
    }),
  );
  return layers;
}

/** A pass over the values of `inputs`, all of a size. `least`: the bytes a value that no form of the network could leave out. */
function pass(
  name: string,
  shape: { size: Size; channels: number; inputs: readonly ('f32' | 'bf16')[]; least: number },
  body: (tensors: readonly Tensor[], device: Device) => Tensor,
): Layer {
  const { size, channels, inputs, least } = shape;
  return {
    name,
    leastBytes: least * voxels(size) * channels,
    usefulFlops: 0,
    prepare(device) {
      const tensors = inputs.map((type) => image(device, size, channels, type));
      return { run: () => [body(tensors, device)] };
    },
  };
}

/** A batch norm with fixed statistics as a pass of its own, which could be applied when its tensor is loaded. */
function norm(name: string, size: Size, channels: number): Layer {
  return pass(name, { size, channels, inputs: ['f32'], least: 0 }, ([x], device) => {
    const [one, zero] = [device.full([channels], 1.1), device.full([channels], 0.1)];
    return ops.batchNorm(x as Tensor, one, zero, zero, one);
  });
}

/**
 * MedicalNet's ResNet-10, dilated, widths 64..512, on `edge`^3, as ResNet3D.infer runs it: the two branches of a block are f32 and have their norms, their
 * sum and its ReLU as passes. The least is what 16-bit tensors would take with all that on load and on store; linear layers are left out.
 */
export function resnetLayers(edge = 128): Layer[] {
  const widths = [64, 128, 256, 512];
  const layers: Layer[] = [
    convolution({
      ...{ name: 'resnet10/conv1', size: cube(edge), cin: 1, cout: 64, kernel: 7, stride: 2 },
      input: 'f32',
    }),
    pool('resnet10/maxPool3d', cube(edge / 2), 64),
  ];
  /** A convolution whose tensors are f32 where they could be 16 bits wide. */
  const wide = (c: Convolution, as: Pick<Convolution, 'input' | 'output'>): Layer => ({
    ...convolution({ ...c, ...as }),
    leastBytes: convolution(c).leastBytes,
  });
  let cin = 64;
  let size = cube(edge / 4);
  widths.forEach((cout, i) => {
    const stride = i === 1 ? 2 : 1;
    const dilation = i === 2 ? 2 : i === 3 ? 4 : 1;
    const name = `resnet10/layer${i + 1}`;
    const input = i === 0 ? ('bf16' as const) : ('f32' as const);
    const from = { size, cin, cout, stride };
    const out = scaled(size, 1 / stride);
    layers.push(
      wide({ name: `${name}/conv1`, ...from, dilation }, { input }),
      wide(
        { name: `${name}/conv2`, size: out, cin: cout, cout, dilation, load: true, slope: 0 },
        { output: 'f32' },
      ),
      norm(`${name}/bn2`, out, cout),
    );
    if (i > 0)
      layers.push(
        wide({ name: `${name}/downsample`, ...from, kernel: 1 }, { input, output: 'f32' }),
        norm(`${name}/bnShortcut`, out, cout),
      );
    else
      layers.push(
        pass(`${name}/cast`, { size, channels: cout, inputs: ['bf16'], least: 0 }, ([x]) =>
          ops.cast(x as Tensor, 'f32'),
        ),
      );
    const both = { size: out, channels: cout, inputs: ['f32', 'f32'] as const, least: 3 * HALF };
    layers.push(
      pass(`${name}/add`, both, ([a, b]) => ops.add(a as Tensor, b as Tensor)),
      pass(`${name}/relu`, { size: out, channels: cout, inputs: ['f32'], least: 0 }, ([x]) =>
        ops.relu(x as Tensor),
      ),
    );
    cin = cout;
    size = out;
  });
  layers.push(
    pass(
      'resnet10/globalAveragePool',
      { size, channels: cin, inputs: ['f32'], least: HALF },
      ([x]) => ops.globalAveragePool(x as Tensor),
    ),
  );
  return layers;
}
