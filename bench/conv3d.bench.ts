// Convolutions against the multiply-add peak of the machine, which is measured before and after every sample with the same threads
// and instruction set; shares are of the higher of the two, medians over samples. share_of_peak is of the time that passed; share_of_peak_cpu of the processor
// time of all threads, which other programs on the machine disturb less (it does not see idle threads); best_of_peak_cpu is the best sample's. All count the
// multiplications of the direct algorithm: for it 1 is the limit, but for planes of padding that are left out; Winograd's, with a sixth of them, has the limit 6.
// Layers that have both are measured by both, sample by sample in turn: speedup is the ratio of their best processor times. `median_s` is of one convolution,
// `spread` its range over the median. RENVOX_ISA and RENVOX_THREADS choose the instruction set and the threads.
import Benchmark from 'benchmark';
import { type Device, device, type Tensor, threads } from 'renvox';
import { call } from '#lib/native.js';
import type { Row } from './row.js';

type Size = readonly [number, number, number];
type Pass = 'forward' | 'dgrad' | 'wgrad';
type Algorithm = 'direct' | 'winograd';

interface Layer {
  name: string;
  space: Size;
  cin: number;
  cout: number;
  kernel?: number;
  pass?: Pass;
  stride?: number;
}

const cube = (n: number): Size => [n, n, n];
const layer = (space: Size, cin: number, cout: number, more: Partial<Layer> = {}): Layer => {
  const [d, h, w] = space;
  const size = d === h && h === w ? `${d}^3` : `${d}x${h}x${w}`;
  const kernel = more.kernel ? ` kernel ${more.kernel}` : '';
  const stride = more.stride ? ` stride ${more.stride}` : '';
  const pass = more.pass ? ` ${more.pass}` : '';
  return {
    name: `conv3d/${size} ${cin}->${cout}${kernel}${stride}${pass}`,
    space,
    cin,
    cout,
    ...more,
  };
};

/** The layers of a U-Net 16..256 on 128^3, of a small one while training, and the odd ones of a ResNet. */
const small: Size = [64, 48, 40];
const layers: Layer[] = [
  layer(cube(128), 16, 16),
  layer(cube(128), 32, 16),
  layer(cube(64), 32, 32),
  layer(cube(64), 64, 32),
  layer(cube(32), 64, 64),
  layer(cube(16), 128, 128),
  layer(cube(8), 256, 256),
  layer(cube(128), 1, 16),
  layer(cube(64), 32, 32, { pass: 'dgrad' }),
  layer(cube(64), 32, 32, { pass: 'wgrad' }),
  layer(cube(16), 128, 128, { pass: 'dgrad' }),
  layer(cube(16), 128, 128, { pass: 'wgrad' }),
  layer(small, 8, 8),
  layer(small, 8, 8, { pass: 'dgrad' }),
  layer(small, 8, 8, { pass: 'wgrad' }),
  layer(small, 1, 8),
  layer(small, 1, 8, { pass: 'wgrad' }),
  layer([8, 6, 5], 64, 64),
  layer([8, 6, 5], 64, 64, { pass: 'wgrad' }),
  layer(small, 8, 2, { kernel: 1 }),
  layer(cube(64), 1, 16, { kernel: 7, stride: 2 }),
  layer(cube(32), 64, 64, { stride: 2 }),
];

/** One timed batch and the peak of its surroundings: operations a second that passed, and a second of processor time. */
interface Sample {
  seconds: number;
  cpuSeconds: number;
  peak: number;
  share: number;
  cpuShare: number;
}

interface Rates {
  passed: number;
  worked: number;
}

/** Runs `body` and returns its floating point operations per second. */
async function rates(body: () => number | Promise<number>): Promise<Rates> {
  const begin = performance.now();
  const before = process.cpuUsage();
  const flops = await body();
  const passed = (performance.now() - begin) / 1e3;
  const { user, system } = process.cpuUsage(before);
  return { passed: flops / passed, worked: flops / ((user + system) / 1e6) };
}

const peak = (): Promise<Rates> => rates(() => call((addon) => addon.fmaPeak(0.05)).flops);

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[values.length >> 1] as number;

