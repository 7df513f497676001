import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { device, type Tensor, type TensorData, Volume } from 'renvox';
import { loadNetwork, makeNetwork } from 'renvox/nn';
import { folderSampler, type Preset, presets, type Sampler, train } from 'renvox/train';
import t from 'tap';
import { sameBits } from '../ops/harness.js';

const d = device('cpu');
t.teardown(() => d.dispose());

const spacing = 4;
const shape = [44, 40, 48] as const;
const kidneyGrid = { shape: [32, 32, 48], spacing: [6, 6, 6] } as Preset['grid'];

/**
 * Two balls for kidneys, the patient's left one at higher LPS x, a mass beside each: cystic (4) on the left kidney, AML (3) on the right.
 * `flipped` stores the same patient with the first file axis running to the right.
 */
function patient(flipped: boolean, dark = 0) {
  const [depth, height, width] = shape;
  const hu = new Int16Array(depth * height * width);
  const labels = new Uint8Array(hu.length);
  for (let z = 0, i = 0; z < depth; z++)
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++, i++) {
        const at = flipped ? width - 1 - x : x;
        const from = (cx: number, cy: number, cz: number) => Math.hypot(at - cx, y - cy, z - cz);
        hu[i] = Math.hypot((at - 24) / 22, (y - 20) / 18) < 1 ? 40 - dark : -1000;
        const parts: [number, number, number][] = [
          [from(34, 24, 22) - 6, 1, 180],
          [from(13, 24, 22) - 6, 2, 180],
          [from(41, 24, 22) - 3, 4, 10],
          [from(13, 24, 30) - 3, 3, -60],
        ];
        for (const [distance, label, value] of parts)
          if (distance <= 0) {
            labels[i] = label;
            hu[i] = value;
          }
      }
  const sign = flipped ? 1 : -1;
  // Index to RAS mm; the patient's left is negative x.
  const affine = [sign * spacing, 0, 0, 0, 0, -spacing, 0, 0, 0, 0, spacing, 0];
  if (flipped) affine[3] = -(width - 1) * spacing;
  return {
    ct: new Volume({ data: hu, shape, affine }),
    labels: new Volume({ data: labels, shape, affine }),
  };
}

async function folder(root: string, count: number): Promise<string> {
  for (let i = 0; i < count; i++) {
    const one = join(root, `case_${String(i).padStart(4, '0')}`);
    await mkdir(one, { recursive: true });
    const { ct, labels } = patient(i % 2 === 1, i);
    await ct.write(join(one, 'ct.nii.gz'));
    await labels.write(join(one, 'labels.nii.gz'));
  }
  return root;
}

const kidney: Preset = { ...(presets.kidney as Preset), grid: kidneyGrid };

async function counts(target: Tensor): Promise<number[]> {
  const found = [0, 0, 0];
  for (const v of await target.data()) found[v] = (found[v] as number) + 1;
  return found;
}

function mean(values: ArrayLike<number>, chosen: (i: number) => boolean): number {
  let sum = 0;
  let n = 0;
  for (let i = 0; i < values.length; i++)
    if (chosen(i)) {
      sum += values[i] as number;
      n++;
    }
  return sum / n;
}

t.test('kidney: image and target lie on each other, all is seeded', async (tap) => {
  const root = await folder(tap.testdir(), 6);
  const sampler = await folderSampler(kidney, root, { device: d });
  tap.equal(sampler.source, '6 labelled CTs (4 to train, 1 to validate, 1 to test)');
  tap.equal(sampler.validationCount, 1);
  const plain = sampler.validation(d, 0);
  tap.same(plain.image.shape, [1, 32, 32, 48, 1]);
  tap.same(plain.target.shape, [1, 32, 32, 48]);
  const [, foreground = 0] = await counts(plain.target);
  // Two balls of 6 and two of 3 voxels of 4 mm, in part inside each other.
  const whole = (2 * (4 / 3) * Math.PI * (6 ** 3 + 3 ** 3) * spacing ** 3) / 6 ** 3;
  tap.ok(foreground > 0.8 * whole && foreground <= 1.05 * whole, `${foreground} of ${whole}`);
  for (const sample of [plain, sampler.training(d, 5), sampler.training(d, 6)]) {
    const [image, target] = [await sample.image.data(), await sample.target.data()];
    const inside = mean(image, (i) => target[i] === 1);
    const outside = mean(image, (i) => target[i] === 0);
    // 180 HU are 0.7 in the window, masses less; fat and air are -1.
    tap.ok(inside > 0.4 && outside < 0, `${inside} inside, ${outside} outside`);
  }
  const drawn = (seed: number) => sampler.training(d, seed).image.data();
  const [a, b, c] = [await drawn(5), await drawn(5), await drawn(6)];
  sameBits(tap, a, b, 'the same seed');
  tap.ok(
    a.some((v, i) => v !== c[i]),
    'another seed differs',
  );
});

