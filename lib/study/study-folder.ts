/** Whose a study's folder is, and what in it may be used again. */
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { makeFolder, writeFileAtomic } from '../atomic-write.js';
import { RenvoxError } from '../errors.js';
import { sha256OfFile } from '../evaluate/case-input.js';
import type { Software } from '../evaluate/index.js';
import { describeWeights } from '../nn/index.js';
import type { CascadeNetworks, Report } from '../pipeline/index.js';
import { weightsOf } from '../pipeline/networks.js';
import type { Preset } from '../train/index.js';
import type { StudyPlan } from './plan.js';

/** OUT/plan.json. */
interface PlanFile {
  plan: StudyPlan;
  /** Each renvox that worked on the study, in order; null where the folder is older than this file. */
  software: (Software | null)[];
}

/**
 * Keeps the whole plan, with the version and commit of renvox, in OUT/plan.json, and refuses a folder of another plan. Code that changed draws and
 * trains otherwise, so a folder that another renvox began is refused too, unless `otherCode` lets it go on.
 * @returns each renvox that worked on the study
 * @throws RenvoxError InvalidArgument for the folder of another study; InvalidFile for a damaged plan.json; WriteFailed
 */
export async function claimFolder(
  out: string,
  plan: StudyPlan,
  software: Software,
  otherCode: boolean,
): Promise<PlanFile['software']> {
  await makeFolder(out);
  const path = join(out, 'plan.json');
  // As it comes back from the file.
  const wanted = JSON.parse(JSON.stringify(plan)) as StudyPlan;
  const before = (await readPlan(path)) ?? (await olderThanPlans(out, wanted));
  const difference = differenceOf(before.plan, wanted);
  if (difference)
    throw unfit(out, `a study of another plan (${difference}); choose another folder or that plan`);
  const last = before.software.at(-1);
  const same = before.software.length === 0 || isDeepStrictEqual(last, software);
  if (!same && !otherCode)
    throw unfit(
      out,
      `a study by ${nameOf(last)}, this is ${nameOf(software)}: what it drew and trained may differ; choose another folder, or go on with otherCode (--other-code), which the tables then say`,
    );
  const list = same && last ? before.software : [...before.software, software];
  const text = `${JSON.stringify({ plan: wanted, software: list }, null, 2)}\n`;
  await writeFileAtomic(path, [Buffer.from(text)]);
  return list;
}

/** A renvox for people. */
export function nameOf(software: Software | null | undefined): string {
  return software
    ? `renvox ${software.version} (${software.commit ?? 'commit unknown'})`
    : 'an older renvox';
}

const unfit = (out: string, holds: string) =>
  new RenvoxError('InvalidArgument', `The folder ${out} holds ${holds}`, { out });

async function readPlan(path: string): Promise<PlanFile | undefined> {
  const text = await readIfThere(path);
  if (text === undefined) return undefined;
  try {
    const { plan, software } = JSON.parse(text) as PlanFile;
    if (typeof plan === 'object' && plan !== null && Array.isArray(software))
      return { plan, software };
  } catch {
    // Told below.
  }
  throw new RenvoxError('InvalidFile', `${path} is damaged: it does not say its plan`, { path });
}

/** A folder without the file: new, or of a renvox that did not write it. Its cohorts and weights still say their own plans. */
async function olderThanPlans(out: string, plan: StudyPlan): Promise<PlanFile> {
  const begun = await readIfThere(join(out, 'cohorts', 'internal', 'plan.json'));
  return { plan, software: begun === undefined ? [] : [null] };
}

/** The first place where two plans differ, undefined where none does. */
function differenceOf(stored: unknown, wanted: unknown, path = ''): string | undefined {
  const isObject = (v: unknown): v is Record<string, unknown> =>
    typeof v === 'object' && v !== null;
  if (!isObject(stored) || !isObject(wanted))
    return Object.is(stored, wanted)
      ? undefined
      : `its ${path} is ${JSON.stringify(stored)}, not ${JSON.stringify(wanted)}`;
  for (const key of new Set([...Object.keys(stored), ...Object.keys(wanted)])) {
    const found = differenceOf(stored[key], wanted[key], path === '' ? key : `${path}.${key}`);
    if (found) return found;
  }
  return undefined;
}

/**
 * Checks that weights that are there are of the preset that they would be trained with.
 * @throws RenvoxError InvalidArgument, InvalidWeights
 */
export async function checkTrained(path: string, preset: Preset): Promise<void> {
  const { metadata } = await describeWeights(path);
  const { preset: stored } = (metadata.training ?? {}) as { preset?: unknown };
  const difference = differenceOf(stored, JSON.parse(JSON.stringify(preset)), 'preset');
  if (difference)
    throw new RenvoxError(
      'InvalidArgument',
      `${path} was trained with another preset (${difference}); choose another folder`,
      { path },
    );
}

/** Whether a prediction is of this CT by these very networks. */
export async function isPredicted(
  folder: string,
  ct: string,
  networks: CascadeNetworks,
): Promise<boolean> {
  const text = await readIfThere(join(folder, 'report.json'));
  if (text === undefined) return false;
  try {
    const { input, weights } = JSON.parse(text) as Report;
    return (
      isDeepStrictEqual(weights, weightsOf(networks)) && input.sha256 === (await sha256OfFile(ct))
    );
  } catch {
    return false;
  }
}

/** Makes a folder of label maps that one classifier named, beside which a file says its hash; maps of another classifier go. */
export async function folderOfClassifier(
  folder: string,
  { classifier }: CascadeNetworks,
): Promise<void> {
  const path = `${folder}.json`;
  const text = `${JSON.stringify({ class_sha256: classifier.sha256 })}\n`;
  if ((await readIfThere(path)) !== text) await rm(folder, { recursive: true, force: true });
  await makeFolder(folder);
  await writeFileAtomic(path, [Buffer.from(text)]);
}

async function readIfThere(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
}
