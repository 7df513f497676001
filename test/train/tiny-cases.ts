/** Data sets of tiny patients on disk. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Volume } from 'renvox';

export const shape = [12, 20, 24] as const;
const spacing = 12;

/** A body with a kidney of the given label on each side, the left one brighter, a mass on the left one. */
export function patient(values: { left: number; right: number; mass: number }, shift = 0) {
  const hu = new Int16Array(shape[0] * shape[1] * shape[2]).fill(-1000);
  const map = new Uint8Array(hu.length);
  for (let z = 0, i = 0; z < shape[0]; z++)
    for (let y = 0; y < shape[1]; y++)
      for (let x = 0; x < shape[2]; x++, i++) {
        const near = (cx: number, r: number) => Math.hypot(x - cx, y - 10, z - 6) <= r;
        if (Math.hypot((x - 12) / 11, (y - 10) / 9) <= 1) hu[i] = 40 + shift;
        if (near(17, 3)) [hu[i], map[i]] = [200, values.left];
        if (near(6, 3)) [hu[i], map[i]] = [120, values.right];
        if (near(20, 1)) [hu[i], map[i]] = [0, values.mass];
      }
  // RAS: x falls with the file's index, so that a higher index is the patient's left.
  const affine = [-spacing, 0, 0, 0, 0, -spacing, 0, 0, 0, 0, spacing, 0];
  const volume = (data: Int16Array | Uint8Array) => new Volume({ data, shape, affine });
  return { ct: volume(hu), labels: volume(map) };
}

export async function kits(root: string, count: number): Promise<string> {
  for (let k = 0; k < count; k++) {
    const folder = join(root, `case_${String(k).padStart(5, '0')}`);
    await mkdir(folder, { recursive: true });
    const { ct, labels } = patient({ left: 1, right: 1, mass: 2 }, k);
    await ct.write(join(folder, 'imaging.nii.gz'));
    await labels.write(join(folder, 'segmentation.nii.gz'));
  }
  return root;
}

export async function nnunet(
  root: string,
  count: number,
  description: object = {},
): Promise<string> {
  for (const folder of ['imagesTr', 'labelsTr'])
    await mkdir(join(root, folder), { recursive: true });
  for (let k = 0; k < count; k++) {
    const { ct, labels } = patient({ left: 1, right: 1, mass: 3 }, k);
    const late = patient({ left: 1, right: 1, mass: 3 }, 60 + k);
    await ct.write(join(root, 'imagesTr', `p${k}_0000.nii.gz`));
    await late.ct.write(join(root, 'imagesTr', `p${k}_0001.nii.gz`));
    await labels.write(join(root, 'labelsTr', `p${k}.nii.gz`));
  }
  const json = {
    channel_names: { 0: 'CMP', 1: 'NP' },
    labels: { background: 0, kidney: 1, tumor: 2, cyst: 3 },
    numTraining: count,
    file_ending: '.nii.gz',
    ...description,
  };
  await writeFile(join(root, 'dataset.json'), JSON.stringify(json));
  return root;
}
