/** What is on a scan besides the trunk: table, arms; and, for training, blobs of any HU. */
import { Tissue } from '../scene.js';
import { turned, type Vector } from '../vector.js';
import { type Body, bothSides, inside, paintOf } from './body.js';

/** Draws the scanner's table behind the back, on most scans. */
export function drawTable(body: Body): void {
  const { scene, middle, halfDepth } = body;
  const r = body.random.stream('table');
  if (r.chance(0.12)) return;
  const y = middle + halfDepth + r.uniform(2, 14);
  const width = r.uniform(200, 260);
  const thick = r.uniform(8, 22);
  const hu = r.uniform(-900, -600);
  const slab = (inset: number, tone: number) =>
    scene.ellipsoid(
      {
        centre: [0, y + thick, 0],
        radii: [width - inset, thick - inset, 3000],
        roundXy: 2,
      },
      {
        ...{ tissue: Tissue.outside, hu: tone, label: 0, fixed: true },
        over: [Tissue.air, Tissue.outside],
      },
    );
  slab(0, r.uniform(-500, -150));
  slab(r.uniform(1.5, 3), hu);
}

/** Draws arms beside the trunk, on some scans. */
export function drawArms(body: Body): void {
  const { scene, palette, halfWidth, middle } = body;
  const r = body.random.stream('arms');
  if (!r.chance(0.15)) return;
  const over = [Tissue.air];
  bothSides((side) => {
    const top: Vector = [side * (halfWidth + r.uniform(34, 60)), middle + r.uniform(-20, 30), 220];
    const low: Vector = [top[0] + side * r.uniform(-15, 20), top[1] - r.uniform(0, 40), -230];
    scene.cone(top, low, 46, 32, paintOf(Tissue.outside, palette.fat, { over }));
    const arm = { over: [Tissue.outside] };
    scene.cone(top, low, 38, 26, paintOf(Tissue.outside, palette.muscle, arm));
    scene.cone(top, low, 11, 8, paintOf(Tissue.outside, palette.bone, arm));
    scene.cone(top, low, 6, 4, paintOf(Tissue.outside, palette.marrow, arm));
  });
}

/** Ellipsoids of any HU in the cavity, so that a network cannot learn what is near by its HU. */
export function drawBlobs(body: Body, most: number): void {
  const { scene, halfWidth, middle, halfDepth } = body;
  const r = body.random.stream('blobs');
  for (let i = r.integer(0, most); i > 0; i--) {
    const size = r.logUniform(6, 42);
    scene.ellipsoid(
      {
        centre: [
          r.uniform(-0.75, 0.75) * halfWidth,
          middle + r.uniform(-0.75, 0.8) * halfDepth,
          r.uniform(-150, 150),
        ],
        radii: [size * r.uniform(0.6, 1.4), size * r.uniform(0.6, 1.4), size * r.uniform(0.6, 1.4)],
        axes: turned(r.uniform(0, 3), r.uniform(0, 3), r.uniform(0, 3)),
        bump: { share: r.uniform(0, 0.1), rate: 2.5, phase: r.uniform(0, 20) },
      },
      paintOf(
        Tissue.blob,
        { hu: r.uniform(-150, 260), fine: r.uniform(0, 10), coarse: r.uniform(0, 14) },
        {
          over: [
            ...inside,
            Tissue.liver,
            Tissue.spleen,
            Tissue.bowel,
            Tissue.lumen,
            Tissue.pancreas,
            Tissue.vessel,
          ],
        },
      ),
    );
  }
}
