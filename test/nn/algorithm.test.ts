// The algorithm that convolutions choose by shape (Winograd's on the CPU) against the direct one: the shipped networks' label maps, and
// what the other forms of a network make of it.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { analyze, device, scope, type Tensor } from 'renvox';
import { type InferOptions, ResNet3D, UNet3D } from 'renvox/nn';
import { phantom } from 'renvox/phantom';
import { loadCascade, type SecondPhase } from 'renvox/pipeline';
import { fixedGrid, readVolume, type Volume } from 'renvox/volume';
import t, { type Test } from 'tap';
import { dataFolder } from '../data-folder.js';
import { randomTensor, relativeRms, sameBits } from '../ops/harness.js';

const cpu = device('cpu');
t.teardown(() => cpu.dispose());

/** Analyses a CT by both algorithms; at least 99.99 % of all labels, and of those that either calls not background 99.9 %, are the same. */
async function compare(t: Test, ct: Volume, name: string, phase?: SecondPhase): Promise<void> {
  const auto = await loadCascade(cpu, undefined, { twoPhases: true });
  const direct = await loadCascade(cpu, undefined, { twoPhases: true });
  let calls = 0;
  const { kidney, mass, classifier, twoPhaseClassifier } = direct;
  const named = phase ? twoPhaseClassifier : classifier;
  for (const stage of [kidney, mass, named as typeof classifier]) {
    const network = stage.network as { infer(x: Tensor, options?: InferOptions): Tensor };
    const infer = network.infer.bind(network);
    network.infer = (x, options) => {
      calls++;
      return infer(x, { ...options, algorithm: 'direct' });
    };
  }
  const [a, b] = [
    await analyze(ct, { device: cpu, weights: auto, phase }),
    await analyze(ct, { device: cpu, weights: direct, phase }),
  ].map(({ labels, provenance }) => {
    const last = provenance.weights.at(-1)?.name;
    t.equal(last, phase ? 'class-two-phases' : 'class', `${name}: which classifier`);
    return labels.data;
  }) as [Uint8Array, Uint8Array];
  auto.dispose();
  direct.dispose();
  t.ok(calls > 0, `${name}: the direct algorithm was asked for`);
  let [same, foreground, sameForeground] = [0, 0, 0];
  for (const [i, label] of a.entries()) {
    if (label === b[i]) same++;
    if (label === 0 && b[i] === 0) continue;
    foreground++;
    if (label === b[i]) sameForeground++;
  }
  t.ok(foreground > 100, `${name}: ${foreground} voxels of kidneys and masses`);
  const share = same / a.length;
  t.ok(share >= 0.9999, `${name}: ${(100 * share).toFixed(4)} % of labels the same`);
  const inside = sameForeground / foreground;
  t.ok(inside >= 0.999, `${name}: ${(100 * inside).toFixed(3)} % of those in the foreground`);
}

t.test('label maps of phantoms', async (t) => {
  for (const seed of [33000001, 33000002]) {
    const grid = fixedGrid({ shape: [100, 90, 120], spacing: [3, 3, 3], centre: [0, 0, 0] });
    const { ct, phase } = await phantom(seed, { device: cpu, grid });
    await compare(t, ct, `phantom ${seed}`);
    const [name, drawn] =
      phase === 'unenhanced'
        ? (['np', 'nephrographic'] as const)
        : (['unenhanced', 'unenhanced'] as const);
    const other = await phantom(seed, { device: cpu, grid, phase: drawn });
    await compare(t, ct, `phantom ${seed} in two phases`, { name, ct: other.ct });
  }
});

t.test('label maps of real CTs', async (t) => {
  const folder = join(dataFolder() ?? 'no data folder', 'ct');
  if (!existsSync(folder)) {
    t.comment(`${folder} is not there (RENVOX_DATA): not compared`);
    return;
  }
  const names = readdirSync(folder).filter((n) => /\.nii\.gz$/.test(n) && !/_labels/.test(n));
  for (const name of names.slice(0, 2))
    await compare(t, await readVolume(join(folder, name)), name);
});

t.test('logits, eager and planned', async (t) => {
  const config = { inputChannels: 1, classes: 3, channels: [16, 32, 64] };
  const networks = [
    new UNet3D(config, { device: cpu, seed: 4 }),
    new UNet3D({ ...config, norm: 'batch' }, { device: cpu, seed: 5 }),
    new ResNet3D(
      { inputChannels: 1, classes: 2, widths: [16, 16, 32, 32] },
      { device: cpu, seed: 6 },
    ),
  ];
  for (const network of networks) {
    const x = randomTensor(cpu, [1, 32, 40, 48, 1], 7);
    for (const form of ['infer', 'forward'] as const) {
      const run = (algorithm: 'auto' | 'direct') =>
        scope(() => network[form](x, { algorithm })).data();
      const [auto, again, direct] = await Promise.all([run('auto'), run('auto'), run('direct')]);
      sameBits(t, again, auto, `${network.kind} ${form} at every call`);
      const error = relativeRms(auto, direct);
      t.ok(
        error > 0 && error <= 2e-5,
        `${network.kind} ${form}: relative RMS difference ${error.toExponential(1)}`,
      );
    }
    network.dispose();
  }
});
