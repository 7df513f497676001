/** The output folder of an analysis: it appears whole or not at all. */
import { randomBytes } from 'node:crypto';
import { rename, rm, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { makeFolder, writeFileAtomic } from '../atomic-write.js';
import { RenvoxError } from '../errors.js';
import type { Volume } from '../volume/index.js';
import type { Finding } from './finding.js';
import { previewPng } from './preview.js';
import type { Report } from './report.js';

/** The files of an output folder. */
export const OUTPUT_FILES = ['labels.nii.gz', 'report.json', 'preview.png'] as const;
/** The further one, where Grad-CAM was asked for. */
export const GRAD_CAM_FILE = 'gradcam.nii.gz';

/** The files that a finding is written to. */
export function filesOf(finding: Finding): string[] {
  return [...OUTPUT_FILES, ...(finding.gradCam ? [GRAD_CAM_FILE] : [])];
}

/**
 * Writes labels.nii.gz, report.json, preview.png and, if the finding has a map of Grad-CAM, gradcam.nii.gz. A new folder appears with all
 * at once; in one that is there, each file is replaced in one step, after all were written, and the map of an earlier analysis goes.
 * @throws RenvoxError WriteFailed, AbortError
 */
export async function writeFinding(
  folder: string,
  ct: Volume,
  finding: Finding,
  report: Report,
  options: { signal?: AbortSignal | undefined } = {},
): Promise<void> {
  const target = resolve(folder);
  const there = await isFolder(target);
  // On the same file system as what it becomes: a folder that is there may be a mount point, or in one that takes no files.
  const temporary = join(
    there ? target : dirname(target),
    `.renvox-${randomBytes(8).toString('hex')}`,
  );
  try {
    await makeFolder(temporary);
    await finding.labels.write(join(temporary, OUTPUT_FILES[0]), options);
    await writeFileAtomic(
      join(temporary, OUTPUT_FILES[1]),
      [Buffer.from(`${JSON.stringify(report, null, 2)}\n`)],
      options,
    );
    const picture = previewPng(ct, finding.labels.data as Uint8Array, finding.masses);
    await writeFileAtomic(join(temporary, OUTPUT_FILES[2]), [picture], options);
    await finding.gradCam?.map.write(join(temporary, GRAD_CAM_FILE), options);
    if (there) {
      for (const name of filesOf(finding)) await rename(join(temporary, name), join(target, name));
      if (!finding.gradCam) await rm(join(target, GRAD_CAM_FILE), { force: true });
    } else await rename(temporary, target);
  } catch (error) {
    if (error instanceof RenvoxError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new RenvoxError(
      'WriteFailed',
      `Cannot write ${folder}: ${reason}`,
      { folder },
      { cause: error },
    );
  } finally {
    await rm(temporary, { recursive: true, force: true }).catch(() => undefined);
  }
}

async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isDirectory() ?? false;
}
