/** Which files of a folder are label maps of which case. */
import { readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { RenvoxError } from '../errors.js';

/** Names that a label map has in a case's own folder, one of them: renvox, KiTS, nnU-Net raw data, others. */
const IN_A_FOLDER = ['labels', 'segmentation', 'aggregated_MAJ_seg', 'prediction', 'seg'];
const FILE = /^(.+?)\.nii(\.gz)?$/;

/**
 * Label maps by case id: `ID.nii.gz` or `ID.nii` in the folder, or `ID/labels.nii.gz` (also segmentation, aggregated_MAJ_seg, prediction,
 * seg). nnU-Net's folders `labelsTr` and `labelsTs` are looked into. KiTS' predictions are called prediction_00000, its cases case_00000:
 * these are one id.
 * @throws RenvoxError FileNotFound where the folder is none; InvalidFile where a case has two label maps
 */
export async function findCases(folder: string): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const add = (name: string, path: string) => {
    const id = caseId(name);
    const other = found.get(id);
    if (other !== undefined)
      throw new RenvoxError('InvalidFile', `Case ${id} has two label maps: ${other} and ${path}`, {
        case: id,
        files: [other, path],
      });
    found.set(id, path);
  };
  for (const entry of await list(folder)) {
    const path = join(folder, entry.name);
    const name = FILE.exec(entry.name)?.[1];
    if (entry.name.startsWith('.')) continue;
    if (name !== undefined && (entry.isFile() || (await isFile(path)))) add(name, path);
    else if (entry.name === 'labelsTr' || entry.name === 'labelsTs')
      for (const [id, file] of await findCases(path)) add(id, file);
    else if (entry.isDirectory() || entry.isSymbolicLink()) {
      const map = await labelMapIn(path);
      if (map !== undefined) add(entry.name, map);
    }
  }
  return new Map([...found].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** The id of a case whose file or folder has this name: `prediction_00001` is of case_00001. */
export function caseId(name: string): string {
  return name.replace(/^prediction_(\d+)$/, 'case_$1');
}

/** @throws RenvoxError FileNotFound */
export async function list(folder: string) {
  return readdir(folder, { withFileTypes: true }).catch((cause: unknown) => {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new RenvoxError(
      'FileNotFound',
      `Cannot read the folder ${folder}: ${reason}`,
      { folder },
      { cause },
    );
  });
}

/** @throws RenvoxError InvalidFile where there are several: which of them is meant would be a guess */
async function labelMapIn(folder: string): Promise<string | undefined> {
  const files: string[] = [];
  for (const name of IN_A_FOLDER)
    for (const extension of ['.nii.gz', '.nii']) {
      const path = join(folder, name + extension);
      if (await isFile(path)) files.push(path);
    }
  if (files.length > 1)
    throw new RenvoxError(
      'InvalidFile',
      `The folder of case ${caseId(basename(folder))} has ${files.length} label maps: ${files.join(' and ')}`,
      { case: caseId(basename(folder)), files },
    );
  return files[0];
}

export async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFile() ?? false;
}
