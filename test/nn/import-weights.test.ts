import { readFileSync, writeFileSync } from 'node:fs';
import { join as path } from 'node:path';
import { device, isRenvoxError, scope } from 'renvox';
import {
  describeWeights,
  formatSafetensors,
  importWeights,
  loadNetwork,
  parseSafetensors,
  parseTorchFile,
  type StoredTensor,
  saveNetwork,
} from 'renvox/nn';
import { loadCascade } from 'renvox/pipeline';
import t from 'tap';
import { renvox } from '../cli/command.js';
import { agrees, channelsFirst, ReferenceCount } from '../ops/harness.js';
import { Fixture } from './fixture.js';

const references = new ReferenceCount(t);
const fixture = 'test/fixtures/torch';

t.test('both forms and both geometries give what PyTorch computes', async (tap) => {
  using d = device('cpu');
  const torch = new Fixture('resnet10_narrow');
  const head = ['head.0.weight', 'head.0.bias', 'head.2.weight', 'head.2.bias'];
  for (const [file, geometry] of [
    ['resnet10_narrow.pth', 'dilated'],
    ['resnet10_narrow.legacy.pth', 'strided'],
  ] as const) {
    const options = { geometry, hidden: 16, device: d };
    const { network, report } = await importWeights(`${fixture}/${file}`, options);
    tap.match(network.config, { geometry, widths: [8, 16, 32, 64], classes: 3, hidden: 16 });
    tap.equal(report.taken.length, 60);
    tap.same(report.taken[0], {
      ...{ name: 'conv1.weight', from: 'module.conv1.weight' },
      ...{ dtype: 'f32', shape: [8, 1, 7, 7, 7] },
    });
    const names = report.leftOut.map(({ name }) => name);
    tap.equal(names.length, 12);
    tap.ok(names.every((name) => name.endsWith('num_batches_tracked')));
    const made = report.made.map(({ name }) => name);
    tap.same(made, head, 'the files have no head: it is new');
    using x = torch.image(d, 'input');
    const expected = torch.get(`${geometry}/layer4`).data;
    using features = scope(() => network.features(x));
    const own = channelsFirst(await features.data(), features.shape);
    references.compare(tap, own, expected, 1e-5, `${file}: ${geometry}/layer4`);

    const out = path(tap.testdir(), `${geometry}.safetensors`);
    const { preprocessing, training } = (await importWeights(`${fixture}/${file}`, options))
      .metadata;
    await saveNetwork(out, network, { preprocessing, training });
    const { network: again, metadata } = await loadNetwork(out, { device: d });
    tap.match(metadata.preprocessing, { task: 'pretrained', intensities: /zero mean/ });
    tap.match(metadata.training, {
      imported: { sha256: report.file.sha256 },
      newHead: { seed: 0 },
    });
    using logits = scope(() => network.forward(x));
    using same = scope(() => again.forward(x));
    tap.same(await same.data(), await logits.data(), 'written and read: the same network');
    network.dispose();
    again.dispose();
  }
});

/** The fixture's backbone with another set of tensors. */
function changed(file: string, change: (tensors: Map<string, StoredTensor>) => void): string {
  const { tensors } = parseTorchFile(readFileSync(`${fixture}/resnet10_narrow.pth`));
  const floats = [...tensors].filter(([, { dtype }]) => dtype === 'f32');
  const stored = new Map(floats.map(([name, tensor]) => [name, tensor as StoredTensor]));
  change(stored);
  writeFileSync(file, Buffer.concat(formatSafetensors(stored)));
  return file;
}

t.test('safetensors of the same state dict, with a head', async (tap) => {
  using d = device('cpu');
  const file = changed(path(tap.testdir(), 'w.safetensors'), (tensors) => {
    for (const [name, tensor] of [...tensors]) {
      tensors.delete(name);
      tensors.set(name.replace('module.', ''), tensor);
    }
    const all = parseSafetensors(readFileSync(`${fixture}/resnet10_narrow.safetensors`)).tensors;
    for (const [name, tensor] of all) if (name.startsWith('head.')) tensors.set(name, tensor);
  });
  const { network, report } = await importWeights(file, { device: d, classes: 7 });
  tap.match(network.config, { classes: 3, hidden: 16 }, 'the head of the file, not of the options');
  tap.same([report.file.format, report.made, report.leftOut], ['safetensors', [], []]);
  const torch = new Fixture('resnet10_narrow');
  using x = torch.image(d, 'input');
  using logits = scope(() => network.forward(x));
  agrees(tap, await logits.data(), torch.get('dilated/logits').data, 1e-5, 'logits');
  network.dispose();
});

