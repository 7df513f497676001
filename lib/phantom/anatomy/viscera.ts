/** Liver, gallbladder, spleen, pancreas, adrenals. */
import type { Random } from '../random.js';
import { type Paint, Tissue } from '../scene.js';
import { inAxes, turned, unit, type Vector } from '../vector.js';
import { type Body, bothSides, inside, paintOf } from './body.js';

/** Draws liver with gallbladder, spleen, pancreas and adrenals. */
export function drawViscera(body: Body): void {
  liver(body);
  spleen(body);
  pancreas(body);
  bothSides((side) => {
    const adrenal = paintOf(Tissue.pancreas, body.palette.pancreas, { over: inside });
    const top: Vector = [side * 32, 2, 62];
    body.scene.cone(top, [side * 42, 14, 48], 3.2, 2.4, adrenal);
    body.scene.cone(top, [side * 30, 16, 46], 3.2, 2.4, adrenal);
  });
}

function liver(body: Body): void {
  const { scene, palette, halfWidth, middle } = body;
  const r = body.random.stream('liver');
  const size = r.uniform(0.88, 1.1);
  const paint = paintOf(Tissue.liver, palette.liver, { over: inside });
  const x = -0.5 * halfWidth;
  const tip = r.uniform(-45, 5);
  const high = 150;
  const right: Vector = [x, middle + 14, (tip + high) / 2 + 6];
  scene.ellipsoid(
    {
      centre: right,
      radii: [halfWidth * 0.5 * size, 84 * size, ((high - tip) / 2) * size],
      axes: turned(0.1, 0.25, 0),
      bump: { share: 0.02, rate: 1.5, phase: r.uniform(0, 9) },
      // The visceral surface faces down, back and to the left.
      clip: { normal: unit([0.55, 0.3, -0.62]), at: r.uniform(26, 44) },
    },
    paint,
  );
  const left: Vector = [r.uniform(0, 22), middle - 26, r.uniform(78, 100)];
  scene.ellipsoid(
    {
      centre: left,
      radii: [r.uniform(70, 95), 42, r.uniform(36, 52)],
      axes: turned(0, -0.25, 0),
      clip: { normal: unit([0.1, 0.75, -0.55]), at: 20 },
    },
    paint,
  );
  scene.ellipsoid({ centre: [-22, -28, 84], radii: [26, 22, 34] }, paint);
  const over = [Tissue.liver];
  const vein = paintOf(Tissue.liver, palette.portalVein, { over });
  const porta: Vector = [-30, -38, 58];
  for (let i = 0; i < 6; i++) {
    const bend = inAxes(
      porta,
      turned(0, 0, 0),
      r.uniform(-55, -15),
      r.uniform(-35, 20),
      r.uniform(5, 40),
    );
    const end = inAxes(
      bend,
      turned(0, 0, 0),
      r.uniform(-45, 5),
      r.uniform(-40, 35),
      r.uniform(-20, 40),
    );
    scene.tube([porta, bend, end], [6, 4, 1.5], vein);
    const hepatic = inAxes(
      bend,
      turned(0, 0, 0),
      r.uniform(-25, 15),
      r.uniform(-20, 20),
      r.uniform(-25, 15),
    );
    scene.tube([[-25, -22, 130], hepatic], [5, 2], vein);
  }
  // Focal lesions, now and then.
  for (let i = r.chance(0.25) ? r.integer(1, 5) : 0; i > 0; i--) {
    const d = r.direction();
    scene.ellipsoid(
      {
        centre: [right[0] + 50 * d[0], right[1] + 50 * d[1], right[2] + 50 * d[2]],
        radii: [r.uniform(3, 18), r.uniform(3, 18), r.uniform(3, 18)],
      },
      paintOf(Tissue.liver, { hu: r.uniform(0, 130), fine: 4, coarse: 4 }, { over }),
    );
  }
  if (r.chance(0.85)) {
    const size = r.uniform(0.6, 1.2);
    scene.ellipsoid(
      {
        centre: [x + r.uniform(18, 34), middle - 14, r.uniform(2, 34)],
        radii: [15 * size, 17 * size, 34 * size],
        axes: turned(r.uniform(0.2, 0.8), -0.3, 0),
      },
      paintOf(Tissue.liver, palette.gallbladder, { over: [...inside, Tissue.liver] }),
    );
  }
  if (r.chance(0.5)) besideSpine(body, r, -1, paint);
}

