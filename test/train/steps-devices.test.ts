// What a step can do besides that differs by device: fp16 with its scale of the loss, deep supervision. Nothing here runs a whole training, so that
// the GPU check can carry it without what draws a run's curves.
import { ops, scope, type Tensor } from 'renvox';
import { UNet3D } from 'renvox/nn';
import type { Preset } from 'renvox/train';
import t from 'tap';
import { TrainingState } from '#lib/train/state.js';
import { oneStep } from '#lib/train/step.js';
import { agrees, onEveryDevice, sameBits } from '../ops/harness.js';
import { flat, toyPreset, toySampler, weightsAfter } from './toy.js';

onEveryDevice(
  t,
  'fp16 scales the loss, and a step that does not fit changes nothing',
  async (tap, on) => {
    const preset: Preset = { ...toyPreset, precision: 'fp16' };
    if (on.kind === 'cpu') {
      const half = await weightsAfter(preset, 2, on);
      agrees(tap, half, await weightsAfter(toyPreset, 2, on), 0.02, 'as fp32, but for rounding');
    }
    const state = TrainingState.fresh(preset, on);
    const before = await flat([...state.network.parameters.values()]);
    state.scaling.scale = 2 ** 127;
    await scope(async () => {
      let alive = on.tensor(Int32Array.of(1));
      let finite: Tensor | undefined;
      for (let k = 0; k < 2; k++, state.step++)
        ({ alive, finite } = oneStep(state, toySampler(preset), on, alive));
      tap.equal(await finite?.item(), 0, 'too large');
      tap.equal(await alive.item(), 1, 'which is no divergence');
    });
    sameBits(tap, await flat([...state.network.parameters.values()]), before, 'weights');
    state.adjustScale(2);
    tap.equal(state.scaling.scale, 2 ** 127, 'only looked at every ten steps');
    state.step = 10;
    state.adjustScale(0);
    tap.equal(state.scaling.scale, 2 ** 126, 'halved');
    for (state.step = 20; state.step <= 2010; state.step += 10) state.adjustScale(0);
    tap.equal(state.scaling.scale, 2 ** 127, 'doubled after 2000 steps');
    state.scaling.scale = 2 ** -10;
    tap.throws(() => state.adjustScale(1), { code: 'Diverged' });
    state.dispose();
  },
);

onEveryDevice(t, 'deep supervision: coarser heads learn, forward stays', async (tap, on) => {
  const config = { inputChannels: 1, classes: 2, channels: [2, 3, 4, 5], deepSupervision: 2 };
  using net = new UNet3D(config, { device: on, seed: 3 });
  const x = ops.randomNormal(on, { shape: [1, 8, 8, 16, 1], seed: 1 });
  const levels = scope(() => net.forwardDeep(x));
  tap.same(
    levels.map(({ shape }) => shape),
    [
      [1, 8, 8, 16, 2],
      [1, 4, 4, 8, 2],
      [1, 2, 2, 4, 2],
    ],
  );
  const [finest] = levels as [Tensor];
  sameBits(tap, await finest.data(), await scope(() => net.forward(x)).data(), 'the finest');
  tap.throws(
    () => new UNet3D({ ...config, deepSupervision: 3 }, { device: on }),
    /deepSupervision/,
  );
  const preset: Preset = {
    ...toyPreset,
    architecture: {
      kind: 'unet3d',
      config: { ...config, channels: [2, 3, 4], deepSupervision: 1 },
    },
  };
  const state = TrainingState.fresh(preset, on);
  const head = state.network.tensor('deep.0.weight');
  const before = await head.data();
  await scope(async () => {
    const { loss } = oneStep(state, toySampler(preset), on, on.tensor(Int32Array.of(1)));
    tap.ok(Number.isFinite(await loss.item()));
  });
  tap.notSame(Array.from(await head.data()), Array.from(before), 'the head has moved');
  state.dispose();
});
