// What a step can do besides: parts of a batch, focal loss, schedules, early stopping, the rate finder, divergence.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { device, gradients, isRenvoxError, ops } from 'renvox';
import { formatSafetensors, loadNetwork, parseSafetensors, UNet3D } from 'renvox/nn';
import { findRate, type Preset, presets, type Sampler, train } from 'renvox/train';
import t from 'tap';
import { rateOf } from '#lib/train/loss.js';
import { agrees, sameBits } from '../ops/harness.js';
import { flat, toyClasses, toyPreset, toySampler, weightsAfter } from './toy.js';

const d = device('cpu');
t.teardown(() => d.dispose());

t.test('parts of a batch give the gradient of the whole', async (tap) => {
  // Plain descent: Adam would make noise of gradients that are zero but for rounding.
  const optimiser = { kind: 'sgd', learningRate: 0.1, momentum: 0.9 } as const;
  const preset: Preset = { ...toyPreset, batch: 4, optimiser, loss: { dice: {} } };
  const whole = await weightsAfter(preset, 3, d);
  for (const microBatch of [1, 2])
    agrees(
      tap,
      await weightsAfter({ ...preset, microBatch }, 3, d),
      whole,
      1e-5,
      `by ${microBatch}`,
    );
  sameBits(tap, await weightsAfter({ ...preset, microBatch: 4 }, 3, d), whole, 'by 4');
});

t.test('the presets of the shipped weights step as before', async (tap) => {
  // A plain step, written out: what the trainer did before it could do more.
  const preset = toyPreset;
  const network = new UNet3D(preset.architecture.config as never, { device: d, seed: preset.seed });
  const parameters = [...network.parameters.values()];
  const zeros = () => parameters.map((p) => d.full(p.shape));
  const [first, second] = [zeros(), zeros()];
  const sampler = toySampler(preset);
  for (let step = 0; step < 3; step++) {
    const samples = [0, 1].map((i) => sampler.training(d, preset.seed * 1e9 + step * 2 + i));
    const image = ops.stack(samples.map((s) => s.image));
    const target = ops.stack(samples.map((s) => s.target));
    const share = step / preset.steps;
    const { gradients: made } = gradients(() => {
      const logits = network.forward(image, { training: true, seed: step });
      const entropy = ops.crossEntropy(logits, target, { classWeights: [1, 4 - 3 * share] });
      return ops.add(entropy, ops.softDice(logits, target, { skipAbsent: true }));
    }, parameters);
    ops.clipGradients(made, preset.clip);
    ops.adam(parameters, made, first, second, { lr: 3e-3, step: step + 1 });
  }
  sameBits(tap, await weightsAfter(preset, 3, d), await flat(parameters), 'three steps');
  network.dispose();
});

t.test('focal loss and poly schedule', async (tap) => {
  const poly: Preset = { ...toyPreset, schedule: { poly: 0.9 } };
  tap.equal(rateOf(poly, 0), 3e-3);
  tap.ok(Math.abs(rateOf(poly, 0.75) - 3e-3 * 0.25 ** 0.9) < 1e-12);
  tap.equal(rateOf(poly, 1), 0);
  const focal = { ...toyPreset, loss: { focus: 2 } };
  const [with2, without] = [
    await weightsAfter(focal, 2, d),
    await weightsAfter({ ...toyPreset, loss: {} }, 2, d),
  ];
  tap.notSame(Array.from(with2), Array.from(without));
});

