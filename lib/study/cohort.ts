/** A cohort of phantoms on disk, in the layout that training reads. */
import { randomBytes } from 'node:crypto';
import { readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolder, writeFileAtomic } from '../atomic-write.js';
import type { Device } from '../device.js';
import { RenvoxError } from '../errors.js';
import { add, gaussianBlur, hounsfieldWindow, randomNormal, reshape } from '../ops/index.js';
import { type Phase, phantom } from '../phantom/index.js';
import { Random } from '../phantom/random.js';
import { scope } from '../scope.js';
import { fixedGrid, type Volume } from '../volume/index.js';
import type { CohortPlan, ScannerLook } from './plan.js';

/** The study's phases: corticomedullary 30-35 s, nephrographic 60-70 s. */
const PHASES = { cmp: 'corticomedullary', np: 'nephrographic' } as const satisfies Record<
  string,
  Phase
>;
type PhaseName = keyof typeof PHASES;

/** mm that a coarse cohort's field of view has along D, H, W. */
const FIELD = [300, 320, 400] as const;

export interface Series {
  name: string;
  patient: string;
  phase: PhaseName;
  seed: number;
}

/** The series of a cohort: a part of the patients has both phases, the others one of them. */
export function seriesOf({ patients, seed, both }: CohortPlan): Series[] {
  const list: Series[] = [];
  for (let k = 0; k < patients; k++) {
    const random = new Random(seed + k, 'study phases');
    const names: PhaseName[] = random.chance(both)
      ? ['cmp', 'np']
      : [random.chance(0.5) ? 'cmp' : 'np'];
    const patient = `P${String(k).padStart(4, '0')}`;
    for (const phase of names)
      list.push({ name: `case_${patient}_${phase}`, patient, phase, seed: seed + k });
  }
  return list;
}

export interface CohortOptions {
  device: Device;
  signal?: AbortSignal | undefined;
  onProgress?: ((progress: { done: number; total: number }) => void) | undefined;
}

/**
 * Draws FOLDER/case_P0000_cmp/{ct.nii.gz, labels.nii.gz} and so on, and FOLDER/manifest.csv (case, patient, phase). Cases that are there stay, so
 * that a stopped run goes on; a case appears whole. Returns the series.
 * @throws RenvoxError WriteFailed, AbortError; InvalidArgument where the folder is of another plan
 */
export async function writeCohort(
  folder: string,
  plan: CohortPlan,
  { device, signal, onProgress }: CohortOptions,
): Promise<Series[]> {
  await makeFolder(folder);
  await keepPlan(join(folder, 'plan.json'), plan);
  const list = seriesOf(plan);
  for (const [k, series] of list.entries()) {
    if (signal?.aborted)
      throw new RenvoxError(
        'AbortError',
        `Stopped after ${k} of ${list.length} series`,
        { done: k },
        { cause: signal.reason },
      );
    const target = join(folder, series.name);
    if (!(await exists(target))) await writeSeries(target, series, plan, device);
    onProgress?.({ done: k + 1, total: list.length });
  }
  const rows = list.map(({ name, patient, phase }) => `${name},${patient},${phase.toUpperCase()}`);
  await writeFileAtomic(join(folder, 'manifest.csv'), [
    Buffer.from(`case,patient,phase\n${rows.join('\n')}\n`),
  ]);
  return list;
}

/** A folder belongs to the plan that it was begun with. */
async function keepPlan(path: string, plan: CohortPlan): Promise<void> {
  const text = `${JSON.stringify(plan)}\n`;
  const before = await readFile(path, 'utf8').catch(() => undefined);
  if (before !== undefined && before !== text)
    throw new RenvoxError(
      'InvalidArgument',
      `${path} is of another cohort; choose another folder`,
      {
        path,
      },
    );
  await writeFileAtomic(path, [Buffer.from(text)]);
}

async function writeSeries(
  target: string,
  { seed, phase }: Series,
  { masses, look, voxel }: CohortPlan,
  device: Device,
): Promise<void> {
  const grid = voxel
    ? fixedGrid({
        shape: FIELD.map((mm) => Math.round(mm / voxel)) as [number, number, number],
        spacing: [voxel, voxel, voxel],
        centre: [0, 0, 0],
      })
    : undefined;
  const made = await phantom(seed, {
    // The study counts the sinus as kidney.
    ...{ device, masses, phase: PHASES[phase], sinus: true },
    ...(grid ? { grid } : {}),
  });
  const ct = look ? await lookedAt(device, made.ct, look, seed) : made.ct;
  const temporary = `${target}.${randomBytes(6).toString('hex')}.tmp`;
  try {
    await makeFolder(temporary);
    await ct.write(join(temporary, 'ct.nii.gz'));
    await made.labels.write(join(temporary, 'labels.nii.gz'));
    await rename(temporary, target);
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

/** The CT as another scanner would show it. */
async function lookedAt(
  device: Device,
  ct: Volume,
  { blur, slope, intercept, noise }: ScannerLook,
  seed: number,
): Promise<Volume> {
  const values = await scope(async () => {
    const raw = device.tensor(ct.values({ missing: -1024 }), { shape: [1, ...ct.shape, 1] });
    const [low, high] = [-1024, 3071];
    // A window as wide as the range of HU only scales and shifts.
    const window = { level: (low + high) / 2, width: high - low, low, high };
    const hu = hounsfieldWindow(raw, { ...window, slope, intercept });
    const smooth = gaussianBlur(hu, blur);
    const bits = new Random(seed, 'study scanner').bits();
    const grain = randomNormal(device, { shape: smooth.shape, seed: bits, deviation: noise });
    return (await reshape(add(smooth, grain), ct.shape).data()) as Float32Array;
  });
  const stored = Int16Array.from(values, (v) => Math.min(3071, Math.max(-1024, Math.round(v))));
  return ct.like(stored);
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}
