// Every label map of oracles.json through the public functions: voxels and volumes of labels, components with their sizes and diameters.
import { join } from 'node:path';
import { type Device, device } from 'renvox';
import { type Component, describeComponents, measure } from 'renvox/metrics';
import { readVolume, type Volume } from 'renvox/volume';
import t, { type Test } from 'tap';
import { oracles, type RegionFigures, regionLabels } from '../oracle-labels.js';

const reference = oracles();
let compared = 0;
t.teardown(() => t.comment(`reference tensors compared: ${compared}`));

function near(t: Test, actual: number | undefined, expected: number, what: string): void {
  compared++;
  const fits = Math.abs((actual as number) - expected) <= 1e-9 * Math.abs(expected);
  t.ok(fits, `${what}: ${actual}, ${expected}`);
}

/** A component of oracles.json is named by its size and box there, in the order of the file's axes. */
function name(size: number, low: readonly number[], high: readonly number[]): string {
  return `${size} voxels in [${low}] to [${high}]`;
}

async function checkRegion(
  t: Test,
  volume: Volume,
  region: string,
  expected: RegionFigures,
  cpu: Device,
) {
  for (const connectivity of [6, 18, 26] as const) {
    const { count, sizes, boxes } = expected[`c${connectivity}`];
    const found = await describeComponents(volume, {
      ...{ labels: regionLabels(region), perLabel: false, connectivity, device: cpu },
    });
    compared++;
    t.equal(found.length, count, `${region} ${connectivity}: count`);
    const inFile = (place: readonly number[]) => [...place].reverse();
    const byName = new Map<string, Component>();
    for (const c of found) byName.set(name(c.voxels, inFile(c.low), inFile(c.high)), c);
    const wanted = sizes.map((size, i) => {
      const [low, high] = boxes[i] as [number[], number[]];
      return name(size, low, high);
    });
    compared++;
    t.same(
      [...byName.keys()].sort(),
      [...new Set(wanted)].sort(),
      `${region} ${connectivity}: sizes, boxes`,
    );
    if (connectivity !== 26) continue;
    const { feret_mm, volume_mm3, sphere_diameter_mm, centroid_lps } = expected.c26;
    wanted.forEach((which, i) => {
      const own = byName.get(which);
      const what = `${region}, ${which}`;
      if (feret_mm) near(t, own?.feretMm, feret_mm[i] as number, `${what}: Feret`);
      if (volume_mm3) near(t, own?.volumeMm3, volume_mm3[i] as number, `${what}: volume`);
      if (sphere_diameter_mm)
        near(t, own?.averageDiameterMm.sphere, sphere_diameter_mm[i] as number, `${what}: sphere`);
      const [x, y, z] = own?.centroidRas ?? [];
      [-(x as number), -(y as number), z].forEach((mm, axis) => {
        if (centroid_lps) near(t, mm, centroid_lps[i]?.[axis] as number, `${what}: centroid`);
      });
    });
  }
}

t.test('label maps of the data folder', async (t) => {
  if (!reference) {
    t.comment('no oracles.json (RENVOX_DATA): nothing was compared');
    return;
  }
  using cpu = device('cpu');
  for (const [path, figures] of Object.entries(reference.figures.label_maps)) {
    const volume = await readVolume(join(reference.folder, path));
    await t.test(path, async (t) => {
      const options = { device: cpu, distances: false };
      const { regions, confusion } = await measure(volume, volume, options);
      for (const [label, voxels] of Object.entries(figures.voxels)) {
        const at = confusion.labels.indexOf(Number(label));
        compared++;
        t.equal(confusion.counts[at]?.[at], voxels, `voxels of label ${label}`);
      }
      for (const [label, mm3] of Object.entries(figures.volume_mm3))
        near(t, regions[label]?.volumeTruthMm3, mm3, `volume of label ${label}`);
      for (const [region, expected] of Object.entries(figures.regions ?? {}))
        await checkRegion(t, volume, region, expected, cpu);
    });
  }
  t.ok(compared > 0);
});
