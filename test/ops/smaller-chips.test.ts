// Smaller GPUs than an H100 have less shared memory, so that convolutions choose other tiles: on the simulated GPU as a T4 (compute capability
// 7.5, 64 KiB) and as an A10 (8.6, 99 KiB), each in a process of its own, against the CPU in the same precision.
import t from 'tap';
import { native } from '#lib/native.js';
import { program } from '../core/child.js';

/** Prints what the chip is and the relative RMS distance of every result from the CPU's. */
const source = `
  import { device, gradients, ops } from 'renvox';
  import { native } from '#lib/native.js';
  const [gpu, cpu] = [device('cuda-sim'), device('cpu')];
  const random = (d, shape, seed) => ops.randomNormal(d, { shape, seed });
  const layers = [
    { x: [1, 5, 9, 17, 16], cout: 16, second: 16 },
    { x: [1, 3, 4, 6, 64], cout: 64 },
    { x: [2, 4, 9, 14, 1], cout: 16 },
    { x: [1, 3, 5, 13, 33], cout: 48 },
    { x: [1, 7, 8, 9, 32], cout: 32, dilation: 2, padding: 2 },
    { x: [1, 9, 8, 7, 16], cout: 32, stride: 2 },
    { x: [1, 7, 10, 15, 1], cout: 16, stride: 2, kernel: 7, padding: 3 },
    { x: [1, 3, 4, 65, 16], cout: 3, kernel: 1, padding: 0 },
    // The table of so many taps leaves no room for a tile in 64 KiB.
    { x: [1, 2, 2, 2, 9], cout: 3, kernel: 14, padding: 7 },
  ];
  const convolution = ({ x: shape, cout, second: c2 = 0, kernel: k = 3, ...rest }, precision) => (d) => {
    const x = random(d, shape, 1);
    const second = c2 ? random(d, [...shape.slice(0, 4), c2], 2) : undefined;
    const weight = random(d, [cout, shape[4] + c2, k, k, k], 3);
    const bias = random(d, [cout], 4);
    const options = { padding: 1, precision, out: 'f32', ...rest };
    const made = (extra) => ops.conv3d(x, weight, { bias, second, ...options, ...extra });
    const dy = random(d, made().shape, 5);
    const { value, gradients: g } = gradients(() => made(), [x, weight, bias], dy);
    const scale = random(d, [shape[0], shape[4]], 6);
    const norm = { scale, shift: scale, slope: 0.1, statistics: true };
    const poolSign = random(d, [cout], 7);
    const { y, sums, pooled } = made({ ...norm, poolSign, ...(second ? { secondScale: scale, secondShift: scale } : {}) });
    return [value, ...g, y, sums, pooled];
  };
  const doubled = (precision) => (d) => {
    const [x, weight] = [random(d, [1, 3, 5, 7, 32], 1), random(d, [32, 16, 2, 2, 2], 2)];
    const made = () => ops.convTranspose3d(x, weight, { precision, out: 'f32' });
    const { value, gradients: g } = gradients(made, [x, weight], random(d, [1, 6, 10, 14, 16], 3));
    return [value, ...g];
  };
  const works = { 'up fp16': doubled('fp16') };
  for (const l of layers) works[JSON.stringify(l) + ' fp16'] = convolution(l, 'fp16');
  works['exact'] = convolution(layers[0], 'fp32');
  const distances = {};
  for (const [name, work] of Object.entries(works)) {
    const [own, expected] = [work(gpu), work(cpu)];
    distances[name] = [];
    for (const [i, tensor] of own.entries()) {
      const [a, b] = [await tensor.data(), await expected[i].data()];
      let error = 0, norm = 0;
      for (let k = 0; k < b.length; k++) error += (a[k] - b[k]) ** 2, norm += b[k] ** 2;
      distances[name].push(a.length === b.length ? Math.sqrt(error / norm) : null);
    }
  }
  // Of an up-sampled source: values that differ from those of the two operations, and whether it was made in the tiles.
  const up = [];
  for (const [size, cx, c, c2] of [[[5, 4, 3], 16, 8, 8], [[3, 5, 9], 32, 16, 16]]) {
    const x = ops.cast(random(gpu, [1, ...size, cx], 1), 'f16');
    const second = ops.cast(random(gpu, [1, ...size.map((n) => 2 * n), c2], 2), 'f16');
    const [upWeight, upBias] = [random(gpu, [cx, c, 2, 2, 2], 3), random(gpu, [c], 4)];
    const weight = random(gpu, [c, c + c2, 3, 3, 3], 5);
    const options = { second, padding: 1, precision: 'fp16', out: 'f32' };
    await gpu.drain();
    native().simulator.count(1);
    const one = await ops.conv3d(x, weight, { ...options, upWeight, upBias }).data();
    const inTiles = native().simulator.counted().every((l) => l.name !== 'convTranspose3d');
    native().simulator.count(0);
    const made = ops.convTranspose3d(x, upWeight, { bias: upBias, precision: 'fp16' });
    const two = await ops.conv3d(made, weight, options).data();
    up.push({ inTiles, different: one.filter((v, i) => v !== two[i]).length });
  }
  // Between norms: values that differ from those of a dy that is stored, and whether it was formed on load, for which shared memory may be too small.
  const between = [];
  for (const channels of [48, 320]) {
    const [raw, dy] = [1, 2].map((seed) => ops.cast(random(gpu, [1, 3, 4, 6, channels], seed), 'f16'));
    const x = ops.cast(random(gpu, [1, 3, 4, 6, 32], 3), 'f16');
    const [gamma, beta] = [random(gpu, [channels], 4), random(gpu, [channels], 5)];
    const norm = { x: raw, dy, gamma, beta, statistics: gpu.full([1, channels, 3], 0.5), slope: 0.1 };
    const [stored] = gpu.run('instanceNormGrad', norm);
    const coefficients = gpu.run('instanceNormGrad', { ...norm, onLoad: true })[3];
    const weight = random(gpu, [channels, 32, 3, 3, 3], 6);
    const type = { padding: [1, 1, 1], precision: 'fp16' };
    const made = (dy) => [
      gpu.run('conv3dGradInput', { ...dy, weight, size: [3, 4, 6], ...type })[0],
      gpu.run('conv3dGradWeight', { ...dy, x, kernel: [3, 3, 3], ...type })[0],
    ];
    const apart = made({ dy: stored });
    await gpu.drain();
    native().simulator.count(1);
    const formed = made({ dy, dyRaw: raw, dyCoefficients: coefficients, dySlope: 0.1 });
    await gpu.drain();
    const onLoad = native().simulator.counted().every((l) => !l.name.endsWith('/form'));
    native().simulator.count(0);
    let different = 0;
    for (const [i, tensor] of formed.entries()) {
      const [a, b] = [await tensor.data(), await apart[i].data()];
      different += a.filter((v, k) => v !== b[k]).length;
    }
    between.push({ onLoad, different });
  }
  let refused = 'none';
  try {
    await ops.conv3d(random(gpu, [1, 4, 4, 4, 8], 1), random(gpu, [8, 8, 3, 3, 3], 2), { precision: 'bf16' }).data();
  } catch (error) {
    refused = error.code + ': ' + error.message;
  }
  console.log(JSON.stringify({ capability: gpu.info.capability, distances, up, between, refused }));
`;