t.test('mass: one kidney a sample, left ones mirrored, the mask beside the CT', async (tap) => {
  const root = await folder(tap.testdir(), 2);
  const grid = { shape: [40, 32, 32], spacing: [2.5, 2.5, 2.5], margin: 8 } as Preset['grid'];
  const preset: Preset = { ...(presets.mass as Preset), grid };
  const sampler = await folderSampler(preset, root, { device: d });
  tap.equal(sampler.source, '2 labelled CTs (validated on the cases trained on)');
  tap.equal(sampler.validationCount, 4, 'two kidneys in each');
  for (let k = 0; k < 4; k++) {
    const { image, target } = sampler.validation(d, k);
    tap.same(image.shape, [1, 40, 32, 32, 2]);
    const [truth, values] = [await target.data(), await image.data()];
    const [, kidneyVoxels = 0, massVoxels = 0] = await counts(target);
    tap.ok(kidneyVoxels > 500 && massVoxels > 50, `${kidneyVoxels} and ${massVoxels} voxels`);
    for (let i = 0; i < truth.length; i++)
      if ((values[2 * i + 1] === 1) !== (truth[i] as number) > 0) tap.fail(`mask at ${i}`);
    // The left kidney's mass lies outward, at higher x; mirrored, that is at lower w.
    if (k % 2 === 0) {
      const w = (label: number) => {
        let sum = 0;
        for (let i = 0; i < truth.length; i++) if (truth[i] === label) sum += i % 32;
        return sum / (label === 1 ? kidneyVoxels : massVoxels);
      };
      tap.ok(w(2) < w(1) - 3, `mass at w = ${w(2)}, kidney at ${w(1)}`);
    }
    const drawn = await sampler.training(d, k).image.data();
    const mask = new Set(drawn.filter((_, i) => i % 2 === 1));
    tap.same([...mask].sort(), [0, 1], 'the ragged mask is a mask');
  }
});

/** The preset with everything outside of the contour removed. */
const removing = (preset: Preset): Preset => {
  const { architecture } = preset;
  const config = { ...architecture.config, inputChannels: 1 };
  return { ...preset, contour: 'cut', architecture: { ...architecture, config } as never };
};

t.test('class: the mask beside the image', async (tap) => {
  const root = await folder(tap.testdir(), 2);
  const preset = presets.class as Preset;
  tap.equal(preset.contour, 'channel');
  const sampler = await folderSampler(preset, root, { device: d });
  const alone = await folderSampler(removing(preset), root, { device: d });
  for (let k = 0; k < 2; k++) {
    const [both, cut] = await Promise.all(
      [sampler, alone].map(({ validation }) => validation(d, k).image.data()),
    );
    const [b, c] = [both, cut] as [Float32Array, Float32Array];
    tap.equal(b.length, 2 * c.length);
    let inside = 0;
    for (const [i, v] of c.entries()) {
      if (b[2 * i + 1] === 1) inside++;
      if (v !== (b[2 * i + 1] === 1 ? b[2 * i] : -1)) tap.fail(`voxel ${i}`);
    }
    tap.ok(inside > 0.05 * c.length && inside < 0.7 * c.length, `${inside} voxels of mass`);
  }
  await tap.rejects(folderSampler({ ...preset, contour: 'cut' }, root, { device: d }), {
    code: 'InvalidFile',
    message: /1 channels .*the preset class 2/,
  });
});

