import { device, scope } from 'renvox';
import { makeNetwork } from 'renvox/nn';
import {
  type AugmentationSettings,
  augmentations,
  checkPreset,
  type Preset,
  presets,
} from 'renvox/train';
import t from 'tap';

t.test('the presets of the package are sound', async (tap) => {
  using d = device('cpu');
  for (const [name, preset] of Object.entries(presets)) {
    tap.equal(preset.name, name);
    tap.same(checkPreset(JSON.parse(JSON.stringify(preset))), preset, 'plain data');
    if (name.endsWith('-literal')) continue;
    const net = makeNetwork(preset.architecture, { device: d });
    tap.ok(net.parameterCount > 0);
    // The study's own takes seconds; its forward pass is measured in bench/unet.bench.ts.
    if (!/paper|nnunet/.test(name)) {
      const { config } = preset.architecture;
      const shape = [1, ...preset.grid.shape, config.inputChannels ?? 1];
      using y = scope(() => net.infer(d.full(shape)));
      tap.equal(y.shape[y.shape.length - 1], config.classes, 'its grid fits its network');
      await y.data();
      tap.ok(net.parameterCount * 2 < 8e6, `${net.parameterCount} values: under 8 MB in 16 bits`);
    }
    net.dispose();
  }
});

t.test('every wrong field is named', async (tap) => {
  const kidney = presets.kidney as Preset;
  const wrong: [Record<string, unknown>, RegExp][] = [
    [{ version: 2 }, /for version/],
    [{ task: 'lung' }, /for task/],
    [{ architecture: null }, /for architecture/],
    [{ architecture: { kind: 'transformer', config: {} } }, /for architecture/],
    [{ grid: { shape: [1, 2], spacing: [1, 1, 1] } }, /grid.shape/],
    [{ grid: { shape: [16, 16, 16.5], spacing: [1, 1, 1] } }, /grid.shape/],
    [{ grid: { shape: [16, 16, 16], spacing: [1, 0, 1] } }, /grid.spacing/],
    [{ window: { level: 'x' } }, /window.level/],
    [{ window: { level: 0, width: 0, low: 0, high: 1 } }, /window.width/],
    [{ seed: -1 }, /for seed/],
    [{ seed: 9_007_199 }, /an integer from 0 to 9007198 for seed .* received 9007199/],
    [{ seed: 20261130 }, /for seed/],
    [{ steps: 0 }, /for steps/],
    [{ batch: 1.5 }, /for batch/],
    [{ loss: null }, /for loss/],
    [{ loss: { classWeights: { first: [1], last: [1, 1] } } }, /loss.classWeights.first/],
    [{ loss: { dice: { classWeights: [1, 'a'] } } }, /loss.dice.classWeights/],
    [{ optimiser: { kind: 'adam', learningRate: 0 } }, /learningRate/],
    [{ optimiser: { kind: 'lion', learningRate: 1 } }, /optimiser.kind/],
    [{ schedule: { constant: 2, end: 0 } }, /schedule.constant/],
    [{ clip: 0 }, /for clip/],
    [{ microBatch: 2 }, /for microBatch/],
    [{ precision: 'fp8' }, /for precision/],
    [{ loss: { focus: 0.5 } }, /loss.focus/],
    [{ schedule: { poly: 0 } }, /schedule.poly/],
    [{ stop: { patience: 0 } }, /stop.patience/],
    [{ sampling: { kind: 'patches', foreground: 2 } }, /sampling.foreground/],
    [{ task: 'mass', sampling: { kind: 'patches', foreground: 0.5 } }, /for sampling/],
    [{ augmentation: { rotation: { range: [1, 0] } } }, /augmentation.rotation.range/],
    [{ augmentation: { shear: { range: [0, 1] } } }, /rotation, translation, scale/],
    [{ augmentation: { mirror: [0, 0, 2] } }, /augmentation.mirror/],
    [{ augmentation: { swap: [[1, 300]] } }, /augmentation.swap/],
    [{ contour: 'channel' }, /for contour/],
    [{ task: 'class', contour: 'rim' }, /for contour/],
    [{ average: 1 }, /for average/],
    [{ microbatch: 2 }, /no field microbatch in a preset; it has version, name, /],
    [
      { grid: { ...kidney.grid, margins: 1 } },
      /no field grid.margins in .*; grid has shape, spacing, margin/,
    ],
    [{ window: { ...kidney.window, los: -1 } }, /no field window.los /],
    [{ loss: { Dice: {} } }, /no field loss.Dice /],
    [{ loss: { dice: { weights: [1, 1] } } }, /no field loss.dice.weights /],
    [
      { loss: { classWeights: { first: [1, 1], last: [1, 1], middle: 1 } } },
      /loss.classWeights.middle /,
    ],
    [
      { optimiser: { kind: 'adam', learningRate: 1, momentum: 0.9 } },
      /no field optimiser.momentum /,
    ],
    [{ schedule: { poly: 0.9, end: 0 } }, /no field schedule.end /],
    [{ schedule: { constant: 0.9, end: 0, power: 1 } }, /no field schedule.power /],
    [{ stop: { patience: 1, minimum: 1 } }, /no field stop.minimum /],
    [{ validation: { every: 1, samples: 1, count: 1 } }, /no field validation.count /],
    [{ sampling: { kind: 'patches', foreground: 1, share: 1 } }, /no field sampling.share /],
    [{ augmentation: { noise: { range: [0, 1], chance: 1 } } }, /augmentation.noise.*chance/],
    [
      { architecture: { kind: 'unet3d', config: { ...kidney.architecture.config, dropout: 0.1 } } },
      /no field architecture.config.dropout /,
    ],
    [{ validation: { every: 0, samples: 1 } }, /for validation/],
  ];
  for (const [change, message] of wrong)
    tap.throws(() => checkPreset({ ...kidney, ...change }), { code: 'InvalidArgument', message });
  // Sides that are classes change places with the patient's; nothing else does.
  const sided = presets.nnunet as Preset;
  const { nnunet } = augmentations;
  const three = { ...sided.architecture.config, classes: 3 };
  const swapless = { ...nnunet, swap: [] };
  const refused: [Preset, AugmentationSettings, RegExp][] = [
    [kidney, nnunet, /none \(of the task kidney with 2 .* for augmentation.swap .*\[\[1,2\]\]/],
    [presets['paper-one-stage'] as Preset, nnunet, /none .* for augmentation.swap/],
    [presets.mass as Preset, nnunet, /none .* for augmentation.swap/],
    [presets.class as Preset, nnunet, /none .* for augmentation.swap/],
    [{ ...sided, architecture: { kind: 'unet3d', config: three } as never }, nnunet, /none /],
    [sided, swapless, /\[\[1,2\]\], .* mirroring along W .*augmentation.swap .*received \[\]/],
    [sided, { ...nnunet, swap: [[1, 3]] }, /augmentation.swap/],
    [
      sided,
      {
        swap: [
          [1, 2],
          [1, 3],
        ],
      },
      /augmentation.swap/,
    ],
  ];
  for (const [preset, augmentation, message] of refused)
    tap.throws(() => checkPreset({ ...preset, augmentation }), {
      ...{ code: 'InvalidArgument', message },
      details: { field: 'augmentation.swap' },
    });
  for (const name of ['kidney', 'mass', 'class', 'paper-one-stage'])
    checkPreset({ ...presets[name], augmentation: swapless });
  for (const augmentation of [{}, { swap: [] }, { mirror: [1, 1, 0] }, { swap: [[2, 1]] }])
    checkPreset({ ...sided, augmentation });
  tap.equal(checkPreset({ ...kidney, seed: 9_007_198 }).seed, 9_007_198);
  tap.throws(() => checkPreset(null), { code: 'InvalidArgument' });
  tap.throws(() => checkPreset('kidney'), { code: 'InvalidArgument' });
});