if (!native().simulator) t.pass('no simulated GPU in this build: other chips were not tried');
else
  for (const capability of [75, 86])
    t.test(`as a GPU of compute capability ${capability / 10}`, async (t) => {
      const before = process.env.RENVOX_SIM_CHIP;
      process.env.RENVOX_SIM_CHIP = String(capability);
      const { code, stdout, stderr } = await program(source);
      if (before === undefined) delete process.env.RENVOX_SIM_CHIP;
      else process.env.RENVOX_SIM_CHIP = before;
      t.equal(code, 0, stderr);
      const told = JSON.parse(stdout) as {
        capability: number;
        distances: Record<string, (number | null)[]>;
        up: { inTiles: boolean; different: number }[];
        between: { onLoad: boolean; different: number }[];
        refused: string;
      };
      t.equal(told.capability, capability);
      for (const [name, distances] of Object.entries(told.distances))
        for (const [i, distance] of distances.entries())
          t.ok(distance !== null && distance <= 4e-6, `${name}: result ${i}: ${distance}`);
      t.same(
        told.up.map(({ different }) => different),
        [0, 0],
        'an up-sampled source',
      );
      t.same(
        told.up.map(({ inTiles }) => inTiles),
        [true, false],
        'made in the tiles',
      );
      t.same(
        told.between,
        [
          { onLoad: true, different: 0 },
          { onLoad: capability >= 80, different: 0 },
        ],
        'between norms',
      );
      if (capability < 80) t.match(told.refused, /InvalidArgument.*bf16 needs a GPU of compute/);
      else t.equal(told.refused, 'none');
    });
