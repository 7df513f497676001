// `renvox weights show --preset` gives back what a shipped file was trained by, as `renvox train --preset` takes it.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { device } from 'renvox';
import { saveNetwork, UNet3D } from 'renvox/nn';
import { checkPreset, presets } from 'renvox/train';
import t from 'tap';
import { renvox } from './command.js';

/** Metadata of a safetensors file, read by hand: the header's length, then JSON. */
function trainingOf(path: string): { preset: { seed: number } } {
  const bytes = readFileSync(path);
  const header = bytes.subarray(8, 8 + Number(bytes.readBigUInt64LE(0))).toString();
  return JSON.parse(JSON.parse(header).__metadata__.training);
}

t.test('presets of the shipped weights', async (t) => {
  for (const name of ['kidney', 'mass', 'class']) {
    const path = `weights/${name}.safetensors`;
    const { status, stdout, stderr } = renvox(['weights', 'show', path, '--preset']);
    t.equal(status, 0, stderr);
    const preset = JSON.parse(stdout);
    t.same(preset, trainingOf(path).preset, name);
    t.equal(checkPreset(preset).task, presets[name]?.task);
  }
});

t.test('a file that names no preset', async (t) => {
  const path = join(t.testdir(), 'untrained.safetensors');
  using cpu = device('cpu');
  const network = new UNet3D({ inputChannels: 1, classes: 2, channels: [2, 2] }, { device: cpu });
  await saveNetwork(path, network, { preprocessing: {}, training: {} });
  network.dispose();
  const { status, stdout, stderr } = renvox(['weights', 'show', path, '--preset']);
  t.same([status, stdout], [3, '']);
  t.match(stderr, /Expected a preset .*untrained\.safetensors has none/);
});