/** The same patients in nnU-Net's layout, in a second phase all tissue 60 HU denser. */
async function twoPhases(root: string, count: number): Promise<string> {
  for (const name of ['imagesTr', 'labelsTr']) await mkdir(join(root, name), { recursive: true });
  for (let i = 0; i < count; i++) {
    const { ct, labels } = patient(i % 2 === 1, i);
    const late = ct.data.map((v) => (v === -1000 ? v : v + 60)) as Int16Array;
    await ct.write(join(root, 'imagesTr', `p${i}_0000.nii.gz`));
    await ct.like(late).write(join(root, 'imagesTr', `p${i}_0001.nii.gz`));
    await labels.write(join(root, 'labelsTr', `p${i}.nii.gz`));
  }
  const names = { background: 0, 'left kidney': 1, 'right kidney': 2, aml: 3, cyst: 4 };
  const json = { channel_names: { 0: 'CMP', 1: 'NP' }, labels: names };
  await writeFile(join(root, 'dataset.json'), JSON.stringify(json));
  return root;
}

t.test('class: two phases, the mask as last channel, in training too', async (tap) => {
  const root = await twoPhases(tap.testdir(), 2);
  const small = { classes: 3, widths: [2, 2, 4, 4], hidden: 4, geometry: 'strided' as const };
  const preset: Preset = {
    ...(presets.class as Preset),
    architecture: { kind: 'resnet3d', config: { ...small, inputChannels: 3 } },
    grid: { shape: [16, 16, 16], spacing: [2, 2, 2], margin: 4 },
    steps: 1,
    batch: 4,
    average: 0,
    validation: { every: 1, samples: 4 },
  };
  const sampler = await folderSampler(preset, root, { device: d });
  const check = (values: TensorData, what: string) => {
    let [inside, later, tissue] = [0, 0, 0];
    for (let i = 0; i < values.length; i += 3) {
      const [early, late, mask] = values.subarray(i, i + 3) as Float32Array;
      if (mask !== 0 && mask !== 1) tap.fail(`${what}: a mask of ${mask}`);
      inside += mask as number;
      // Neither air nor clipped.
      if ((early as number) < -0.6 || (late as number) > 0.99) continue;
      tissue++;
      later += (late as number) - (early as number);
    }
    tap.ok(inside > 100 && inside < 0.7 * 16 ** 3, `${what}: ${inside} voxels of mass`);
    return later / tissue;
  };
  for (let k = 0; k < 4; k++) {
    const later = check(await sampler.validation(d, k).image.data(), `validation ${k}`);
    tap.ok(Math.abs(later - 60 / 200) < 0.03, `${later} from phase to phase`);
  }
  const drawn: Promise<TensorData>[] = [];
  const spied: Sampler = {
    ...sampler,
    training(device, seed) {
      const sample = sampler.training(device, seed);
      drawn.push(sample.image.data());
      return sample;
    },
  };
  const { steps, weights } = await train(preset, {
    ...{ out: join(root, 'run'), sampler: spied, device: d },
  });
  tap.equal(steps, 1);
  tap.equal(drawn.length, preset.batch);
  // Augmentation changes the HU of phases together, their difference by a gain at most.
  for (const [k, values] of drawn.entries()) {
    const later = check(await values, `training ${k}`);
    tap.ok(later > 0.15 && later < 0.6, `${later} from phase to phase`);
  }
  const { network, metadata } = await loadNetwork(weights, { device: d });
  tap.same(metadata.preprocessing.channels, ['CMP', 'NP'], 'the file names the phases');
  using before = makeNetwork(preset.architecture, { device: d, seed: preset.seed });
  const [was, is] = await Promise.all(
    [before, network].map((net) => net.tensor('conv1.weight').data()),
  );
  // Adam's first step is the learning rate for each value; the file's 16 bits round by less than 1e-4.
  for (const channel of [0, 1, 2]) {
    const moved = (_: unknown, i: number) =>
      Math.abs((is?.[343 * channel + i] as number) - (was?.[343 * channel + i] as number));
    const average = Array.from({ length: 343 }, moved).reduce((a, b) => a + b) / 343;
    tap.ok(average > 1e-3, `what reads channel ${channel} moved by ${average}`);
  }
  network.dispose();
  await tap.rejects(folderSampler(presets.class as Preset, root, { device: d }), {
    code: 'InvalidFile',
    message: /2 channels \(CMP, NP\) and the mass’s mask, the preset class 2/,
  });
});

