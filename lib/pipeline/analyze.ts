import { type Device, defaultDevice } from '../device.js';
import { invalidArgument, RenvoxError } from '../errors.js';
import { sphereDiameterMm } from '../metrics/diameter.js';
import type { Precision } from '../nn/index.js';
import {
  argmax,
  composeFindings,
  instanceClasses,
  labelMeasures,
  measureLabels,
  reshape,
  stack,
} from '../ops/index.js';
import { scope } from '../scope.js';
import { download, type Tensor } from '../tensor.js';
import { gridOf, toWorld, Volume } from '../volume/index.js';
import {
  type Finding,
  type KidneyFinding,
  MASS_CLASSES,
  type MassFinding,
  type Timings,
} from './finding.js';
import { type CascadeNetworks, loadCascade } from './networks.js';
import {
  CAPACITY,
  classifyMasses,
  findKidneys,
  findMasses,
  type LoadedCt,
  SIDES,
  type Side,
} from './stages.js';

/** What an analysis is doing. */
export interface AnalyzeProgress {
  stage: 'load' | 'kidneys' | 'masses' | 'classes' | 'compose' | 'done';
  done: number;
  total: number;
}

export interface AnalyzeOptions {
  /** Default: CUDA when one works, else the CPU. */
  device?: Device;
  /** A folder with kidney, mass and class.safetensors, or networks that are loaded already. Default: the shipped ones. */
  weights?: string | CascadeNetworks;
  /** Of the networks that are loaded here. Default: fp32 on the CPU, bf16 on a GPU. */
  precision?: Precision | undefined;
  /** Stops between operations; the device stays usable. */
  signal?: AbortSignal | undefined;
  onProgress?: (progress: AnalyzeProgress) => void;
}

const STAGES = ['load', 'kidneys', 'masses', 'classes', 'compose', 'done'] as const;

/**
 * Finds the kidneys and their masses on an abdominal CT and names each mass AML, cystic or solid.
 *
 * The CT goes to the device once, the label map and the figures come back once; all decisions in between are taken on the device. Left and
 * right are the patient's, from the CT's affine. A CT without kidneys gives kidneys of 0 voxels and no masses.
 *
 * Research software, not a medical device: not for clinical use.
 *
 * @param ct - in HU after its slope and intercept, any orientation and spacing
 * @throws RenvoxError AbortError with the signal's reason as cause; OutOfMemory; InvalidWeights, FileNotFound for the weights
 */