t.test('a run without improvement ends early, and stays ended', async (tap) => {
  const out = join(tap.testdir(), 'run');
  const preset: Preset = {
    ...toyPreset,
    ...{ steps: 400, validation: { every: 4, samples: 2 }, stop: { patience: 2, least: 2 } },
  };
  const options = { sampler: toySampler(preset), device: d, out };
  const { steps, stoppedEarly, best } = await train(preset, options);
  // No Dice is better than the first by 2.
  tap.same([steps, stoppedEarly], [12, true]);
  tap.ok((await readFile(best)).length > 100);
  tap.equal((await train(preset, { ...options, resume: true })).steps, 12);
  const note = JSON.parse(await readFile(join(out, 'run.json'), 'utf8')) as { sessions: object[] };
  tap.match(note, {
    sessions: [
      { from_step: 0, device: 'cpu', source: 'toy balls', cases: null },
      { from_step: 12, source: 'toy balls' },
    ],
  });
  const curves = await readFile(join(out, 'curves.svg'), 'utf8');
  tap.match(curves, /^<svg xmlns[\s\S]*kidney[\s\S]*<\/svg>\s*$/);
});

t.test('a run may begin with the weights of another', async (tap) => {
  const root = tap.testdir();
  const sampler = toySampler(toyPreset);
  const { weights } = await train(toyPreset, { sampler, device: d, out: join(root, 'first') });
  // At a rate of next to nothing the weights stay what they were.
  const optimiser = { kind: 'sgd', learningRate: 1e-30, momentum: 0 } as const;
  const still: Preset = { ...toyPreset, optimiser, steps: 1 };
  const out = join(root, 'second');
  const second = await train(still, { sampler, device: d, out, init: weights });
  const tensors = async (file: string) =>
    [...parseSafetensors(await readFile(file)).tensors].map(([name, { bytes }]) => [
      name,
      Buffer.from(bytes).toString('hex'),
    ]);
  tap.same(await tensors(second.weights), await tensors(weights));
  tap.match(await readFile(join(out, 'run.json'), 'utf8'), /"init_sha256": "[0-9a-f]{64}"/);
  const wrong = { sampler: toySampler(toyClasses), device: d, out: join(root, 'third') };
  await tap.rejects(train(toyClasses, { ...wrong, init: weights }), { code: 'InvalidWeights' });
  const none = { ...wrong, out: join(root, 'fourth'), init: join(root, 'none') };
  await tap.rejects(train(toyClasses, none), { code: 'FileNotFound' });
  // Each weights file says what it began with, after a resumption too.
  const { sha256 } = await loaded(weights);
  const longer: Preset = { ...still, steps: 2 };
  const software = { version: '1.2.3', commit: 'abc' };
  const resumed = { sampler, device: d, out, software, resume: true };
  for (const file of [out, join(out, 'none')])
    await tap.rejects(train(longer, { ...resumed, init: join(file, 'weights.safetensors') }), {
      code: file === out ? 'InvalidArgument' : 'FileNotFound',
    });
  const third = await train(longer, { ...resumed, init: weights });
  for (const file of [third.weights, third.best]) {
    const { training } = (await loaded(file)).metadata;
    tap.match(training, { init: { sha256 }, source: 'toy balls', validation: {} });
    if (file === third.weights) tap.match(training, { software, steps: 2, totalSteps: 2 });
  }
  tap.equal((await loaded(weights)).metadata.training.init, undefined, 'random weights');
  const random = { sampler, device: d, out: join(root, 'first'), resume: true, init: weights };
  await tap.rejects(train(toyPreset, random), { message: /began with random weights, not with / });
});

async function loaded(file: string) {
  const { network, metadata, sha256 } = await loadNetwork(file, { device: d });
  network.dispose();
  return { metadata, sha256 };
}

t.test('weights of another function are refused, though their tensors fit', async (tap) => {
  const root = tap.testdir();
  const { config } = toyClasses.architecture;
  const of = (change: object, steps = 1): Preset => ({
    ...toyClasses,
    ...{ steps, validation: { every: 1, samples: 1 } },
    architecture: { kind: 'resnet3d', config: { ...config, ...change } as never },
  });
  const run = (preset: Preset, name: string, init?: string) =>
    train(preset, { sampler: toySampler(preset), device: d, out: join(root, name), init });
  const { weights } = await run(of({}), 'strided');
  await tap.rejects(run(of({ geometry: 'dilated' }), 'dilated', weights), {
    code: 'InvalidWeights',
    message: /another architecture: geometry is "strided", expected "dilated"/,
  });
  tap.equal((await run(of({ dropout: 0.5 }), 'dropout', weights)).steps, 1);
  const bare = join(root, 'bare.safetensors');
  const { tensors } = parseSafetensors(await readFile(weights));
  await writeFile(bare, Buffer.concat([...formatSafetensors(tensors, {})]));
  await tap.rejects(run(of({}), 'bare', bare), {
    code: 'InvalidWeights',
    message: /does not say its architecture/,
  });
});

