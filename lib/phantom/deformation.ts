/** Where a patient lies and how he or she is bent: a pose, and a smooth field of displacements on coarse nodes. */
import type { Random } from './random.js';
import { plus, turned, type Vector } from './vector.js';

/** A field of displacements: nodes of [x, y, z] mm. */
export interface Field {
  /** [nz, ny, nx, 3], x fastest. */
  readonly data: Float32Array;
  readonly nodes: readonly [number, number, number];
  /** mm (x, y, z) of the first node, and from node to node. */
  readonly start: readonly [number, number, number];
  readonly step: readonly [number, number, number];
}

const nodes = [17, 15, 21] as const;
const extent = [210, 150, 300] as const;

/**
 * The sum of two random fields, of 4^3 and 9^3 nodes over 420 x 300 x 600 mm, joined by cubic splines (Catmull and Rom) onto finer nodes;
 * no component exceeds about `most` mm.
 */
export function drawField(random: Random, most: number): Field {
  const r = random.stream('field');
  const data = new Float32Array(3 * nodes[0] * nodes[1] * nodes[2]);
  const between = [new Float32Array(data.length), new Float32Array(data.length)] as const;
  for (const [count, share] of [
    [4, 0.72],
    [9, 0.28],
  ] as const) {
    const coarse = new Float32Array(3 * count ** 3);
    for (let i = 0; i < coarse.length; i++) coarse[i] = r.uniform(-share * most, share * most);
    refine(coarse, count, between, data);
  }
  const start = extent.map((e) => -e) as unknown as Field['start'];
  const step = extent.map(
    (e, i) => (2 * e) / ((nodes[i] as number) - 1),
  ) as unknown as Field['step'];
  return { data, nodes: [nodes[2], nodes[1], nodes[0]], start, step };
}

/** Adds the cubic interpolation of a cube of `count`^3 nodes of 3 components, one axis after the other, in floats. */
function refine(
  coarse: Float32Array,
  count: number,
  [first, second]: readonly [Float32Array, Float32Array],
  into: Float32Array,
): void {
  const [nx, ny, nz] = nodes;
  // z is the slowest axis.
  refineAlong(coarse, 1, count, 3 * count * count, nz, first);
  refineAlong(first, nz, count, 3 * count, ny, second);
  refineAlong(second, nz * ny, count, 3, nx, first);
  for (let i = 0; i < into.length; i++) into[i] = (into[i] as number) + (first[i] as number);
}

/** [outer, old, inner] to [outer, n, inner]. */
function refineAlong(
  from: Float32Array,
  outer: number,
  old: number,
  inner: number,
  n: number,
  to: Float32Array,
): void {
  for (let i = 0; i < n; i++) {
    const at = (i / (n - 1)) * (old - 1);
    const first = Math.min(Math.floor(at), old - 2);
    const [w0, w1, w2, w3] = catmullRom(at - first);
    const before = Math.max(first - 1, 0) * inner;
    const [here, next] = [first * inner, (first + 1) * inner];
    const after = Math.min(first + 2, old - 1) * inner;
    for (let o = 0; o < outer; o++) {
      const row = o * old * inner;
      const out = (o * n + i) * inner;
      for (let k = 0; k < inner; k++) {
        const x = row + k;
        to[out + k] =
          0 +
          w0 * (from[x + before] as number) +
          w1 * (from[x + here] as number) +
          w2 * (from[x + next] as number) +
          w3 * (from[x + after] as number);
      }
    }
  }
}

function catmullRom(t: number): [number, number, number, number] {
  const [t2, t3] = [t * t, t * t * t];
  return [
    0.5 * (-t3 + 2 * t2 - t),
    0.5 * (3 * t3 - 5 * t2 + 2),
    0.5 * (-3 * t3 + 4 * t2 + t),
    0.5 * (t3 - t2),
  ];
}

