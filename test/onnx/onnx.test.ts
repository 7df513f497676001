import { linkSync, readFileSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, relative } from 'node:path';
import { type Device, device, isRenvoxError, ops, scope, type Tensor } from 'renvox';
import { loadNetwork, type Network, ResNet3D, saveNetwork, UNet3D } from 'renvox/nn';
import { describeOnnx, formatOnnx, saveOnnx } from 'renvox/onnx';
import { presets } from 'renvox/train';
import t, { type Test } from 'tap';
import { renvox } from '../cli/command.js';
import { root } from '../core/child.js';
import { channelsFirst, generator, product, randomArray } from '../ops/harness.js';
import { decode, evaluate, type Values } from './naive-onnx.js';

const unknown = { preprocessing: {}, training: {} };

/** Norms and biases of a fresh network are the identity: something for them to do. */
function stirred<N extends Network>(network: N, d: Device): N {
  const named = [...network.tensors].filter(([name]) => /norm|bn|downsample.1|bias/.test(name));
  const stir = ([name, tensor]: [string, Tensor], stream: number): [string, Tensor] => {
    const base = /weight|var/.test(name) ? 1 : 0;
    const { shape } = tensor;
    return [
      name,
      ops.randomUniform(d, { shape, seed: 5, stream, low: base - 0.4, high: base + 0.4 }),
    ];
  };
  network.load(new Map([...network.tensors, ...named.map(stir)]));
  return network;
}

/** Every kind of network and setting; sizes are [D, H, W]. */
function networks(
  d: Device,
): { name: string; network: UNet3D | ResNet3D; size: number[]; n: number }[] {
  const unet = { inputChannels: 2, classes: 3, channels: [3, 4, 5] };
  const resnet = { classes: 3, widths: [3, 4, 5, 6], hidden: 16 };
  const list = [
    {
      name: 'U-Net, instance norm',
      network: new UNet3D(unet, { device: d }),
      size: [4, 8, 12],
      n: 2,
    },
    {
      name: 'U-Net, batch norm',
      network: new UNet3D({ ...unet, norm: 'batch', slope: 0.1 }, { device: d }),
      ...{ size: [8, 4, 4], n: 1 },
    },
    {
      name: 'U-Net, one and three convolutions, no bias',
      network: new UNet3D(
        {
          ...{ inputChannels: 1, classes: 2, channels: [4, 3], convolutionBias: false },
          convolutions: { encoder: 1, decoder: 3 },
        },
        { device: d },
      ),
      ...{ size: [2, 6, 4], n: 1 },
    },
    {
      name: 'U-Net, deep supervision',
      network: new UNet3D({ ...unet, channels: [3, 4, 5, 6], deepSupervision: 2 }, { device: d }),
      ...{ size: [8, 8, 16], n: 1 },
    },
    {
      name: 'ResNet-10, dilated',
      network: new ResNet3D(resnet, { device: d }),
      size: [9, 14, 17],
      n: 2,
    },
    {
      name: 'ResNet-10, strided',
      network: new ResNet3D({ ...resnet, geometry: 'strided', inputChannels: 2 }, { device: d }),
      ...{ size: [33, 18, 20], n: 1 },
    },
    {
      name: 'ResNet-10 that looks at the inside of a mask',
      network: new ResNet3D(
        { ...resnet, geometry: 'strided', inputChannels: 3, inside: 4 },
        { device: d },
      ),
      ...{ size: [10, 12, 9], n: 2 },
    },
  ];
  for (const { network } of list) stirred(network, d);
  return list;
}

/** A seeded image, as ONNX has it and on the device, and what our forward makes of it, [N, C, ...]. */
async function forward(network: UNet3D | ResNet3D, n: number, size: readonly number[]) {
  const channels = network.config.inputChannels;
  const shape = [n, ...size, channels];
  const data = randomArray(product(shape), 11);
  // A mask, which is empty in the last sample.
  if (network instanceof ResNet3D && network.config.inside > 0)
    for (let i = channels - 1; i < data.length; i += channels)
      data[i] = Number((data[i] as number) > 0 && i < (data.length / n) * (n - 1));
  using x = network.device.tensor(data, { shape });
  using logits = scope(() => network.forward(x));
  const own = await logits.data();
  const image: Values = {
    shape: [n, channels, ...size],
    data: Float64Array.from(channelsFirst(data, shape)),
  };
  const expected = logits.shape.length === 5 ? channelsFirst(own, logits.shape) : own;
  return { image, expected, classes: network.config.classes };
}