t.test('what does not fit is listed, key by key', async (tap) => {
  using d = device('cpu');
  const file = path(tap.testdir(), 'w.safetensors');
  changed(file, (tensors) => {
    const bn1 = tensors.get('module.bn1.bias') as StoredTensor;
    tensors.delete('module.bn1.weight');
    tensors.set('module.layer1.1.bn1.bias', bn1);
    tensors.set('module.layer1.0.bn1.bias', { ...bn1, shape: [2, 4] });
    tensors.set('module.layer1.0.bn2.bias', { dtype: 'i32', shape: [8], bytes: bn1.bytes });
  });
  const error = await importWeights(file, { device: d }).catch((e: unknown) => e);
  tap.ok(isRenvoxError(error, 'InvalidWeights'), String(error));
  tap.same((error as { details: { faults: string[] } }).details.faults, [
    'module.layer1.0.bn2.bias is i32, expected floats',
    'bn1.weight is missing',
    'layer1.0.bn1.bias has shape [2, 4], expected [8]',
    'module.layer1.1.bn1.bias is not part of a ResNet-10',
  ]);
  changed(file, (tensors) => tensors.delete('module.layer3.0.conv1.weight'));
  const missing = importWeights(file, { device: d });
  await tap.rejects(missing, {
    code: 'InvalidWeights',
    message: /layer3.0.conv1.weight is missing/,
  });
  const nowhere = importWeights(`${file}.none`, { device: d });
  await tap.rejects(nowhere, { code: 'FileNotFound' });
  const geometry = 'round' as 'dilated';
  await tap.rejects(importWeights(file, { geometry }), { code: 'InvalidArgument' });
  await d.drain();
  tap.equal(d.memory.live, 0, 'nothing is left behind');
});

t.test('renvox weights import and show', async (tap) => {
  const folder = tap.testdir();
  const out = path(folder, 'class.safetensors');
  const pth = `${fixture}/resnet10_narrow.legacy.pth`;
  const args = ['weights', 'import', pth, '--out', out, '--geometry', 'strided', '--hidden', '24'];
  const done = renvox([...args, '--json']);
  tap.equal(done.status, 0, done.stderr);
  const report = JSON.parse(done.stdout);
  tap.match(report, {
    file: { format: 'torch-legacy', root: 'state_dict', beside: { epoch: 1 } },
    architecture: { kind: 'resnet3d', config: { geometry: 'strided', hidden: 24, classes: 3 } },
  });
  tap.match(renvox(args).stdout, /module.conv1.weight +f32 \[8, 1, 7, 7, 7\] as conv1.weight/);

  const shown = JSON.parse(renvox(['weights', 'show', out, '--json']).stdout);
  tap.same(shown, JSON.parse(JSON.stringify(await describeWeights(out))));
  tap.match(shown, {
    ...{ format: 'safetensors', architecture: report.architecture },
    metadata: { training: { imported: { sha256: report.file.sha256 } } },
  });
  tap.equal(shown.tensors.length, 64);
  tap.match(shown.tensors[0], { name: 'conv1.weight', dtype: 'f32', shape: [8, 1, 7, 7, 7] });
  const text = renvox(['weights', 'show', pth]).stdout;
  tap.match(text, /torch-legacy, 922357 bytes, sha256 [0-9a-f]{64}/);
  tap.match(text, /module.layer4.0.conv2.weight +f32 \[64, 64, 3, 3, 3\]/);

  using d = device('cpu');
  await tap.rejects(loadCascade(d, folder), { code: 'FileNotFound' });
  for (const [status, args] of [
    [2, ['weights', 'import', pth, '--out', out, '--geometry', 'round']],
    [2, ['weights', 'import', pth, '--out', out, '--classes', '1']],
    [3, ['weights', 'import', 'README.md', '--out', out]],
    [3, ['weights', 'show', 'README.md']],
    // Imported, not trained.
    [3, ['weights', 'show', out, '--preset']],
  ] as const) {
    const failed = renvox(args);
    tap.equal(failed.status, status, `${args.join(' ')}: ${failed.stderr}`);
    tap.equal(failed.stdout, '');
  }
});
