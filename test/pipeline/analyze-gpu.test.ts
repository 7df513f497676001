// The cascade on a GPU, or on the simulated one: transfers, and the CPU's findings.
import { analyze, type Device, type DeviceKind, device } from 'renvox';
import type { Precision } from 'renvox/nn';
import { phantom } from 'renvox/phantom';
import { loadCascade } from 'renvox/pipeline';
import { fixedGrid } from 'renvox/volume';
import t from 'tap';
import { productsOn } from '../ops/sixteen-bits.js';

function open(kind: string): Device | undefined {
  try {
    return device(kind as DeviceKind);
  } catch {
    return undefined;
  }
}

/** The share of equal values. */
function agreement(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let equal = 0;
  for (let i = 0; i < a.length; i++) if (a[i] === b[i]) equal++;
  return equal / a.length;
}

/** Dice of what is not background. */
function overlap(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  let both = 0;
  for (let i = 0; i < a.length; i++) {
    sum += ((a[i] as number) > 0 ? 1 : 0) + ((b[i] as number) > 0 ? 1 : 0);
    if ((a[i] as number) > 0 && (b[i] as number) > 0) both++;
  }
  return (2 * both) / sum;
}

/** The shipped cascade, its masses on a grid of 3 mm: a simulated GPU takes minutes for that of 2 mm. */
async function cascade(d: Device, precision: Precision) {
  const networks = await loadCascade(d, undefined, { precision });
  Object.assign(networks.mass, { shape: [48, 32, 32], spacing: [3, 3, 3] });
  return networks;
}

t.test('a phantom', async (t) => {
  const cpu = device('cpu');
  const { ct } = await phantom(31000001, {
    device: cpu,
    grid: fixedGrid({ shape: [68, 72, 96], spacing: [4, 4, 4], centre: [0, 0, 0] }),
  });
  const weights = await cascade(cpu, 'fp32');
  const expected = await analyze(ct, { device: cpu, weights });
  t.ok(expected.kidneys.left.voxels > 0 && expected.kidneys.right.voxels > 0, 'kidneys on the CPU');
  weights.dispose();
  cpu.dispose();

  const kinds = ['cuda-sim', 'cuda'].filter((kind) => {
    const d = open(kind);
    d?.dispose();
    return d !== undefined;
  });
  if (kinds.length === 0) t.comment('no GPU and no simulated one: nothing was compared');
  for (const kind of kinds)
    for (const wanted of ['fp32', 'bf16'] as const) {
      const d = open(kind) as Device;
      const precision = productsOn(d, wanted);
      const networks = await cascade(d, precision);
      await d.drain();
      const before = d.transfers;
      const finding = await analyze(ct, { device: d, weights: networks });
      const after = d.transfers;
      const what = `${kind}, ${precision}`;
      t.equal(after.uploads - before.uploads, 1, `${what}: one upload`);
      t.equal(after.uploadBytes - before.uploadBytes, ct.data.byteLength, `${what}: the CT, int16`);
      t.equal(
        after.downloads - before.downloads,
        2,
        `${what}: where the crops lie; labels, figures`,
      );
      const readbacks = after.readbacks - before.readbacks;
      // Four bytes for a condition, 96 for the affine of a crop, which is checked on the host.
      t.ok(
        readbacks > 0 && after.readbackBytes - before.readbackBytes <= 96 * readbacks,
        `${what}: ${readbacks} read-backs of at most 96 bytes, unseen by JS`,
      );
      t.equal(finding.provenance.precision, precision);
      const same = agreement(finding.labels.data, expected.labels.data);
      const dice = overlap(finding.labels.data, expected.labels.data);
      t.comment(
        `${what}: ${(100 * same).toFixed(4)} % of labels as the CPU's, Dice ${dice.toFixed(5)}`,
      );
      // fp32 differs from the CPU in the order of sums alone; bf16 rounds operands to 8 bits.
      t.ok(same >= (precision === 'fp32' ? 0.9999 : 0.998), `${what}: labels as on the CPU`);
      t.ok(dice >= (precision === 'fp32' ? 0.999 : 0.97), `${what}: Dice with the CPU's`);
      networks.dispose();
      d.dispose();
    }
});
