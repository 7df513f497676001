// The one-stage system: its weights are checked, its logits belong to one side. That it analyses a CT: test/study.
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ops } from 'renvox';
import { saveNetwork, UNet3D } from 'renvox/nn';
import { loadOneStage, shippedWeights } from 'renvox/pipeline';
import t from 'tap';
import { logitsOfSide } from '#lib/pipeline/one-stage.js';
import { onEveryDevice } from '../ops/harness.js';

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
  const grid = { shape: [8, 8, 8], spacing: [6, 6, 6] };
  const window = { level: 40, width: 400, low: -1, high: 1 };
  for (const classes of [2, 3]) {
    using net = new UNet3D({ inputChannels: 1, classes, channels: [2, 3] }, { device });
    await saveNetwork(path, net, {
      preprocessing: { task: 'one-stage', grid, window },
      training: {},
    });
    const error =
      classes === 2
        ? { code: 'InvalidWeights', message: /has 2 classes/ }
        : { code: 'FileNotFound', message: /class.safetensors/ };
    await tap.rejects(loadOneStage(device, folder), error);
  }
});
