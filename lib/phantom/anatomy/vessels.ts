/** Aorta and its branches, vena cava, portal system. The vessels of the kidneys are drawn with these. */
import { Tissue } from '../scene.js';
import type { Vector } from '../vector.js';
import { type Body, bothSides, inside, paintOf } from './body.js';

/** Where the renal vessels begin, and how thick they are, in mm. */
export interface RenalRoots {
  artery: Vector;
  vein: Vector;
}

/** Draws aorta and vena cava and returns where the renal vessels leave them. */
export function drawVessels(body: Body): RenalRoots {
  const { scene, palette } = body;
  const r = body.random.stream('vessels');
  const over = [...inside, Tissue.muscle, Tissue.pancreas, Tissue.bowel];
  const artery = paintOf(Tissue.vessel, palette.aorta, { over });
  const width = r.uniform(8.5, 12.5);
  const x = r.uniform(4, 14);
  const y = -17 - width;
  const fork = r.uniform(-105, -80);
  const aorta: Vector[] = [
    [x + 8, 8, 330],
    [x + 8, 0, 200],
    [x + 3, y + 10, 120],
    [x, y, 60],
    [x + r.uniform(-4, 4), y, 0],
    [x, y, fork],
  ];
  scene.tube(aorta, width, artery);
  const cava = paintOf(Tissue.vessel, palette.cava, { over });
  const flat = r.uniform(4, 9);
  for (const shift of [-flat / 2, flat / 2]) {
    scene.tube(
      [
        [-24 + shift, -22, fork - 10],
        [-25 + shift, -24, 0],
        [-27 + shift, -28, 70],
        [-24 + shift, -34, 150],
      ],
      r.uniform(7, 10.5),
      cava,
    );
  }
  bothSides((side) => {
    const path: Vector[] = [
      [side > 0 ? x : x - 3, y, fork],
      [side * 30, -30, fork - 55],
      [side * 55, -48, fork - 120],
    ];
    scene.tube(path, [7, 6, 5], artery);
    scene.tube(
      path.map(([a, b, c]) => [a - 4, b + 12, c] as Vector),
      [8, 7, 6],
      cava,
    );
  });
  // Coeliac trunk, superior mesenteric artery and vein, portal and splenic vein.
  scene.tube(
    [
      [x, y, 48],
      [x, y - 22, 44],
      [x - 24, y - 26, 46],
    ],
    3.2,
    artery,
  );
  scene.tube(
    [
      [x, y, 30],
      [x, y - 18, 18],
      [x, y - 24, -60],
    ],
    3.5,
    artery,
  );
  const portal = paintOf(Tissue.vessel, palette.portalVein, { over });
  scene.tube(
    [
      [x - 16, y - 22, -60],
      [x - 16, y - 24, 12],
      [-18, -48, 30],
      [-32, -40, 58],
    ],
    5.5,
    portal,
  );
  scene.tube(
    [
      [-12, -48, 24],
      [35, -36, 36],
      [80, -4, 56],
    ],
    4,
    portal,
  );
  // Calcified plaques, with age.
  for (let i = r.chance(0.4) ? r.integer(1, 9) : 0; i > 0; i--) {
    const angle = r.uniform(0, 2 * Math.PI);
    scene.ellipsoid(
      {
        centre: [x + width * Math.cos(angle), y + width * Math.sin(angle), r.uniform(fork, 90)],
        radii: [r.uniform(1, 3), r.uniform(1, 3), r.uniform(1, 6)],
      },
      paintOf(Tissue.vessel, { hu: r.uniform(300, 900), fine: 0, coarse: 0 }),
    );
  }
  return { artery: [x, y, r.uniform(-4, 12)], vein: [-25, -24, r.uniform(-6, 8)] };
}