t.test('the rate finder', async (tap) => {
  const curve = await findRate(toyPreset, {
    sampler: toySampler(toyPreset),
    device: d,
    steps: 30,
    to: 1e3,
  });
  tap.ok(curve.rates.length >= 5 && curve.rates.length <= 30);
  tap.equal(curve.rates[0], 1e-6);
  const least = curve.losses.indexOf(Math.min(...curve.losses));
  tap.ok(least > 0, 'the loss falls before it runs away');
  tap.equal(curve.suggestion, (curve.rates[least] as number) / 10);
  const bad = { sampler: toySampler(toyPreset), device: d };
  // Weights to begin with: what has learnt has a lower loss at a rate that changes nothing.
  const [folder, few] = [tap.testdir(), { ...bad, steps: 3, to: 1e-5 }];
  const learnt = await train({ ...toyPreset, steps: 60 }, { ...bad, out: folder });
  const [fresh, trained] = [
    await findRate(toyPreset, few),
    await findRate(toyPreset, { ...few, init: learnt.weights }),
  ].map(({ losses }) => losses[0] as number) as [number, number];
  tap.ok(trained < 0.9 * fresh, `a loss of ${trained} after training, ${fresh} before`);
  await tap.rejects(findRate(toyClasses, { ...few, init: learnt.weights }), {
    code: 'InvalidWeights',
  });
  await tap.rejects(findRate(toyPreset, { ...bad, from: 1, to: 0.1 }), { code: 'InvalidArgument' });
  await tap.rejects(findRate(toyPreset, { ...bad, signal: AbortSignal.abort() }), {
    code: 'AbortError',
  });
});

t.test('divergence names layer and sample', async (tap) => {
  // Images of 3e38 overflow in the first convolution; one sample of the batch is such.
  const huge = (preset: Preset, seed: number): Sampler => {
    const toy = toySampler(preset);
    return {
      ...toy,
      training(on, s) {
        const sample = toy.training(on, s);
        return s === seed ? { ...sample, image: on.full(sample.image.shape, 3e38) } : sample;
      },
    };
  };
  for (const preset of [toyPreset, { ...toyPreset, microBatch: 1 }, toyClasses]) {
    const seed = preset.seed * 1e9 + 4 * preset.batch + 1;
    const out = join(tap.testdir(), `${preset.name}-${preset.microBatch}`);
    const error = await train(preset, { out, sampler: huge(preset, seed), device: d }).catch(
      (e: unknown) => e,
    );
    tap.ok(isRenvoxError(error, 'Diverged'));
    const layer = preset === toyClasses ? 'conv1' : 'encoder.0.0.conv';
    tap.match(error, {
      message: new RegExp(`in step 5: first in ${layer}, sample 2 of ${preset.batch}`),
      details: { step: 5, layer, sample: 1, seed },
    });
  }
  // Finite all the way to the loss: a rate that throws the weights away.
  const wild: Preset = {
    ...toyPreset,
    optimiser: { kind: 'sgd', learningRate: 1e38, momentum: 0 },
    clip: 1e30,
  };
  await tap.rejects(
    train(wild, { out: join(tap.testdir(), 'wild'), sampler: toySampler(wild), device: d }),
    { code: 'Diverged', message: /in step \d+: first in / },
  );
  tap.ok(presets.nnunet?.precision === 'fp16');
});