/** The largest difference, of at most 1e-4 of the largest value. */
function close(tap: Test, actual: ArrayLike<number>, expected: ArrayLike<number>, what: string) {
  let error = actual.length === expected.length ? 0 : Number.POSITIVE_INFINITY;
  let largest = 0;
  for (let i = 0; i < expected.length; i++) {
    const difference = Math.abs((actual[i] as number) - (expected[i] as number));
    error = Math.max(error, difference);
    largest = Math.max(largest, Math.abs(expected[i] as number));
  }
  tap.ok(
    error <= 1e-4 * Math.max(1, largest),
    `${what}: largest error ${error.toExponential(1)}, values up to ${largest.toFixed(2)}`,
  );
  return error;
}

t.test('every network, written and computed again by plain loops', async (tap) => {
  using d = device('cpu');
  for (const { name, network, size, n } of networks(d)) {
    const model = decode(Buffer.concat(await formatOnnx(network, unknown)));
    tap.equal(model.opset, 17);
    const { image, expected } = await forward(network, n, size);
    const result = evaluate(model, image);
    const classes = network.config.classes;
    tap.same(result.shape, network instanceof UNet3D ? [n, classes, ...size] : [n, classes], name);
    close(tap, result.data, expected, name);
    tap.ok(new Set(expected).size > 2, 'the outputs are not all alike');
    const blank = { ...image, data: image.data.map(() => 0) };
    tap.notSame(evaluate(model, blank).data, result.data, 'the outputs depend on the image');
    const read = [...network.tensors.keys()].filter((key) => !key.startsWith('deep.'));
    tap.same([...model.weights.keys()], read, 'weights keep their names; training’s heads stay');
    network.dispose();
  }
});

t.test('metadata say what to do before and what comes out', async (tap) => {
  const folder = tap.testdir();
  for (const [name, labels] of [
    ['kidney', 2],
    ['mass', 3],
    ['class', 3],
  ] as const) {
    const out = join(folder, `${name}.onnx`);
    const weights = `weights/${name}.safetensors`;
    using d = device('cpu');
    const loaded = await loadNetwork(weights, { device: d });
    if (name === 'kidney') {
      const done = renvox(['weights', 'export', weights, '--out', out]);
      tap.equal(done.status, 0, done.stderr);
    } else {
      const source = { version: '0', commit: null, weights_sha256: loaded.sha256 };
      await saveOnnx(out, loaded.network, loaded.metadata, { source });
    }
    const { metadata } = decode(readFileSync(out));
    const part = (key: string) => JSON.parse(metadata[key] as string);
    const { grid, window, task, contour } = loaded.metadata.preprocessing as Record<
      string,
      unknown
    >;
    tap.same([part('grid'), part('window')], [grid, window]);
    tap.same(part('preprocessing'), loaded.metadata.preprocessing);
    tap.equal(task, name);
    tap.equal(part('labels').length, labels);
    tap.equal(part('labels').length, loaded.network.config.classes);
    const channels = part('channels');
    tap.equal(channels.length, loaded.network.config.inputChannels);
    if (contour === 'channel') tap.match(channels[1], /mask of the mass/);
    tap.match(metadata.orientation, /head.*back.*left/);
    tap.same(part('architecture').config, loaded.network.config);
    tap.equal(part('source').weights_sha256, loaded.sha256);

    const shown = describeOnnx(readFileSync(out));
    tap.same(
      shown.tensors,
      [...loaded.network.shapes].map(([n, shape]) => ({ name: n, dtype: 'f32', shape })),
    );
    if (name === 'kidney') {
      const text = renvox(['weights', 'show', out, '--json']).stdout;
      tap.same(JSON.parse(text), JSON.parse(JSON.stringify(shown)));
    }
    loaded.network.dispose();
  }
  const failed = renvox(['weights', 'export', 'README.md', '--out', join(folder, 'x.onnx')]);
  tap.equal(failed.status, 3, failed.stderr);
});

