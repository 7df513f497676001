/** Lungs, heart and ribs. */
import { Tissue } from '../scene.js';
import type { Vector } from '../vector.js';
import { type Body, bothSides, paintOf } from './body.js';

/** Draws lungs, mediastinum, heart and ribs. */
export function drawChest(body: Body): void {
  const { scene, palette, halfWidth, halfDepth, middle, fatLayer } = body;
  const r = body.random.stream('chest');
  const over = [Tissue.fat];
  const base = r.uniform(40, 85);
  bothSides((side) => {
    const low = base + r.uniform(-10, 10);
    scene.ellipsoid(
      {
        centre: [side * halfWidth * 0.46, middle + 8, low + 175],
        radii: [halfWidth * 0.5, halfDepth * 1.02, 175],
      },
      paintOf(Tissue.lung, palette.lung, { over }),
    );
  });
  // Mediastinum and heart.
  scene.ellipsoid(
    { centre: [0, middle, 330], radii: [36, halfDepth, 170] },
    paintOf(Tissue.fat, palette.fat, { over: [Tissue.lung] }),
  );
  scene.ellipsoid(
    { centre: [22, middle - 18, base + 150], radii: [62, 48, 52] },
    paintOf(Tissue.vessel, palette.heart, { over: [Tissue.lung, Tissue.fat] }),
  );
  ribs(body, r.uniform(-8, 8), fatLayer);
}

function ribs(body: Body, shift: number, fatLayer: number): void {
  const { scene, palette, halfWidth, halfDepth, middle, voxel } = body;
  const r = body.random.stream('ribs');
  const bone = paintOf(Tissue.bone, palette.bone);
  const marrow = paintOf(Tissue.bone, palette.marrow);
  const inset = fatLayer + 9;
  const [a, b] = [halfWidth - inset, halfDepth - 0.7 * inset];
  for (let rib = 6; rib <= 12; rib++) {
    const z = 42 + (12 - rib) * 25 + shift;
    // How far round from the spine it goes, and how steeply it falls.
    const reach = Math.min(
      2.7,
      [0, 0, 0, 0, 0, 0, 2.7, 2.6, 2.4, 2.2, 2, 1.55, 1.0][rib] as number,
    );
    const fall = r.uniform(26, 42);
    const thick = r.uniform(4, 5.2);
    bothSides((side) => {
      const points: Vector[] = [[side * 24, 20, z]];
      const pieces = Math.ceil(reach * 5);
      for (let i = 1; i <= pieces; i++) {
        const angle = 0.3 + (i / pieces) * reach;
        points.push([
          side * a * Math.sin(angle),
          middle + (b - 3) * Math.cos(angle),
          z - fall * angle + 8,
        ]);
      }
      scene.tube(points, thick, bone);
      if (voxel < 3) scene.tube(points, thick * 0.55, marrow);
    });
  }
}
