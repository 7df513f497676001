/**
 * Where the classifier looked: Grad-CAM of each mass for the class it was given, on the CT's grid. It runs after the findings are known, so
 * masses that were not found cost nothing. What comes back are twelve numbers and two sums a mass, and then the map itself, box by box.
 */
import { invalidArgument } from '../errors.js';
import { type GradCamMethod, gradCam, type ResNet3D } from '../nn/index.js';
import { boxAffine, componentTable, maskOutside, resample, sum } from '../ops/index.js';
import { scope } from '../scope.js';
import { download } from '../tensor.js';
import { apply, compose, invert } from '../volume/affine.js';
import type { Triple, Volume } from '../volume/index.js';
import type { CascadeNetworks } from './networks.js';
import { CAPACITY, classifierBox, type LoadedCt, type MassStage, massCrop } from './stages.js';

export interface GradCamRequest {
  /** One of ResNet3D.LAYERS. Default: see {@link explainingLayer}. */
  layer?: string | undefined;
  /** Default grad-cam. */
  method?: GradCamMethod | undefined;
}

/** Of one mass. */
export interface MassExplanation {
  /** Share of the map that lies in the mass: sum over the mass / sum over the classifier's crop. Null where the map is empty. */
  overlap: number | null;
}

export interface GradCamFinding {
  method: GradCamMethod;
  layer: string;
  /** Voxels of the layer along D, H, W. */
  layerShape: [number, number, number];
  /** f32 on the CT's grid, 0 to 1: each mass's map divided by its greatest value; where crops overlap, the greater one. */
  map: Volume;
}

/** A mass to explain: where the stages keep it, and the class it was given. */
export interface ExplainedMass {
  stage: MassStage;
  /** Place among the masses of its side. */
  index: number;
  classIndex: number;
}

/** Least voxels along each axis of a layer that can say where. */
const LEAST_VOXELS = 4;

/**
 * The layer that is looked at unless another is asked for: layer4, the study's last; where the network's grid leaves it fewer than four
 * voxels along an axis, the last stage that has them (the stem's pool at the least).
 */
export function explainingLayer(network: ResNet3D, shape: Triple): string {
  const fine = (layer: string) => Math.min(...layerShape(network, shape, layer)) >= LEAST_VOXELS;
  return ['layer4', 'layer3', 'layer2', 'layer1'].find(fine) ?? 'maxpool';
}

function layerShape(network: ResNet3D, shape: Triple, layer: string): [number, number, number] {
  const stride = network.layerStride(layer);
  return shape.map((n) => Math.ceil(n / stride)) as [number, number, number];
}

/** @throws RenvoxError InvalidArgument for a layer or method that there is not */
export function checkRequest(network: ResNet3D, { layer, method }: GradCamRequest): void {
  if (layer !== undefined) network.layerStride(layer);
  if (method !== undefined && method !== 'grad-cam' && method !== 'grad-cam++')
    throw invalidArgument('gradCam.method', "'grad-cam' or 'grad-cam++'", method);
}

/**
 * Explains each mass, in the order given.
 * @param check - called before each, to stop by throwing
 */
export async function explainMasses(
  ct: LoadedCt,
  masses: readonly ExplainedMass[],
  networks: CascadeNetworks,
  request: GradCamRequest,
  check: () => void,
): Promise<{ gradCam: GradCamFinding; masses: MassExplanation[] }> {
  const { network, shape } = networks.classifier;
  const method = request.method ?? 'grad-cam';
  const layer = request.layer ?? explainingLayer(network, shape);
  const map = new Float32Array(ct.volume.data.length);
  const explained: MassExplanation[] = [];
  for (const mass of masses) {
    check();
    explained.push(await explainMass(ct, mass, networks, { layer, method }, map));
  }
  return {
    gradCam: {
      ...{ method, layer, layerShape: layerShape(network, shape, layer) },
      map: ct.volume.like(map),
    },
    masses: explained,
  };
}

async function explainMass(
  ct: LoadedCt,
  { stage, index, classIndex }: ExplainedMass,
  networks: CascadeNetworks,
  { layer, method }: Required<{ layer: string; method: GradCamMethod }>,
  map: Float32Array,
): Promise<MassExplanation> {
  const { network, shape } = networks.classifier;
  return scope(async () => {
    const table = componentTable(stage.masses, { capacity: CAPACITY });
    const { image, anyMass, nearest } = massCrop(ct, stage, table, index, networks);
    const onLayer = gradCam(network, image, { classIndex, layer, method });
    const step = 1 / network.layerStride(layer);
    const onCrop = resample(onLayer, {
      size: [...shape],
      affine: [step, 0, 0, 0, 0, step, 0, 0, 0, 0, step, 0],
      outside: 'border',
    });
    const inMass = maskOutside(maskOutside(onCrop, anyMass), nearest);
    const toCt = boxAffine(table, { ...classifierBox(networks, index), through: stage.affine });
    const [affine, all, within] = await download([toCt, sum(onCrop), sum(inMass)]);
    const box = boxOf(ct.volume.shape, shape, Array.from(affine));
    const total = all[0] as number;
    if (!box || !(total > 0)) return { overlap: total > 0 ? (within[0] as number) / total : null };
    const onCt = resample(onCrop, { size: box.size, affine: box.toCrop });
    paste(map, ct.volume.shape, box, (await onCt.data()) as Float32Array);
    return { overlap: (within[0] as number) / total };
  });
}

interface Box {
  low: [number, number, number];
  size: [number, number, number];
  /** Voxel of the box to voxel of the crop. */
  toCrop: number[];
}

/** The voxels of the CT that a crop reaches; undefined where it lies beside the CT. */
function boxOf(ct: Triple, crop: Triple, toCt: readonly number[]): Box | undefined {
  const corners = [0, 1, 2, 3, 4, 5, 6, 7].map((corner) =>
    apply(
      toCt,
      [0, 1, 2].map((a) => ((corner >> a) & 1 ? (crop[a] as number) : -1)) as unknown as Triple,
    ),
  );
  const axes = [0, 1, 2] as const;
  const low = axes.map((a) => Math.max(0, Math.floor(Math.min(...corners.map((c) => c[a])))));
  const high = axes.map((a) =>
    Math.min(ct[a] - 1, Math.ceil(Math.max(...corners.map((c) => c[a])))),
  );
  const size = axes.map((a) => (high[a] as number) - (low[a] as number) + 1);
  if (size.some((n) => n < 1)) return undefined;
  const [d, h, w] = low as [number, number, number];
  const toCrop = compose(invert(toCt), [1, 0, 0, d, 0, 1, 0, h, 0, 0, 1, w]);
  return { low: [d, h, w], size: size as [number, number, number], toCrop };
}

/** Puts a box into the whole map, its greatest value as 1. */
function paste(
  map: Float32Array,
  [, H, W]: Triple,
  { low, size }: Box,
  values: Float32Array,
): void {
  let greatest = 0;
  for (const value of values) greatest = Math.max(greatest, value);
  if (!(greatest > 0)) return;
  let from = 0;
  for (let d = 0; d < size[0]; d++)
    for (let h = 0; h < size[1]; h++) {
      const row = ((low[0] + d) * H + low[1] + h) * W + low[2];
      for (let w = 0; w < size[2]; w++) {
        const value = (values[from++] as number) / greatest;
        if (value > (map[row + w] as number)) map[row + w] = value;
      }
    }
}
