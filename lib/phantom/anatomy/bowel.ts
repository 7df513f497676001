/** Stomach, duodenum, small bowel, colon: wall, content, gas above fluid. */
import type { Tone } from '../palette.js';
import type { Random } from '../random.js';
import { type Paint, Tissue } from '../scene.js';
import { plus, turned, type Vector } from '../vector.js';
import { type Body, inside, paintOf } from './body.js';

const front: Vector = [0, 1, 0];
const gas: Tone = { hu: -960, fine: 10, coarse: 10 };

/** Draws small bowel, colon and stomach with their gas and contents. */
export function drawBowel(body: Body): void {
  smallBowel(body);
  colon(body);
  stomach(body);
}

function stomach(body: Body): void {
  const { scene, palette, middle, halfWidth } = body;
  const r = body.random.stream('stomach');
  const full = r.uniform(0.55, 1.15);
  const wall = r.uniform(3, 6);
  const parts = [
    { centre: [halfWidth * 0.4, middle + 12, 118], radii: [38, 40, 42] },
    { centre: [halfWidth * 0.34, middle - 16, 78], radii: [34, 30, 46], turn: 0.3 },
    { centre: [halfWidth * 0.14, middle - 34, 34], radii: [44, 22, 24], turn: 0.5 },
  ].map(({ centre, radii, turn = 0 }) => ({
    centre: centre as unknown as Vector,
    radii: radii.map((x) => x * full) as unknown as Vector,
    axes: turned(0, turn, 0),
  }));
  const content: Tone = r.chance(0.5)
    ? { hu: r.uniform(0, 40), fine: 3, coarse: 3 }
    : r.chance(0.4)
      ? { hu: r.uniform(120, 380), fine: 15, coarse: 20 }
      : { hu: r.uniform(-60, 60), fine: 30, coarse: 40 };
  const over = [...inside, Tissue.bowel];
  for (const part of parts)
    scene.ellipsoid(part, paintOf(Tissue.bowel, palette.bowelWall, { over }));
  const inner = parts.map((p) => ({
    ...p,
    radii: p.radii.map((x) => Math.max(2, x - wall)) as unknown as Vector,
  }));
  const lumen = [Tissue.bowel, Tissue.lumen];
  for (const part of inner) scene.ellipsoid(part, paintOf(Tissue.lumen, content, { over: lumen }));
  if (r.chance(0.75)) {
    const level = middle - r.uniform(10, 50);
    for (const part of inner)
      scene.ellipsoid(
        { ...part, clip: { normal: front, at: level - part.centre[1] } },
        paintOf(Tissue.lumen, gas, { over: [Tissue.lumen] }),
      );
  }
}

/** What a stretch of bowel holds. */
function filling(r: Random, body: Body): { content: Paint; gasShare: number; extra?: Paint } {
  const over = [Tissue.bowel, Tissue.lumen];
  const seed = r.integer(1, 1e6);
  const kind = r.uniform(0, 1);
  if (kind < 0.45)
    return {
      content: paintOf(Tissue.lumen, { hu: r.uniform(-80, 70), fine: 40, coarse: 40 }, { over }),
      extra: paintOf(
        Tissue.lumen,
        { hu: r.uniform(-850, -300), fine: 60, coarse: 60 },
        {
          over: [Tissue.lumen],
          patches: { size: r.uniform(4, 8), level: r.uniform(0.4, 1.4), seed },
        },
      ),
      gasShare: r.chance(0.3) ? r.uniform(0.2, 0.5) : 0,
    };
  if (kind < 0.75) return { content: paintOf(Tissue.lumen, gas, { over }), gasShare: 0 };
  return {
    content: paintOf(Tissue.lumen, body.palette.bowelContent, { over }),
    gasShare: r.chance(0.5) ? r.uniform(0.2, 0.7) : 0,
  };
}