t.test('channels and labels of every task, and of several phases', async (tap) => {
  using d = device('cpu');
  const sides = ['background', 'left kidney', 'right kidney', 'mass'];
  const three = ['background', 'kidney', 'mass'];
  const types = ['aml', 'cystic', 'solid'];
  const kidneys = 'mask of the kidney with its masses, 0 or 1';
  const phases = ['phase 1, windowed', 'phase 2, windowed'];
  const cut = '; outside of the mass the bottom of the window';
  for (const [preprocessing, inputs, classes, channels, labels] of [
    [{ task: 'kidney' }, 1, 2, ['CT, windowed'], ['background', 'kidney (with its masses)']],
    [{ task: 'kidney' }, 2, 2, phases, ['background', 'kidney (with its masses)']],
    [{ task: 'mass' }, 2, 3, ['CT, windowed', kidneys], three],
    [{ task: 'mass' }, 3, 3, [...phases, kidneys], three],
    [
      { task: 'mass', channels: ['CMP', 'NP'] },
      ...([3, 3, ['CMP, windowed', 'NP, windowed', kidneys], three] as const),
    ],
    [{ task: 'mass', channels: ['CMP'] }, 3, 3, [...phases, kidneys], three],
    [{ task: 'one-stage' }, 1, 3, ['CT, windowed'], three],
    [{ task: 'one-stage' }, 1, 4, ['CT, windowed'], sides],
    [{ task: 'one-stage' }, 2, 4, phases, sides],
    [{ task: 'class' }, 1, 3, [`CT, windowed${cut}`], types],
    [{ task: 'class', contour: 'cut' }, 2, 3, phases.map((name) => name + cut), types],
    [
      { task: 'class', contour: 'channel' },
      ...([3, 3, [...phases, 'mask of the mass, 0 or 1'], types] as const),
    ],
    [{ task: 'pretrained' }, 1, 3, undefined, undefined],
    [{}, 1, 3, undefined, undefined],
  ] as const) {
    const size = { inputChannels: inputs, classes };
    using network =
      preprocessing.task === 'class'
        ? new ResNet3D({ ...size, widths: [1, 1, 1, 1], hidden: 1 }, { device: d })
        : new UNet3D({ ...size, channels: [1, 1] }, { device: d });
    const bytes = await formatOnnx(network, { preprocessing, training: {} });
    const { metadata } = decode(Buffer.concat(bytes));
    const part = (key: string) =>
      key in metadata ? JSON.parse(metadata[key] as string) : undefined;
    const what = JSON.stringify([preprocessing, inputs, classes]);
    tap.same([part('channels'), part('labels')], [channels, labels], what);
    tap.equal('orientation' in metadata, labels !== undefined, what);
  }
  for (const [task, inputChannels, classes] of [
    ['kidney', 1, 3],
    ['mass', 1, 3],
    ['one-stage', 1, 5],
  ] as const) {
    using odd = new UNet3D({ inputChannels, classes, channels: [1, 1] }, { device: d });
    await tap.rejects(formatOnnx(odd, { preprocessing: { task }, training: {} }), {
      code: 'InvalidWeights',
      message: new RegExp(`${task} has no network of ${inputChannels} input .* ${classes} classes`),
    });
  }
});

t.test('the network of every preset can be exported, with its labels', async (tap) => {
  const folder = tap.testdir();
  using d = device('cpu');
  for (const [name, preset] of Object.entries(presets)) {
    const { kind, config } = preset.architecture;
    // As deep, but narrow.
    using network =
      kind === 'unet3d'
        ? new UNet3D({ ...config, channels: config.channels.map(() => 1) }, { device: d })
        : new ResNet3D({ ...config, widths: [1, 1, 1, 1], hidden: 1 }, { device: d });
    const { task, grid, window, contour } = preset;
    const preprocessing = { task, grid, window, ...(contour ? { contour } : {}) };
    const { metadata } = decode(
      Buffer.concat(await formatOnnx(network, { preprocessing, training: { preset } })),
    );
    tap.equal(JSON.parse(metadata.labels as string).length, config.classes, name);
    tap.equal(JSON.parse(metadata.channels as string).length, config.inputChannels ?? 1, name);
    if (name !== 'nnunet') continue;
    tap.ok([...network.tensors.keys()].some((key) => key.startsWith('deep.')));
    const [file, out] = ['nn.safetensors', 'nn.onnx'].map((f) => join(folder, f)) as [
      string,
      string,
    ];
    await saveNetwork(file, network, { preprocessing, training: { preset } });
    const done = renvox(['weights', 'export', file, '--out', out]);
    tap.equal(done.status, 0, done.stderr);
    tap.match(JSON.parse(decode(readFileSync(out)).metadata.labels as string), [
      'background',
      'left kidney',
    ]);
  }
});