t.test('validation goes along a body that is longer than the box', async (tap) => {
  const root = await folder(tap.testdir(), 2);
  const seen = async (depth: number) => {
    const grid = { ...kidneyGrid, shape: [depth, 32, 48] } as Preset['grid'];
    const sampler = await folderSampler({ ...kidney, grid }, root, { device: d });
    const list: number[] = [];
    for (let k = 0; k < (sampler.validationCount as number); k++) {
      const [, one = 0, two = 0] = await counts(sampler.validation(d, k).target);
      list.push(one + two);
    }
    return list;
  };
  const whole = await seen(32);
  tap.equal(whole.length, 2, 'one box where the body fits');
  const parts = await seen(8);
  tap.equal(parts.length, 8, 'four of 48 mm along 176 mm');
  tap.ok(
    parts.slice(0, 4).every((n) => n > 20),
    `the middles of both come first: ${parts}`,
  );
  tap.ok(
    parts.slice(4).every((n) => n < 0.02 * (parts[0] as number)),
    'and the ends last, without kidneys',
  );
  const [all, sum] = [whole, parts].map((list) => list.reduce((a, b) => a + b)) as [number, number];
  tap.ok(Math.abs(sum - all) < 0.05 * all, `${sum} voxels of ${all} are seen`);
});

t.test('class: each mass alone, everything outside removed', async (tap) => {
  const root = await folder(tap.testdir(), 2);
  const preset = removing(presets.class as Preset);
  const sampler = await folderSampler(preset, root, { device: d });
  const seen: number[] = [];
  for (let k = 0; k < (sampler.validationCount as number); k++) {
    const { image, target } = sampler.validation(d, k);
    const label = await target.item();
    seen.push(label);
    const values = await image.data();
    const inside = mean(values, (i) => values[i] !== -1);
    // AML -60 HU, cystic 10 HU in -160..240 HU as -1..1; the rim mixes with what is around.
    const wanted = label === 0 ? -0.5 : -0.15;
    tap.ok(Math.abs(inside - wanted) < 0.35, `class ${label}: ${inside} for ${wanted}`);
    const outside = values.filter((v) => v === -1).length / values.length;
    tap.ok(outside > 0.3 && outside < 0.95, `${outside} of the crop is outside`);
  }
  tap.same(seen.sort(), [0, 0, 1, 1]);
});

t.test('a folder trains', async (tap) => {
  const root = await folder(tap.testdir({ data: {} }), 2);
  const preset: Preset = {
    ...kidney,
    architecture: { kind: 'unet3d', config: { inputChannels: 1, classes: 2, channels: [2, 4] } },
    steps: 4,
    validation: { every: 4, samples: 8 },
  };
  const sampler: Sampler = await folderSampler(preset, root, { device: d });
  const { steps, validation } = await train(preset, { out: join(root, 'run'), sampler, device: d });
  tap.equal(steps, 4);
  tap.equal(validation.perClass.length, 1);
});

t.test('every problem is listed at once', async (tap) => {
  const root = await folder(tap.testdir(), 5);
  const at = (k: number, file: string) => join(root, `case_000${k}`, file);
  await rm(at(0, 'ct.nii.gz'));
  await rm(at(1, 'labels.nii.gz'));
  await writeFile(at(2, 'ct.nii.gz'), 'not a volume');
  const { ct } = patient(false);
  const shifted = [...ct.affine];
  shifted[3] = 17;
  await new Volume({ data: ct.data, shape, affine: shifted }).write(at(3, 'ct.nii.gz'));
  await ct.write(at(4, 'labels.nii.gz'));
  await tap.rejects(folderSampler(kidney, root, { device: d }), {
    code: 'InvalidFile',
    message:
      /^5 problems[\s\S]*case_0000: .*ct.nii.gz[\s\S]*case_0001: .*labels.nii.gz[\s\S]*case_0002[\s\S]*case_0003: .*same grid[\s\S]*case_0004: .*expected integers from 0 to 5/,
  });
  await tap.rejects(folderSampler(kidney, join(root, 'nowhere'), { device: d }), {
    code: 'FileNotFound',
  });
  await tap.rejects(folderSampler(kidney, join(root, 'case_0000'), { device: d }), {
    code: 'FileNotFound',
    message: /has no case_/,
  });
});
