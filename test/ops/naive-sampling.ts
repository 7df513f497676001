// Resampling in double, voxel by voxel and tap by tap: the reference of resample and of its gradient.
import type { ops } from 'renvox';

type Three = readonly [number, number, number];

interface Tap {
  /** Voxel along the axis, or -1 for what lies outside. */
  at: number;
  weight: number;
}

export interface NaiveSampling {
  size: Three;
  affine: ops.Affine;
  border?: boolean;
  fill?: number;
  box?: boolean;
  /** Applied to each stored value first. */
  value?: (stored: number) => number;
}

function tapsOf(p: number, n: number, footprint: number, s: NaiveSampling): Tap[] {
  const place = (i: number) => {
    if (s.border) return Math.min(Math.max(i, 0), n - 1);
    return i >= 0 && i < n ? i : -1;
  };
  if (s.box && footprint > 1) {
    const [low, high] = [p - footprint / 2, p + footprint / 2];
    const taps: Tap[] = [];
    for (let i = Math.floor(low) - 1; i <= high + 1; i++) {
      const share = Math.min(high, i + 0.5) - Math.max(low, i - 0.5);
      if (share > 0) taps.push({ at: place(i), weight: share / footprint });
    }
    return taps;
  }
  const low = Math.floor(p);
  return [
    { at: place(low), weight: 1 - (p - low) },
    { at: place(low + 1), weight: p - low },
  ];
}

function eachTap(
  shape: readonly number[],
  s: NaiveSampling,
  visit: (output: number, input: number, weight: number) => void,
): void {
  const [d, h, w] = shape.slice(1, 4) as [number, number, number];
  const m = s.affine as number[];
  const row = (r: number, o: Three) =>
    (m[4 * r] as number) * o[0] +
    (m[4 * r + 1] as number) * o[1] +
    (m[4 * r + 2] as number) * o[2] +
    (m[4 * r + 3] as number);
  const foot = (r: number) => Math.max(...[0, 1, 2].map((c) => Math.abs(m[4 * r + c] as number)));
  let output = 0;
  for (let a = 0; a < s.size[0]; a++)
    for (let b = 0; b < s.size[1]; b++)
      for (let e = 0; e < s.size[2]; e++, output++) {
        const o = [a, b, e] as const;
        for (const i of tapsOf(row(0, o), d, foot(0), s))
          for (const j of tapsOf(row(1, o), h, foot(1), s))
            for (const k of tapsOf(row(2, o), w, foot(2), s)) {
              const inside = i.at >= 0 && j.at >= 0 && k.at >= 0;
              visit(
                output,
                inside ? (i.at * h + j.at) * w + k.at : -1,
                i.weight * j.weight * k.weight,
              );
            }
      }
}

/** y of resample; `sample` picks one of the batch. */
export function naiveResample(
  x: ArrayLike<number>,
  shape: readonly number[],
  s: NaiveSampling,
  sample = 0,
): Float64Array {
  const c = shape[4] ?? 1;
  const voxels = (shape[1] as number) * (shape[2] as number) * (shape[3] as number);
  const y = new Float64Array(s.size[0] * s.size[1] * s.size[2] * c);
  const value = s.value ?? ((v) => v);
  eachTap(shape, s, (output, input, weight) => {
    for (let k = 0; k < c; k++)
      y[output * c + k] =
        (y[output * c + k] as number) +
        weight *
          (input < 0 ? (s.fill ?? 0) : value(x[(sample * voxels + input) * c + k] as number));
  });
  return y;
}

/** dx of resample for one sample, without the derivative of `value`. */
export function naiveGradient(
  dy: ArrayLike<number>,
  shape: readonly number[],
  s: NaiveSampling,
): Float64Array {
  const c = shape[4] ?? 1;
  const dx = new Float64Array(
    (shape[1] as number) * (shape[2] as number) * (shape[3] as number) * c,
  );
  eachTap(shape, s, (output, input, weight) => {
    for (let k = 0; k < c && input >= 0; k++)
      dx[input * c + k] = (dx[input * c + k] as number) + weight * (dy[output * c + k] as number);
  });
  return dx;
}