t.test('neither export nor import writes over what it reads', async (tap) => {
  const folder = tap.testdir();
  using d = device('cpu');
  using network = new UNet3D({ inputChannels: 1, classes: 2, channels: [1, 1] }, { device: d });
  const at = (name: string) => join(folder, name);
  await saveNetwork(at('ns.safetensors'), network, unknown);
  writeFileSync(at('r.pth'), 'whatever it is');
  for (const [command, file] of [
    ['export', 'ns.safetensors'],
    ['import', 'r.pth'],
  ] as const) {
    const before = readFileSync(at(file));
    symlinkSync(at(file), at('soft'));
    linkSync(at(file), at('hard'));
    for (const out of [at(file), relative(root, at(file)), at('soft'), at('hard')]) {
      const done = renvox(['weights', command, at(file), '--out', out]);
      tap.equal(done.status, 2, `${command} ${out}: ${done.stderr}`);
      tap.match(done.stderr, /InvalidArgument: Expected another file than the one that is read/);
      tap.ok(readFileSync(at(file)).equals(before), 'the file is as it was');
      tap.ok(readFileSync(out).equals(before));
    }
    for (const name of ['soft', 'hard']) unlinkSync(at(name));
  }
});

t.test('damaged ONNX files and other networks are refused', async (tap) => {
  using d = device('cpu');
  using network = new UNet3D({ inputChannels: 1, classes: 2, channels: [2, 3] }, { device: d });
  const whole = Buffer.concat(await formatOnnx(network, unknown));
  const next = generator(7);
  for (let k = 0; k < 500; k++) {
    const mutant = Uint8Array.from(whole.subarray(0, Math.floor(next() * whole.length)));
    if (mutant.length > 0) mutant[Math.floor(next() * mutant.length)] = Math.floor(next() * 256);
    try {
      describeOnnx(mutant);
    } catch (error) {
      if (!isRenvoxError(error, 'InvalidWeights')) tap.fail(`mutant ${k}: ${String(error)}`);
    }
  }
  await tap.rejects(formatOnnx({ tensors: new Map() } as unknown as Network, unknown), {
    code: 'InvalidArgument',
  });
  const nowhere = join(tap.testdir(), 'no', 'x.onnx');
  await tap.rejects(saveOnnx(nowhere, network, unknown), { code: 'FileNotFound' });
});

/** What of onnxruntime-node is used here. */
interface Runtime {
  Tensor: new (type: 'float32', data: Float32Array, dims: readonly number[]) => unknown;
  InferenceSession: {
    create(model: Uint8Array): Promise<{
      run(
        feeds: Record<string, unknown>,
      ): Promise<Record<string, { dims: number[]; data: Float32Array }>>;
      release(): Promise<void>;
    }>;
  };
}

/** onnxruntime-node of this package, of bench/, or of NODE_PATH: 291 MB, so nothing here depends on it. */
function onnxruntime(): Runtime | undefined {
  for (const folder of [root, join(root, 'bench')])
    try {
      return createRequire(join(folder, 'package.json'))('onnxruntime-node') as Runtime;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND') throw error;
    }
  return undefined;
}

t.test('every network, and the shipped weights, in onnxruntime', async (tap) => {
  const runtime = onnxruntime();
  if (!runtime) {
    tap.comment('onnxruntime-node is not installed (npm run bench:peers): not compared');
    return;
  }
  using d = device('cpu');
  const list = networks(d);
  for (const name of ['kidney', 'mass', 'class']) {
    const { network, metadata } = await loadNetwork(`weights/${name}.safetensors`, { device: d });
    const { grid } = metadata.preprocessing as { grid: { shape: number[] } };
    list.push({ name: `weights/${name}`, network, size: grid.shape, n: 1 });
  }
  for (const { name, network, size, n } of list) {
    const session = await runtime.InferenceSession.create(
      Buffer.concat(await formatOnnx(network, unknown)),
    );
    const { image, expected } = await forward(network, n, size);
    const x = new runtime.Tensor('float32', Float32Array.from(image.data), image.shape);
    const { logits } = await session.run({ image: x });
    const error = close(tap, logits?.data ?? [], expected, name);
    tap.comment(`${name}: largest error ${error.toExponential(2)}`);
    await session.release();
    network.dispose();
  }
});
