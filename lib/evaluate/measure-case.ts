/** One case: two label maps in, its figures and lesions out. */
import type { Device } from '../device.js';
import { instanceOverlaps } from '../metrics/compare-instances.js';
import type { Axis } from '../metrics/component-shapes.js';
import { axialAxisOfVolume } from '../metrics/components.js';
import type { DiameterName } from '../metrics/diameter.js';
import { agreementJson, compare, matchInstances } from '../metrics/index.js';
import { gridOf, type Triple } from '../volume/index.js';
import { type CaseInput, sha256Of } from './case-input.js';
import {
  type CaseRecord,
  IOU_SWEEP,
  type IouCounts,
  type Protocol,
  type Region,
  type RegionFigures,
} from './case-record.js';
import { averageDiameters, codedVoxels, type Instances, instancesOf } from './instances.js';
import { kitsScores } from './kits.js';
import { jointBox } from './labelled-box.js';
import type { Lesion, MassClass, Side } from './lesions.js';
import { type MassCall, massCalls, readReport } from './mass-report.js';
import { midPlane } from './mid-plane.js';
import { classesOnTruth } from './on-truth.js';
import { placesOf } from './places.js';
import { readLabels } from './read-labels.js';
import { kitsLabels, type LabelScheme } from './scheme.js';
import { kidneySideMap, massSides, misplacedKidneys } from './sides.js';

export interface CaseSettings {
  readonly scheme: LabelScheme;
  /** Of the prediction and of labels on true contours; the same object where it is no other. */
  readonly predictionScheme: LabelScheme;
  readonly device: Device;
  /** Identifies all settings that a record depends on. */
  readonly settings: string;
  /** From this IoU on a pair counts as found. 0: any voxel shared. */
  readonly iou: number;
  /** What a lesion's average diameter is. */
  readonly diameter: DiameterName;
  readonly protocol: Protocol;
  readonly signal?: AbortSignal | undefined;
}

/**
 * @throws RenvoxError as readVolume and jointBox; AbortError
 */
