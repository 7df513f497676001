/** The wall of the trunk: skin, fat, muscle, the cavity inside; spine, paraspinal muscles, pelvis. */
import { Tissue } from '../scene.js';
import { turned, type Vector } from '../vector.js';
import { type Body, bothSides, paintOf } from './body.js';

/** Long ellipsoids stand for cylinders along z. */
const long = 2400;

/** Draws the wall of the trunk: shells of fat and muscle, back muscles, pelvis and spine. */
export function drawTrunk(body: Body): void {
  shells(body);
  backMuscles(body);
  pelvis(body);
  spine(body);
}

function shells(body: Body): void {
  const { scene, palette, halfWidth, halfDepth, middle, fatLayer, wall } = body;
  const r = body.random.stream('shells');
  // Two overlapping ellipses: flatter in front and behind than one, with the groove of the back.
  const apart = r.uniform(0.1, 0.26) * halfWidth;
  const backFat = r.uniform(0.45, 0.8);
  const layer = (inset: number, paint: ReturnType<typeof paintOf>) => {
    // What lies under the skin of the back is thinner than at the sides.
    const front = middle - halfDepth + inset;
    const back = middle + halfDepth - inset * backFat;
    for (const x of [-apart, apart])
      scene.ellipsoid(
        {
          centre: [x, (front + back) / 2, -20],
          radii: [halfWidth - inset - apart, (back - front) / 2, long],
        },
        paint,
      );
  };
  layer(0, paintOf(Tissue.skin, palette.skin));
  layer(2.5, paintOf(Tissue.subcutaneousFat, palette.fat));
  layer(2.5 + fatLayer, paintOf(Tissue.muscle, palette.wall));
  // Layers of the abdominal wall: fat between the oblique muscles.
  if (body.voxel < 3) {
    layer(2.5 + fatLayer + wall * 0.4, paintOf(Tissue.muscle, { ...palette.fat, hu: -40 }));
    layer(2.5 + fatLayer + wall * 0.48, paintOf(Tissue.muscle, palette.wall));
  }
  layer(2.5 + fatLayer + wall, paintOf(Tissue.fat, palette.fat));
}

function backMuscles(body: Body): void {
  const { scene, palette } = body;
  const r = body.random.stream('back muscles');
  const size = r.uniform(0.85, 1.15);
  const muscle = paintOf(Tissue.muscle, palette.muscle);
  // Fat of the muscles, more with age, in streaks.
  const streaks = {
    ...paintOf(Tissue.muscle, palette.fat),
    over: [Tissue.muscle],
    patches: { size: r.uniform(5, 9), level: r.uniform(1.1, 2.4), seed: r.integer(1, 1e6) },
  };
  bothSides((side) => {
    const erector = {
      centre: [side * 34, 54, 0] as Vector,
      radii: [30 * size, 21 * size, long] as Vector,
    };
    scene.ellipsoid(erector, muscle);
    scene.ellipsoid({ ...erector, radii: [27 * size, 19 * size, long] }, streaks);
    scene.ellipsoid(
      {
        centre: [side * 66, 38, -45],
        radii: [19 * size, 9 * size, 75],
        axes: turned(0, 0, side * 0.35),
      },
      muscle,
    );
    const psoas: Vector[] = [
      [side * 21, 2, 42],
      [side * 27, 4, 5],
      [side * 35, 2, -45],
      [side * 46, -6, -105],
      [side * 60, -26, -190],
      [side * 68, -42, -260],
    ];
    scene.tube(
      psoas,
      [4, 11, 17, 22, 21, 16].map((x) => x * size),
      muscle,
    );
    // Crus of the diaphragm.
    scene.tube(
      [
        [side * 13, -16, -10],
        [side * 15, -12, 40],
        [side * 22, -6, 90],
      ],
      [3, 6, 5],
      muscle,
    );
  });
}

