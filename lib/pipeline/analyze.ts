import { type Device, defaultDevice } from '../device.js';
import { invalidArgument, RenvoxError } from '../errors.js';
import type { Precision } from '../nn/index.js';
import {
  argmax,
  composeFindings,
  instanceClasses,
  measureLabels,
  reshape,
  stack,
} from '../ops/index.js';
import { scope } from '../scope.js';
import { download } from '../tensor.js';
import { Volume } from '../volume/index.js';
import { cropsBox, onWholeGrid } from './crops-box.js';
import { checkRequest, type ExplainedMass, explainMasses, type GradCamRequest } from './explain.js';
import { type Finding, MASS_CLASSES, type MassFinding, type Timings } from './finding.js';
import { countHu, INSTANCES, readFigures } from './instance-figures.js';
import { type CascadeNetworks, forPhases, weightsOf } from './networks.js';
import { loadSystem } from './one-stage.js';
import { checkPhases, type PhaseName, type SecondPhase } from './phase.js';
import {
  CAPACITY,
  classifyMasses,
  findKidneys,
  findMasses,
  type LoadedCt,
  SIDES,
} from './stages.js';
import { warningsOf } from './warnings.js';

/** What an analysis is doing. */
export interface AnalyzeProgress {
  stage: 'load' | 'kidneys' | 'masses' | 'classes' | 'compose' | 'explain' | 'done';
  done: number;
  total: number;
}

export interface AnalyzeOptions {
  /** Default: CUDA when one works, else the CPU. */
  device?: Device;
  /**
   * A folder with kidney, mass and class.safetensors, or with one-stage and class.safetensors alone, or networks that are loaded already. Default: the
   * shipped ones.
   */
  weights?: string | CascadeNetworks;
  /** Of the networks that are loaded here. Default: fp32 on the CPU, bf16 on a GPU. */
  precision?: Precision | undefined;
  /** Stops between operations; the device stays usable. */
  signal?: AbortSignal | undefined;
  /** A second contrast phase, for enhancement, and for a classifier that sees both where the weights hold one (class-two-phases.safetensors). */
  phase?: SecondPhase | undefined;
  /** Which phase the CT itself is: then the two are in order whatever they are, and an unenhanced CT is known as one. */
  ownPhase?: PhaseName | undefined;
  /** Also says where the classifier looked; true for the defaults. */
  gradCam?: boolean | GradCamRequest | undefined;
  onProgress?: (progress: AnalyzeProgress) => void;
}

const STAGES = ['load', 'kidneys', 'masses', 'classes', 'compose', 'explain', 'done'] as const;

/** @internal What the function of this name does that users call; deferred.ts tells it. */
export async function analyze(ct: Volume, options: AnalyzeOptions = {}): Promise<Finding> {
  if (!(ct instanceof Volume)) throw invalidArgument('ct', 'a Volume', ct);
  checkPhases(options.ownPhase, options.phase);
  const device = options.device ?? defaultDevice();
  const given = options.weights;
  const own = given === undefined || typeof given === 'string';
  checkAborted(options.signal);
  const { precision, phase } = options;
  const twoPhases = phase !== undefined;
  const networks = own ? await loadSystem(device, given, { precision, twoPhases }) : given;
  try {
    return await scope(() => cascade(ct, device, forPhases(networks, twoPhases), options));
  } catch (error) {
    if (options.signal?.aborted) checkAborted(options.signal);
    throw error;
  } finally {
    if (own) networks.dispose();
  }
}

