// Convolutions as plain loops in double precision: what the kernels are measured against.

export interface Geometry {
  stride: readonly number[];
  padding: readonly number[];
  dilation: readonly number[];
}

/** An image [N, D, H, W, C] of doubles. */
export interface Image {
  shape: readonly number[];
  data: ArrayLike<number>;
}

/** Calls `body(output voxel, tap, input voxel)` for every pair of a convolution that lies inside, voxels as indices over N, D, H, W. */
function eachPair(
  inShape: readonly number[],
  outShape: readonly number[],
  kernel: readonly number[],
  g: Geometry,
  body: (out: number, tap: number, input: number) => void,
): void {
  const [n, D, H, W] = inShape as [number, number, number, number];
  const [, oD, oH, oW] = outShape as [number, number, number, number];
  const [kD, kH, kW] = kernel as [number, number, number];
  const at = (axis: number, o: number, k: number) =>
    o * (g.stride[axis] as number) - (g.padding[axis] as number) + k * (g.dilation[axis] as number);
  for (let i = 0; i < n; i++)
    for (let d = 0; d < oD; d++)
      for (let h = 0; h < oH; h++)
        for (let w = 0; w < oW; w++)
          for (let a = 0; a < kD; a++)
            for (let b = 0; b < kH; b++)
              for (let c = 0; c < kW; c++) {
                const z = at(0, d, a);
                const y = at(1, h, b);
                const x = at(2, w, c);
                if (z < 0 || z >= D || y < 0 || y >= H || x < 0 || x >= W) continue;
                body(
                  ((i * oD + d) * oH + h) * oW + w,
                  (a * kH + b) * kW + c,
                  ((i * D + z) * H + y) * W + x,
                );
              }
}

export function outputShape(x: Image, weight: Image, g: Geometry): number[] {
  const space = [0, 1, 2].map((a) => {
    const reach = (g.dilation[a] as number) * ((weight.shape[a + 2] as number) - 1) + 1;
    return (
      Math.floor(
        ((x.shape[a + 1] as number) + 2 * (g.padding[a] as number) - reach) /
          (g.stride[a] as number),
      ) + 1
    );
  });
  return [x.shape[0] as number, ...space, weight.shape[0] as number];
}

export function convolve(
  x: Image,
  weight: Image,
  bias: ArrayLike<number> | undefined,
  g: Geometry,
): { shape: number[]; data: Float64Array } {
  const shape = outputShape(x, weight, g);
  const [cout, cin, ...kernel] = weight.shape as [number, number, ...number[]];
  const taps = kernel.reduce((a, b) => a * b, 1);
  const data = new Float64Array(shape.reduce((a, b) => a * b, 1));
  for (let i = 0; i < data.length; i++) data[i] = (bias?.[i % cout] as number | undefined) ?? 0;
  eachPair(x.shape, shape, kernel, g, (out, tap, input) => {
    for (let co = 0; co < cout; co++) {
      let sum = 0;
      for (let ci = 0; ci < cin; ci++)
        sum +=
          (weight.data[(co * cin + ci) * taps + tap] as number) *
          (x.data[input * cin + ci] as number);
      data[out * cout + co] = (data[out * cout + co] as number) + sum;
    }
  });
  return { shape, data };
}

/** Gradients of sum(y * dy) with respect to x, weight and bias. */
export function convolveGradients(
  x: Image,
  weight: Image,
  dy: Image,
  g: Geometry,
): { dx: Float64Array; dw: Float64Array; db: Float64Array } {
  const [cout, cin, ...kernel] = weight.shape as [number, number, ...number[]];
  const taps = kernel.reduce((a, b) => a * b, 1);
  const dx = new Float64Array(x.data.length);
  const dw = new Float64Array(weight.data.length);
  const db = new Float64Array(cout);
  eachPair(x.shape, dy.shape, kernel, g, (out, tap, input) => {
    for (let co = 0; co < cout; co++) {
      const gradient = dy.data[out * cout + co] as number;
      for (let ci = 0; ci < cin; ci++) {
        const w = (co * cin + ci) * taps + tap;
        dx[input * cin + ci] =
          (dx[input * cin + ci] as number) + gradient * (weight.data[w] as number);
        dw[w] = (dw[w] as number) + gradient * (x.data[input * cin + ci] as number);
      }
    }
  });
  for (let i = 0; i < dy.data.length; i++)
    db[i % cout] = (db[i % cout] as number) + (dy.data[i] as number);
  return { dx, dw, db };
}