function colon(body: Body): void {
  const { palette, middle, halfDepth, halfWidth, fatLayer, wall, scene } = body;
  const r = body.random.stream('colon');
  const side = halfWidth - fatLayer - wall - r.uniform(26, 36);
  const anterior = middle - halfDepth + fatLayer + wall + r.uniform(24, 34);
  const flexure = r.uniform(-5, 35);
  const arcs: Vector[][] = [
    // Ascending, transverse, descending, sigmoid.
    [
      [-side + 4, middle + 16, -165],
      [-side, middle + 22, -110],
      [-side, middle + 26, -50],
      [-side + 6, middle + 8, flexure - 8],
    ],
    [
      [-side + 14, middle - 14, flexure],
      [-side * 0.5, anterior + 6, flexure - r.uniform(0, 35)],
      [0, anterior, flexure - r.uniform(5, 60)],
      [side * 0.55, anterior + 8, flexure + r.uniform(-20, 20)],
      [side * 0.85, middle + 8, flexure + 40],
    ],
    [
      [side * 0.98, middle + 30, flexure + 24],
      [side, middle + 34, -20],
      [side, middle + 30, -80],
      [side * 0.92, middle + 18, -150],
    ],
    [
      [side * 0.8, middle, -190],
      [side * 0.4, middle - 15, -220],
      [0, middle + 10, -235],
      [5, middle + 40, -260],
    ],
  ];
  for (const [index, arc] of arcs.entries()) {
    const base = r.uniform(11, index === 0 ? 27 : 22);
    const points: Vector[] = [];
    const radii: number[] = [];
    for (let i = 0; i + 1 < arc.length; i++) {
      const pieces = 5;
      for (let k = 0; k < pieces; k++) {
        const t = k / pieces;
        const a = arc[i] as Vector;
        points.push(plus(a, plus(arc[i + 1] as Vector, a, -1), t));
        // Haustra: the radius swells and narrows.
        radii.push(base * (points.length % 2 ? r.uniform(0.95, 1.2) : r.uniform(0.72, 0.92)));
      }
    }
    points.push(arc[arc.length - 1] as Vector);
    radii.push(base);
    const thin = r.uniform(1.5, 3.5);
    scene.tube(
      points,
      radii,
      paintOf(Tissue.bowel, palette.bowelWall, { over: [...inside, Tissue.bowel] }),
    );
    const { content, gasShare, extra } = filling(r, body);
    const inner = radii.map((x) => Math.max(1.5, x - thin));
    scene.tube(points, inner, content);
    if (extra) scene.tube(points, inner, extra);
    if (gasShare > 0)
      for (let i = 0; i + 1 < points.length; i++)
        scene.cone(
          points[i] as Vector,
          points[i + 1] as Vector,
          inner[i] as number,
          inner[i + 1] as number,
          paintOf(Tissue.lumen, gas, { over: [Tissue.lumen] }),
          { normal: front, at: (2 * gasShare - 1) * base },
        );
  }
}

function smallBowel(body: Body): void {
  const { palette, middle, halfDepth, halfWidth, fatLayer, wall, scene } = body;
  const r = body.random.stream('small bowel');
  const loops = r.integer(8, 24);
  const reach = halfWidth - fatLayer - wall - 60;
  const anterior = middle - halfDepth + fatLayer + wall + 14;
  const duodenum: Vector[] = [
    [-24, -58, 26],
    [-48, -40, 14],
    [-50, -30, -28],
    [-22, -28, -46],
    [22, -34, -42],
    [40, -50, -18],
  ];
  const size = r.uniform(9, 13);
  const over = [...inside, Tissue.bowel];
  scene.tube(duodenum, size, paintOf(Tissue.bowel, palette.bowelWall, { over }));
  scene.tube(
    duodenum,
    size - 3,
    paintOf(Tissue.lumen, palette.bowelContent, { over: [Tissue.bowel] }),
  );
  for (let loop = 0; loop < loops; loop++) {
    let at: Vector = [
      r.uniform(-reach, reach),
      r.uniform(anterior, Math.min(-34, anterior + 75)),
      r.uniform(-210, loop % 3 ? -20 : 20),
    ];
    const points: Vector[] = [at];
    for (let i = r.integer(3, 6); i > 0; i--) {
      const d = r.direction();
      const next = plus(at, d, r.uniform(16, 34));
      at = [
        Math.max(-reach, Math.min(reach, next[0])),
        Math.max(anterior, Math.min(-32, next[1])),
        next[2],
      ];
      points.push(at);
    }
    const radius = r.uniform(7.5, 14);
    scene.tube(points, radius, paintOf(Tissue.bowel, palette.bowelWall, { over }));
    const content: Tone = r.chance(0.7)
      ? { ...palette.bowelContent, hu: palette.bowelContent.hu + r.uniform(-10, 10) }
      : r.chance(0.5)
        ? gas
        : { hu: r.uniform(-10, 60), fine: 8, coarse: 8 };
    if (r.chance(0.75))
      scene.tube(
        points,
        radius - r.uniform(2, 4.5),
        paintOf(Tissue.lumen, content, { over: [Tissue.bowel] }),
      );
  }
  // Vessels of the mesentery.
  for (let i = body.voxel < 4 ? r.integer(6, 16) : 0; i > 0; i--) {
    const root: Vector = [r.uniform(-5, 15), -42, r.uniform(-40, 10)];
    const tip: Vector = [
      r.uniform(-reach, reach),
      r.uniform(anterior, -40),
      root[2] - r.uniform(20, 110),
    ];
    scene.cone(
      root,
      tip,
      3,
      1.2,
      paintOf(Tissue.vessel, palette.portalVein, { over: [Tissue.fat] }),
    );
  }
}
