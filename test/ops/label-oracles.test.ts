// Components, sides and measures of every label map of the data folder, against oracles.json. Each map is read once.
import { join } from 'node:path';
import { type Device, ops } from 'renvox';
import t, { type Test } from 'tap';
import {
  mask,
  type OracleMap,
  oracles,
  type RegionFigures,
  readOracleMap,
  regionLabels,
} from '../oracle-labels.js';
import { noteError } from './errors.js';
import { onEveryDevice, ReferenceCount, simulated } from './harness.js';

type Triple = readonly [number, number, number];
type Cohort = NonNullable<ReturnType<typeof oracles>>['figures']['label_maps'][string];
const references = new ReferenceCount(t);

/** Simulated threads are slow: they get the regions whose boxes have at most this many voxels. */
const simulatedVoxels = 30_000;

/** The part of a map in a box of the file's indices (inclusive): a region's figures are the same in its box. */
function cut(map: OracleMap, [low, high]: NonNullable<RegionFigures['box']>): OracleMap {
  const from = low.map((n, axis) => n - (map.origin[axis] as number));
  const shape = high.map((n, axis) => n - (low[axis] as number) + 1) as OracleMap['shape'];
  const [, H, W] = map.shape;
  const [d, h, w] = from as [number, number, number];
  const data = new Uint8Array(shape[0] * shape[1] * shape[2]);
  for (let z = 0, to = 0; z < shape[0]; z++)
    for (let y = 0; y < shape[1]; y++, to += shape[2]) {
      const start = ((d + z) * H + h + y) * W + w;
      data.set(map.data.subarray(start, start + shape[2]), to);
    }
  return { ...map, data, shape, origin: low as OracleMap['origin'] };
}

/** Calls `body` with the region as a mask on the device. */
async function onRegion(
  device: Device,
  map: OracleMap,
  region: string,
  body: (labels: ReturnType<Device['tensor']>) => Promise<void>,
) {
  using labels = device.tensor(mask(map.data, regionLabels(region)), { shape: map.shape });
  await body(labels);
}

/** Number, sizes, boxes and first voxels of components, for all three connectivities. */
async function checkComponents(
  t: Test,
  device: Device,
  map: OracleMap,
  region: string,
  expected: RegionFigures,
) {
  await onRegion(device, map, region, async (labels) => {
    for (const connectivity of [6, 18, 26] as const) {
      const { count, sizes, first_voxels, boxes } = expected[`c${connectivity}`];
      const found = ops.connectedComponents(labels, { connectivity });
      const table = ops.componentTable(found.components, { capacity: count });
      const rows = await table.data();
      t.equal(await found.count.item(), count, `${region} ${connectivity}: count`);
      const row = (i: number) => Array.from(rows.subarray(8 * i, 8 * i + 8));
      const corner = (v: number[]) => v.map((n, axis) => n - (map.origin[axis] as number));
      const wanted = sizes.map((size, i) => {
        const [d, h, w] = corner(first_voxels[i] as number[]) as [number, number, number];
        const box = (boxes[i] as [number[], number[]]).flatMap(corner);
        return [size, ...box, (d * map.shape[1] + h) * map.shape[2] + w];
      });
      const actual = wanted.map((_, i) => row(i + 1));
      t.strictSame(actual, wanted, `${region} ${connectivity}: sizes, boxes, first voxels`);
      t.equal(rows[0], expected.voxels, `${region}: voxels`);
      references.count += 4;
      for (const tensor of [found.components, found.count, table]) tensor.dispose();
    }
  });
}

/** An image whose body is two voxels round the middle of the uncut grid: oracles.json takes the side from that. */
function thinBody(map: OracleMap): Float32Array {
  const middle = (map.fileShape[2] - 1) / 2 - map.origin[2];
  const image = new Float32Array(map.data.length);
  image[Math.floor(middle)] = 1;
  image[map.shape[2] + Math.ceil(middle)] = 1;
  return image;
}