export async function analyze(ct: Volume, options: AnalyzeOptions = {}): Promise<Finding> {
  if (!(ct instanceof Volume)) throw invalidArgument('ct', 'a Volume', ct);
  const device = options.device ?? defaultDevice();
  const given = options.weights;
  const own = given === undefined || typeof given === 'string';
  checkAborted(options.signal);
  const networks = own ? await loadCascade(device, given, { precision: options.precision }) : given;
  try {
    return await scope(() => cascade(ct, device, networks, options));
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
  const { signal, onProgress } = options;
  const begun = performance.now();
  const timings: Record<string, number> = {};
  // Enqueues a stage and waits until the device has done it; nothing is read.
  const stage = async <T>(name: (typeof STAGES)[number], enqueue: () => T): Promise<T> => {
    checkAborted(signal);
    onProgress?.({ stage: name, done: STAGES.indexOf(name), total: STAGES.length - 1 });
    const from = performance.now();
    const result = device.under({ signal }, enqueue);
    await device.drain();
    timings[name] = (performance.now() - from) / 1000;
    return result;
  };

  const loaded = await stage('load', (): LoadedCt => {
    const values = ct.values({ missing: -1024 });
    return {
      image: device.tensor(values, { shape: [1, ...ct.shape, 1], borrow: true }),
      volume: ct,
    };
  });
  const kidneys = await stage('kidneys', () => findKidneys(loaded, networks));
  const sides = await stage('masses', () =>
    SIDES.map((side) => findMasses(loaded, kidneys, side, networks)),
  );
  const probabilities = await stage('classes', () =>
    stack(sides.flatMap((found) => classifyMasses(loaded, found, networks))),
  );
  const result = await stage('compose', () => {
    const [left, right] = sides as [(typeof sides)[0], (typeof sides)[0]];
    const instances = composeFindings(left, right, { size: [...ct.shape], capacity: CAPACITY });
    const measures = measureLabels(instances, {
      spacing: ct.spacing,
      labels: 2 + 2 * CAPACITY,
    });
    const labels = instanceClasses(instances, reshape(argmax(probabilities), [2 * CAPACITY]), 3);
    return { labels, measures, probabilities } satisfies Record<string, Tensor>;
  });
  checkAborted(signal);
  const [labels, measures, named] = await download([
    result.labels,
    result.measures,
    result.probabilities,
  ]);
  const figures = readFigures(ct, Float64Array.from(measures), Float32Array.from(named));
  timings.total = (performance.now() - begun) / 1000;
  onProgress?.({ stage: 'done', done: STAGES.length - 1, total: STAGES.length - 1 });
  return {
    ...figures,
    labels: ct.like(labels as Uint8Array),
    timings: timings as unknown as Timings,
    provenance: {
      device: device.kind,
      precision: networks.kidney.network.precision,
      weights: [networks.kidney, networks.mass, networks.classifier].map(({ name, sha256 }) => ({
        name,
        sha256,
      })),
    },
  };
}

function readFigures(ct: Volume, table: ArrayLike<number>, probabilities: Float32Array) {
  const measures = labelMeasures(table);
  const grid = gridOf(ct);
  const measured = (label: number) => {
    const found = measures[label - 1];
    const voxels = found?.voxels ?? 0;
    return {
      voxels,
      volumeMl: (voxels * ct.voxelVolume) / 1000,
      centroidLpsMm: found ? toWorld(grid, [...found.centroid]) : null,
      maxDiameterMm: found?.greatestDiameter ?? 0,
    };
  };
  const kidney = (label: number): KidneyFinding => {
    const { voxels, volumeMl, centroidLpsMm } = measured(label);
    return { voxels, volumeMl, centroidLpsMm };
  };
  const masses: MassFinding[] = [];
  let truncated = false;
  SIDES.forEach((side, s) => {
    const found: Omit<MassFinding, 'id'>[] = [];
    for (let k = 0; k < CAPACITY; k++) {
      const { voxels, volumeMl, centroidLpsMm, maxDiameterMm } = measured(3 + s * CAPACITY + k);
      if (voxels === 0 || !centroidLpsMm) continue;
      found.push({
        side,
        ...named(probabilities.subarray((s * CAPACITY + k) * 3)),
        voxels,
        volumeMl,
        averageDiameterMm: sphereDiameterMm(volumeMl),
        maxDiameterMm,
        centroidLpsMm,
      });
    }
    truncated ||= found.length === CAPACITY;
    found.sort((a, b) => b.voxels - a.voxels);
    for (const mass of found) masses.push({ id: masses.length + 1, ...mass });
  });
  return {
    kidneys: { left: kidney(1), right: kidney(2) } as Record<Side, KidneyFinding>,
    masses,
    truncated,
  };
}

/** The class is the one whose label the map holds: the first of the greatest probabilities. */
function named(p: Float32Array): Pick<MassFinding, 'class' | 'probabilities'> {
  const values = MASS_CLASSES.map((_, i) => p[i] as number);
  const best = values.indexOf(Math.max(...values));
  return {
    class: MASS_CLASSES[best] as MassFinding['class'],
    probabilities: {
      aml: values[0] as number,
      cystic: values[1] as number,
      solid: values[2] as number,
    },
  };
}

function checkAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted)
    throw new RenvoxError('AbortError', 'The analysis was aborted', {}, { cause: signal.reason });
}
