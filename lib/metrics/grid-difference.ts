/** How two grids differ, in words and numbers. */
import type { Triple, Volume } from '../volume/index.js';

/**
 * What to say of two volumes that {@link sameGrid} tells apart: "shapes differ: 10x20x30 against …", or by how much their corners do.
 * @param toleranceMm - that of sameGrid
 */
export function gridDifference(a: Volume, b: Volume, toleranceMm = 0.01): string {
  if (a.shape.some((n, axis) => n !== b.shape[axis]))
    return `shapes differ: ${a.shape.join('x')} against ${b.shape.join('x')} voxels [d, h, w]`;
  const [w, h, d] = a.fileShape;
  const corner = ({ affine }: Volume, [i, j, k]: Triple) =>
    [0, 4, 8].map((row) => {
      const [x, y, z, t] = affine.slice(row, row + 4) as [number, number, number, number];
      return x * i + y * j + z * k + t;
    }) as [number, number, number];
  let most = 0;
  let least = Number.POSITIVE_INFINITY;
  for (let which = 0; which < 8; which++) {
    const index: Triple = [which & 1 ? w - 1 : 0, which & 2 ? h - 1 : 0, which & 4 ? d - 1 : 0];
    const [p, q] = [corner(a, index), corner(b, index)];
    const apart = Math.hypot(p[0] - q[0], p[1] - q[1], p[2] - q[2]);
    most = Math.max(most, apart);
    least = Math.min(least, apart);
  }
  const digits = (mm: number) => (mm < 0.1 ? mm.toPrecision(2) : mm.toFixed(2));
  const spacing = (v: Volume) => v.spacing.map((mm) => Number(mm.toFixed(4))).join('x');
  const turned =
    a.orientation === b.orientation ? '' : `, ${a.orientation} against ${b.orientation}`;
  const range = digits(least) === digits(most) ? '' : `${digits(least)} to `;
  const origin = ({ affine }: Volume) =>
    [3, 7, 11].map((at) => Number((affine[at] as number).toFixed(3))).join(', ');
  return `affines differ: corners lie ${range}${digits(most)} mm apart (limit ${toleranceMm} mm); origin ${origin(a)} against ${origin(b)}, spacing ${spacing(a)} against ${spacing(b)} mm${turned}`;
}
