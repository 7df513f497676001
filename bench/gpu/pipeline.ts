/** analyze() of a real CT on the device, next to the CPU's findings and time. Without a CT it says so. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { analyze, type Device, type DeviceKind, device, readVolume } from 'renvox';
import { loadCascade } from 'renvox/pipeline';
import { report, type Task } from './settings.js';
import { pipelineTest } from './tests.js';

/** The CT that was packed, or one of the data folder that tests use. */
export function ctFile(root: string): string | undefined {
  const data = process.env.RENVOX_DATA ?? join(root, '..', 'shared', 'data');
  return [join(root, 'data', 'ct.nii.gz'), join(data, 'ct', 'totalsegmentator_ct_3mm.nii.gz')].find(
    (file) => existsSync(file),
  );
}

function share(a: ArrayLike<number>, b: ArrayLike<number>): { equal: number; dice: number } {
  let equal = 0;
  let sum = 0;
  let both = 0;
  for (let i = 0; i < a.length; i++) {
    const [x, y] = [a[i] as number, b[i] as number];
    if (x === y) equal++;
    sum += (x > 0 ? 1 : 0) + (y > 0 ? 1 : 0);
    if (x > 0 && y > 0) both++;
  }
  return { equal: equal / a.length, dice: sum > 0 ? (2 * both) / sum : 1 };
}

async function realCt(task: Task, file: string): Promise<void> {
  const ct = await readVolume(file);
  const cpu = device('cpu');
  const expected = await analyze(ct, { device: cpu });
  const cpuSeconds = Object.values(expected.timings).reduce((a, b) => a + b, 0);
  cpu.dispose();
  for (const precision of ['fp32', 'bf16'] as const) {
    const name = `analyze ${ct.shape.join('x')} ${precision}`;
    let d: Device | undefined;
    try {
      d = device(task.kind as DeviceKind);
      const networks = await loadCascade(d, undefined, { precision });
      // The first pass loads modules and fills the allocator.
      await analyze(ct, { device: d, weights: networks });
      const begun = performance.now();
      const before = d.transfers;
      const finding = await analyze(ct, { device: d, weights: networks });
      const seconds = (performance.now() - begun) / 1000;
      const after = d.transfers;
      const { equal, dice } = share(finding.labels.data, expected.labels.data);
      const uploads = after.uploads - before.uploads;
      const downloads = after.downloads - before.downloads;
      // As test/pipeline/analyze-gpu.test.ts: fp32 differs in the order of sums alone.
      const enough =
        equal >= (precision === 'fp32' ? 0.9999 : 0.998) &&
        dice >= (precision === 'fp32' ? 0.999 : 0.97);
      report({
        ...{ name, ok: enough && uploads === 1 && downloads === 2 },
        ...{ equal_labels: equal, dice_with_cpu: dice, seconds, cpu_seconds: cpuSeconds },
        ...{ uploads, downloads, readbacks: after.readbacks - before.readbacks },
        voxels_found: finding.kidneys.left.voxels + finding.kidneys.right.voxels,
      });
      networks.dispose();
    } catch (error) {
      report({ name, ok: false, note: error instanceof Error ? error.message : String(error) });
    } finally {
      d?.dispose();
    }
  }
}

export async function pipeline(task: Task): Promise<void> {
  await pipelineTest(task);
  const file = ctFile(task.root);
  if (!file) return report({ name: 'a real CT', ok: null, note: 'none was packed or found' });
  // A whole CT through the networks takes the simulated GPU hours.
  if (task.kind === 'cuda-sim')
    return report({ name: 'a real CT', ok: null, note: 'too large for the simulated GPU' });
  await realCt(task, file);
}