/** A patient's place on the scanner: patient mm = rotation (scale * scene mm). */
export interface Pose {
  /** 3x3 row-major: patient mm to scene mm. */
  readonly toScene: readonly number[];
  /** mm of the scene a mm of the patient, about. */
  readonly rate: number;
}

/** A pose from turns about the three axes (radians) and scales along them. */
export function poseOf(
  angles: readonly [number, number, number],
  scale: readonly [number, number, number],
): Pose {
  const axes = turned(...angles);
  // Rows of `axes` are orthonormal, so they undo the rotation whose columns they are.
  const toScene = axes.flatMap((row, i) => row.map((x) => x / (scale[i] as number)));
  return { toScene, rate: 1 / Math.cbrt(scale[0] * scale[1] * scale[2]) };
}

/** Index to patient mm (3x4, row-major), then to scene mm. */
export function intoScene(pose: Pose, affine: readonly number[]): number[] {
  const result: number[] = [];
  for (let i = 0; i < 3; i++)
    for (let j = 0; j < 4; j++) {
      let sum = 0;
      for (let k = 0; k < 3; k++)
        sum += (pose.toScene[3 * i + k] as number) * (affine[4 * k + j] as number);
      result.push(sum);
    }
  return result;
}

/** Scene mm to patient mm, the deformation apart. */
export function toPatient(
  pose: Pose,
  point: readonly [number, number, number],
): [number, number, number] {
  const m = pose.toScene;
  const at = (i: number, j: number) => m[3 * i + j] as number;
  const det =
    at(0, 0) * (at(1, 1) * at(2, 2) - at(1, 2) * at(2, 1)) -
    at(0, 1) * (at(1, 0) * at(2, 2) - at(1, 2) * at(2, 0)) +
    at(0, 2) * (at(1, 0) * at(2, 1) - at(1, 1) * at(2, 0));
  return [0, 1, 2].map((i) => {
    let sum = 0;
    for (let j = 0; j < 3; j++) {
      const [a, b, c, d] = [(j + 1) % 3, (j + 2) % 3, (i + 1) % 3, (i + 2) % 3];
      sum += ((at(a, c) * at(b, d) - at(a, d) * at(b, c)) / det) * (point[j] as number);
    }
    return sum;
  }) as [number, number, number];
}

/** The displacement at a point of the scene's space, trilinear between nodes: as the native drawScene reads the field. */
export function displacementAt(field: Field, q: Vector): Vector {
  const [nz, ny, nx] = field.nodes;
  const place = (k: 0 | 1 | 2, n: number): number =>
    Math.min(Math.max((q[k] - field.start[k]) / field.step[k], 0), n - 1);
  const [x, y, z] = [place(0, nx), place(1, ny), place(2, nz)];
  const [i, j, k] = [
    Math.min(Math.floor(x), nx - 2),
    Math.min(Math.floor(y), ny - 2),
    Math.min(Math.floor(z), nz - 2),
  ];
  const [fx, fy, fz] = [x - i, y - j, z - k];
  const { data } = field;
  let [u, v, w] = [0, 0, 0];
  for (let corner = 0; corner < 8; corner++) {
    const [dx, dy, dz] = [corner & 1, (corner >> 1) & 1, corner >> 2];
    const weight = (dx ? fx : 1 - fx) * (dy ? fy : 1 - fy) * (dz ? fz : 1 - fz);
    const node = 3 * (((k + dz) * ny + j + dy) * nx + i + dx);
    u += weight * (data[node] as number);
    v += weight * (data[node + 1] as number);
    w += weight * (data[node + 2] as number);
  }
  return [u, v, w];
}

/** Where a point of the undeformed scene lies in the patient, LPS mm: the q with q + displacement(q) = point, then the pose. */
export function placeInPatient(pose: Pose, field: Field, point: Vector): [number, number, number] {
  let q = point;
  for (let i = 0; i < 6; i++) q = plus(point, displacementAt(field, q), -1);
  return toPatient(pose, q);
}
