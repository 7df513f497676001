// What a weights file says of how sure its network must be decides what is believed.
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { analyze, device } from 'renvox';
import { loadNetwork, saveNetwork } from 'renvox/nn';
import { phantom } from 'renvox/phantom';
import { loadCascade, shippedWeights } from 'renvox/pipeline';
import { fixedGrid } from 'renvox/volume';
import t, { type Test } from 'tap';

const NAMES = ['kidney', 'mass', 'class'];

/** A folder of the shipped weights, in which one file's belief is another one, or none. */
async function folderWith(t: Test, changed: string, belief: unknown): Promise<string> {
  const folder = t.testdir();
  for (const name of NAMES)
    await copyFile(
      join(shippedWeights(), `${name}.safetensors`),
      join(folder, `${name}.safetensors`),
    );
  using cpu = device('cpu');
  const path = join(folder, `${changed}.safetensors`);
  const { network, metadata } = await loadNetwork(path, { device: cpu });
  const { belief: _, ...others } = metadata.preprocessing;
  const preprocessing = belief === undefined ? others : { ...others, belief };
  await saveNetwork(path, network, { ...metadata, preprocessing });
  return folder;
}

const found = async (t: Test, changed: string, belief: unknown, slices = 90) => {
  using cpu = device('cpu');
  const weights = await loadCascade(cpu, await folderWith(t, changed, belief));
  const grid = fixedGrid({ shape: [slices, 110, 140], spacing: [3, 2.6, 2.6], centre: [0, 0, 0] });
  const { ct } = await phantom(31000025, { device: cpu, grid });
  const { kidneys, masses } = await analyze(ct, { device: cpu, weights });
  weights.dispose();
  return { voxels: kidneys.left.voxels + kidneys.right.voxels, masses: masses.length };
};

t.test('kidneys of which little is sure are none, and have no masses', async (t) => {
  const all = await found(t, 'kidney', undefined);
  t.ok(all.voxels > 0);
  t.same(await found(t, 'kidney', { lead: 0, share: 1 }), all, 'a lead of 0 leaves all');
  t.same(await found(t, 'kidney', { lead: 900, share: 0.01 }), { voxels: 0, masses: 0 });
});

t.test('a thin slab has a belief of its own', async (t) => {
  const strict = { lead: 900, share: 0.01 };
  const slab = (thin: object) => found(t, 'kidney', { lead: 0, share: 1, thin }, 15);
  t.ok((await slab({ below: 45, ...strict })).voxels > 0, '15 slices of 3 mm are not below 45 mm');
  t.same(await slab({ below: 45.1, ...strict }), { voxels: 0, masses: 0 });
});

t.test('masses of which little is sure are kidney', async (t) => {
  const all = await found(t, 'mass', undefined);
  t.ok(all.masses > 0, 'the phantom has one that is found');
  t.same(await found(t, 'mass', { lead: 0, share: 1 }), all, 'a lead of 0 leaves all');
  const none = await found(t, 'mass', { lead: 900, share: 0.01 });
  t.equal(none.masses, 0);
  t.ok(none.voxels > all.voxels, 'what was mass is kidney');
});

t.test('a belief that is none is refused', async (t) => {
  const thin = [null, {}, { below: 50, lead: 1 }, { below: -1, lead: 1, share: 1 }].map((thin) => ({
    ...{ lead: 1, share: 0.5, thin },
  }));
  using cpu = device('cpu');
  for (const belief of [null, 3, {}, { lead: -1, share: 0.5 }, { lead: 1, share: 1.5 }, ...thin])
    await t.rejects(loadCascade(cpu, await folderWith(t, 'mass', belief)), {
      code: 'InvalidWeights',
      message: /belief \{ lead, share, thin or none \} or none/,
    });
});