/**
 * A bean or crescent under the left dome, smooth or lobed, that may reach behind the stomach to the spine, where its tip looks like the upper pole
 * of a kidney; now and then large, now and then removed.
 */
function spleen(body: Body): void {
  const { scene, palette, halfWidth, fatLayer, wall, middle } = body;
  const r = body.random.stream('spleen');
  if (r.chance(0.03)) return;
  const paint = paintOf(Tissue.spleen, palette.spleen, { over: inside });
  const size = r.chance(0.08) ? r.uniform(1.2, 1.7) : r.normal(1, 0.15, 0.65, 1.3);
  const [thick, deep, high] = [r.uniform(20, 34), r.uniform(38, 60), r.uniform(38, 60)];
  const x = halfWidth - fatLayer - wall - thick * size - r.uniform(-3, 12);
  const centre: Vector = [x, middle + r.uniform(22, 46), r.uniform(58, 96)];
  scene.ellipsoid(
    {
      centre,
      radii: [thick * size, deep * size, high * size],
      axes: turned(r.uniform(-0.6, 0.4), r.uniform(0, 0.4), r.uniform(0.1, 0.6)),
      roundXy: r.pick([1, 1, 2]),
      bend: -r.uniform(2, 22),
      bump: { share: r.uniform(0.02, 0.12), rate: r.uniform(1.5, 3.5), phase: r.uniform(0, 9) },
    },
    paint,
  );
  // Lobes on its inner side.
  for (let i = r.pick([0, 0, 1, 1, 2]); i > 0; i--)
    scene.ellipsoid(
      {
        centre: [
          x - thick * size * r.uniform(0.4, 1.2),
          centre[1] + r.uniform(-10, 34),
          centre[2] + r.uniform(-0.7, 0.6) * high * size,
        ],
        radii: [r.uniform(12, 28), r.uniform(12, 26), r.uniform(14, 34)],
        axes: turned(r.uniform(-0.6, 0.6), r.uniform(-0.4, 0.4), r.uniform(-0.4, 0.4)),
        bump: { share: r.uniform(0, 0.1), rate: 2, phase: r.uniform(0, 9) },
      },
      paint,
    );
  if (r.chance(0.5)) besideSpine(body, r, 1, paint);
  if (r.chance(0.12))
    scene.ellipsoid({ centre: [x - 40, middle + 15, r.uniform(20, 60)], radii: [7, 7, 7] }, paint);
}

/**
 * The back of the spleen or of the liver's right lobe in the gutter beside the spine, above the kidney: where a slab through the upper abdomen shows
 * a round organ that is no kidney.
 */
function besideSpine(body: Body, r: Random, side: 1 | -1, paint: Paint): void {
  const wide = r.uniform(16, 46);
  body.scene.ellipsoid(
    {
      centre: [side * r.uniform(36, 78), r.uniform(8, 46), r.uniform(55, 125)],
      radii: [wide, wide * r.uniform(0.7, 1.4), r.uniform(20, 50)],
      axes: turned(r.uniform(-0.7, 0.7), r.uniform(-0.5, 0.5), r.uniform(-0.5, 0.5)),
      roundXy: r.pick([1, 1, 2]),
      bend: r.uniform(-12, 12),
      bump: { share: r.uniform(0, 0.12), rate: r.uniform(1.5, 3.5), phase: r.uniform(0, 9) },
    },
    paint,
  );
}

function pancreas(body: Body): void {
  const { scene, palette } = body;
  const r = body.random.stream('pancreas');
  const z = r.uniform(-8, 14);
  const front = r.uniform(-6, 4);
  const points: Vector[] = [
    [-34, -38 + front, z - 22],
    [-28, -42 + front, z + 4],
    [0, -52 + front, z + 20],
    [32, -42 + front, z + 32],
    [62, -18 + front, z + 42],
    [84, -2 + front, z + 50],
  ];
  const size = r.uniform(0.7, 1.15);
  const radii = [12, 15, 10, 11, 11, 8].map((x) => x * size);
  scene.tube(points, radii, paintOf(Tissue.pancreas, palette.pancreas, { over: inside }));
  // Fat between the lobules.
  scene.tube(
    points,
    radii,
    paintOf(
      Tissue.pancreas,
      { ...palette.fat, hu: -70 },
      {
        over: [Tissue.pancreas],
        patches: { size: r.uniform(4, 7), level: r.uniform(0.6, 2.2), seed: r.integer(1, 1e6) },
      },
    ),
  );
}