/** Samples each of `works`, which take `flops`, in turn by Benchmark: each sample is a batch of calls between two measurements of the peak. */
function sample(cpu: Device, works: readonly (() => void)[], flops: number): Promise<Sample[][]> {
  // A batch shall be much longer than the way to the device and back.
  const batch = Math.max(1, Math.min(64, Math.round(3e9 / flops)));
  const samples: Sample[][] = works.map(() => []);
  const run = async () => {
    for (const [k, work] of works.entries()) {
      const before = await peak();
      const made = await rates(async () => {
        for (let i = 0; i < batch; i++) work();
        await cpu.drain();
        return flops * batch;
      });
      const after = await peak();
      const passed = Math.max(before.passed, after.passed);
      samples[k]?.push({
        seconds: flops / made.passed,
        cpuSeconds: flops / made.worked,
        peak: passed,
        share: made.passed / passed,
        cpuShare: made.worked / Math.max(before.worked, after.worked),
      });
    }
  };
  return new Promise((resolve, reject) => {
    new Benchmark({
      defer: true,
      minSamples: 5,
      minTime: 0.001,
      maxTime: 1,
      fn: (deferred: Benchmark.Deferred) => {
        run().then(() => deferred.resolve(), reject);
      },
      // The first run touches fresh memory and transforms the weights.
      onComplete: () => resolve(samples.map((s) => s.slice(1))),
    }).run({ async: true });
  });
}

async function measureLayer(cpu: Device, l: Layer): Promise<Row[]> {
  const k = l.kernel ?? 3;
  const stride = Array(3).fill(l.stride ?? 1) as number[];
  const padding = Array(3).fill((k - 1) / 2) as number[];
  const out = l.space.map((n) => Math.floor((n - 1) / (l.stride ?? 1)) + 1);
  const random = (shape: readonly number[]): Tensor => {
    const data = new Float32Array(shape.reduce((a, b) => a * b, 1));
    for (let i = 0; i < data.length; i++) data[i] = (Math.imul(i, 2654435761) >>> 8) / 2 ** 23 - 1;
    return cpu.tensor(data, { shape });
  };
  using x = random([1, ...l.space, l.cin]);
  using dy = random([1, ...out, l.cout]);
  using weight = random([l.cout, l.cin, k, k, k]);
  const geometry = { stride, padding };
  const algorithms: Algorithm[] =
    l.pass === 'wgrad' || k !== 3 || l.stride ? ['direct'] : ['direct', 'winograd'];
  const works = algorithms.map((algorithm) => () => {
    const results =
      l.pass === 'dgrad'
        ? cpu.run('conv3dGradInput', { dy, weight, size: l.space, algorithm, ...geometry })
        : l.pass === 'wgrad'
          ? cpu.run('conv3dGradWeight', { x, dy, kernel: [k, k, k], ...geometry })
          : cpu.run('conv3d', { x, weight, algorithm, ...geometry });
    for (const r of results) r?.dispose();
  });
  const flops = 2 * out.reduce((a, b) => a * b, 1) * l.cout * l.cin * k ** 3;
  const best = (of: readonly Sample[]) => Math.min(...of.map((s) => s.cpuSeconds));
  const all = await sample(cpu, works, flops);
  return all.map((samples, i) => {
    const seconds = samples.map((s) => s.seconds);
    const middle = median(seconds);
    return {
      name: `${l.name} ${algorithms[i]}`,
      isa: call((addon) => addon.instructionSet()),
      threads: threads(),
      samples: samples.length,
      median_s: middle,
      spread: (Math.max(...seconds) - Math.min(...seconds)) / middle,
      gflops: flops / middle / 1e9,
      peak_gflops: median(samples.map((s) => s.peak)) / 1e9,
      share_of_peak: median(samples.map((s) => s.share)),
      share_of_peak_cpu: median(samples.map((s) => s.cpuShare)),
      best_of_peak_cpu: Math.max(...samples.map((s) => s.cpuShare)),
      ...(i > 0 ? { speedup: best(all[0] as Sample[]) / best(samples) } : {}),
    };
  });
}

export async function* bench(): AsyncGenerator<Row> {
  using cpu = device('cpu');
  for (const l of layers) {
    yield* await measureLayer(cpu, l);
    cpu.releaseCache();
  }
}
