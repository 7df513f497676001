/** `renvox phantom`: CTs of phantoms, with their labels and masses, in folders. */
import { randomBytes } from 'node:crypto';
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Command, Option } from 'commander';
import { makeFolder, writeFileAtomic } from '../atomic-write.js';
import type { Device } from '../device.js';
import { invalidArgument, RenvoxError } from '../errors.js';
import { type Phantom, type PhantomOptions, phantom, phases } from '../phantom/index.js';
import { PHASES, type PhaseName } from '../pipeline/phase.js';
import { interruptSignal } from './exit.js';

/** Declares the command. */
export function register(program: Command): void {
  program
    .command('phantom')
    .description('draw CTs of phantoms with known kidneys and masses')
    .requiredOption(
      '--out <dir>',
      'folder for case_0000/{ct.nii.gz,labels.nii.gz,case.json} and so on',
    )
    .option('--count <n>', 'how many', Number, 1)
    .option('--seed <n>', 'of the first; the next one is one more', Number, 0)
    .addOption(
      new Option(
        '--phase <name>',
        'contrast phase; a seed is the same patient on the same grid in each (default: drawn)',
      ).choices(PHASES),
    )
    .option('--quiet', 'no progress')
    .action(
      async ({
        out,
        count,
        seed,
        phase,
        quiet,
      }: {
        out: string;
        count: number;
        seed: number;
        phase?: PhaseName;
        quiet?: boolean;
      }) => {
        const onProgress = quiet
          ? undefined
          : ({ done, total }: { done: number; total: number }) =>
              console.error(`[${done}/${total}] phantom`);
        const folders = await phantomCommand({
          out,
          count,
          seed,
          ...(phase ? { phase: phases[PHASES.indexOf(phase)] } : {}),
          signal: interruptSignal(),
          onProgress,
        });
        for (const folder of folders) console.log(folder);
      },
    );
}

export interface PhantomCommandOptions extends Omit<PhantomOptions, 'device' | 'grid'> {
  /** Folder that receives case_0000, case_0001, ... */
  out: string;
  /** How many. */
  count: number;
  /** Of the first; the next one's is one more. */
  seed: number;
  device?: Device;
  signal?: AbortSignal | undefined;
  onProgress?: ((progress: { stage: 'phantom'; done: number; total: number }) => void) | undefined;
}

/**
 * Writes OUT/case_0000/{ct.nii.gz, labels.nii.gz, case.json} and so on. A case's folder appears whole or not at all, and replaces one of the
 * same name. Returns the folders.
 * @throws RenvoxError InvalidArgument, WriteFailed, AbortError
 */
export async function phantomCommand(options: PhantomCommandOptions): Promise<string[]> {
  const { out, count, seed, signal, onProgress, ...draw } = options;
  if (!Number.isSafeInteger(count) || count < 1 || count > 10000)
    throw invalidArgument('count', 'an integer of 1 to 10000', count);
  if (!Number.isSafeInteger(seed) || seed < 0)
    throw invalidArgument('seed', 'a non-negative integer', seed);
  const folders: string[] = [];
  for (let i = 0; i < count; i++) {
    if (signal?.aborted)
      throw new RenvoxError(
        'AbortError',
        `Stopped after ${i} of ${count} phantoms`,
        { done: i },
        { cause: signal.reason },
      );
    const made = await phantom(seed + i, draw);
    const name = `case_${String(i).padStart(4, '0')}`;
    folders.push(await writeCase(out, name, made, draw.sinus ?? false, signal));
    onProgress?.({ stage: 'phantom', done: i + 1, total: count });
  }
  return folders;
}

async function writeCase(
  out: string,
  name: string,
  made: Phantom,
  sinus: boolean,
  signal: AbortSignal | undefined,
): Promise<string> {
  const folder = join(out, name);
  const temporary = join(out, `.${name}-${randomBytes(6).toString('hex')}.tmp`);
  try {
    await makeFolder(temporary);
    await made.ct.write(join(temporary, 'ct.nii.gz'), { signal });
    await made.labels.write(join(temporary, 'labels.nii.gz'), { signal });
    const text = `${JSON.stringify(describe(made, sinus), null, 2)}\n`;
    await writeFileAtomic(join(temporary, 'case.json'), [Buffer.from(text)], { signal });
    await rm(folder, { recursive: true, force: true });
    await rename(temporary, folder);
  } catch (error) {
    await rm(temporary, { recursive: true, force: true }).catch(() => undefined);
    if (error instanceof RenvoxError) throw error;
    throw new RenvoxError(
      'WriteFailed',
      `${folder} could not be written: ${error instanceof Error ? error.message : String(error)}`,
      { path: folder },
      { cause: error },
    );
  }
  return folder;
}

/** case.json: what analyze would have to find. */
function describe(made: Phantom, sinus: boolean): unknown {
  const { left, right } = made.kidneys;
  const extent = (e: typeof left) => ({
    voxels: e.voxels,
    volume_ml: e.volumeMl,
    centroid_lps_mm: e.centroidLpsMm,
  });
  return {
    schema: 1,
    kind: 'renvox phantom: drawn, no patient',
    seed: made.seed,
    phase: made.phase,
    sinus_in_kidney: sinus,
    shape: made.ct.fileShape,
    spacing_mm: made.ct.fileSpacing,
    kidneys: { left: extent(left), right: extent(right) },
    masses: made.masses.map((m) => ({
      id: m.id,
      side: m.side,
      class: m.class,
      kind: m.kind,
      ...extent(m),
      average_diameter_mm: m.averageDiameterMm,
    })),
  };
}