async function cascade(
  ct: Volume,
  device: Device,
  networks: CascadeNetworks,
  options: AnalyzeOptions,
): Promise<Finding> {
  const { signal, onProgress, phase, ownPhase } = options;
  const request = options.gradCam === true ? {} : options.gradCam || undefined;
  if (request) checkRequest(networks.classifier.network, request);
  const stages = STAGES.filter((name) => name !== 'explain' || request);
  const begun = performance.now();
  const timings: Record<string, number> = {};
  // Enqueues a stage and waits until the device has done it; nothing is read.
  const stage = async <T>(name: (typeof STAGES)[number], enqueue: () => T): Promise<T> => {
    checkAborted(signal);
    onProgress?.({ stage: name, done: stages.indexOf(name), total: stages.length - 1 });
    const from = performance.now();
    const result = device.under({ signal }, enqueue);
    await device.drain();
    timings[name] = (performance.now() - from) / 1000;
    return result;
  };

  const loaded = await stage(
    'load',
    (): LoadedCt => ({ ...load(ct, device), phase: phase && load(phase.ct, device) }),
  );
  const kidneys = await stage('kidneys', () => findKidneys(loaded, networks));
  const sides = await stage('masses', () =>
    SIDES.map((side) => findMasses(loaded, kidneys, side, networks)),
  );
  const probabilities = await stage('classes', () =>
    stack(sides.flatMap((found) => classifyMasses(loaded, found, networks))),
  );
  // Two dozen numbers: all that comes after needs the part of the CT that the crops cover, a tenth of it, instead of the whole.
  const affines = await download(sides.map(({ affine }) => affine));
  const box = cropsBox(
    affines.map((affine) => ({
      affine: affine as Float64Array,
      shape: networks.mass.shape,
    })),
    ct.shape,
  );
  const result = await stage('compose', () => {
    const [left, right] = sides as [(typeof sides)[0], (typeof sides)[0]];
    const instances = composeFindings(left, right, {
      ...{ start: box.start, size: [...box.size] },
      capacity: CAPACITY,
    });
    const measures = measureLabels(instances, { spacing: ct.spacing, labels: INSTANCES });
    const labels = instanceClasses(instances, reshape(argmax(probabilities), [2 * CAPACITY]), 3);
    return [
      labels,
      measures,
      probabilities,
      ...countHu(loaded, instances, box, { phase, ownPhase }),
    ] as const;
  });
  checkAborted(signal);
  const [labels, measures, named, ...counts] = await download(result);
  const figures = readFigures(
    ct,
    Float64Array.from(measures as ArrayLike<number>),
    Float32Array.from(named as ArrayLike<number>),
    box.start,
    { counts: counts as Int32Array[], phase, ownPhase },
  );
  const { masses, places, ...rest } = figures;
  let gradCam: Finding['gradCam'];
  if (request) {
    const explained = masses.map((mass, i): ExplainedMass => {
      const { side, index } = places[i] as (typeof places)[0];
      const classIndex = MASS_CLASSES.indexOf(mass.class);
      return { stage: sides[side] as (typeof sides)[0], index, classIndex };
    });
    checkAborted(signal);
    onProgress?.({ stage: 'explain', done: stages.length - 2, total: stages.length - 1 });
    const from = performance.now();
    const all = await explainMasses(loaded, explained, networks, request, () =>
      checkAborted(signal),
    );
    timings.explain = (performance.now() - from) / 1000;
    all.masses.forEach((explanation, i) => {
      (masses[i] as MassFinding).gradCam = explanation;
    });
    gradCam = all.gradCam;
  }
  timings.total = (performance.now() - begun) / 1000;
  onProgress?.({ stage: 'done', done: stages.length - 1, total: stages.length - 1 });
  const second = phase ? { name: phase.name, sha256: phase.ct.sha256 ?? null } : null;
  return {
    ...rest,
    masses,
    ...(gradCam ? { gradCam } : {}),
    ownPhase: ownPhase ?? null,
    phase: second,
    warnings: warningsOf(ct, { phase: second, masses }),
    labels: ct.like(onWholeGrid(labels as Uint8Array, box, ct.shape)),
    timings: timings as unknown as Timings,
    provenance: {
      device: device.kind,
      precision: networks.kidney.network.precision,
      weights: weightsOf(networks),
    },
  };
}

/** A CT on the device, from memory that stays JavaScript's where the device can read it. */
function load(volume: Volume, device: Device): LoadedCt {
  const values = volume.values({ missing: -1024 });
  return { image: device.tensor(values, { shape: [1, ...volume.shape, 1], borrow: true }), volume };
}

function checkAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted)
    throw new RenvoxError('AbortError', 'The analysis was aborted', {}, { cause: signal.reason });
}
