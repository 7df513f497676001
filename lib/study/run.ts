/** The study's experiments from the first phantom to the last table. */
import { copyFile, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolder, writeFileAtomic } from '../atomic-write.js';
import { type Device, defaultDevice } from '../device.js';
import { RenvoxError } from '../errors.js';
import { compareSystems, evaluateCohort, type Software, type Summary } from '../evaluate/index.js';
import {
  analyze,
  type CascadeNetworks,
  classifyContours,
  loadCascade,
  loadOneStage,
  makeReport,
  writeFinding,
} from '../pipeline/index.js';
import { checkPreset, folderSampler, type Preset, type Sampler, train } from '../train/index.js';
import { readVolume } from '../volume/index.js';
import { seriesOf, writeCohort } from './cohort.js';
import type { StudyPlan, StudyPresets } from './plan.js';
import type { CohortName } from './published.js';
import {
  checkTrained,
  claimFolder,
  folderOfClassifier,
  isPredicted,
  nameOf,
} from './study-folder.js';
import {
  COHORTS,
  type StudyResults,
  SYSTEMS,
  type System,
  studyTables,
  type Verdict,
  verdict,
} from './tables.js';

export interface StudyOptions {
  /** Default: CUDA when one works, else the CPU. */
  device?: Device;
  signal?: AbortSignal | undefined;
  /** A line for people. */
  say?: ((line: string) => void) | undefined;
  /** Version and commit: kept in OUT/plan.json. */
  software?: Software | undefined;
  /** Goes on with a folder that another version or commit began; the tables then name them all. Default false: refused. */
  otherCode?: boolean | undefined;
}

export interface StudyResult {
  /** Markdown, also in OUT/tables.md. */
  tables: string;
  verdicts: Record<CohortName, Verdict>;
}

/** What all parts of the study share. */
interface Study {
  out: string;
  plan: StudyPlan;
  device: Device;
  signal: AbortSignal | undefined;
  say: (line: string) => void;
  software: Software;
  /** Each renvox that worked on it, for people. */
  makers: readonly string[];
}

/**
 * Draws the cohorts, trains the kidney, mass and one-stage networks and the classifier, analyses the held-out and the shifted phantoms with both
 * systems, evaluates and compares them. Everything is in OUT: plan.json, cohorts/, runs/, weights/, predictions/, on-truth/, evaluations/, comparisons/, tables.md. What is
 * there is not done again, so a study that was stopped, or killed, goes on; networks in training go on bit for bit. Weights are used again where their file says
 * the plan's preset, predictions where their report says these weights and this CT.
 * @throws RenvoxError InvalidArgument for an impossible preset, and where OUT holds a study of another plan or, without `otherCode`, of another version or
 *   commit; AbortError; Diverged; WriteFailed
 */
export async function runStudy(
  out: string,
  plan: StudyPlan,
  options: StudyOptions = {},
): Promise<StudyResult> {
  const { device = defaultDevice(), signal, say = () => undefined } = options;
  const software = options.software ?? { version: 'unknown', commit: null };
  for (const preset of Object.values(plan.presets)) checkPreset(preset);
  const makers = await claimFolder(out, plan, software, options.otherCode ?? false);
  const study: Study = {
    ...{ out, plan, device, signal, say, software },
    makers: makers.map(nameOf),
  };
  await makeFolder(join(out, 'cohorts'));
  for (const cohort of COHORTS)
    await writeCohort(cohortOf(study, cohort), plan.cohorts[cohort], {
      ...{ device, signal },
      onProgress: ({ done, total }) => say(`${cohort} cohort: ${done} of ${total} phantoms`),
    });
  const test = await trainAll(study);
  const cases: Record<CohortName, string[]> = {
    internal: test,
    external: seriesOf(plan.cohorts.external).map(({ name }) => name),
  };
  for (const cohort of COHORTS) await keepTruth(study, cohort, cases[cohort]);
  await predictAll(study, cases);
  const results = await measureAll(study, cases);
  const tables = studyTables(results);
  await writeFileAtomic(join(out, 'tables.md'), [Buffer.from(tables)]);
  return {
    tables,
    verdicts: {
      internal: verdict(results.comparisons.internal, results.patients.internal),
      external: verdict(results.comparisons.external, results.patients.external),
    },
  };
}

