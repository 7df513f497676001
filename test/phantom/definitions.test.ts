// Masses obey the definitions of their classes, by which analyze's second opinion goes: fat, fluid, enhancement.
import { phantom } from 'renvox/phantom';
import { fixedGrid } from 'renvox/volume';
import t from 'tap';
import { CALCIUM_HU, ENHANCEMENT_HU, FAT_HU } from '#lib/pipeline/intensities.js';
import {
  AML_CALCIFIED_FRACTION,
  AML_FAT_FRACTION,
  BOSNIAK_ENHANCING_FRACTION,
  FLUID_HU,
  LEAST_CORE_VOXELS,
} from '#lib/pipeline/second-opinion.js';

const masses = { counts: [0, 0, 0, 1], classes: [1, 1, 1], diameters: [16, 40] } as const;
const abdomen = fixedGrid({ shape: [90, 80, 120], spacing: [2.5, 2.5, 2.5], centre: [0, 20, 0] });

/** The mass at this place without its border, without contrast and in the nephrographic phase; voxels of 1 mm, so that walls stay thin. */
async function coreAt(seed: number, centre: readonly [number, number, number]) {
  const grid = fixedGrid({ shape: [48, 48, 48], spacing: [1, 1, 1], centre: [...centre] });
  const draw = (phase: 'unenhanced' | 'nephrographic') => phantom(seed, { grid, phase, masses });
  const [native, later] = [await draw('unenhanced'), await draw('nephrographic')];
  const { data: ids } = native.instances;
  if (!Buffer.from(ids).equals(Buffer.from(later.instances.data)))
    throw new Error(`seed ${seed}: the masses of two phases differ`);
  const own = ids[(24 * 48 + 24) * 48 + 24];
  const inMass = (v: number) => ids[v] === own && (native.labels.data[v] as number) >= 3;
  const core = Array.from(ids.keys()).filter((v) =>
    [0, 1, -1, 48, -48, 48 ** 2, -(48 ** 2)].every((step) => inMass(v + step)),
  );
  const hu = core.map((v) => native.ct.data[v] as number).sort((a, b) => a - b);
  // The noise of both is the same, so the change is the contrast's alone.
  const change = core.map((v) => (later.ct.data[v] as number) - (native.ct.data[v] as number));
  const share = (values: number[], take: (value: number) => boolean) =>
    values.filter(take).length / values.length;
  return {
    voxels: core.length,
    median: hu[hu.length >> 1] as number,
    fat: share(hu, (v) => v < FAT_HU),
    calcified: share(hu, (v) => v > CALCIUM_HU),
    enhancing: share(change, (v) => v > ENHANCEMENT_HU),
  };
}

t.test('AML hold fat, cysts do not enhance, solid masses do', async (t) => {
  const kinds = new Set<string>();
  for (const seed of [34000001, 34000003, 34000004, 34000005, 34000011]) {
    const drawn = await phantom(seed, { grid: abdomen, phase: 'unenhanced', masses });
    for (const { kind, class: name, voxels: all, centroidLpsMm } of drawn.masses) {
      if (all < LEAST_CORE_VOXELS) continue;
      const { voxels, median, fat, calcified, enhancing } = await coreAt(seed, centroidLpsMm);
      const percent = (part: number) => `${(100 * part).toFixed(1)} %`;
      const what = `${seed}, ${kind}: ${voxels} voxels, ${percent(fat)} fat, ${percent(calcified)} calcified, ${percent(enhancing)} enhance, median ${median} HU`;
      const enhances = enhancing > BOSNIAK_ENHANCING_FRACTION;
      const hasFat = fat >= AML_FAT_FRACTION;
      if (kind === 'aml') t.ok(hasFat && calcified <= AML_CALCIFIED_FRACTION, what);
      // The exception among AML: without macroscopic fat it is, by the definitions, a solid mass.
      else if (kind === 'fat-poor aml' || name === 'solid') t.ok(!hasFat && enhances, what);
      else {
        t.ok(!hasFat && !enhances, what);
        if (kind === 'simple cyst') t.ok(median <= FLUID_HU, `${what}: fluid`);
      }
      kinds.add(kind);
    }
  }
  t.same(
    [...kinds].sort(),
    [
      ...['aml', 'chromophobe', 'clear cell', 'fat-poor aml', 'hyperdense cyst', 'oncocytoma'],
      ...['papillary', 'septated cyst', 'simple cyst'],
    ],
    'every kind',
  );
});