function spine(body: Body): void {
  const { scene, palette, voxel } = body;
  const r = body.random.stream('spine');
  const bone = paintOf(Tissue.bone, palette.bone);
  const marrow = paintOf(Tissue.bone, palette.marrow);
  const period = r.uniform(32, 37);
  const first = r.uniform(0, period);
  const radii: Vector = [
    r.uniform(20.5, 24.5),
    r.uniform(15.5, 18),
    (period - r.uniform(7, 10)) / 2,
  ];
  scene.ellipsoid(
    { centre: [0, 0, 0], radii: [radii[0] - 0.5, radii[1] - 0.5, long] },
    paintOf(Tissue.bone, palette.disc),
  );
  // Arches as one tube, with the canal in it.
  scene.ellipsoid(
    { centre: [0, 25, 0], radii: [17, 13, long] },
    paintOf(Tissue.bone, palette.muscle),
  );
  const levels = Math.ceil(420 / period);
  for (let level = -levels; level <= levels; level++) {
    const z = first + level * period;
    if (Math.abs(z) > 420) continue;
    scene.ellipsoid({ centre: [0, 0, z], radii, roundZ: 2 }, bone);
    scene.ellipsoid(
      { centre: [0, 0, z], radii: [radii[0] - 2, radii[1] - 2, radii[2] - 2], roundZ: 2 },
      marrow,
    );
    scene.ellipsoid({ centre: [0, 25, z - 4], radii: [16, 13, 11], roundZ: 2 }, bone);
    scene.cone([0, 36, z - 6], [0, 58, z - 14], 4.5, 4, bone);
    if (voxel < 4) scene.cone([0, 38, z - 6], [0, 56, z - 13], 2.5, 2, marrow);
    bothSides((side) => {
      scene.cone([side * 14, 22, z], [side * r.uniform(36, 44), 28, z], 4.5, 3.5, bone);
      scene.cone([side * 16, 32, z - 14], [side * 17, 33, z - 2], 6.5, 7, bone);
    });
  }
  scene.ellipsoid(
    { centre: [0, 23, 0], radii: [10, 8, long] },
    paintOf(Tissue.muscle, {
      hu: 25 + (palette.free ? 0.3 * palette.muscle.hu : 0),
      fine: 3,
      coarse: 3,
    }),
  );
}

function pelvis(body: Body): void {
  const { scene, palette } = body;
  const r = body.random.stream('pelvis');
  const bone = paintOf(Tissue.bone, palette.bone);
  const marrow = paintOf(Tissue.bone, palette.marrow);
  const muscle = paintOf(Tissue.muscle, palette.muscle);
  const crest = r.uniform(-112, -88);
  bothSides((side) => {
    const axes = turned(0.25, side * 0.35, side * -0.5);
    const centre: Vector = [side * 98, 8, crest - 68];
    scene.ellipsoid({ centre: [side * 104, 50, crest - 110], radii: [46, 42, 95] }, muscle);
    scene.ellipsoid({ centre: [side * 92, 2, crest - 70], radii: [24, 46, 66], axes }, muscle);
    scene.ellipsoid({ centre, radii: [7.5, 54, 72], axes, roundXy: 2 }, bone);
    scene.ellipsoid({ centre, radii: [4.5, 51, 69], axes, roundXy: 2 }, marrow);
    scene.ellipsoid({ centre: [side * 88, -10, crest - 175], radii: [28, 28, 28] }, bone);
    scene.ellipsoid({ centre: [side * 88, -10, crest - 175], radii: [24, 24, 25] }, marrow);
  });
  const sacrum = { centre: [0, 34, crest - 75] as Vector, axes: turned(-0.4, 0, 0) };
  scene.ellipsoid({ ...sacrum, radii: [50, 20, 60] }, bone);
  scene.ellipsoid({ ...sacrum, radii: [47, 17, 57] }, marrow);
  scene.ellipsoid(
    { centre: [0, -35, crest - 165], radii: [38, 34, r.uniform(18, 42)] },
    paintOf(Tissue.bowel, { ...palette.urine, hu: Math.min(400, palette.urine.hu) }),
  );
}
