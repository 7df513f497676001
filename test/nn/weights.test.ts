import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { device } from 'renvox';
import { formatSafetensors, loadNetwork, parseSafetensors, ResNet3D, saveNetwork } from 'renvox/nn';
import { loadCascade } from 'renvox/pipeline';
import t from 'tap';

/** The shipped kidney network with other metadata. */
function changed(path: string, change: Record<string, unknown>): void {
  const { tensors, metadata } = parseSafetensors(readFileSync('weights/kidney.safetensors'));
  const parts = Object.entries(change).map(([key, value]) => [key, JSON.stringify(value)]);
  const pieces = formatSafetensors(tensors, { ...metadata, ...Object.fromEntries(parts) });
  writeFileSync(path, Buffer.concat(pieces));
}

t.test('metadata that describe no network are a fault of the file', async (t) => {
  using d = device('cpu');
  const path = join(t.testdir(), 'kidney.safetensors');
  const config = { inputChannels: 1, classes: 2, channels: [8, 16, 32, 64, 64] };
  const wrong: unknown[] = [
    {},
    null,
    { kind: 'transformer', config },
    { kind: 'unet3d' },
    { kind: 'unet3d', config: null },
    { kind: 'unet3d', config: { ...config, channels: 'many' } },
    { kind: 'unet3d', config: { ...config, channels: [8, 16.5] } },
    { kind: 'unet3d', config: { ...config, convolutions: null } },
    { kind: 'unet3d', config },
    { kind: 'resnet3d', config },
  ];
  for (const architecture of wrong) {
    changed(path, { architecture });
    const what = JSON.stringify(architecture);
    await t.rejects(loadNetwork(path, { device: d }), { code: 'InvalidWeights' }, what);
  }
  await t.rejects(loadNetwork(`${path}.missing`, { device: d }), { code: 'FileNotFound' });
});

t.test('a cascade needs the task, grid and window of each network', async (t) => {
  using d = device('cpu');
  const folder = t.testdir();
  for (const name of ['mass', 'class'])
    copyFileSync(`weights/${name}.safetensors`, join(folder, `${name}.safetensors`));
  const task = 'kidney';
  const grid = { shape: [48, 48, 64], spacing: [6, 6, 6] };
  const window = { level: 40, width: 400, low: -1, high: 1 };
  for (const preprocessing of [
    {},
    { task: 'mass', grid, window },
    { task, window },
    { task, grid: null, window },
    { task, grid: { ...grid, shape: [48, 48] }, window },
    { task, grid: { ...grid, spacing: [6, 0, 6] }, window },
    { task, grid },
    { task, grid, window: { ...window, width: 0 } },
    { task, grid, window: { ...window, low: '0' } },
    { task, grid: { ...grid, margin: -1 }, window },
    { task, grid, window, contour: 'rim' },
  ]) {
    changed(join(folder, 'kidney.safetensors'), { preprocessing });
    const what = JSON.stringify(preprocessing);
    await t.rejects(loadCascade(d, folder), { code: 'InvalidWeights' }, what);
  }
  await d.drain();
  t.equal(d.memory.live, 0, 'what was loaded before the fault is freed');
  changed(join(folder, 'kidney.safetensors'), { preprocessing: { task, grid, window } });
  (await loadCascade(d, folder)).dispose();
  // A classifier has one channel, or two where its mass is told by one.
  const path = join(folder, 'class.safetensors');
  for (const inputChannels of [1, 2])
    for (const contour of ['cut', 'channel']) {
      using net = new ResNet3D(
        { inputChannels, classes: 3, widths: [2, 2, 4, 4], hidden: 4 },
        { device: d },
      );
      const preprocessing = {
        task: 'class',
        grid: { shape: [8, 8, 8], spacing: [1, 1, 1], margin: 3 },
        window,
        contour,
      };
      await saveNetwork(path, net, { preprocessing, training: {} });
      const what = `${inputChannels} channels, contour ${contour}`;
      if ((inputChannels === 2) === (contour === 'channel')) {
        const cascade = await loadCascade(d, folder);
        t.match(cascade.classifier, { contour, margin: 3 }, what);
        cascade.dispose();
      } else {
        const message = /input channels, expected [12] with contour (cut|channel): /;
        await t.rejects(loadCascade(d, folder), { code: 'InvalidWeights', message }, what);
      }
    }
});