export async function measureCase(input: CaseInput, settings: CaseSettings): Promise<CaseRecord> {
  const { scheme, predictionScheme, device, signal } = settings;
  const schemes = { truth: scheme, prediction: predictionScheme };
  const { truth, prediction, kits: sampled, ...read } = await readLabels(input, settings);
  const box = jointBox(truth, prediction, schemes, {
    truth: input.truth ?? `the references of ${input.case}`,
    prediction: input.prediction,
  });
  const { spacing } = truth;
  const plane = await midPlane(input, truth, [scheme, predictionScheme], { signal });
  const left = ([d, h, w]: Triple) =>
    plane.left([d + box.offset[0], h + box.offset[1], w + box.offset[2]]);
  const geometry = { shape: box.shape, spacing };
  const axis = axialAxisOfVolume(truth);
  const size = { diameter: settings.diameter, axialAxis: axis };
  const one = (which: 'truth' | 'prediction') =>
    anatomy(box[which], schemes[which], left, geometry, device, size);
  const [a, b] = [await one('truth'), await one('prediction')];
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
  const report = input.report ? await readReport(input.report, prediction) : undefined;
  const grid = gridOf(prediction);
  const masses = report?.masses ?? [];
  const calls = massCalls(b.masses, predictionScheme, box, grid, masses, input.report ?? '');
  const onTruth = input.onTruth
    ? await classesOnTruth(input.onTruth, truth, a.masses, box, predictionScheme, { signal })
    : undefined;
  const warnings = [
    ...(plane.warning ? [plane.warning] : []),
    ...[a, b].flatMap(({ misplaced }, i) =>
      misplaced.map(
        ({ label, side, share }) =>
          `${[input.truth ?? input.case, input.prediction][i]}: ${(100 * share).toFixed(0)} % of label ${label}, the ${side} kidney, lies on the other side of the image's middle; are these the values of the map?`,
      ),
    ),
  ];
  const kidneys = placesOf(a.kidney, b.kidney, 2, box, axis, grid);
  const found = lesionsOf(input, a, b, scheme, settings.iou, calls, onTruth?.classes);
  return {
    ...{ case: input.case, patient: input.patient, settings: settings.settings, regions },
    inputs: {
      ...{ truth: read.truthHash, prediction: prediction.sha256 as string },
      ...(report && { report: sha256Of(report.bytes) }),
      ...(onTruth && { on_truth: onTruth.sha256 }),
      ...(plane.sha256 && { image: plane.sha256 }),
    },
    midPlane: plane.of,
    ...(warnings.length > 0 && { warnings }),
    lesions: found.lesions,
    sweep: found.sweep,
    places: {
      lesions: placesOf(found.truthMap, found.predictionMap, found.lesions.length, box, axis, grid),
      kidneys: { left: kidneys[0] ?? null, right: kidneys[1] ?? null },
    },
    ...(report && {
      report: {
        masses: report.masses.length,
        components: calls.filter((call) => call.probabilities !== null).length,
      },
    }),
    ...(settings.protocol === 'kits23' && {
      kits: await kitsScores(box.truth, kitsLabels(box.prediction, schemes), geometry, device),
    }),
    ...(sampled && { kits: sampled.mean, references: sampled.scores }),
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
  readonly misplaced: ReturnType<typeof misplacedKidneys>;
}

async function anatomy(
  labels: Uint8Array,
  scheme: LabelScheme,
  left: (index: Triple) => number,
  geometry: { shape: Triple; spacing: Triple },
  device: Device,
  size: { diameter: DiameterName; axialAxis: Axis },
): Promise<Anatomy> {
  const only = (structure: 'kidney' | 'mass') => {
    const kept = new Uint8Array(256);
    for (const [value, own] of scheme) if (own.structure === structure) kept[value] = value;
    return codedVoxels(labels, kept);
  };
  const kidneys = await instancesOf(only('kidney'), geometry.shape, device);
  const masses = await instancesOf(only('mass'), geometry.shape, device);
  const kidney = kidneySideMap(kidneys, scheme, left);
  const sides = await massSides(masses, kidney, scheme, left, geometry, device);
  const mass = codedVoxels(masses.map, [0, ...sides.map((side) => (side === 'left' ? 1 : 2))]);
  for (let at = 0; at < mass.length; at++) if (mass[at]) kidney[at] = mass[at] as number;
  const diameters = averageDiameters(masses, size.diameter, geometry, size.axialAxis);
  const misplaced = misplacedKidneys(kidneys, scheme, left);
  return { kidney, mass, masses, diameters, sides, misplaced };
}

function lesionsOf(
  input: CaseInput,
  truth: Anatomy,
  prediction: Anatomy,
  scheme: LabelScheme,
  iou: number,
  calls: readonly MassCall[],
  onTruth: readonly (MassClass | null)[] | undefined,
): MatchedLesions {
  const [a, b] = [truth.masses, prediction.masses];
  // Of any class: what a mass is called does not decide whether it was found.
  const shared = instanceOverlaps(a.map, b.map, b.list.length);
  const match = (least: number) =>
    matchInstances(
      a.list.map((i) => i.voxels),
      b.list.map((i) => i.voxels),
      shared,
      { iou: least },
    );
  const matching = match(iou);
  const common = { case: input.case, patient: input.patient };
  const fromTruth = (i: number) => {
    const { label } = a.list[i] as Instances['list'][number];
    return {
      ...common,
      side: truth.sides[i] ?? null,
      truthClass: scheme.get(label)?.class ?? null,
      averageDiameterMm: truth.diameters[i] as number,
      ...(onTruth && { classOnTruth: onTruth[i] ?? null }),
    };
  };
  const called = (j: number) => {
    const { class: name, probabilities } = calls[j] as MassCall;
    return { predictedClass: name, probabilities };
  };
  const nothing = { predictedClass: null, probabilities: null, dice: null };
  const lesions = [
    ...matching.pairs.map(
      (pair): Lesion => ({
        ...fromTruth(pair.truth),
        ...{ status: 'TP', ...called(pair.prediction), dice: pair.dice },
      }),
    ),
    ...matching.missed.map((i): Lesion => ({ ...fromTruth(i), status: 'FN', ...nothing })),
    ...matching.spurious.map(
      (j): Lesion => ({
        ...common,
        side: prediction.sides[j] ?? null,
        ...{ status: 'FP', truthClass: null, ...called(j), dice: null },
        averageDiameterMm: prediction.diameters[j] as number,
      }),
    ),
  ];
  const { pairs, missed, spurious } = matching;
  const ofTruth = new Int32Array(a.list.length + 1);
  const ofPrediction = new Int32Array(b.list.length + 1);
  pairs.forEach((pair, k) => {
    ofTruth[pair.truth + 1] = k + 1;
    ofPrediction[pair.prediction + 1] = k + 1;
  });
  missed.forEach((i, k) => {
    ofTruth[i + 1] = pairs.length + k + 1;
  });
  spurious.forEach((j, k) => {
    ofPrediction[j + 1] = pairs.length + missed.length + k + 1;
  });
  return {
    lesions,
    truthMap: a.map.map((i) => ofTruth[i] as number),
    predictionMap: b.map.map((j) => ofPrediction[j] as number),
    sweep: IOU_SWEEP.map((least) => {
      const m = least === iou ? matching : match(least);
      return {
        ...{ tp: m.truePositives, fp: m.falsePositives, fn: m.falseNegatives },
        iou: m.pairs.reduce((sum, pair) => sum + pair.iou, 0),
      };
    }),
  };
}

interface MatchedLesions {
  readonly lesions: readonly Lesion[];
  /** Per voxel the lesion that it is of, 1.., 0 none. */
  readonly truthMap: Int32Array;
  readonly predictionMap: Int32Array;
  readonly sweep: readonly IouCounts[];
}