const cohortOf = ({ out }: Study, cohort: CohortName) => join(out, 'cohorts', cohort);
const onTruthOf = ({ out }: Study, cohort: CohortName) => join(out, 'on-truth', cohort);

/** Trains what is not trained yet; returns the names of the cases that no network has seen. */
async function trainAll(study: Study): Promise<string[]> {
  const { out, plan, device, signal, say, software } = study;
  await makeFolder(join(out, 'runs'));
  await makeFolder(join(out, 'weights'));
  let test: string[] = [];
  for (const name of Object.keys(plan.presets) as (keyof StudyPresets)[]) {
    const preset = plan.presets[name];
    const sampler = await samplerOf(study, preset);
    test = sampler.cases?.test ?? [];
    const weights = join(out, 'weights', `${name}.safetensors`);
    if (await exists(weights)) {
      await checkTrained(weights, preset);
      continue;
    }
    say(`training ${preset.name} on ${sampler.source}`);
    const { best } = await train(preset, {
      ...{ out: join(out, 'runs', name), sampler, device, signal, software, resume: true },
      onProgress: ({ done, total, loss, validation, samplesPerSecond, secondsLeft }) => {
        const score = validation?.score ?? null;
        const dice = score === null ? '' : `, validation ${score.toFixed(3)}`;
        const left = `${samplesPerSecond.toFixed(2)} samples/s, ${Math.round(secondsLeft / 60)} min left`;
        say(`${preset.name}: step ${done} of ${total}, loss ${loss.toFixed(3)}${dice}, ${left}`);
      },
    });
    // The weights of the best validation, as studies choose them. Under its name only when it is whole.
    await copyFile(best, `${weights}.tmp`);
    await rename(`${weights}.tmp`, weights);
  }
  return test;
}

function samplerOf(study: Study, preset: Preset): Promise<Sampler> {
  const folder = cohortOf(study, 'internal');
  return folderSampler(preset, folder, {
    ...{ device: study.device, signal: study.signal, manifest: join(folder, 'manifest.csv') },
    // A patient may have neither masses nor, now and then, a second kidney.
    allowEmpty: true,
    // At full size the masses alone take 25 GB.
    cache: { folder: join(study.out, 'cache'), bytes: 200e9 },
  });
}

/** The harness takes a folder of the cases that count. */
async function keepTruth(
  study: Study,
  cohort: CohortName,
  cases: readonly string[],
): Promise<void> {
  const folder = join(study.out, 'truth', cohort);
  for (const name of cases) {
    const to = join(folder, name, 'labels.nii.gz');
    if (await exists(to)) continue;
    await makeFolder(join(folder, name));
    await copyFile(join(cohortOf(study, cohort), name, 'labels.nii.gz'), `${to}.tmp`);
    await rename(`${to}.tmp`, to);
  }
}

async function predictAll(study: Study, cases: Record<CohortName, string[]>): Promise<void> {
  const { out, device, signal, say, software } = study;
  const load: Record<System, () => Promise<CascadeNetworks>> = {
    'two-stage': () => loadCascade(device, join(out, 'weights')),
    'one-stage': () => loadOneStage(device, join(out, 'weights')),
  };
  for (const system of SYSTEMS) {
    const networks = await load[system]();
    try {
      for (const cohort of COHORTS) {
        const folder = join(out, 'predictions', system, cohort);
        await makeFolder(folder);
        if (system === 'two-stage') await folderOfClassifier(onTruthOf(study, cohort), networks);
        for (const name of cases[cohort]) {
          checkAborted(signal);
          const ct = join(cohortOf(study, cohort), name, 'ct.nii.gz');
          const target = join(folder, name);
          if (!(await isPredicted(target, ct, networks))) {
            const volume = await readVolume(ct);
            const finding = await analyze(volume, { device, weights: networks, signal });
            await writeFinding(target, volume, finding, makeReport(volume, finding, software));
            say(`${system}, ${cohort}: ${name}, ${finding.masses.length} masses`);
          }
          if (system === 'two-stage') await onTruth(study, cohort, name, networks);
        }
      }
    } finally {
      networks.dispose();
    }
  }
}

