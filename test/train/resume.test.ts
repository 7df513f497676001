// A run goes on with what it began with, or not at all.
import fs from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { device } from 'renvox';
import { parseSafetensors } from 'renvox/nn';
import {
  type FolderOptions,
  folderSampler,
  type Preset,
  presets,
  type Sampler,
  train,
} from 'renvox/train';
import t from 'tap';
import { TrainingState } from '#lib/train/state.js';
import { kits, patient } from './tiny-cases.js';
import { toyPreset, toySampler } from './toy.js';

const d = device('cpu');
t.teardown(() => d.dispose());

const preset: Preset = {
  ...(presets.kidney as Preset),
  architecture: { kind: 'unet3d', config: { inputChannels: 1, classes: 2, channels: [2, 4] } },
  grid: { shape: [16, 16, 24], spacing: [12, 12, 12] },
  steps: 2,
  validation: { every: 2, samples: 2 },
};

const read = async (path: string) => JSON.parse(await fs.readFile(path, 'utf8')) as unknown;

t.test('another split, case, content or source is refused', async (tap) => {
  const root = await kits(tap.testdir({ cache: {} }), 10);
  const out = join(root, 'run');
  const sampler = (options: Partial<FolderOptions> = {}) =>
    folderSampler(preset, root, { device: d, ...options });
  const resume = (from: Sampler, steps: number) =>
    train({ ...preset, steps }, { out, sampler: from, device: d, resume: true });
  const fold = (k: number) => sampler({ split: { folds: 5, fold: k } });
  const first = await fold(0);
  await resume(first, 2);
  const refused = async (from: Sampler, cases: readonly (string | RegExp)[], message: RegExp) => {
    const error = await resume(from, 4).then(
      () => undefined,
      (e: unknown) => e,
    );
    tap.match(error, { code: 'InvalidArgument', message, details: { cases } });
  };
  const held = first.cases?.validation as string[];
  const other = await fold(1);
  const moves = [
    ...held.map((name) => `${name} was in validation, is in training`),
    ...(other.cases?.validation ?? []).map((name) => `${name} was in training, is in validation`),
  ].sort();
  tap.equal(moves.length, 4);
  await refused(other, moves, new RegExp(`other data .*${moves[0]}; ${moves[1]}`));
  await refused(toySampler(preset), Array(10).fill(/is gone$/), /go on with \(toy balls\)/);
  const bare: Sampler = { ...toySampler(preset), source: first.source };
  await refused(bare, Array(10).fill(/is gone$/), /is gone/);
  tap.same(((await read(join(out, 'preset.json'))) as Preset).steps, 2, 'nothing was written');
  // Read from the cache or from the files: the same cases.
  const cached = { split: { folds: 5, fold: 0 }, cache: { folder: join(root, 'cache') } };
  for (const steps of [3, 4]) {
    const same = await sampler(cached);
    tap.same(same.content, first.content);
    await resume(same, steps);
  }
  const path = join(root, 'case_00003', 'segmentation.nii.gz');
  const before = await fs.readFile(path);
  await patient({ left: 1, right: 1, mass: 3 }, 3).labels.write(path);
  for (const changed of [await fold(0), await sampler(cached)])
    await refused(changed, ['case_00003 has other content'], /case_00003 has other content/);
  await fs.writeFile(path, before);
  await kits(root, 11);
  const more = await sampler();
  const error = await resume(more, 6).catch((e: unknown) => e);
  tap.match(error, { code: 'InvalidArgument', message: /case_00010 is new, in / });
  const { sessions } = (await read(join(out, 'run.json'))) as { sessions: unknown[] };
  tap.equal(sessions.length, 3);
  for (const session of sessions) tap.match(session, { source: first.source, cases: first.cases });
});

t.test('a checkpoint that does not say its data goes on', async (tap) => {
  const out = tap.testdir();
  const sampler = toySampler(toyPreset);
  const state = TrainingState.fresh({ ...toyPreset, steps: 3 }, d);
  state.step = 3;
  await state.save(out);
  state.dispose();
  const old = {
    source: 'other balls',
    cases: null,
    sessions: [{ from_step: 0 }, { from_step: 2 }],
  };
  await fs.writeFile(join(out, 'run.json'), JSON.stringify(old));
  const { steps } = await train(
    { ...toyPreset, steps: 5 },
    { out, sampler, device: d, resume: true },
  );
  tap.equal(steps, 5);
  const { metadata } = parseSafetensors(await fs.readFile(join(out, 'checkpoint.safetensors')));
  tap.equal(metadata.data, '{"source":"toy balls"}', 'and says it from then on');
  const { sessions } = (await read(join(out, 'run.json'))) as { sessions: object[] };
  tap.same(sessions.slice(0, 2), [
    { from_step: 0 },
    { from_step: 2, source: 'other balls', cases: null },
  ]);
  tap.match(sessions[2], { from_step: 3, source: 'toy balls' });
});

t.test('a damaged checkpoint never takes the place of the sound one', async (tap) => {
  const out = tap.testdir();
  await train(toyPreset, { out, sampler: toySampler(toyPreset), device: d });
  const newest = join(out, 'checkpoint.safetensors');
  const bytes = await fs.readFile(newest);
  bytes[bytes.length - 5] = (bytes[bytes.length - 5] as number) ^ 1;
  await fs.writeFile(newest, bytes);
  const goOn = async () => (await TrainingState.resume(toyPreset, d, out)) as TrainingState;
  const state = await goOn();
  tap.equal(state.step, 9);
  // Killed between the rename and the write: no file can be made any more.
  const { open } = fs;
  fs.open = () => Promise.reject(new Error('killed'));
  syncBuiltinESMExports();
  await tap.rejects(state.save(out), { code: 'WriteFailed' });
  fs.open = open;
  syncBuiltinESMExports();
  state.dispose();
  const again = await goOn();
  tap.equal(again.step, 9, 'the sound one is still there');
  await again.save(out);
  again.dispose();
  tap.same(await fs.readFile(join(out, 'checkpoint.damaged.safetensors')), bytes, 'set aside');
});
