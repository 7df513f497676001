import { appendFile, mkdir, readdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { device, isRenvoxError, liveBytes, threads } from 'renvox';
import { loadNetwork, parseSafetensors } from 'renvox/nn';
import { type Sampler, type TrainOptions, type TrainProgress, train } from 'renvox/train';
import t from 'tap';
import { toyClasses, toyPreset, toySampler } from './toy.js';

const d = device('cpu');
t.teardown(() => d.dispose());

const sampler = toySampler(toyPreset);

async function logOf(folder: string): Promise<Record<string, unknown>[]> {
  const text = await readFile(join(folder, 'log.jsonl'), 'utf8');
  const lines = text.trim().split('\n');
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

function run(out: string, options: Partial<TrainOptions> = {}, steps = toyPreset.steps) {
  return train({ ...toyPreset, steps }, { out, sampler, device: d, ...options });
}

t.test('a run leaves weights, log, preset and checkpoint, and learns', async (tap) => {
  const out = tap.testdir();
  const seen: TrainProgress[] = [];
  const live = liveBytes();
  const result = await run(out, { onProgress: (p) => seen.push(p) }, 100);
  await d.drain();
  tap.equal(liveBytes(), live, 'no native memory is left');
  const { score, perClass } = result.validation;
  tap.ok((score ?? 0) > 0.7, `Dice ${score} of balls never trained on`);
  tap.equal(perClass.length, 1);
  const lines = await logOf(out);
  const [first, last] = [lines[0], lines[lines.length - 1]].map((line) => line?.loss as number);
  tap.ok((last as number) < 0.7 * (first as number), `the loss fell from ${first} to ${last}`);
  tap.same(lines[lines.length - 1]?.step, 100);
  tap.match(seen[seen.length - 1], { done: 100, total: 100, secondsLeft: 0 });
  tap.ok(
    seen.some((p) => p.validation),
    'validation is reported',
  );
  const preset: unknown = JSON.parse(await readFile(join(out, 'preset.json'), 'utf8'));
  tap.same(preset, { ...toyPreset, steps: 100 });
  const { network, metadata, sha256 } = await loadNetwork(result.weights, { device: d });
  tap.equal(network.kind, 'unet3d');
  tap.match(sha256, /^[0-9a-f]{64}$/);
  tap.match(metadata.preprocessing, { task: 'kidney', grid: toyPreset.grid });
  tap.match(metadata.training, { steps: 100, source: 'toy balls', preset: { seed: 1 } });
  network.dispose();
});

t.test('one run at a time has the folder', async (tap) => {
  const out = tap.testdir();
  const both = await Promise.allSettled([run(out, {}, 4), run(out, {}, 4)]);
  const refused = both.filter((own) => own.status === 'rejected');
  tap.equal(refused.length, 1);
  tap.match(refused[0]?.reason, {
    code: 'InvalidArgument',
    message: new RegExp(`no other run writes into .*process ${process.pid} on `),
  });
  await run(out, { resume: true }, 6);
  tap.notOk((await readdir(out)).includes('.renvox-lock'), 'and gives it back');
});

t.test('the weights file says how its mass is told', async (tap) => {
  const out = tap.testdir();
  const preset = { ...toyClasses, steps: 2 };
  const { weights } = await train(preset, { out, sampler: toySampler(preset), device: d });
  const { network, metadata } = await loadNetwork(weights, { device: d });
  tap.equal(metadata.preprocessing.contour, 'channel');
  network.dispose();
});

t.test('a stopped and resumed run ends with the same bits', async (tap) => {
  for (const preset of [toyPreset, toyClasses]) {
    const folder = tap.testdir();
    const [whole, parts] = [`${preset.name}-whole`, `${preset.name}-parts`].map((name) =>
      join(folder, name),
    ) as [string, string];
    const base = { sampler: toySampler(preset), device: d };
    threads(1);
    await train(preset, { ...base, out: whole });
    threads(2);
    const stop = new AbortController();
    const stopped = train(preset, {
      ...{ ...base, out: parts, signal: stop.signal },
      onProgress: ({ done }) => done === 6 && stop.abort(),
    });
    await tap.rejects(stopped, { code: 'AbortError', message: /after step 6 of 12/ });
    const lines = (await logOf(parts)).length;
    await appendFile(join(parts, 'log.jsonl'), '{"step":7,"loss":1}\n{"step":8,"lo');
    await train(preset, { ...base, out: parts, resume: true });
    const log = await logOf(parts);
    tap.ok(log.length > lines, 'the log goes on');
    tap.notOk(
      log.some((l) => l.step === 7),
      'what was logged after the checkpoint is gone',
    );
    for (const file of ['weights.safetensors', 'checkpoint.safetensors']) {
      const read = async (from: string) => parseSafetensors(await readFile(join(from, file)));
      const [a, b] = [await read(whole), await read(parts)];
      tap.equal(a.tensors.size, b.tensors.size);
      for (const [name, { bytes }] of a.tensors)
        if (!Buffer.from(bytes).equals(Buffer.from(b.tensors.get(name)?.bytes ?? [])))
          tap.fail(`${preset.name} ${file}: ${name} differs`);
    }
    tap.pass(`${preset.name}: same bits`);
  }
});

t.test('a run that is stopped in the middle of a validation goes on with it', async (tap) => {
  const folder = tap.testdir();
  const [whole, parts] = [join(folder, 'whole'), join(folder, 'parts')];
  const preset = { ...toyPreset, validation: { every: 4, samples: 3 } };
  const sampler = toySampler(preset);
  await train(preset, { device: d, sampler, out: whole });
  const go = (on: Sampler, stop: AbortController, onProgress?: TrainOptions['onProgress']) =>
    train(preset, {
      ...{ device: d, sampler: on, out: parts, resume: true, signal: stop.signal },
      ...(onProgress ? { onProgress } : {}),
    });
  const stoppedIn = async (step: number) => {
    const stop = new AbortController();
    const stopping: Sampler = {
      ...sampler,
      validation(device, index) {
        if (index === 1) stop.abort();
        return sampler.validation(device, index);
      },
    };
    const message = new RegExp(`after step ${step} of 12`);
    await tap.rejects(go(stopping, stop), { code: 'AbortError', message });
  };
  await stoppedIn(4);
  await stoppedIn(4);
  // Judges step 4, and is stopped when step 8 is judged.
  const stop = new AbortController();
  const next = go(sampler, stop, ({ validation }) => validation && stop.abort());
  await tap.rejects(next, { code: 'AbortError', message: /after step 8 of 12/ });
  await stoppedIn(12);
  await train(preset, { device: d, sampler, out: parts, resume: true });
  const judged = async (from: string) =>
    (await logOf(from)).flatMap((l) => ('score' in l ? [[l.step, l.score]] : []));
  tap.same(await judged(parts), await judged(whole), 'each validation once, with the same figures');
  for (const file of ['weights.safetensors', 'best.safetensors']) {
    const read = async (from: string) => parseSafetensors(await readFile(join(from, file)));
    const [a, b] = [await read(whole), await read(parts)];
    for (const [name, { bytes }] of a.tensors)
      tap.ok(Buffer.from(bytes).equals(Buffer.from(b.tensors.get(name)?.bytes ?? [])), name);
  }
});

t.test('a run can be stopped at once, and lengthened', async (tap) => {
  const out = tap.testdir();
  await tap.rejects(run(out, { signal: AbortSignal.abort() }), { code: 'AbortError' });
  await run(out, {}, 3);
  const { steps } = await run(out, { resume: true }, 5);
  tap.equal(steps, 5);
});

t.test('a damaged checkpoint falls back to the one before', async (tap) => {
  const out = tap.testdir();
  await run(out);
  tap.same((await readdir(out)).sort(), [
    'best.safetensors',
    'checkpoint.previous.safetensors',
    'checkpoint.safetensors',
    'curves.svg',
    'log.jsonl',
    'preset.json',
    'run.json',
    'weights.safetensors',
  ]);
  const newest = join(out, 'checkpoint.safetensors');
  const bytes = await readFile(newest);
  bytes[bytes.length - 5] = (bytes[bytes.length - 5] as number) ^ 1;
  await writeFile(newest, bytes);
  const seen: number[] = [];
  await run(out, { resume: true, onProgress: (p) => seen.push(p.done) });
  tap.same(seen, [10, 12], 'resumed at step 9');
  tap.same(
    (await logOf(out)).map((l) => l.step),
    [3, 4, 6, 8, 9, 10, 12],
  );
  for (const name of ['checkpoint', 'checkpoint.previous'])
    await truncate(join(out, `${name}.safetensors`), 100);
  await tap.rejects(run(out, { resume: true }), { code: 'InvalidFile', message: /damaged/ });
});

t.test('what would lose a run is refused', async (tap) => {
  const out = join(tap.testdir(), 'new', 'folder');
  await mkdir(out, { recursive: true });
  await run(out, {}, 3);
  await tap.rejects(run(out, {}, 3), { code: 'InvalidArgument', message: /resume/ });
  const other = { ...toyPreset, seed: 99 };
  const resumed = train(other, { out, sampler, device: d, resume: true });
  await tap.rejects(resumed, {
    code: 'InvalidArgument',
    message: /another preset \(toy\): seed differs/,
  });
  // The same values in another order, as an editor or a tool may leave them, are the same preset.
  const turned = (value: unknown): unknown =>
    value && typeof value === 'object' && !Array.isArray(value)
      ? Object.fromEntries(
          Object.entries(value)
            .reverse()
            .map(([k, v]) => [k, turned(v)]),
        )
      : value;
  const same = turned({ ...toyPreset, steps: 5 }) as typeof toyPreset;
  const { steps } = await train(same, { out, sampler, device: d, resume: true });
  tap.equal(steps, 5);
});

t.test('divergence names the step and keeps the checkpoint', async (tap) => {
  const out = tap.testdir();
  // The first sample of the eighth step.
  const bad = toyPreset.seed * 1e9 + 7 * toyPreset.batch;
  const spoiled = toySampler(toyPreset, (seed) => seed === bad);
  const live = liveBytes();
  const error = await run(out, { sampler: spoiled }).then(
    () => undefined,
    (e: unknown) => e,
  );
  tap.ok(isRenvoxError(error, 'Diverged'));
  tap.match(error, {
    message:
      /became NaN in step 8: first in the image, sample 1 of 2 \(seed 1000000014\); the last checkpoint is intact \(step 6\)$/,
    details: { step: 8, layer: 'the image', sample: 0, seed: bad },
  });
  await d.drain();
  tap.equal(liveBytes(), live, 'no native memory is left');
  const { metadata } = parseSafetensors(await readFile(join(out, 'checkpoint.safetensors')));
  tap.equal(metadata.step, '6');
  const { steps } = await run(out, { resume: true });
  tap.equal(steps, 12, 'with sound samples it goes on');
});

t.test('a divergence before the first checkpoint does not speak of one', async (tap) => {
  const out = tap.testdir();
  const seed = toyPreset.seed * 1e9 + toyPreset.batch;
  const spoiled = toySampler(toyPreset, (s) => s === seed);
  await tap.rejects(run(out, { sampler: spoiled }), {
    code: 'Diverged',
    message: /in step 2: .*; no checkpoint was written yet$/,
  });
  tap.notOk((await readdir(out)).some((name) => name.startsWith('checkpoint')));
});

t.test('a stop between two checkpoints keeps what was done', async (tap) => {
  const out = join(tap.testdir(), 'run');
  const preset = {
    ...toyPreset,
    steps: 40,
    checkpoint: 1000,
    validation: { every: 1000, samples: 1 },
  };
  const stop = new AbortController();
  const stopped = train(preset, {
    ...{ sampler: toySampler(preset), device: d, out, signal: stop.signal },
    onProgress: ({ done }) => done === 10 && stop.abort(),
  });
  await tap.rejects(stopped, { code: 'AbortError', message: /after step 10 of 40/ });
  const { metadata } = parseSafetensors(await readFile(join(out, 'checkpoint.safetensors')));
  tap.match(JSON.stringify(metadata), /\\?"step\\?":\\?"?10|"10"/, 'the checkpoint is of step 10');
});