async function onTruth(
  study: Study,
  cohort: CohortName,
  name: string,
  networks: CascadeNetworks,
): Promise<void> {
  const { out } = study;
  const path = join(onTruthOf(study, cohort), `${name}.nii.gz`);
  if (await exists(path)) return;
  const [ct, truth] = await Promise.all([
    readVolume(join(out, 'cohorts', cohort, name, 'ct.nii.gz')),
    readVolume(join(out, 'truth', cohort, name, 'labels.nii.gz')),
  ]);
  const { device, signal } = study;
  const { labels } = await classifyContours(ct, truth, { device, signal, weights: networks });
  await labels.write(path);
}

async function measureAll(
  study: Study,
  cases: Record<CohortName, string[]>,
): Promise<StudyResults> {
  const { out, plan, device, signal, say, software } = study;
  const { replicates } = plan;
  const made: Partial<Record<CohortName, Record<System, Summary>>> = {};
  const comparisons: Partial<StudyResults['comparisons']> = {};
  for (const cohort of COHORTS) {
    const summaries: Partial<Record<System, Summary>> = {};
    const folderOf = (system: System) => join(out, 'evaluations', cohort, system);
    for (const system of SYSTEMS) {
      const folder = folderOf(system);
      await makeFolder(folder);
      const { summary, failed } = await evaluateCohort(folder, {
        truth: join(out, 'truth', cohort),
        prediction: join(out, 'predictions', system, cohort),
        onTruth: onTruthOf(study, cohort),
        manifest: await manifestOf(study, cohort, cases[cohort]),
        images: cohortOf(study, cohort),
        ...{ resume: true, device, signal, replicates, software },
        pictures: plan.size === 'tiny' ? 0 : 8,
      });
      if (failed.length > 0)
        throw new RenvoxError(
          'InternalError',
          `${failed.length} cases of ${cohort}, ${system} could not be measured: ${JSON.stringify(failed[0])}`,
          { failed },
        );
      summaries[system] = summary;
      say(`evaluated: ${cohort}, ${system}`);
    }
    made[cohort] = summaries as Record<System, Summary>;
    (comparisons as Record<string, unknown>)[cohort] = await compareSystems(
      ...([folderOf('two-stage'), folderOf('one-stage')] as [string, string]),
      join(out, 'comparisons', cohort),
      { replicates, signal, software },
    );
  }
  const { internal, external } = plan.cohorts;
  const patientsOf = (cohort: CohortName) => {
    const counted = seriesOf(plan.cohorts[cohort]).filter(({ name }) =>
      cases[cohort].includes(name),
    );
    return new Set(counted.map(({ patient }) => patient)).size;
  };
  return {
    patients: { internal: patientsOf('internal'), external: patientsOf('external') },
    size: plan.size,
    summaries: made as StudyResults['summaries'],
    comparisons: comparisons as StudyResults['comparisons'],
    facts: [
      `made by ${study.makers.join(', then ')}`,
      `training cohort: ${internal.patients} drawn patients, ${seriesOf(internal).length} series, masses AML : cystic : solid = ${internal.masses.classes.join(' : ')}, from ${internal.masses.diameters[0]} mm up; patients parted 8:1:1`,
      `held out: ${cases.internal.length} series; shifted: ${cases.external.length} series of ${external.patients} patients, ${external.masses.classes.join(' : ')}`,
      ...(Object.values(plan.presets) as Preset[]).map(
        ({ name, grid, steps, batch }) =>
          `${name}: ${grid.shape.join('x')} at ${grid.spacing.map((mm) => mm.toFixed(2)).join(' x ')} mm, ${steps} steps of ${batch}`,
      ),
    ],
  };
}

/** The manifest of the cases that count: a cohort's names the others too. */
async function manifestOf(
  study: Study,
  cohort: CohortName,
  cases: readonly string[],
): Promise<string> {
  const path = join(study.out, 'truth', `${cohort}.csv`);
  const series = seriesOf(study.plan.cohorts[cohort]).filter(({ name }) => cases.includes(name));
  const rows = series.map(
    ({ name, patient, phase }) => `${name},${patient},${phase.toUpperCase()}`,
  );
  await writeFileAtomic(path, [Buffer.from(`case,patient,phase\n${rows.join('\n')}\n`)]);
  return path;
}

function checkAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted)
    throw new RenvoxError(
      'AbortError',
      'The study was stopped; it can be resumed',
      {},
      {
        cause: signal.reason,
      },
    );
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}