/** leaky(x * scale + shift), scale and shift per sample and channel. */
export function normalized(
  x: Image,
  scale: ArrayLike<number>,
  shift: ArrayLike<number>,
  slope: number,
): Image {
  const c = x.shape[4] as number;
  const voxels = x.data.length / c / (x.shape[0] as number);
  const data = Float64Array.from(x.data, (v, i) => {
    const k = Math.floor(i / (voxels * c)) * c + (i % c);
    const z = v * (scale[k] as number) + (shift[k] as number);
    return z > 0 ? z : slope * z;
  });
  return { shape: x.shape, data };
}

/** Two images side by side along the channels. */
export function concatenated(a: Image, b: Image): Image {
  const ca = a.shape[4] as number;
  const cb = b.shape[4] as number;
  const voxels = a.shape.slice(0, 4).reduce((x, y) => x * y, 1);
  const data = new Float64Array(voxels * (ca + cb));
  for (let v = 0; v < voxels; v++)
    for (let c = 0; c < ca + cb; c++)
      data[v * (ca + cb) + c] = (c < ca ? a.data[v * ca + c] : b.data[v * cb + c - ca]) as number;
  return { shape: [...a.shape.slice(0, 4), ca + cb], data };
}

/** Mean and sum of squared deviations of each channel of each sample: [N, C, 2]. */
export function moments(y: Image): Float64Array {
  const n = y.shape[0] as number;
  const c = y.shape[4] as number;
  const voxels = y.data.length / n / c;
  const result = new Float64Array(n * c * 2);
  for (let i = 0; i < n; i++)
    for (let k = 0; k < c; k++) {
      let mean = 0;
      for (let v = 0; v < voxels; v++) mean += y.data[(i * voxels + v) * c + k] as number;
      mean /= voxels;
      let m2 = 0;
      for (let v = 0; v < voxels; v++)
        m2 += ((y.data[(i * voxels + v) * c + k] as number) - mean) ** 2;
      result[(i * c + k) * 2] = mean;
      result[(i * c + k) * 2 + 1] = m2;
    }
  return result;
}

/** Calls `body(output voxel, tap, input voxel)` for every pair of a transposed convolution with kernel and stride 2. */
function eachDoubled(shape: readonly number[], body: (o: number, k: number, i: number) => void) {
  const [n, d, h, w] = shape as [number, number, number, number];
  for (let v = 0; v < n * d * h * w; v++) {
    const x = v % w;
    const y = Math.floor(v / w) % h;
    const z = Math.floor(v / w / h);
    for (let k = 0; k < 8; k++) {
      const [a, b, c] = [k >> 2, (k >> 1) & 1, k & 1];
      body(((2 * z + a) * 2 * h + 2 * y + b) * 2 * w + 2 * x + c, k, v);
    }
  }
}

/** y of a transposed convolution with kernel and stride 2, weight [Cin, Cout, 2, 2, 2]. */
export function transposed(x: Image, weight: Image, bias: ArrayLike<number>): Float64Array {
  const [cin, cout] = weight.shape as [number, number];
  const y = new Float64Array((x.data.length / cin) * 8 * cout);
  eachDoubled(x.shape, (o, k, i) => {
    for (let co = 0; co < cout; co++) {
      let sum = bias[co] as number;
      for (let ci = 0; ci < cin; ci++)
        sum += (x.data[i * cin + ci] as number) * (weight.data[(ci * cout + co) * 8 + k] as number);
      y[o * cout + co] = sum;
    }
  });
  return y;
}

/** Its gradients of sum(y * dy). */
export function transposedGradients(x: Image, weight: Image, dy: Image) {
  const [cin, cout] = weight.shape as [number, number];
  const dx = new Float64Array(x.data.length);
  const dw = new Float64Array(weight.data.length);
  const db = new Float64Array(cout);
  eachDoubled(x.shape, (o, k, i) => {
    for (let co = 0; co < cout; co++) {
      const g = dy.data[o * cout + co] as number;
      db[co] = (db[co] as number) + g;
      for (let ci = 0; ci < cin; ci++) {
        const j = (ci * cout + co) * 8 + k;
        dx[i * cin + ci] = (dx[i * cin + ci] as number) + g * (weight.data[j] as number);
        dw[j] = (dw[j] as number) + g * (x.data[i * cin + ci] as number);
      }
    }
  });
  return { dx, dw, db };
}