/** Voxels on each side, where the left/right axis is the fastest and rises to the left, as the operation wants it. */
async function checkSides(
  t: Test,
  device: Device,
  map: OracleMap,
  laterality: Cohort['laterality'],
) {
  if (laterality?.axis !== 2 || laterality.higher_index_is !== 'left') return;
  const { kidney, mass } = laterality.by_component;
  const total = (side: string) => (kidney[side] ?? 0) + (mass[side] ?? 0);
  await onRegion(device, map, 'kidney_and_mass', async (labels) => {
    const found = ops.connectedComponents(labels);
    const image = device.tensor(thinBody(map), { shape: map.shape });
    const { sides, table } = ops.kidneySides(found, image, {
      bodyThreshold: 0.5,
      keepShare: 0,
      splitShare: 1,
    });
    const rows = await table.data();
    t.equal(rows[0], total('left'), 'voxels on the left');
    t.equal(rows[8], total('right'), 'voxels on the right');
    references.count += 2;
    for (const tensor of [found.components, found.count, image, sides, table]) tensor.dispose();
  });
}

/** An index into the cut map to LPS mm. */
function toLps({ affine, origin }: OracleMap, index: Triple): Triple {
  const at = (row: number, sign: number) => {
    let sum = affine[4 * row + 3] as number;
    for (const axis of [0, 1, 2] as const)
      sum += (affine[4 * row + axis] as number) * (index[axis] + origin[axis]);
    return sign * sum;
  };
  return [at(0, -1), at(1, -1), at(2, 1)];
}

const close = (a: number, e: number) =>
  noteError(Math.abs(a - e) / Math.max(1, Math.abs(e))) <= 1e-9;

/** Greatest diameter and centroid of each component. */
async function checkMeasures(
  t: Test,
  device: Device,
  map: OracleMap,
  region: string,
  { c26 }: RegionFigures,
) {
  await onRegion(device, map, region, async (labels) => {
    const { count, sizes, feret_mm, centroid_lps } = c26;
    const found = ops.connectedComponents(labels);
    const table = ops.measureLabels(found.components, {
      spacing: map.spacing,
      labels: Math.max(1, Math.min(count, 255)),
    });
    const measures = ops.labelMeasures(await table.data());
    for (const tensor of [found.components, found.count, table]) tensor.dispose();
    for (const [i, measure] of measures.entries()) {
      if (!measure) continue;
      const what = `${region} component ${i + 1}`;
      t.equal(measure.voxels, sizes[i], `${what}: voxels`);
      const diameter = feret_mm?.[i];
      if (diameter !== undefined) {
        references.count++;
        t.ok(close(measure.greatestDiameter, diameter), `${what}: greatest diameter`);
      }
      const centroid = centroid_lps?.[i];
      if (centroid !== undefined) {
        references.count++;
        const lps = toLps(map, measure.centroid);
        const same = lps.every((x, axis) => close(x, centroid[axis] as number));
        t.ok(same, `${what}: centroid ${lps}`);
      }
    }
  });
}

onEveryDevice(t, 'label maps of the data folder', async (t, device) => {
  const reference = oracles();
  if (!reference) {
    t.comment('no oracles.json (RENVOX_DATA): nothing was compared');
    return;
  }
  for (const [name, figures] of Object.entries(reference.figures.label_maps)) {
    const map = await readOracleMap(join(reference.folder, name));
    await t.test(name, async (t) => {
      for (const [region, expected] of Object.entries(figures.regions ?? {})) {
        let part = map;
        if (simulated(device)) {
          if (!expected.box) continue;
          part = cut(map, expected.box);
          if (part.data.length > simulatedVoxels) continue;
        }
        await checkComponents(t, device, part, region, expected);
        await checkMeasures(t, device, part, region, expected);
      }
      if (!simulated(device)) await checkSides(t, device, map, figures.laterality);
      t.pass('was read');
    });
  }
});
