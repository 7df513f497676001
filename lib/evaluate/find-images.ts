/** Which files of a folder are CTs of which case. */
import { join } from 'node:path';
import { caseId, isFile, list } from './find-cases.js';

const IN_A_FOLDER = ['imaging', 'ct', 'image', 'volume'];
const FILE = /^(.+?)(_0000)?\.nii(\.gz)?$/;

/**
 * CTs by case id: `ID.nii.gz`, `ID_0000.nii.gz` (nnU-Net), or `ID/imaging.nii.gz` (KiTS; also ct, image, volume); nnU-Net's folders `imagesTr`
 * and `imagesTs` are looked into. Of several of one case the first by name is taken.
 * @throws RenvoxError FileNotFound where the folder is none
 */
export async function findImages(folder: string): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const add = (name: string, path: string) => {
    const id = caseId(name);
    if (!found.has(id)) found.set(id, path);
  };
  const entries = (await list(folder)).sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const { name } of entries) {
    const path = join(folder, name);
    if (name.startsWith('.')) continue;
    const id = FILE.exec(name)?.[1];
    if (id !== undefined && (await isFile(path))) add(id, path);
    else if (name === 'imagesTr' || name === 'imagesTs')
      for (const [own, file] of await findImages(path)) add(own, file);
    else
      for (const inside of IN_A_FOLDER)
        for (const extension of ['.nii.gz', '.nii']) {
          const file = join(path, inside + extension);
          if (await isFile(file)) add(name, file);
        }
  }
  return found;
}
