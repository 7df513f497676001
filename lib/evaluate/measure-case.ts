/** One case: two label maps in, its figures and lesions out. */
import type { Device } from '../device.js';
import type { Axis } from '../metrics/component-shapes.js';
import { axialAxisOfVolume } from '../metrics/components.js';
import type { DiameterName } from '../metrics/diameter.js';
import {
  type AgreementJson,
  agreementJson,
  compare,
  type InstanceOverlap,
  matchInstances,
} from '../metrics/index.js';
import { readVolume, type Triple } from '../volume/index.js';
import { averageDiameters, type Instances, instancesOf } from './instances.js';
import { type KitsScores, kitsScores } from './kits.js';
import { jointBox, type LabelledBox } from './labelled-box.js';
import type { Lesion, Side } from './lesions.js';
import type { LabelScheme } from './scheme.js';
import { kidneySideMap, leftOfMiddle, massSides } from './sides.js';

/** `kits23` adds the official scores, by the label values of KiTS. */
export type Protocol = 'renvox' | 'kits23';

export const REGIONS = ['kidney', 'mass'] as const;
export type Region = (typeof REGIONS)[number];
export const REGION_SIDES = ['left', 'right'] as const;

export interface RegionFigures extends AgreementJson {
  readonly truth_ml: number;
  readonly prediction_ml: number;
}

/** What is known of one case, as its journal keeps it. */
export interface CaseRecord {
  readonly case: string;
  readonly patient: string;
  /** SHA-256 of the two files. */
  readonly inputs: { readonly truth: string; readonly prediction: string };
  /** What made the record; another means it is made again. */
  readonly settings: string;
  /** Kidney: with its masses. */
  readonly regions: Readonly<Record<Region, Readonly<Record<Side, RegionFigures>>>>;
  readonly lesions: readonly Lesion[];
  /** With the protocol kits23. */
  readonly kits?: KitsScores;
}

export interface CaseInput {
  readonly case: string;
  readonly patient: string;
  readonly truth: string;
  readonly prediction: string;
}

export interface CaseSettings {
  readonly scheme: LabelScheme;
  readonly device: Device;
  /** Identifies all settings that a record depends on. */
  readonly settings: string;
  /** From this IoU on a pair counts as found. 0: any voxel shared. */
  readonly iou: number;
  readonly protocol: Protocol;
  /** What a lesion's average diameter is. */
  readonly diameter: DiameterName;
  readonly signal?: AbortSignal | undefined;
}

/**
 * @throws RenvoxError as readVolume and jointBox; AbortError
 */
export async function measureCase(input: CaseInput, settings: CaseSettings): Promise<CaseRecord> {
  const { scheme, device, signal } = settings;
  const [truth, prediction] = await Promise.all([
    readVolume(input.truth, { signal }),
    readVolume(input.prediction, { signal }),
  ]);
  const box = jointBox(truth, prediction, scheme, input);
  const { spacing } = truth;
  const whole = leftOfMiddle(truth.affine, truth.shape);
  const left = ([d, h, w]: Triple) =>
    whole([d + box.offset[0], h + box.offset[1], w + box.offset[2]]);
  const geometry = { shape: box.shape, spacing };
  const size = { diameter: settings.diameter, axialAxis: axialAxisOfVolume(truth) };
  const one = (labels: Uint8Array) => anatomy(labels, scheme, left, geometry, device, size);
  const [a, b] = [await one(box.truth), await one(box.prediction)];
  const voxelMl = (spacing[0] * spacing[1] * spacing[2]) / 1000;
  const figures = async (region: Region): Promise<Record<Side, RegionFigures>> => {
    const options = { ...geometry, labels: [1, 2], device, ...(signal && { signal }) };
    const { labels } = await compare(a[region], b[region], options);
    const side = (code: number): RegionFigures => {
      const agreement = agreementJson(labels[code] as NonNullable<(typeof labels)[string]>);
      return {
        ...agreement,
        truth_ml: agreement.voxels_truth * voxelMl,
        prediction_ml: agreement.voxels_prediction * voxelMl,
      };
    };
    return { left: side(1), right: side(2) };
  };
  const regions = { kidney: await figures('kidney'), mass: await figures('mass') };
  return {
    ...{ case: input.case, patient: input.patient, settings: settings.settings, regions },
    inputs: { truth: truth.sha256 ?? '', prediction: prediction.sha256 ?? '' },
    lesions: lesionsOf(input, a, b, box, scheme, settings.iou),
    ...(settings.protocol === 'kits23' && {
      kits: await kitsScores(box.truth, box.prediction, geometry, device),
    }),
  };
}

