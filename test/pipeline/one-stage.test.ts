// The one-stage system: its weights are checked, its logits belong to one side. That it analyses a CT: test/study.
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { analyze, device, ops, Volume } from 'renvox';
import { ResNet3D, saveNetwork, UNet3D } from 'renvox/nn';
import { loadCascade, loadOneStage, loadSystem, shippedWeights } from 'renvox/pipeline';
import t from 'tap';
import { logitsOfSide } from '#lib/pipeline/one-stage.js';
import { onEveryDevice } from '../ops/harness.js';

const preprocessing = {
  task: 'one-stage',
  grid: { shape: [8, 8, 8], spacing: [16, 16, 16] },
  window: { level: 40, width: 400, low: -1, high: 1 },
};

onEveryDevice(t, 'logits of one side', async (tap, device) => {
  // Two voxels a side along w; the left one is kidney, the right one mass.
  const logits = device.tensor([0, 5, 1, 0, 5, 1, 0, 1, 5, 0, 1, 5], { shape: [1, 1, 1, 4, 3] });
  const inSide = device.tensor(Uint8Array.of(2, 0, 1, 1), { shape: [1, 1, 1, 4] });
  const affine = device.tensor(Float64Array.of(1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0));
  const crop = { size: [1, 1, 4] as [number, number, number], affine };
  const seen = async (side: number) =>
    Array.from(await ops.argmax(logitsOfSide(logits, inSide, side, crop)).data());
  tap.same(await seen(1), [0, 0, 2, 2]);
  tap.same(await seen(2), [1, 0, 0, 0], 'what is on no side, or on the other, is background');
});

onEveryDevice(t, 'weights that are no one-stage system are refused', async (tap, device) => {
  const folder = tap.testdir();
  await tap.rejects(loadOneStage(device, folder), { code: 'FileNotFound' });
  const path = join(folder, 'one-stage.safetensors');
  await copyFile(join(shippedWeights(), 'kidney.safetensors'), path);
  const task = {
    code: 'InvalidWeights',
    message: /for the task kidney, expected the task one-stage/,
  };
  await tap.rejects(loadOneStage(device, folder), task);
  for (const [classes, inputChannels, sampling, error] of [
    [2, 1, undefined, /has 2 classes, expected background, kidney, mass/],
    [4, 1, undefined, /has 4 classes, .* can be exported only/],
    [3, 1, { kind: 'patches', foreground: 0.3 }, /was trained on patches/],
    [3, 2, undefined, /has 2 input channels, expected 1: analyze reads one CT/],
  ] as const) {
    using net = new UNet3D({ inputChannels, classes, channels: [2, 3] }, { device });
    await saveNetwork(path, net, { preprocessing, training: { preset: { sampling } } });
    await tap.rejects(loadOneStage(device, folder), { code: 'InvalidWeights', message: error });
  }
  using net = new UNet3D({ inputChannels: 1, classes: 3, channels: [2, 3] }, { device });
  await saveNetwork(path, net, { preprocessing, training: {} });
  await tap.rejects(loadOneStage(device, folder), {
    ...{ code: 'FileNotFound', message: /class.safetensors/ },
  });
});

t.test('a folder of one-stage and classifier is what analyze and classify take', async (tap) => {
  const folder = tap.testdir();
  const cpu = device('cpu');
  tap.teardown(() => cpu.dispose());
  const file = (name: string) => join(folder, `${name}.safetensors`);
  using net = new UNet3D({ inputChannels: 1, classes: 3, channels: [2, 3] }, { device: cpu });
  await saveNetwork(file('one-stage'), net, { preprocessing, training: {} });
  await copyFile(join(shippedWeights(), 'class.safetensors'), file('class'));
  const shape = [12, 16, 16] as [number, number, number];
  const data = new Int16Array(12 * 16 * 16).fill(30);
  const ct = new Volume({ data, shape, affine: [-8, 0, 0, 60, 0, -8, 0, 60, 0, 0, 8, 0] });
  const finding = await analyze(ct, { device: cpu, weights: folder });
  const names = finding.provenance.weights.map(({ name }) => name);
  tap.same(names, ['one-stage', 'one-stage', 'class']);
  await copyFile(join(shippedWeights(), 'kidney.safetensors'), file('kidney'));
  const cascade = loadSystem(cpu, folder);
  await tap.rejects(cascade, { code: 'FileNotFound', message: /mass.safetensors/ });
});

t.test('networks of several phases are refused when they are loaded', async (tap) => {
  const cpu = device('cpu');
  tap.teardown(() => cpu.dispose());
  const names = ['kidney', 'mass', 'class'] as const;
  for (const [at, [name, message]] of (
    [
      ['kidney', /kidney\.safetensors has 2 input channels, expected 1: analyze reads one CT; /],
      ['mass', /mass\.safetensors has 3 input .* 2: analyze reads one CT and the kidney's mask; /],
      [
        'class',
        /class\.safetensors has 3 input .* 2 with contour channel: analyze reads one CT and the mass's mask; /,
      ],
    ] as const
  ).entries()) {
    const folder = tap.testdir();
    for (const n of names)
      await copyFile(join(shippedWeights(), `${n}.safetensors`), join(folder, `${n}.safetensors`));
    const size = { inputChannels: at === 0 ? 2 : 3, classes: at === 0 ? 2 : 3 };
    using net =
      name === 'class'
        ? new ResNet3D({ ...size, widths: [1, 1, 1, 1], hidden: 1 }, { device: cpu })
        : new UNet3D({ ...size, channels: [2, 3] }, { device: cpu });
    await saveNetwork(join(folder, `${name}.safetensors`), net, {
      preprocessing: { ...preprocessing, task: name, contour: 'channel' },
      training: {},
    });
    await tap.rejects(loadCascade(cpu, folder), { code: 'InvalidWeights', message });
  }
});