interface Anatomy {
  /** 1 left, 2 right: kidneys with their masses. */
  readonly kidney: Uint8Array;
  /** Masses alone, the same codes. */
  readonly mass: Uint8Array;
  readonly masses: Instances;
  /** Average diameters of the masses, mm. */
  readonly diameters: readonly number[];
  readonly sides: readonly Side[];
}

async function anatomy(
  labels: Uint8Array,
  scheme: LabelScheme,
  left: (index: Triple) => number,
  geometry: { shape: Triple; spacing: Triple },
  device: Device,
  { diameter, axialAxis }: { diameter: DiameterName; axialAxis: Axis },
): Promise<Anatomy> {
  const only = (structure: 'kidney' | 'mass') =>
    labels.map((v) => (v !== 0 && scheme.get(v)?.structure === structure ? v : 0));
  const kidneys = await instancesOf(only('kidney'), geometry.shape, device);
  const masses = await instancesOf(only('mass'), geometry.shape, device);
  const kidney = kidneySideMap(kidneys, scheme, left);
  const sides = await massSides(masses, kidney, scheme, left, geometry, device);
  const mass = Uint8Array.from(masses.map, (i) => (i === 0 ? 0 : sides[i - 1] === 'left' ? 1 : 2));
  for (let at = 0; at < mass.length; at++) if (mass[at]) kidney[at] = mass[at] as number;
  const diameters = averageDiameters(masses, diameter, geometry, axialAxis);
  return { kidney, mass, masses, diameters, sides };
}

function lesionsOf(
  input: CaseInput,
  truth: Anatomy,
  prediction: Anatomy,
  box: LabelledBox,
  scheme: LabelScheme,
  iou: number,
): Lesion[] {
  const [a, b] = [truth.masses, prediction.masses];
  const matching = matchInstances(
    a.list.map((i) => i.voxels),
    b.list.map((i) => i.voxels),
    overlaps(a, b, box),
    { iou },
  );
  const common = { case: input.case, patient: input.patient, probabilities: null };
  const fromTruth = (i: number) => {
    const { label } = a.list[i] as Instances['list'][number];
    return {
      ...common,
      side: truth.sides[i] ?? null,
      truthClass: scheme.get(label)?.class ?? null,
      averageDiameterMm: truth.diameters[i] as number,
    };
  };
  const called = (j: number) =>
    scheme.get((b.list[j] as Instances['list'][number]).label)?.class ?? null;
  return [
    ...matching.pairs.map(
      (pair): Lesion => ({
        ...fromTruth(pair.truth),
        ...{ status: 'TP', predictedClass: called(pair.prediction), dice: pair.dice },
      }),
    ),
    ...matching.missed.map(
      (i): Lesion => ({ ...fromTruth(i), status: 'FN', predictedClass: null, dice: null }),
    ),
    ...matching.spurious.map(
      (j): Lesion => ({
        ...common,
        side: prediction.sides[j] ?? null,
        ...{ status: 'FP', truthClass: null, predictedClass: called(j), dice: null },
        averageDiameterMm: prediction.diameters[j] as number,
      }),
    ),
  ];
}

/** Shared voxels of each pair of instances, of any class: what a mass is called does not decide whether it was found. */
function overlaps(a: Instances, b: Instances, { shape }: LabelledBox): InstanceOverlap[] {
  const width = b.list.length + 1;
  const counts = new Map<number, number>();
  const voxels = shape[0] * shape[1] * shape[2];
  for (let at = 0; at < voxels; at++) {
    const i = a.map[at] as number;
    const j = b.map[at] as number;
    if (i === 0 || j === 0) continue;
    const key = i * width + j;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return [...counts].map(([key, n]) => ({
    truth: Math.floor(key / width) - 1,
    prediction: (key % width) - 1,
    voxels: n,
  }));
}
